"""All bundled authentication providers pass the conformance suite of the port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.support.oidc import AUDIENCE, Issuer

from memhost.models import Scope
from memhost.ports import Authenticator, Credentials, SystemClock
from memhost.settings import Secret
from memhost.specs import NoSettings
from memhost.testing.auth import AuthConformance
from memhost.testing.opening import open_context
from memhost_auth_jwt import JwtSettings, open_jwt
from memhost_auth_none import open_none
from memhost_auth_token import TokenSettings, open_token
from memhost_auth_token.keys import load_hasher
from memhost_auth_token.token_store import TokenStore
from memhost_store_memory.store import MemoryStore

OWN = "an-own-token-of-more-than-32-characters"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


class TestNone(AuthConformance):
    lacks = ("credentials", "bounds")

    @pytest.fixture
    async def authenticator(self, tmp_path: Path) -> AsyncIterator[Authenticator]:
        async with open_none(NoSettings(), open_context(tmp_path)) as provider:
            yield provider


class TestToken(AuthConformance):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    async def authenticator(self, tmp_path: Path, store: MemoryStore) -> AsyncIterator[Authenticator]:
        async with open_token(TokenSettings(tokens=(Secret(OWN),)), open_context(tmp_path, store=store)) as provider:
            yield provider

    @pytest.fixture
    async def valid(self, tmp_path: Path, store: MemoryStore, authenticator: Authenticator) -> Credentials:
        token, _ = await TokenStore(store, SystemClock()).create(load_hasher(None, tmp_path), role="writer")
        return Credentials(scheme="bearer", token=token)

    @pytest.fixture
    async def bounded(
        self, tmp_path: Path, store: MemoryStore, authenticator: Authenticator
    ) -> tuple[Credentials, Scope]:
        part = Scope(namespaces=("work",), users=("ann",))
        token, _ = await TokenStore(store, SystemClock()).create(
            load_hasher(None, tmp_path), role="writer", namespaces=part.namespaces, users=part.users
        )
        return Credentials(scheme="bearer", token=token), part


class TestJwt(AuthConformance):
    @pytest.fixture
    async def authenticator(self, tmp_path: Path, issuer: Issuer) -> AsyncIterator[Authenticator]:
        settings = JwtSettings(issuer=(issuer.url,), audience=(AUDIENCE,), claim_tenant="tenant", claim_user="sub")
        async with open_jwt(settings, open_context(tmp_path)) as provider:
            yield provider

    @pytest.fixture
    def valid(self, issuer: Issuer) -> Credentials:
        return Credentials(scheme="bearer", token=issuer.token(tenant="acme"))

    @pytest.fixture
    def bounded(self, issuer: Issuer) -> tuple[Credentials, Scope]:
        token = issuer.token(sub="bob", tenant="globex")
        return Credentials(scheme="bearer", token=token), Scope(tenant="globex", users=("bob",))

    @pytest.fixture
    async def unreachable(self, tmp_path: Path, issuer: Issuer) -> AsyncIterator[Authenticator]:
        settings = JwtSettings(issuer=(issuer.url,), audience=(AUDIENCE,))
        async with open_jwt(settings, open_context(tmp_path)) as provider:
            issuer.down = True
            yield provider
            issuer.down = False
