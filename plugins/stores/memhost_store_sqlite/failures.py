"""Meanings of the engine's errors, in one sentence each."""

from __future__ import annotations

import shutil
from pathlib import Path

import apsw

from memhost.errors import ConfigurationError, InvalidRequest, MemhostError, StoreUnavailable

_LEAST_FREE = 64 * 1024  # bytes
_UNTIL_MENDED_S = 60
"""When to try again what does not pass by itself: a full disk, a damaged file."""
_TOO_MUCH = ("too many SQL variables", "Expression tree is too large", "too many terms in", "parser stack overflow")
"""Words of the engine about a statement that is too large for it."""


def explain(error: BaseException) -> BaseException:
    """The error to raise in place of `error`: sentences for what the engine says, everything else as it is.

    The sentences reach clients, so they do not tell where the file is.
    """
    if isinstance(error, MemhostError):
        return error
    if isinstance(error, (UnicodeEncodeError, OverflowError, apsw.TooBigError)):
        return _chain(InvalidRequest(f"The store cannot keep this value: {error}."), error)
    if isinstance(error, apsw.SQLError) and any(told in str(error) for told in _TOO_MUCH):
        sentence = "The request has too many conditions for the store; use fewer filters, or fewer values in them."
        return _chain(InvalidRequest(sentence), error)
    if isinstance(error, apsw.Error):
        wait_s = 2 if isinstance(error, (apsw.BusyError, apsw.LockedError)) else _UNTIL_MENDED_S
        return _chain(StoreUnavailable(_sentence(error, "The store's file"), retry_after_s=wait_s), error)
    return error


def explain_opening(error: BaseException, path: Path) -> BaseException:
    """The same for an error while opening, where most causes are a matter of configuration."""
    if isinstance(error, (apsw.NotADBError, apsw.CorruptError, apsw.CantOpenError, apsw.ReadOnlyError)):
        return _chain(ConfigurationError(_sentence(error, str(path))), error)
    if isinstance(error, OSError):
        return _chain(
            ConfigurationError(f"The store's file {path} cannot be opened: {error.strerror}."),
            error,
        )
    if isinstance(error, apsw.Error):
        told = apsw.FullError("") if isinstance(error, apsw.IOError) and _is_full(path.parent) else error
        return _chain(StoreUnavailable(_sentence(told, str(path))), error)
    return explain(error)


def _is_full(folder: Path) -> bool:
    """Tell whether the disk has no room for the files that SQLite needs beside a database (32 KiB of shared memory)."""
    try:
        return shutil.disk_usage(folder).free < _LEAST_FREE
    except OSError:
        return False


def _chain(error: MemhostError, cause: BaseException) -> MemhostError:
    error.__cause__ = cause
    return error


def _sentence(error: apsw.Error, path: str) -> str:
    match error:
        case apsw.NotADBError():
            return f"{path} is not a SQLite database; name another file or move this one away."
        case apsw.CorruptError():
            return f"{path} is damaged ({error}); restore it from a backup."
        case apsw.CantOpenError():
            return f"{path} cannot be opened; check that its folder exists and that the server may write there."
        case apsw.ReadOnlyError() | apsw.PermissionsError() | apsw.AuthError():
            return f"{path} cannot be written; give the server's user write access to the file and its folder."
        case apsw.FullError():
            return f"{path} cannot grow: the disk is full; nothing was changed. Free some space and try again."
        case apsw.BusyError() | apsw.LockedError():
            return f"{path} is being written by another process, which did not finish in time; try again."
        case apsw.IOError():
            return f"{path} cannot be read or written ({error}); check the disk."
        case _:
            return f"{path} failed: {type(error).__name__}: {error}."
