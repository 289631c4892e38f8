"""Keys of the server: one secret kept outside of the store, and a key derived from it for each purpose."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from memhost.errors import ConfigurationError

Purpose = Literal["mac", "chain", "secret-fingerprint", "certificate", "export"]

SHORTEST = 32
"""Least number of characters of a secret that an operator chose."""

FILE = "file:"
NONE = "none"


class Keyring:
    """The keys that follow from one secret, and from former ones, which only check what they signed.

    Attributes:
        id: 16 hexadecimal digits that tell two secrets apart and reveal neither.
        source: Where the secret comes from, for messages.
        former: Keyrings of secrets that were replaced, the latest first.
    """

    def __init__(self, secret: bytes, source: str, former: Sequence[Keyring] = ()) -> None:
        self._root = hashlib.blake2b(secret, digest_size=32, person=b"memhost keys").digest()
        self.source = source
        self.former = tuple(former)
        self.id = self._derived("id")[:8].hex()

    def _derived(self, label: str) -> bytes:
        return hmac.digest(self._root, f"memhost {label}".encode(), "sha256")

    def key(self, purpose: Purpose) -> bytes:
        """The key of a purpose, 32 bytes; from it neither the secret nor the key of another purpose follows."""
        return self._derived(purpose)

    def known(self, key_id: str) -> Keyring | None:
        """This keyring or the former one with that id; None if the secret is unknown."""
        return next((ring for ring in (self, *self.former) if ring.id == key_id), None)

    def __repr__(self) -> str:
        return f"Keyring({self.id}, {self.source})"


def load_keys(text: str, *, make: bool = True) -> Keyring | None:
    """Read the keys that the setting `INTEGRITY_KEY` names.

    Args:
        text: Secrets separated by white space, the current one first; `file:PATH`, a file with them; `none`; or
            empty for the file of this user (`default_file`).
        make: Whether a file that is not there is made. None is returned otherwise.

    Raises:
        ConfigurationError: A secret is too short, or the file cannot be read or made.
    """
    text = text.strip()
    if text == NONE:
        return None
    if text and not text.startswith(FILE):
        return _ring(text.split(), "INTEGRITY_KEY")
    path = Path(text.removeprefix(FILE)).expanduser() if text else default_file()
    try:
        content = read_or_make(path) if make else path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError) and not make:
            return None
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(
            f"The server's key, {path}, cannot be read or made ({reason}); change its permissions, or set "
            "INTEGRITY_KEY."
        ) from error
    return _ring(content.split(), str(path))


def _ring(given: Sequence[str], source: str) -> Keyring:
    if not given or any(len(secret) < SHORTEST for secret in given):
        raise ConfigurationError(
            f"The secrets of {source} need at least {SHORTEST} characters each: "
            "take the output of openssl rand -hex 32."
        )
    rings = [Keyring(secret.encode(), source) for secret in given]
    return Keyring(given[0].encode(), source, rings[1:])


def default_file() -> Path:
    """The file with the keys of this user: `memhost/integrity.key` in the folder of configurations.

    Raises:
        ConfigurationError: The user has no home.
    """
    try:
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    except RuntimeError as error:
        raise ConfigurationError("This user has no home folder for the server's key: set INTEGRITY_KEY.") from error
    return folder / "memhost" / "integrity.key"


def read_or_make(path: Path) -> str:
    """Return the content of the file; of several processes that make it at once, one wins and all read the same.

    Raises:
        OSError: It cannot be read or made.
    """
    try:
        return path.read_text("ascii")
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = _draft(path, secrets.token_hex(32) + "\n")
    try:
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    return path.read_text("ascii")


def write_keys(path: Path, given: Sequence[str]) -> None:
    """Replace the keys in the file, all of them or none.

    Raises:
        OSError: It cannot be written.
    """
    write_file(path, "".join(f"{secret}\n" for secret in given))


def write_file(path: Path, content: str) -> None:
    """Replace the content of a file that only its owner can read, all of it or nothing.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _draft(path, content).replace(path)


def _draft(path: Path, content: str) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return draft
