"""Authentication provider `none`: everybody is let in; the host binds to loopback only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from memhost import hookimpl
from memhost.models import EVERY_ROLE, Caller
from memhost.ports import Credentials
from memhost.specs import AuthSpec, NoSettings, OpenContext

LOCAL = Caller(subject="local", roles=EVERY_ROLE)


class OpenDoor:
    """Takes every request for one of the local administrator."""

    open = True

    async def authenticate(self, credentials: Credentials) -> Caller:
        """The local administrator, whatever the credentials are."""
        return LOCAL


@asynccontextmanager
async def open_none(_settings: NoSettings, _context: OpenContext) -> AsyncIterator[OpenDoor]:
    """Open the provider."""
    yield OpenDoor()


@hookimpl
def memhost_auth_providers() -> Sequence[AuthSpec]:
    """Offer `none`."""
    return [AuthSpec(name="none", summary="No authentication; loopback addresses only.", open=open_none)]
