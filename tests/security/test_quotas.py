"""Quotas: what a user, a namespace and a tenant may keep, on every path that stores what clients send."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memhost.errors import IdTaken, MemhostError, QuotaExceeded
from memhost.host import Host
from memhost.http.statuses import status_of
from memhost.models import Caller, Scope
from memhost.settings.quotas import DEFAULTS, QuotaSettings
from memhost.testing.clock import FakeClock
from memhost.usage.quotas import Amount, Quotas
from tests.core.views.test_views import STORES
from tests.support.hosts import ADMIN, bound_to, run, running_host

HOUR = 3600
TEXTS = (f"Note number {number}" for number in range(10**6))


async def add(host: Host, number: int, *, user: str = "ann", text: str = "", **fields: Any) -> list[str]:
    names = [next(TEXTS) for _ in range(number)]
    memories = [{"id": name, "text": f"{name}. {text}", "user_id": user, **fields} for name in names]
    await run(host, "create_memories", memories=memories)
    return names


async def put(host: Host, session: str, *texts: str, user: str = "ann", **fields: Any) -> Any:
    messages = [{"id": f"{session}-{text[:40]}", "role": "user", "content": text} for text in texts]
    return await run(host, "put_session", session_id=session, user_id=user, messages=messages, **fields)


@STORES
async def test_memories_of_a_user(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, store=store, settings={"QUOTA_USER_MEMORIES": "5"}, clock=clock) as host:
        with pytest.raises(QuotaExceeded, match=r"user ann would have 6 memories; the quota is 5"):
            await add(host, 6)
        names = await add(host, 5)
        for operation, fields in (
            ("create_memories", {"memories": [{"id": "x", "text": "one more", "user_id": "ann"}]}),
            ("store_memories", {"memories": [{"text": "one more", "user_id": "ann"}]}),
            (
                "put_session",
                {
                    "session_id": "s",
                    "user_id": "ann",
                    "messages": [],
                    "memories": [{"id": "y", "text": "more", "memory_type": "semantic"}],
                },
            ),
            ("put_session", {"session_id": "s", "user_id": "ann", "messages": [{"role": "user", "content": "a turn"}]}),
            (
                "change_session",
                {"session_id": "s", "user_id": "ann", "messages": [{"role": "user", "content": "turn"}]},
            ),
        ):
            with pytest.raises(QuotaExceeded):
                await run(host, operation, **fields)
        assert await run(host, "list_sessions", user_id="ann") is not None
        same = {"id": names[0], "text": "written again", "user_id": "ann"}
        await run(host, "create_memories", memories=[same])  # replaces one
        await run(host, "edit_memory", memory_id=names[1], text="edited")
        with pytest.raises(QuotaExceeded):
            await run(host, "create_memories", memories=[same, {"id": "z", "text": "new", "user_id": "ann"}])
        await add(host, 5, user="bob")
        with pytest.raises(QuotaExceeded):
            await run(host, "edit_memory", memory_id=names[1], user_id="bob")  # moves it to who has no room
        await run(host, "delete_memories", memory_ids=names[:2])
        clock.advance(2)
        await add(host, 2)
        assert (await run(host, "search_memories", user_id={"eq": "ann"}, limit=20)).total == 5


@STORES
async def test_what_was_refused_for_its_id_counts_for_nothing(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, settings={"QUOTA_USER_MEMORIES": "5"}, clock=FakeClock()) as host:
        await run(host, "create_memories", memories=[{"id": "taken", "text": "of bob", "user_id": "bob"}])
        mine = [{"id": f"m{number}", "text": f"note {number}", "user_id": "ann"} for number in range(3)]
        for _ in range(3):
            with pytest.raises(IdTaken, match="The other 3"):
                await run(
                    host, "create_memories", memories=[*mine, {"id": "taken", "text": "of ann", "user_id": "ann"}]
                )
        held = [{"id": "taken", "text": "of ann", "memory_type": "semantic"}]
        await put(host, "s", memories=held)
        await put(host, "s", "the fourth", memories=held)
        with pytest.raises(QuotaExceeded):
            await put(host, "s", "the fourth", "the fifth", memories=held)


@STORES
async def test_sessions_and_turns(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    settings = {"QUOTA_USER_SESSIONS": "2", "QUOTA_USER_MEMORIES": "4"}
    async with running_host(tmp_path, store=store, settings=settings, clock=clock) as host:
        await put(host, "s1", "one")
        await put(host, "s2", "two")
        with pytest.raises(QuotaExceeded, match="3 sessions"):
            await put(host, "s3", "three")
        await put(host, "s1", "one", "more")  # one that is there
        await put(host, "s1", "one", "more", data={"a": 1})
        await put(host, "s1", "one", "more", "last")
        with pytest.raises(QuotaExceeded, match="5 memories"):
            await put(host, "s1", "one", "more", "last", "too many")
        await run(host, "delete_session", session_id="s2", user_id="ann")
        clock.advance(2)
        await put(host, "s3")


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_bytes(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, store=store, settings={"QUOTA_USER_BYTES": "100000"}, clock=clock) as host:
        (name,) = await add(host, 1, text="x" * 60_000)
        for grown in (
            add(host, 1, text="y" * 60_000),
            add(host, 40, metadata={"k": "v" * 5000}),
            put(host, "s", "z" * 90_000),
            put(host, "s", data={"a": "z" * 60_000}),
            put(host, "s", context="z" * 60_000),
            run(host, "edit_memory", memory_id=name, text="longer " * 14_285),
        ):
            with pytest.raises(QuotaExceeded, match="bytes; the quota is 100,000"):
                await grown
            clock.advance(2)
        await run(host, "edit_memory", memory_id=name, text="short")
        clock.advance(2)
        await add(host, 1, text="y" * 60_000)


@STORES
async def test_of_a_namespace_and_of_a_tenant(store: str, tmp_path: Path) -> None:
    settings = {"QUOTA_NAMESPACE_MEMORIES": "3", "QUOTA_TENANT_MEMORIES": "5"}
    async with running_host(tmp_path, store=store, settings=settings) as host:
        await add(host, 3, namespace="red")
        with pytest.raises(QuotaExceeded, match="namespace red"):
            await add(host, 1, namespace="red", user="bob")
        with pytest.raises(QuotaExceeded, match="The tenant would have 6"):
            await add(host, 3, namespace="blue")
        await add(host, 2, namespace="blue")
        with pytest.raises(QuotaExceeded, match="tenant"):
            await add(host, 1, user="")
        other = Caller(subject="x", bounds=Scope(tenant="other"), roles=ADMIN.roles)
        await run(host, "create_memories", other, memories=[{"id": "o", "text": "of another tenant"}])


async def test_shown_in_usage_and_metrics(tmp_path: Path) -> None:
    settings = {"QUOTA_USER_MEMORIES": "5", "QUOTA_TENANT_MEMORIES": "10", "QUOTA_TENANT_BYTES": "1000000"}
    async with running_host(tmp_path, settings=settings) as host:
        await add(host, 4)
        shown = {(use.of, use.name, use.what): (use.used, use.limit) for use in (await run(host, "get_usage")).quotas}
        assert shown["tenant", "", "memories"] == (4, 10)
        assert 0 < shown["tenant", "", "bytes"][0] < shown["tenant", "", "bytes"][1] == 1_000_000
        mine = (await run(host, "get_usage", bound_to(users=("ann",)))).quotas
        assert [(use.of, use.name, use.what, use.used, use.limit) for use in mine] == [
            ("user", "ann", "memories", 4, 5)
        ]
        assert (await run(host, "get_usage", bound_to(users=("ann", "bob")))).quotas == []
        assert ("default", "memories", 4, 10) in host.quotas_used()
        with pytest.raises(QuotaExceeded):
            await add(host, 4)


def test_it_is_refused_with_a_status_of_the_caller() -> None:
    error = QuotaExceeded("x")
    assert (status_of(error), error.code, error.retryable) == (409, "quota_exceeded", False)
    assert isinstance(error, MemhostError)


async def test_generous_where_strangers_may_call_and_off_on_this_machine(tmp_path: Path) -> None:
    token = "a-token-of-the-tests-0123456789abcdef"
    for settings, limited in (
        ({}, False),
        ({"AUTH_TOKENS": token}, True),
        ({"AUTH": "none", "HOST": "0.0.0.0"}, True),
    ):
        async with running_host(tmp_path, store="memory", settings=settings, run_jobs=False) as host:
            quotas = host.services.quotas
            assert quotas.active is limited
            assert {f"quota_{level}_{what}": limit for (level, what), limit in quotas._limits.items()} == (
                DEFAULTS if limited else {}
            )
            zero = QuotaSettings(**dict.fromkeys(DEFAULTS, 0))
            assert not Quotas(store=host.store, settings=zero, private=False, clock=host.clock).active


class Counting:
    """A store that counts how often it is measured."""

    def __init__(self) -> None:
        self.memories, self.times = 0, 0

    async def list_memories(self, _scope: Scope, **_more: Any) -> tuple[list[Any], int]:
        self.times += 1
        return [], self.memories

    async def list_sessions(self, _scope: Scope, _now: Any, **_more: Any) -> tuple[list[Any], int]:
        return [], 0


async def test_writes_do_not_wait_for_measurements() -> None:
    clock, store = FakeClock(), Counting()
    settings = QuotaSettings(quota_user_memories=1000)
    quotas = Quotas(store=store, settings=settings, private=True, clock=clock)  # type: ignore[arg-type]
    for _ in range(500):
        await quotas.admit("t", {("", "ann"): Amount(memories=1)})
        store.memories += 1
    assert store.times == 1
    for _ in range(1000):
        with pytest.raises(QuotaExceeded):
            await quotas.admit("t", {("", "ann"): Amount(memories=501)})
    assert store.times == 1  # not measured again in the same second
    store.memories = 10
    clock.advance(2)
    await quotas.admit("t", {("", "ann"): Amount(memories=501)})
    assert store.times == 2
    await quotas.admit("t", {("", ""): Amount(memories=5000)})  # nobody's quota
    await quotas.aclose()
