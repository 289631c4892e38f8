"""The signature of an export: by it an import knows that the server wrote a file as it is."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

import msgspec

from memhost.integrity import Keyring


class ExportSignature:
    """A signature over the lines of a file, in their order, without its last line, which holds it.

    White space at the ends of lines does not count, nor do empty lines.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, line: bytes) -> None:
        """Take the next line."""
        if line := line.strip():
            self._digest.update(len(line).to_bytes(8, "big") + line)

    def made(self, keys: Keyring) -> str:
        """The signature of the lines so far, 64 hexadecimal digits."""
        return hmac.digest(keys.key("export"), self._digest.digest(), "sha256").hex()


class _Last(msgspec.Struct):
    kind: str = ""
    key: str | None = None
    signature: str | None = None


_decoder = msgspec.json.Decoder(_Last)


def why_unsigned(lines: Iterable[bytes], keys: Keyring | None) -> str:
    """Say why a file does not count as signed by this server; empty if it does.

    Args:
        lines: All lines of the file.
        keys: The server's keys, None if it has none.
    """
    seen, last = ExportSignature(), b""
    for line in lines:
        if line.strip():
            if last:
                seen.add(last)
            last = line
    try:
        found = _decoder.decode(last)
    except (msgspec.ValidationError, msgspec.DecodeError):
        found = _Last()
    if found.kind != "end" or found.key is None or found.signature is None:
        return "it is not signed"
    ring = keys.known(found.key) if keys is not None else None
    if ring is None:
        return f"it is signed with the key {found.key}, which this server does not have (INTEGRITY_KEY)"
    if not hmac.compare_digest(seen.made(ring).encode(), found.signature.encode("utf-8", "replace")):
        return "its signature is not that of these lines: something was changed"
    return ""
