import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from memhost import hookimpl
from memhost.errors import Unauthorized
from memhost.models import Caller
from memhost.ports import Authenticator, Credentials
from memhost.specs import AuthSpec, OpenContext


class AcmeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[auth.acme] in memhost.toml; ACME_WORD in the environment."""

    word: str = ""


class OneWord:
    """Lets in who knows the word."""

    open = False

    def __init__(self, word: str) -> None:
        self._word = word

    async def authenticate(self, credentials: Credentials) -> Caller:
        if not self._word or not hmac.compare_digest(credentials.token.encode(), self._word.encode()):
            raise Unauthorized("The word is wrong.")
        return Caller(subject="acme", roles=frozenset({"reader", "writer"}))


@asynccontextmanager
async def open_acme(settings: AcmeSettings, context: OpenContext) -> AsyncIterator[Authenticator]:
    yield OneWord(settings.word)


@hookimpl
def memhost_auth_providers() -> Sequence[AuthSpec]:
    return [AuthSpec(name="acme", summary="One word for all.", open=open_acme, settings=AcmeSettings)]
