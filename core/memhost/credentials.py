"""Credentials in headers: a bearer token, an API key, or Basic with the token as password."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from contextvars import ContextVar

from memhost.ports import Credentials


class Visitor:
    """Who is behind a request, as far as that is known: set by `memhost.http.limits`, told by `Host.authenticate`.

    Attributes:
        known: The credentials were good, so that more of the body may be kept.
    """

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known = False


VISITOR: ContextVar[Visitor | None] = ContextVar("memhost_visitor", default=None)
"""The visitor of the request that is being answered; None outside of requests over HTTP."""


def credentials_of(headers: Mapping[bytes, bytes], peer: str) -> Credentials:
    """Return the credentials of a request; a header without a usable token counts as none.

    A usable `Authorization` wins over `X-API-Key`.

    Args:
        headers: Headers by lower-case name.
        peer: Address of the client.
    """
    scheme, _, value = headers.get(b"authorization", b"").strip().partition(b" ")
    token = _text(value)
    if token and scheme.lower() == b"bearer":
        return Credentials(scheme="bearer", token=token, peer=peer)
    if token and scheme.lower() == b"basic":
        username, password = _basic(token)
        if password:
            return Credentials(scheme="basic", token=password, username=username, peer=peer)
    key = _text(headers.get(b"x-api-key", b""))
    return Credentials(scheme="api-key", token=key, peer=peer) if key else Credentials(peer=peer)


def _text(value: bytes) -> str:
    return value.strip().decode("latin-1")


def _basic(token: str) -> tuple[str, str]:
    try:
        username, _, password = base64.b64decode(token, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return username, password
