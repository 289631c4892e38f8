"""Conformance: sessions and documents."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from memhost.errors import DocumentGone, Forbidden, VersionMismatch
from memhost.models import (
    MemoryType,
    Message,
    Scope,
    SessionKey,
    StoredSession,
    StrategyConfig,
    TurnMark,
    WorkingMemory,
    WriteBatch,
)
from memhost.ports import Store
from memhost.testing.factories import (
    START,
    TENANT,
    after,
    make_document,
    make_key,
    make_memory,
    make_record,
    make_scope,
    make_session,
    put,
)

EVERYWHERE = make_scope()
OTHER = Scope(tenant="other")


async def save(store: Store, *sessions: StoredSession) -> None:
    """Put each session in a batch of its own."""
    for session in sessions:
        scope = Scope(tenant=session.key.tenant)
        await store.commit(scope, WriteBatch(put_session=session))


class SessionTests:
    """Working memory: exact identity, versions, expiry."""

    async def test_every_field_of_a_session_comes_back(self, store: Store) -> None:
        content = WorkingMemory(
            messages=[
                Message(
                    role="user",
                    content="hi \x00 \U0001f600",
                    id="t1",
                    created_at=after(0.000001),
                    persisted_at=after(1),
                ),
                Message(role="assistant", content="", id="t2", created_at=after(2), discrete_memory_extracted="t"),
            ],
            memories=[make_record("m1", memory_type=MemoryType.EPISODIC, event_date=after(3))],
            data={"n": 1, "f": 1.5, "list": [None, True, {"deep": "x"}]},
            context="so far",
            tokens=12,
            long_term_memory_strategy=StrategyConfig(strategy="custom", config={"a": [1]}),
            ttl_seconds=60,
            last_accessed=after(4),
            created_at=after(5),
            updated_at=after(6),
        )
        turns = {"t1": TurnMark(0, b"\x00\xff"), "t2": TurnMark(1, b"")}
        session = StoredSession(key=make_key(), content=content, turns=turns, next_position=2, expires_at=after(60))
        result = await store.commit(EVERYWHERE, WriteBatch(put_session=session))
        assert result.session_version == 1
        found = await store.get_session(EVERYWHERE, make_key(), START)
        assert found == msgspec.structs.replace(session, version=1)

    async def test_identity_is_exact(self, store: Store) -> None:
        keys = [
            make_key("s"),
            make_key("S"),
            make_key("s", user="bob"),
            make_key("s", user=""),
            make_key("s", namespace=""),
            make_key("b:c", user="a"),
            make_key("c", user="a:b"),
            SessionKey("other", "work", "ann", "s"),
        ]
        for number, key in enumerate(keys):
            await save(store, make_session(key, updated=number))
        for number, key in enumerate(keys):
            found = await store.get_session(Scope(tenant=key.tenant), key, START)
            assert found is not None
            assert (found.key, found.content.updated_at) == (key, after(number))
        assert await store.get_session(EVERYWHERE, make_key("t"), START) is None

    @pytest.mark.parametrize(
        "scope",
        [
            OTHER,
            make_scope(users=("bob",)),
            make_scope(namespaces=("",)),
            make_scope(sessions=("s2",)),
            make_scope(users=()),
        ],
        ids=str,
    )
    async def test_a_foreign_scope_neither_sees_nor_touches_a_session(self, store: Store, scope: Scope) -> None:
        await save(store, make_session())
        assert await store.get_session(scope, make_key(), START) is None
        assert await store.find_sessions(scope, "s1", START) == []
        assert await store.list_sessions(scope, START) == ([], 0)
        result = await store.commit(scope, WriteBatch(delete_session=make_key()))
        assert not result.session_deleted
        with pytest.raises(Forbidden):
            await store.commit(scope, WriteBatch(put_session=make_session()))
        assert await store.get_session(EVERYWHERE, make_key(), START) is not None

    async def test_versions_count_writes(self, store: Store) -> None:
        versions = [
            (await store.commit(EVERYWHERE, WriteBatch(put_session=make_session()))).session_version for _ in range(3)
        ]
        assert versions == [1, 2, 3]
        await store.commit(EVERYWHERE, WriteBatch(delete_session=make_key()))
        result = await store.commit(EVERYWHERE, WriteBatch(put_session=make_session(), expect_version=0))
        assert result.session_version == 1

    @pytest.mark.parametrize("expected", [0, 1, 3])
    async def test_unexpected_version_is_refused(self, store: Store, expected: int) -> None:
        await save(store, make_session(), make_session(updated=5))
        with pytest.raises(VersionMismatch):
            await store.commit(EVERYWHERE, WriteBatch(put_session=make_session(updated=9), expect_version=expected))
        found = await store.get_session(EVERYWHERE, make_key(), START)
        assert found is not None
        assert (found.version, found.content.updated_at) == (2, after(5))

    async def test_absent_session_has_version_zero(self, store: Store) -> None:
        with pytest.raises(VersionMismatch):
            await store.commit(EVERYWHERE, WriteBatch(put_session=make_session(), expect_version=1))
        result = await store.commit(EVERYWHERE, WriteBatch(put_session=make_session(), expect_version=0))
        assert result.session_version == 1

    async def test_concurrent_writers_lose_no_update(self, store: Store) -> None:
        await save(store, make_session())

        async def add_one(number: int) -> None:
            while True:
                session = await store.get_session(EVERYWHERE, make_key(), START)
                assert session is not None
                session.content.tokens += 1
                try:
                    await store.commit(EVERYWHERE, WriteBatch(put_session=session, expect_version=session.version))
                except VersionMismatch:
                    await asyncio.sleep(0.001 * (number % 5))
                else:
                    return

        await asyncio.gather(*(add_one(number) for number in range(12)))
        found = await store.get_session(EVERYWHERE, make_key(), START)
        assert found is not None
        assert (found.content.tokens, found.version) == (12, 13)

    async def test_deleting_a_session(self, store: Store) -> None:
        await save(store, make_session(), make_session(make_key("s2")))
        result = await store.commit(EVERYWHERE, WriteBatch(delete_session=make_key()))
        assert result.session_deleted
        again = await store.commit(EVERYWHERE, WriteBatch(delete_session=make_key()))
        assert not again.session_deleted
        assert (await store.list_sessions(EVERYWHERE, START))[0] == [make_key("s2")]

    async def test_deleting_a_session_keeps_its_memories(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1", session_id="s1"), put_session=make_session()))
        await store.commit(EVERYWHERE, WriteBatch(delete_session=make_key()))
        assert (await store.list_memories(make_scope(sessions=("s1",))))[1] == 1

    async def test_expired_sessions_do_not_exist(self, store: Store) -> None:
        await save(store, make_session(expires=10))
        assert await store.get_session(EVERYWHERE, make_key(), after(9.999999)) is not None
        assert await store.get_session(EVERYWHERE, make_key(), after(10)) is None
        assert await store.find_sessions(EVERYWHERE, "s1", after(10)) == []
        assert await store.list_sessions(EVERYWHERE, after(10)) == ([], 0)
        assert (await store.list_sessions(EVERYWHERE, after(9)))[1] == 1

    async def test_a_session_expired_by_the_clock_is_replaced_as_if_absent(self, store: Store) -> None:
        old = make_session()
        old.expires_at = datetime(2001, 1, 1, tzinfo=UTC)
        await save(store, old, old)
        with pytest.raises(VersionMismatch):
            await store.commit(EVERYWHERE, WriteBatch(put_session=make_session(), expect_version=1))
        result = await store.commit(EVERYWHERE, WriteBatch(put_session=make_session(), expect_version=0))
        assert result.session_version == 1

    async def test_a_session_may_lose_its_expiry(self, store: Store) -> None:
        await save(store, make_session(expires=10), make_session())
        assert await store.get_session(EVERYWHERE, make_key(), after(1e9)) is not None

    async def test_purge_removes_what_expired_and_no_more_than_asked(self, store: Store) -> None:
        await save(store, *(make_session(make_key(f"s{number}"), expires=number) for number in range(10)))
        await save(store, make_session(make_key("forever")))
        await store.commit(
            EVERYWHERE, WriteBatch(put_documents=[make_document("d", expires_at=after(1)), make_document("e")])
        )
        assert await store.purge_expired(after(4), limit=3) == 3
        removed = 3
        while more := await store.purge_expired(after(4), limit=3):
            removed += more
        assert removed == 6, "five sessions (0 to 4 s) and one document"
        assert (await store.list_sessions(EVERYWHERE, after(-9)))[1] == 6
        assert [each.id for each in await store.list_documents(EVERYWHERE, "view", after(-9))] == ["e"]

    async def test_find_sessions_gives_every_identity_of_a_name(self, store: Store) -> None:
        keys = [make_key("s1"), make_key("s1", user="bob"), make_key("s1", namespace="home"), make_key("s10")]
        await save(store, *(make_session(key) for key in keys))
        found = await store.find_sessions(EVERYWHERE, "s1", START, limit=10)
        assert sorted(found) == sorted(keys[:3])
        assert len(await store.find_sessions(EVERYWHERE, "s1", START)) == 2
        assert await store.find_sessions(make_scope(users=("bob",)), "s1", START) == [keys[1]]

    async def test_sessions_are_listed_by_time_then_key(self, store: Store) -> None:
        await save(
            store,
            make_session(make_key("b"), updated=5),
            make_session(make_key("c"), updated=9),
            make_session(make_key("a"), updated=5),
            make_session(make_key("z", namespace="home"), updated=5),
        )
        found, total = await store.list_sessions(EVERYWHERE, START)
        assert [key.session for key in found] == ["c", "z", "a", "b"]
        assert total == 4
        late, total = await store.list_sessions(EVERYWHERE, START, limit=2, updated_after=after(4))
        assert ([key.session for key in late], total) == (["c", "z"], 4)
        late, total = await store.list_sessions(EVERYWHERE, START, updated_after=after(5))
        assert ([key.session for key in late], total) == (["c"], 1)

    async def test_pages_of_sessions_hold_each_once(self, store: Store) -> None:
        await save(store, *(make_session(make_key(f"s{number:02}"), updated=number // 4) for number in range(23)))
        seen: list[str] = []
        for offset in range(0, 30, 5):
            page, total = await store.list_sessions(EVERYWHERE, START, limit=5, offset=offset)
            assert total == 23
            seen += [key.session for key in page]
        assert sorted(seen) == [f"s{number:02}" for number in range(23)]


class DocumentTests:
    """Small pieces of state of services and plugins."""

    async def test_every_field_of_a_document_comes_back(self, store: Store) -> None:
        document = make_document(
            "d:1",
            b"\x00\xff",
            kind="plugin:x",
            namespace="n",
            user="u",
            updated_at=after(0.000001),
            expires_at=after(9),
        )
        await store.commit(EVERYWHERE, WriteBatch(put_documents=[document]))
        assert await store.get_document(EVERYWHERE, "plugin:x", "d:1", START) == document
        assert await store.list_documents(EVERYWHERE, "plugin:x", START) == [document]

    async def test_documents_are_replaced_and_deleted_by_kind_and_id(self, store: Store) -> None:
        await store.commit(
            EVERYWHERE, WriteBatch(put_documents=[make_document(), make_document(kind="task"), make_document("d2")])
        )
        await store.commit(
            EVERYWHERE,
            WriteBatch(put_documents=[make_document(body=b"new")], delete_documents=[("task", "d1"), ("x", "y")]),
        )
        found = await store.list_documents(EVERYWHERE, "view", START)
        assert [(each.id, each.body) for each in found] == [("d1", b"new"), ("d2", b"body")]
        assert await store.list_documents(EVERYWHERE, "task", START) == []

    async def test_a_batch_with_a_required_document_that_is_gone_changes_nothing(self, store: Store) -> None:
        await store.commit(
            EVERYWHERE, WriteBatch(put_documents=[make_document(), make_document("old", expires_at=after(0))])
        )
        for gone in (("view", "d2"), ("task", "d1"), ("view", "old")):
            batch = WriteBatch(
                require_documents=[("view", "d1"), gone],
                delete_documents=[("view", "d1")],
                put_documents=[make_document("new")],
                put_memories=[make_memory("m")],
            )
            with pytest.raises(DocumentGone):
                await store.commit(EVERYWHERE, batch)
        assert [each.id for each in await store.list_documents(EVERYWHERE, "view", START)] == ["d1"]
        assert await store.list_memories(EVERYWHERE) == ([], 0)

    async def test_of_two_batches_that_consume_one_document_one_is_applied(self, store: Store) -> None:
        await store.commit(EVERYWHERE, WriteBatch(put_documents=[make_document()]))
        results = await asyncio.gather(
            *(
                store.commit(
                    EVERYWHERE,
                    WriteBatch(
                        require_documents=[("view", "d1")],
                        delete_documents=[("view", "d1")],
                        put_memories=[make_memory(f"m{number}")],
                    ),
                )
                for number in range(4)
            ),
            return_exceptions=True,
        )
        assert sum(isinstance(result, DocumentGone) for result in results) == 3
        assert (await store.list_memories(EVERYWHERE))[1] == 1

    async def test_documents_are_listed_by_id(self, store: Store) -> None:
        documents = [make_document(name) for name in ("b", "a", "C", "\u00e9")]
        await store.commit(EVERYWHERE, WriteBatch(put_documents=documents))
        assert [each.id for each in await store.list_documents(EVERYWHERE, "view", START)] == ["C", "a", "b", "\u00e9"]

    async def test_documents_are_listed_in_pages(self, store: Store) -> None:
        ann = [make_document(name, user="ann") for name in ("a|1", "a|2", "a", "b")]
        foreign = make_document("a|0", user="bob")
        await store.commit(EVERYWHERE, WriteBatch(put_documents=[*ann, foreign]))

        async def page(scope: Scope = EVERYWHERE, **part: Any) -> list[str]:
            return [each.id for each in await store.list_documents(scope, "view", START, **part)]

        assert await page(limit=2) == ["a", "a|0"]
        assert await page(after="a|0", limit=2) == ["a|1", "a|2"]
        assert await page(after="a|2") == ["b"]
        assert await page(after="b", limit=2) == []
        assert await page(make_scope(users=("ann",)), after="a", limit=2) == ["a|1", "a|2"]

    async def test_expired_documents_do_not_exist(self, store: Store) -> None:
        await store.commit(EVERYWHERE, WriteBatch(put_documents=[make_document(expires_at=after(5))]))
        assert await store.get_document(EVERYWHERE, "view", "d1", after(4)) is not None
        assert await store.get_document(EVERYWHERE, "view", "d1", after(5)) is None
        assert await store.list_documents(EVERYWHERE, "view", after(5)) == []

    async def test_tenants_with_equal_ids_do_not_see_each_other(self, store: Store) -> None:
        await store.commit(EVERYWHERE, WriteBatch(put_documents=[make_document(body=b"ours")]))
        await store.commit(OTHER, WriteBatch(put_documents=[make_document(body=b"theirs", tenant="other")]))
        found = await store.get_document(EVERYWHERE, "view", "d1", START)
        assert found is not None
        assert found.body == b"ours"
        with pytest.raises(Forbidden):
            await store.commit(OTHER, WriteBatch(put_documents=[make_document(tenant=TENANT)]))

    async def test_documents_outside_the_scope_are_neither_seen_nor_touched(self, store: Store) -> None:
        await store.commit(EVERYWHERE, WriteBatch(put_documents=[make_document(user="ann"), make_document("free")]))
        bob = make_scope(users=("bob",))
        assert await store.get_document(bob, "view", "d1", START) is None
        assert await store.list_documents(bob, "view", START) == []
        await store.commit(bob, WriteBatch(delete_documents=[("view", "d1"), ("view", "free")]))
        for document in (make_document(user="bob"), make_document("new", user="ann"), make_document("new")):
            with pytest.raises(Forbidden):
                await store.commit(bob, WriteBatch(put_documents=[document]))
        assert len(await store.list_documents(EVERYWHERE, "view", START)) == 2
        mine = await store.list_documents(make_scope(users=("ann",)), "view", START)
        assert [each.id for each in mine] == ["d1"]
