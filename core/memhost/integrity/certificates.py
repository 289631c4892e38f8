"""Certificates: JSON objects that the server signs, and that a command checks."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any

from memhost.errors import InvalidRequest
from memhost.integrity.keys import Keyring

_UNSIGNED = ("signature", "sha256")


def canonical(fields: Mapping[str, Any]) -> bytes:
    """The JSON of the fields, keys sorted, without blanks."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _signature(fields: Mapping[str, Any], keys: Keyring) -> str:
    signed = {name: value for name, value in fields.items() if name not in _UNSIGNED}
    return hmac.digest(keys.key("certificate"), canonical(signed), "sha256").hex()


def sign(fields: Mapping[str, Any], keys: Keyring | None) -> dict[str, Any]:
    """The fields with `key`, `signature` (both None without keys) and `sha256`, a digest of all others."""
    made = {**fields, "key": keys.id if keys else None}
    made["signature"] = _signature(made, keys) if keys else None
    return {**made, "sha256": hashlib.sha256(canonical(made)).hexdigest()}


def check(certificate: Mapping[str, Any], keys: Keyring | None) -> str:
    """Say what is wrong with a certificate; empty if the server signed it as it is.

    Raises:
        InvalidRequest: It is not signed, or this server has not the key that signed it.
    """
    key, signature = certificate.get("key"), certificate.get("signature")
    if not isinstance(key, str) or not isinstance(signature, str):
        raise InvalidRequest("It is not signed: the server that made it had no key (INTEGRITY_KEY).")
    ring = keys.known(key) if keys else None
    if ring is None:
        raise InvalidRequest(f"It was signed with the key {key}, which this server does not have (INTEGRITY_KEY).")
    if not hmac.compare_digest(_signature(certificate, ring).encode(), signature.encode("utf-8", "replace")):
        return "The signature is not that of these fields: something was changed."
    return ""


def fingerprint(user: str, keys: Keyring | None) -> str:
    """Return what stands in the chain for a user who is erased: who knows the name and the key finds it, nobody else.

    Args:
        user: The user's id.
        keys: The server's keys; without them it is the digest of a random key, which nobody finds.
    """
    key = keys.key("secret-fingerprint") if keys else secrets.token_bytes(32)
    return hmac.digest(key, b"user " + user.encode("utf-8", "surrogatepass"), "sha256")[:12].hex()
