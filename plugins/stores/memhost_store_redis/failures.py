"""Meanings of the engine's errors, in one sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from redis import exceptions

from memhost.errors import ConfigurationError, InvalidRequest, MemhostError, StoreUnavailable

_NO_ENGINE = ("unknown command", "unknown subcommand")
_NO_INDEX = ("no such index", "unknown index name")


class IndexGone(StoreUnavailable):
    """The search index does not exist (any more)."""

    def __init__(self) -> None:
        super().__init__(
            "The search index of the store is gone; restart the server to build it again.", retry_after_s=60
        )


@contextmanager
def explained() -> Iterator[None]:
    """Turns what the client library raises into errors of memhost.

    The sentences reach clients, so they do not tell where the server is.
    """
    try:
        yield
    except (UnicodeEncodeError, OverflowError) as error:
        raise InvalidRequest(f"The store cannot keep this value: {error}.") from error
    except (exceptions.RedisError, OSError, TimeoutError) as error:
        if any(each in str(error).lower() for each in _NO_INDEX):
            raise IndexGone from error
        raise StoreUnavailable(sentence(error), retry_after_s=_wait_s(error)) from error


def explain_opening(error: Exception, server: str, names: Sequence[str]) -> MemhostError:
    """The error to raise at the start, where most causes are a matter of configuration.

    `names` are what the names of keys and indexes start with.
    """
    text = str(error).lower()
    if isinstance(error, exceptions.AuthenticationError) or "wrongpass" in text or "noauth" in text:
        return ConfigurationError(f"The Redis at {server} refuses the login; check user and password in REDIS_URL.")
    if isinstance(error, exceptions.NoPermissionError):
        return ConfigurationError(
            f"The Redis user lacks permissions that the store needs ({error}); give it access to "
            f"{' '.join(f'~{name}*' for name in names)} and the commands of the manual."
        )
    if isinstance(error, exceptions.ResponseError) and "unknown command" in text and "ft." not in text:
        return ConfigurationError(
            f"The Redis at {server} lacks a command that the store needs ({error}); if the command was renamed or "
            "disabled (rename-command), restore its name."
        )
    if isinstance(error, exceptions.ResponseError) and any(each in text for each in _NO_ENGINE):
        return ConfigurationError(
            f"The Redis at {server} has no query engine; use Redis 8, Redis Stack or Redis Cloud with search, "
            "or STORE=sqlite."
        )
    return StoreUnavailable(f"The Redis at {server} cannot be used: {sentence(error)}")


def _wait_s(error: BaseException) -> int:
    """Time to the next attempt: short for passing failures, longer for those that an operator must fix."""
    lasting = exceptions.AuthenticationError | exceptions.OutOfMemoryError | exceptions.ReadOnlyError
    return 60 if isinstance(error, lasting) else 2


def sentence(error: BaseException) -> str:
    """Return a sentence about what happened and what to do."""
    match error:
        case exceptions.BusyLoadingError():
            return "Redis is loading its data; try again shortly."
        case exceptions.TimeoutError() | TimeoutError():
            return "Redis did not answer in time; the change may or may not have been made. Try again."
        case exceptions.AuthenticationError():
            return "Redis refuses the login."
        case exceptions.ConnectionError() | OSError():
            return "Redis cannot be reached; try again."
        case exceptions.OutOfMemoryError():
            return "Redis is out of memory; nothing was changed. Raise maxmemory or delete data."
        case exceptions.ReadOnlyError():
            return "This Redis is a replica and cannot be written; try again when a new master has taken over."
    return f"Redis failed: {error}"
