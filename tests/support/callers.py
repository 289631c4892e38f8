"""A plugin that lets a request choose its caller: the token is the caller itself, in JSON and hexadecimal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint

import msgspec

from memhost import hookimpl
from memhost.errors import Unauthorized
from memhost.models import Caller
from memhost.ports import Credentials
from memhost.specs import AuthSpec, NoSettings, OpenContext

POINT = EntryPoint(name="fake-callers", value="tests.support.callers", group="memhost")


def token_of(caller: Caller) -> str:
    """The token that makes a request the caller's."""
    return msgspec.json.encode(caller).hex()


class _Callers:
    open = False

    async def authenticate(self, credentials: Credentials) -> Caller:
        if not credentials.token:
            raise Unauthorized("Send a caller.", challenge=True)
        return msgspec.json.decode(bytes.fromhex(credentials.token), type=Caller)


@asynccontextmanager
async def _open(_settings: NoSettings, _context: OpenContext) -> AsyncIterator[_Callers]:
    yield _Callers()


@hookimpl
def memhost_auth_providers() -> Sequence[AuthSpec]:
    """Offer `fake-callers`."""
    return [AuthSpec(name="fake-callers", summary="Tokens are callers.", open=_open)]
