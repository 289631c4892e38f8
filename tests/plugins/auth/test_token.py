"""The auth provider `token`: accepted tokens, their storage, and the operations that manage them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import msgpack, structs
from tests.support.hosts import run, running_host

from memhost.errors import ConfigurationError, Forbidden, InvalidRequest, NotFound, StoreUnavailable, Unauthorized
from memhost.host import Host
from memhost.models import TRUSTS, Caller, Document, Scope, StoreInfo, Trust, WriteBatch
from memhost.models.trust import of_memory, of_turn, rank
from memhost.ports import Credentials
from memhost.specs import OpenContext
from memhost.testing.clock import FakeClock
from memhost_auth_token import TokenSettings, open_token
from memhost_auth_token.keys import load_hasher
from memhost_auth_token.provider import TokenAuthenticator
from memhost_auth_token.token_store import KIND, TokenStore

OWN = "an-own-token-of-more-than-32-characters"


@asynccontextmanager
async def token_host(folder: Path, clock: FakeClock | None = None, /, **settings: str) -> AsyncIterator[Host]:
    given = {"AUTH": "token", **settings}
    async with running_host(folder, store=given.pop("STORE", "sqlite"), settings=given, clock=clock) as host:
        yield host


async def create(host: Host, **more: Any) -> str:
    hasher = load_hasher(None, host.configuration.data_dir)
    return (await TokenStore(host.store, host.clock).create(hasher, **{"role": "writer", **more}))[0]


async def enter(host: Host, token: str) -> Caller:
    return await host.authenticate(Credentials(scheme="bearer", token=token, peer="10.0.0.1"))


async def why_not(host: Host, token: str) -> str:
    with pytest.raises(Unauthorized) as caught:
        await enter(host, token)
    assert not caught.value.challenge
    return caught.value.message


def holding(folder: Path, content: bytes) -> list[str]:
    """Names of the files that hold it."""
    return [path.name for path in folder.iterdir() if content in path.read_bytes()]


@pytest.mark.parametrize("store", ["sqlite", "memory"])
async def test_a_token_stands_for_its_role_and_bounds(tmp_path: Path, store: str) -> None:
    async with token_host(tmp_path, STORE=store, AUTH_TOKENS=OWN) as host:
        text = await create(host, role="reader", tenant="acme", namespaces=("work", ""), users=("ann",))
        caller = await enter(host, text)
        assert caller.roles == {"reader"}
        assert caller.bounds == Scope(tenant="acme", namespaces=("work", ""), users=("ann",))
        assert caller.subject == f"token {text.split('_')[1]}"
        assert (await enter(host, await create(host))).bounds == Scope()


async def test_what_is_no_token_is_refused(tmp_path: Path) -> None:
    async with token_host(tmp_path) as host:
        text = await create(host)
        other = await create(host)
        swapped = "_".join([*text.split("_")[:2], other.split("_", 2)[2]])
        for wrong in (text[:-1], text + "A", text.upper(), swapped, f"mh_{'0' * 16}_{'A' * 43}", "mh__", "x", "ß" * 60):
            assert "Unknown token" in await why_not(host, wrong)
        await enter(host, text)
        with pytest.raises(Unauthorized) as caught:
            await host.authenticate(Credentials())
        assert caught.value.challenge


async def test_an_expired_token_is_told_so(tmp_path: Path) -> None:
    clock = FakeClock()
    async with token_host(tmp_path, clock) as host:
        text = await create(host, expires_at=clock.now() + timedelta(hours=1))
        clock.advance(3599)
        await enter(host, text)
        clock.advance(1)
        assert "expired" in await why_not(host, text)
        clock.advance(31 * 86400)
        assert "Unknown token" in await why_not(host, text)


async def test_processes_share_tokens_and_see_changes_in_time(tmp_path: Path) -> None:
    clock = FakeClock()
    async with token_host(tmp_path, clock) as one, token_host(tmp_path, clock) as other:
        book = TokenStore(other.store, clock)
        kept, revoked = await create(other), await create(other)
        for text in (kept, revoked):
            await enter(one, text)
        rotated, token = await book.rotate(load_hasher(None, tmp_path), kept.split("_")[1], None)
        await book.revoke([revoked.split("_")[1]])
        clock.advance(2)
        assert token.rotated_at is not None
        assert "Unknown token" in await why_not(one, revoked)
        assert "Unknown token" in await why_not(one, kept)
        await enter(one, rotated)
        with pytest.raises(NotFound):
            await book.revoke([revoked.split("_")[1]])
        with pytest.raises(NotFound):
            await book.rotate(load_hasher(None, tmp_path), revoked.split("_")[1], None)


async def test_secrets_are_not_kept(tmp_path: Path) -> None:
    async with token_host(tmp_path) as host:
        text = await create(host)
        await enter(host, text)
    secret = text.split("_", 2)[2].encode()
    assert holding(tmp_path, secret) == []
    assert (tmp_path / "token.key").stat().st_mode & 0o777 == 0o600


async def test_last_use_is_recorded_once_an_hour(tmp_path: Path) -> None:
    clock = FakeClock()
    first = clock.now()
    async with token_host(tmp_path, clock) as host:
        text = await create(host)
        context = OpenContext(data_dir=tmp_path, clock=clock, store=host.store)
        book = TokenStore(host.store, clock)
        assert [used for _, used in await book.list_all()] == [None]
        for waits, last in (((0, 1800, 1799), 0), ((0, 3600), 7199)):
            async with open_token(TokenSettings(), context) as provider:
                for wait in waits:
                    clock.advance(wait)
                    await provider.authenticate(Credentials(token=text))
            assert [used for _, used in await book.list_all()] == [first + timedelta(seconds=last)]


async def test_recording_the_use_of_a_revoked_token_does_not_revive_it(tmp_path: Path) -> None:
    async with token_host(tmp_path) as host:
        book = TokenStore(host.store, host.clock)
        text, token = await book.create(load_hasher(None, tmp_path), role="writer")
        await book.note_use(token, host.clock.now())
        await book.revoke([token.id])
        await book.note_use(token, host.clock.now())
        assert await book.list_all() == []
        assert "Unknown token" in await why_not(host, text)


class CountingStore:
    """As much of a store as the provider needs; counts calls, and fails on demand."""

    def __init__(self) -> None:
        self.documents: dict[tuple[str, str], Document] = {}
        self.calls: list[str] = []
        self.failing = False

    async def get_document(self, scope: Scope, kind: str, document_id: str, now: datetime) -> Document | None:
        self.calls.append("get")
        if self.failing:
            raise StoreUnavailable("The store does not answer.")
        return self.documents.get((kind, document_id))

    async def list_documents(self, scope: Scope, kind: str, now: datetime) -> list[Document]:
        self.calls.append("list")
        return [document for (found, _), document in self.documents.items() if found == kind]

    async def commit(self, scope: Scope, batch: WriteBatch) -> None:
        self.calls.append("commit")
        self.documents |= {(document.kind, document.id): document for document in batch.put_documents}

    async def info(self) -> StoreInfo:
        return StoreInfo(engine="counting", schema_version=1, embedder=None, dimensions=None)


@pytest.fixture
def counting() -> CountingStore:
    return CountingStore()


@asynccontextmanager
async def provider_on(counting: CountingStore, folder: Path, clock: FakeClock) -> AsyncIterator[TokenAuthenticator]:
    store: Any = counting
    async with open_token(TokenSettings(), OpenContext(data_dir=folder, clock=clock, store=store)) as provider:
        yield provider


async def test_a_check_is_one_look_up_whatever_the_number_of_tokens(tmp_path: Path, counting: CountingStore) -> None:
    clock = FakeClock()
    async with provider_on(counting, tmp_path, clock) as provider:
        store: Any = counting
        book = TokenStore(store, clock)
        texts = [(await book.create(load_hasher(None, tmp_path), role="reader"))[0] for _ in range(200)]
        assert len([kind for kind, _ in counting.documents if kind == KIND]) == 200
        counting.calls.clear()
        for _ in range(3):
            await provider.authenticate(Credentials(token=texts[77]))
        assert counting.calls == ["get"]
        counting.calls.clear()
        with pytest.raises(Unauthorized):
            await provider.authenticate(Credentials(token=f"mh_{'0' * 16}_{'A' * 43}"))
        with pytest.raises(Unauthorized):
            await provider.authenticate(Credentials(token="nonsense"))
        assert counting.calls.count("get") == 1


async def test_a_store_that_fails_is_an_outage_and_not_a_wrong_token(tmp_path: Path, counting: CountingStore) -> None:
    clock = FakeClock()
    async with provider_on(counting, tmp_path, clock) as provider:
        store: Any = counting
        text, _ = await TokenStore(store, clock).create(load_hasher(None, tmp_path), role="reader")
        counting.failing = True
        with pytest.raises(StoreUnavailable):
            await provider.authenticate(Credentials(token=text))


# -- the key, and tokens of the settings -------------------------------------------------------------------


async def refused_start(folder: Path, **settings: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        async with token_host(folder, **settings):
            pass
    return caught.value.message


async def test_tokens_of_another_key_stop_the_start(tmp_path: Path) -> None:
    async with token_host(tmp_path) as host:
        text = await create(host)
    told = await refused_start(tmp_path, AUTH_TOKEN_KEY="k" * 32)
    assert "another key" in told
    assert "AUTH_TOKEN_KEY" in told
    key = (tmp_path / "token.key").rename(tmp_path / "elsewhere")
    assert "token.key" in await refused_start(tmp_path)
    key.replace(tmp_path / "token.key")
    async with token_host(tmp_path) as host:
        await enter(host, text)
        await TokenStore(host.store, host.clock).revoke([text.split("_")[1]])
    async with token_host(tmp_path, AUTH_TOKEN_KEY="k" * 32):
        pass


async def test_machines_with_folders_of_their_own_share_a_key_by_the_setting(tmp_path: Path) -> None:
    settings = {"AUTH_TOKEN_KEY": "k" * 32, "SQLITE_PATH": str(tmp_path / "shared.db")}
    async with token_host(tmp_path / "a", **settings) as one, token_host(tmp_path / "b", **settings) as other:
        hasher = load_hasher("k" * 32, tmp_path)
        text, _ = await TokenStore(one.store, one.clock).create(hasher, role="writer")
        await enter(other, text)
    assert holding(tmp_path / "a", b"") == holding(tmp_path / "b", b"") == []


async def test_bad_keys_are_refused(tmp_path: Path) -> None:
    for weak in ("short", "short" + " " * 40):
        assert "at least 32" in await refused_start(tmp_path, AUTH_TOKEN_KEY=weak)
    (tmp_path / "token.key").write_text("damaged")
    assert "damaged" in await refused_start(tmp_path)
    (tmp_path / "token.key").unlink()
    (tmp_path / "token.key").mkdir()
    assert "cannot be read" in await refused_start(tmp_path)


async def test_own_tokens_are_administrators(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.write_text(f"{OWN}\n{OWN[::-1]}\n")
    for given in ({"AUTH_TOKENS": f"{OWN}, {OWN[::-1]}"}, {"AUTH_TOKENS_FILE": str(secrets)}):
        async with token_host(tmp_path, STORE="memory", **given) as host:
            for token in (OWN, OWN[::-1]):
                caller = await enter(host, token)
                assert (set(caller.roles), caller.bounds) == ({"admin"}, Scope())
            assert "Unknown token" in await why_not(host, OWN[:-1])
            assert OWN not in repr(host.configuration.describe())
            assert OWN not in repr(host.configuration.section("auth", "token"))


async def test_settings_that_let_nobody_in_or_too_many_are_refused(tmp_path: Path) -> None:
    told = await refused_start(tmp_path, STORE="memory", AUTH_TOKENS=f"{OWN},short")
    assert "Token 2 of AUTH_TOKENS has 5 characters" in told
    assert "short" not in told
    told = await refused_start(tmp_path, STORE="memory", AUTH_TOKENS=f"{OWN},{'ü' * 40}")
    assert "Token 2 of AUTH_TOKENS" in told
    assert "ü" not in told
    assert "AUTH_TOKENS" in await refused_start(tmp_path, STORE="memory")


# -- operations --------------------------------------------------------------------------------------------


async def test_admins_manage_the_tokens_of_their_tenant_in_a_running_server(tmp_path: Path) -> None:
    admin = Caller(subject="a", roles=frozenset({"admin"}), bounds=Scope(tenant="acme"))
    async with token_host(tmp_path, STORE="memory", AUTH_TOKENS=OWN) as host:
        made = await run(host, "create_token", admin, description="red", namespaces=["red"], expires_days=1)
        caller = await enter(host, made.token)
        assert caller.bounds == Scope(tenant="acme", namespaces=("red",))
        assert (made.role, made.status, made.tenant) == ("writer", "active", "acme")
        listed = await run(host, "list_tokens", admin)
        assert (listed.total, [token.id for token in listed.tokens]) == (1, [made.id])
        assert not hasattr(listed.tokens[0], "token")
        assert (await run(host, "list_tokens")).total == 0
        with pytest.raises(NotFound):
            await run(host, "revoke_token", token_id=made.id)
        for bounds in ({"users": [""]}, {"namespaces": [" ", ""]}):
            with pytest.raises(InvalidRequest, match="must not be empty"):
                await run(host, "create_token", admin, **bounds)
        operator = Caller(subject="o", roles=frozenset({"operator"}), bounds=Scope(tenant="acme"))
        with pytest.raises(Forbidden, match="role admin"):
            await run(host, "create_token", operator, role="admin")
        rotated = await run(host, "rotate_token", admin, token_id=made.id)
        assert rotated.token != made.token
        assert (await run(host, "revoke_token", admin, token_id=made.id)).revoked == [made.id]
        assert (await run(host, "list_tokens", admin)).total == 0


# -- channels ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", [None, *TRUSTS])
async def test_what_a_token_writes_is_trusted_as_its_channel_says(tmp_path: Path, channel: Trust | None) -> None:
    async with token_host(tmp_path, STORE="memory", AUTH_TOKENS=OWN) as host:
        caller = await enter(host, await create(host, channel=channel))
        assert caller.channel == channel
        memory = {"id": "m", "text": "Invoices go to box 7.", "user_id": "mia"}
        await run(host, "create_memories", caller, memories=[memory])
        assert (await run(host, "get_memory", memory_id="m")).trust == of_memory(channel)
        turn = {"id": "t", "role": "user", "content": "Tea is green.", "created_at": "2026-01-02T03:04:05Z"}
        await run(host, "put_session", caller, session_id="s", user_id="mia", messages=[turn])
        assert (await run(host, "get_memory", memory_id="t")).trust == of_turn("user", channel)


async def test_tokens_of_the_settings_have_a_channel(tmp_path: Path) -> None:
    async with token_host(tmp_path, STORE="memory", AUTH_TOKENS=OWN, AUTH_TOKENS_CHANNEL="Tool") as host:
        assert (await enter(host, OWN)).channel == "tool"
    with pytest.raises(ConfigurationError, match="AUTH_TOKENS_CHANNEL"):
        async with token_host(tmp_path, STORE="memory", AUTH_TOKENS=OWN, AUTH_TOKENS_CHANNEL="boss"):
            pass


async def test_no_token_is_made_or_taken_over_that_is_trusted_further_than_its_maker(tmp_path: Path) -> None:
    def admin(channel: Trust | None) -> Caller:
        return Caller(subject="a", roles=frozenset({"admin"}), channel=channel)

    async with token_host(tmp_path, STORE="memory", AUTH_TOKENS=OWN) as host:
        made = {channel: await run(host, "create_token", admin(None), channel=channel) for channel in (None, *TRUSTS)}
        assert {channel: token.channel for channel, token in made.items()} == {each: each for each in made}
        for own in TRUSTS:
            assert (await run(host, "create_token", admin(own))).channel == (None if own == "operator" else own)
            for channel, token in made.items():
                if channel is None or rank(channel) > rank(own):
                    with pytest.raises(Forbidden, match="trusted as"):
                        await run(host, "rotate_token", admin(own), token_id=token.id)
                    if channel is not None:
                        with pytest.raises(Forbidden, match="trusted as"):
                            await run(host, "create_token", admin(own), channel=channel)
                else:
                    assert (await run(host, "create_token", admin(own), channel=channel)).channel == channel
                    assert (await run(host, "rotate_token", admin(own), token_id=token.id)).channel == channel


async def test_a_token_of_an_earlier_version_has_no_channel(tmp_path: Path) -> None:
    async with token_host(tmp_path, STORE="memory", AUTH_TOKENS=OWN) as host:
        text = await create(host, channel="tool")
        book = TokenStore(host.store, host.clock)
        token = await book.find(text.split("_")[1])
        assert token is not None
        fields = {name: value for name, value in structs.asdict(token).items() if name != "channel"}
        body = msgpack.encode(fields)
        old = Document(kind="plugin:auth-token", id=token.id, tenant="default", body=body, updated_at=token.created_at)
        await host.store.commit(Scope(), WriteBatch(put_documents=[old]))
        assert (await enter(host, text)).channel is None
