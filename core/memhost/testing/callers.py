"""Callers to test with: an authentication provider whose tokens are their names (`AUTH=testing`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

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


class NamedCallers:
    """The `memhost.ports.Authenticator` of `CALLERS`."""

    open = False

    async def authenticate(self, credentials: Credentials) -> Caller:
        """The caller whose name the token is."""
        if not credentials.token:
            raise Unauthorized("Send the name of a caller as token.", challenge=True)
        if credentials.token not in CALLERS:
            raise Unauthorized("There is no such caller.")
        return CALLERS[credentials.token]


@asynccontextmanager
async def _open(_settings: NoSettings, _context: OpenContext) -> AsyncIterator[NamedCallers]:
    yield NamedCallers()


@hookimpl
def memhost_auth_providers() -> Sequence[AuthSpec]:
    """Offer `testing`."""
    return [AuthSpec(name="testing", summary="Tokens are names of callers.", open=_open)]
