"""The key that tokens are hashed with, and the form of tokens."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from memhost.errors import ConfigurationError

KEY_FILE = "token.key"
SHORTEST = 32
"""Least number of characters of a key or a token that an operator chose."""

_FORM = re.compile(r"mh_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")


class Hasher:
    """Makes the keyed hashes that are stored in place of tokens."""

    def __init__(self, key: bytes, source: str) -> None:
        self._key = key
        self.source = source
        """Where the key comes from, for messages."""

    def digest(self, token: str) -> bytes:
        """HMAC-SHA-256 of the token, 32 bytes."""
        return hmac.digest(self._key, token.encode(), "sha256")

    def fingerprint(self) -> bytes:
        """Return 16 bytes that distinguish two keys and reveal neither."""
        return hmac.digest(self._key, b"memhost token key", "sha256")[:16]


def new_token() -> tuple[str, str]:
    """A new token and its id: `mh_<16 hexadecimal digits>_<32 random bytes in URL-safe base64>`."""
    token_id = secrets.token_hex(8)
    return new_secret(token_id), token_id


def new_secret(token_id: str) -> str:
    """A token of that id with a new secret."""
    return f"mh_{token_id}_{secrets.token_urlsafe(32)}"


def id_of(token: str) -> str | None:
    """The id that a token names, None if it has not the form of one."""
    match = _FORM.fullmatch(token)
    return match.group(1) if match else None


def load_hasher(key: str | None, folder: Path) -> Hasher:
    """The hasher with the key of the settings, or else of the data folder, where one is made if there is none.

    Raises:
        ConfigurationError: The key is too short, or its file cannot be read or written.
    """
    if key is not None:
        if len(key.strip()) < SHORTEST:
            raise ConfigurationError(
                f"AUTH_TOKEN_KEY has {len(key.strip())} characters and needs at least {SHORTEST}: "
                "take the output of openssl rand -hex 32."
            )
        return Hasher(hashlib.sha256(key.encode()).digest(), "AUTH_TOKEN_KEY")
    path = folder / KEY_FILE
    try:
        content = _read_or_make(path)
    except OSError as error:
        raise ConfigurationError(
            f"The key of the tokens, {path}, cannot be read or created ({error.strerror}); change the file "
            "permissions, or set AUTH_TOKEN_KEY."
        ) from error
    if len(content) < SHORTEST:
        raise ConfigurationError(f"The key of the tokens, {path}, is damaged; restore it, or set AUTH_TOKEN_KEY.")
    return Hasher(hashlib.sha256(content).digest(), str(path))


def _read_or_make(path: Path) -> bytes:
    """The content of the file; of several processes that make it at once, one wins and all read the same."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    return path.read_bytes()
