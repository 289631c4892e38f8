"""Callers to test with: an authentication provider whose tokens are their names, or themselves (`AUTH=testing`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from memhost.errors import Unauthorized
from memhost.hooks import hookimpl
from memhost.models import Caller, Scope
from memhost.ports import Credentials
from memhost.specs import AuthSpec, NoSettings, OpenContext

CALLERS = {
    "admin": Caller(subject="admin", roles=frozenset({"admin"})),
    "reader": Caller(subject="reader", roles=frozenset({"reader"})),
    "ann": Caller(subject="ann", roles=frozenset({"writer"}), bounds=Scope(users=("ann",))),
    "bob": Caller(subject="bob", roles=frozenset({"writer"}), bounds=Scope(users=("bob",))),
    "elsewhere": Caller(subject="elsewhere", roles=frozenset({"admin"}), bounds=Scope(tenant="elsewhere")),
}
"""Token to caller: an administrator, a reader, two users, and the administrator of another tenant."""


def token_of(caller: Caller) -> str:
    """The token that makes a request any caller's: the caller in JSON and hexadecimal."""
    return msgspec.json.encode(caller).hex()


class NamedCallers:
    """The `memhost.ports.Authenticator` of `CALLERS`, and of the callers for which `token_of` makes a token."""

    open = False

    async def authenticate(self, credentials: Credentials) -> Caller:
        """The caller whose name the token is, or who is written in it."""
        if not credentials.token:
            raise Unauthorized("Send the name of a caller as token.", challenge=True)
        if credentials.token in CALLERS:
            return CALLERS[credentials.token]
        try:
            return msgspec.json.decode(bytes.fromhex(credentials.token), type=Caller)
        except (ValueError, msgspec.DecodeError) as error:
            raise Unauthorized("There is no such caller.") from error


@asynccontextmanager
async def _open(_settings: NoSettings, _context: OpenContext) -> AsyncIterator[NamedCallers]:
    yield NamedCallers()


@hookimpl
def memhost_auth_providers() -> Sequence[AuthSpec]:
    """Offer `testing`."""
    return [AuthSpec(name="testing", summary="Tokens are names of callers.", open=_open)]
