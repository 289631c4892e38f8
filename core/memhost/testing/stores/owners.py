"""Conformance: owners and scopes of memories, and the atomicity of batches."""

from __future__ import annotations

import asyncio

import pytest

from memhost.errors import Forbidden, IdTaken, InvalidRequest, VersionMismatch
from memhost.models import AccessMark, CandidateQuery, Scope, TextMatch, WriteBatch
from memhost.ports import Store
from memhost.testing.factories import (
    START,
    after,
    make_document,
    make_job,
    make_key,
    make_memory,
    make_scope,
    make_session,
    make_vector,
    put,
)

EVERYWHERE = make_scope()
ANN = make_scope(namespaces=("work",), users=("ann",))
BOB = make_scope(namespaces=("work",), users=("bob",))
OTHER = Scope(tenant="other")

ODD_STRINGS = {
    "nul": "before\x00after",
    "emoji": "\U0001f600 family \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "quotes": 'it\'s "quoted"; DROP TABLE memories; -- %_*?[]{}',
    "colon": "a:b::c",
    "spaces": "  \t\r\n ",
    "accents": "e\u0301 \u00e9 \u0130\u0131 \u1e9e",
    "wildcards": "%",
    "long": "x" * 100_000,
    "highest": "\U0010ffff\uffff\ud7ff\ue000",
}


class OwnerTests:
    """Who sees, replaces and deletes which memory."""

    async def test_tenants_with_equal_ids_do_not_see_each_other(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1", "ours")))
        await store.commit(OTHER, put(make_memory("m1", "theirs")))
        assert (await store.get_memories(EVERYWHERE, ["m1"]))[0].record.text == "ours"
        assert (await store.list_memories(OTHER))[0][0].record.text == "theirs"
        await store.commit(OTHER, WriteBatch(delete_memories=["m1"]))
        assert (await store.list_memories(EVERYWHERE))[1] == 1

    @pytest.mark.parametrize(
        "scope",
        [
            make_scope(namespaces=("home",)),
            make_scope(users=("bob",)),
            make_scope(sessions=("s2",)),
            make_scope(namespaces=("work",), users=("bob",)),
            make_scope(users=("ann",), sessions=("",)),
            make_scope(namespaces=()),
            make_scope(users=()),
            make_scope(sessions=()),
            make_scope(users=("Ann",)),
            make_scope(users=("ann ",)),
            Scope(tenant="Acme"),
            Scope(tenant=""),
        ],
        ids=str,
    )
    async def test_a_foreign_scope_neither_sees_nor_touches_a_memory(self, store: Store, scope: Scope) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1", session_id="s1")))
        assert await store.get_memories(scope, ["m1"]) == []
        assert await store.list_memories(scope) == ([], 0)
        mark = AccessMark(ids=("m1",), at=after(9), interval_s=0)
        result = await store.commit(scope, WriteBatch(delete_memories=["m1"], access=mark))
        assert result.deleted == []
        (found,) = await store.get_memories(EVERYWHERE, ["m1"])
        assert found.record.access_count == 0

    @pytest.mark.parametrize(
        "scope",
        [
            make_scope(),
            make_scope(namespaces=("work",)),
            make_scope(users=("ann",)),
            make_scope(sessions=("s1",)),
            make_scope(namespaces=("work",), users=("ann",)),
            make_scope(namespaces=("work",), sessions=("s1",)),
            make_scope(users=("ann",), sessions=("s1",)),
            make_scope(namespaces=("home", "work"), users=("bob", "ann"), sessions=("s0", "s1")),
        ],
        ids=str,
    )
    async def test_a_scope_sees_all_that_lies_inside_it(self, store: Store, scope: Scope) -> None:
        mine = make_memory("m1", session_id="s1")
        others = [
            make_memory(f"{namespace}.{user}.{session}", namespace=namespace, user_id=user, session_id=session)
            for namespace in ("home", "x")
            for user in ("carl", "y")
            for session in ("s9", "z")
        ]
        await store.commit(EVERYWHERE, put(mine, *others))
        found, total = await store.list_memories(scope)
        expected = [
            memory
            for memory in (mine, *others)
            if scope.allows(memory.record.namespace, memory.record.user_id, memory.record.session_id)
        ]
        assert {memory.record.id for memory in found} == {memory.record.id for memory in expected}
        assert total == len(expected)
        assert len(await store.get_memories(scope, ["m1"])) == 1

    async def test_absent_owner_is_the_empty_string(self, store: Store) -> None:
        await store.commit(
            EVERYWHERE, put(make_memory("a", user_id=None), make_memory("b", user_id=""), make_memory("c"))
        )
        found, _ = await store.list_memories(make_scope(users=("",)))
        assert {memory.record.id for memory in found} == {"a", "b"}

    async def test_owners_do_not_run_into_each_other(self, store: Store) -> None:
        await store.commit(
            EVERYWHERE,
            put(
                make_memory("1", namespace="a:b", user_id="c"),
                make_memory("2", namespace="a", user_id="b:c"),
                make_memory("3", namespace="a:b:c", user_id=None),
            ),
        )
        for memory_id, namespace, user in (("1", "a:b", "c"), ("2", "a", "b:c"), ("3", "a:b:c", "")):
            found, total = await store.list_memories(make_scope(namespaces=(namespace,), users=(user,)))
            assert ([memory.record.id for memory in found], total) == ([memory_id], 1)

    async def test_id_of_another_owner_is_taken(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1", "first")))
        for fields in ({"user_id": "bob"}, {"namespace": "home"}, {"user_id": None}):
            with pytest.raises(IdTaken) as caught:
                await store.commit(EVERYWHERE, put(make_memory("new"), make_memory("m1", **fields)))
            assert caught.value.ids == ("m1",)
        found, _ = await store.list_memories(EVERYWHERE)
        assert [memory.record.text for memory in found] == ["first"]

    async def test_id_is_taken_even_where_the_caller_cannot_see_it(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1")))
        with pytest.raises(IdTaken):
            await store.commit(BOB, put(make_memory("m1", user_id="bob")))

    async def test_two_owners_of_one_id_in_a_batch_are_refused(self, store: Store) -> None:
        with pytest.raises(IdTaken):
            await store.commit(EVERYWHERE, put(make_memory("m1"), make_memory("m1", user_id="bob")))
        assert (await store.list_memories(EVERYWHERE))[1] == 0

    async def test_session_of_an_id_may_change_unless_guarded(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1", session_id="s1")))
        with pytest.raises(IdTaken):
            await store.commit(EVERYWHERE, put(make_memory("m1", session_id="s2"), guarded_ids=frozenset({"m1"})))
        await store.commit(EVERYWHERE, put(make_memory("m1", session_id="s1"), guarded_ids=frozenset({"m1"})))
        result = await store.commit(EVERYWHERE, put(make_memory("m1", session_id="s2")))
        assert result.replaced == ["m1"]
        assert (await store.list_memories(make_scope(sessions=("s1",))))[1] == 0
        assert (await store.list_memories(make_scope(sessions=("s2",))))[1] == 1

    async def test_guarding_one_id_leaves_the_others_free(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1", session_id="s1"), make_memory("m2", session_id="s1")))
        moving = [make_memory("m1", session_id="s2"), make_memory("m2", session_id="s2")]
        with pytest.raises(IdTaken) as caught:
            await store.commit(EVERYWHERE, put(*moving, guarded_ids=frozenset({"m2", "m3"})))
        assert caught.value.ids == ("m2",)

    async def test_a_moved_id_may_change_its_owner_inside_the_scope(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1", "apple", session_id="s1", vector=make_vector(1))))
        moved = frozenset({"m1"})
        new = make_memory("m1", "apple", user_id="bob", namespace="home", vector=make_vector(1))
        with pytest.raises(IdTaken):
            await store.commit(make_scope(users=("bob",)), put(new, moved_ids=moved))
        result = await store.commit(EVERYWHERE, put(new, moved_ids=moved))
        assert result.replaced == ["m1"]
        assert (await store.list_memories(ANN))[1] == 0
        query = CandidateQuery(text=TextMatch(any_of=("apple",)), vector=make_vector(1), statistics_for=("apple",))
        assert (await store.candidates(ANN, query)).hits == []
        found = await store.candidates(make_scope(namespaces=("home",), users=("bob",)), query)
        assert [hit.memory.record for hit in found.hits] == [new.record]
        assert (found.documents, found.frequencies) == (1, {"apple": 1})

    async def test_putting_outside_the_scope_is_forbidden(self, store: Store) -> None:
        for scope in (BOB, make_scope(namespaces=("home",)), make_scope(sessions=("s1",)), make_scope(users=())):
            with pytest.raises(Forbidden):
                await store.commit(scope, put(make_memory("m1")))
        assert (await store.list_memories(EVERYWHERE))[1] == 0


class AtomicityTests:
    """A batch is applied as a whole or not at all."""

    async def test_a_failing_batch_changes_nothing_at_all(self, store: Store) -> None:
        await store.commit(
            EVERYWHERE, put(make_memory("old", user_id="bob"), make_memory("kept"), put_session=make_session())
        )
        await store.commit(EVERYWHERE, WriteBatch(put_documents=[make_document("kept")], add_jobs=[make_job("kept")]))
        everything: dict[str, object] = {
            "put_memories": [make_memory("new")],
            "delete_memories": ["kept"],
            "access": AccessMark(ids=("kept",), at=after(1), interval_s=0),
            "delete_session": make_key(),
            "put_documents": [make_document("new")],
            "delete_documents": [("view", "kept")],
            "add_jobs": [make_job("new")],
            "cancel_jobs": ["kept"],
        }
        taken = [make_memory("new"), make_memory("old")]
        with pytest.raises(IdTaken):
            await store.commit(EVERYWHERE, WriteBatch(**{**everything, "put_memories": taken}))  # type: ignore[arg-type]
        stale = {**everything, "put_session": make_session(make_key("s2")), "expect_version": 5}
        with pytest.raises(VersionMismatch):
            await store.commit(EVERYWHERE, WriteBatch(**stale))  # type: ignore[arg-type]
        unencodable = [make_memory("new"), make_memory("bad", metadata={"n": 1 << 70})]
        with pytest.raises(InvalidRequest):
            await store.commit(EVERYWHERE, WriteBatch(**{**everything, "put_memories": unencodable}))  # type: ignore[arg-type]
        memories, total = await store.list_memories(EVERYWHERE)
        assert {memory.record.id for memory in memories} == {"old", "kept"}
        assert total == 2
        assert [memory.record.access_count for memory in memories] == [0, 0]
        assert await store.get_session(EVERYWHERE, make_key(), START) is not None
        assert [each.id for each in await store.list_documents(EVERYWHERE, "view", START)] == ["kept"]
        assert [each.id for each in (await store.list_jobs(EVERYWHERE))[0]] == ["kept"]

    async def test_concurrent_batches_fail_alone(self, store: Store) -> None:
        await store.commit(EVERYWHERE, put(make_memory("taken", user_id="bob")))
        batches = [put(make_memory(f"m{number}"), make_memory(f"n{number}")) for number in range(20)]
        for number in (3, 7, 8):
            batches[number].put_memories.append(make_memory("taken"))
        batches[12].put_memories.append(make_memory("bad", "\ud800"))
        results = await asyncio.gather(*(store.commit(EVERYWHERE, batch) for batch in batches), return_exceptions=True)
        failed = {number for number, result in enumerate(results) if isinstance(result, BaseException)}
        assert failed == {3, 7, 8, 12}
        assert (await store.list_memories(EVERYWHERE))[1] == 1 + 2 * 16

    async def test_concurrent_writers_of_one_id_leave_one_memory(self, store: Store) -> None:
        results = await asyncio.gather(
            *(store.commit(EVERYWHERE, put(make_memory("m1", f"text {number}"))) for number in range(20))
        )
        assert sum(result.created == ["m1"] for result in results) == 1
        assert sum(result.replaced == ["m1"] for result in results) == 19
        assert (await store.list_memories(EVERYWHERE))[1] == 1

    async def test_a_cancelled_commit_is_whole_or_absent(self, store: Store) -> None:
        for number in range(10):
            task = asyncio.create_task(
                store.commit(EVERYWHERE, put(*(make_memory(f"{number}-{part}") for part in range(50))))
            )
            await asyncio.sleep(0.0005 * number)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await store.commit(EVERYWHERE, put(make_memory("last")))
        assert ((await store.list_memories(EVERYWHERE))[1] - 1) % 50 == 0

    async def test_batches_of_five_thousand_memories(self, store: Store) -> None:
        memories = [
            make_memory(f"m{number:05}", f"word{number % 7}", vector=make_vector(1, number)) for number in range(5000)
        ]
        result = await store.commit(EVERYWHERE, put(*memories))
        assert len(result.created) == 5000
        found, total = await store.list_memories(EVERYWHERE, order="oldest", limit=3, offset=4998)
        assert ([memory.record.id for memory in found], total) == (["m04998", "m04999"], 5000)
        ids = [memory.record.id for memory in memories]
        assert [memory.record.id for memory in await store.get_memories(EVERYWHERE, ids)] == ids
        again = await store.commit(EVERYWHERE, put(*memories))
        assert len(again.replaced) == 5000
        gone = await store.commit(EVERYWHERE, WriteBatch(delete_memories=ids))
        assert len(gone.deleted) == 5000
        assert await store.list_memories(EVERYWHERE) == ([], 0)
