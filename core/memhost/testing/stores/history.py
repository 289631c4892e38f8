"""Conformance: versions, the chain of changes, and seals (`memhost.ports.KeepsHistory`)."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from memhost.errors import IdTaken, MemoryChanged
from memhost.models import Actor, Change, Entry, Head, WriteBatch, acted_by
from memhost.ports import KeepsHistory, Store
from memhost.testing.factories import (
    START,
    TENANT,
    after,
    make_document,
    make_key,
    make_memory,
    make_scope,
    make_session,
    make_vector,
    put,
)

EVERYWHERE = make_scope()
ANN, BOB = make_scope(users=("ann",)), make_scope(users=("bob",))


async def changes(kept: KeepsHistory, memory: str | None = None) -> list[Change]:
    """Return the changes that the entries record, oldest first."""
    entries = await kept.list_entries(EVERYWHERE, memory=memory, limit=1000)
    return [entry.change for entry in entries if entry.change is not None]


async def sound(kept: KeepsHistory) -> None:
    """Nothing was done behind the store's back."""
    report = await kept.verify()
    assert report.findings == [], report.findings


class HistoryTests:
    """For stores that keep their history."""

    @pytest.fixture
    def kept(self, store: Store) -> KeepsHistory:
        """The store as one that keeps its history."""
        if not isinstance(store, KeepsHistory):
            pytest.skip("the store keeps no history (memhost.ports.KeepsHistory)")
        return store

    async def test_each_change_is_an_entry(self, store: Store, kept: KeepsHistory) -> None:
        with acted_by(Actor("token 7", "7", "rest", "create_memories", "r1")):
            await store.commit(EVERYWHERE, put(make_memory("m1", "one"), make_memory("m2", "two")))
        await store.commit(EVERYWHERE, put(make_memory("m1", "another")))
        await store.commit(EVERYWHERE, WriteBatch(delete_memories=["m1", "unknown"]))
        await store.commit(EVERYWHERE, put(make_memory("m1", "again")))
        found = await changes(kept)
        assert [(each.kind, each.memory, each.version) for each in found] == [
            ("created", "m1", 1),
            ("created", "m2", 1),
            ("replaced", "m1", 2),
            ("deleted", "m1", found[3].version),
            ("created", "m1", 3),
        ]
        assert found[0].actor == Actor("token 7", "7", "rest", "create_memories", "r1")
        assert found[0].owner == ("work", "ann", "")
        assert found[2].before == found[0].after != found[2].after
        assert (found[3].before, found[3].after) == (found[2].after, b"")
        assert [memory.version for memory in await store.get_memories(EVERYWHERE, ["m1", "m2"])] == [3, 1]
        assert [each.kind for each in await changes(kept, "m2")] == ["created"]
        await sound(kept)

    async def test_former_states_are_kept(self, store: Store, kept: KeepsHistory) -> None:
        first = make_memory("m1", "one", topics=["t"], speaker="Ann", position=3, session_id="s")
        await store.commit(EVERYWHERE, put(first))
        await store.commit(EVERYWHERE, put(make_memory("m1", "two", session_id="s")))
        await store.commit(EVERYWHERE, WriteBatch(delete_memories=["m1"]))
        created, replaced, deleted = await kept.list_entries(EVERYWHERE, memory="m1")
        assert [entry.has_former for entry in (created, replaced, deleted)] == [False, True, True]
        state = await kept.former_state(EVERYWHERE, replaced.seq)
        assert state is not None
        assert (state.record, state.speaker, state.position, state.version) == (first.record, "Ann", 3, 1)
        state = await kept.former_state(ANN, deleted.seq)
        assert state is not None
        assert (state.record.text, state.version) == ("two", 2)
        assert await kept.former_state(EVERYWHERE, created.seq) is None
        assert await kept.former_state(BOB, replaced.seq) is None
        assert await kept.former_state(make_scope(tenant="other"), replaced.seq) is None

    async def test_marks_of_the_server_make_no_version(self, store: Store, kept: KeepsHistory) -> None:
        memory = make_memory("m1", "one", discrete_memory_extracted="f")
        await store.commit(EVERYWHERE, put(memory))
        marked = replace(memory, vector=make_vector(1), record=msgspec.structs.replace(memory.record))
        marked.record.discrete_memory_extracted, marked.record.updated_at = "t", after(9)
        await store.commit(EVERYWHERE, put(marked))
        entries = await kept.list_entries(EVERYWHERE)
        assert [(each.change and each.change.kind, each.has_former) for each in entries] == [
            ("created", False),
            ("touched", False),
        ]
        (found,) = await store.get_memories(EVERYWHERE, ["m1"])
        assert (found.version, found.record.discrete_memory_extracted) == (1, "t")
        await sound(kept)

    async def test_expected_versions(self, store: Store, kept: KeepsHistory) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1", "one"), if_versions={"m1": 0}))
        for refused in (put(make_memory("m1", "x"), if_versions={"m1": 0}), put(if_versions={"m1": 2})):
            with pytest.raises(MemoryChanged) as error:
                await store.commit(EVERYWHERE, refused)
            assert error.value.ids == ("m1",)
        await store.commit(EVERYWHERE, put(make_memory("m1", "two"), if_versions={"m1": 1}))
        with pytest.raises(MemoryChanged):
            await store.commit(EVERYWHERE, WriteBatch(delete_memories=["m1"], if_versions={"m1": 1}))
        await store.commit(EVERYWHERE, WriteBatch(delete_memories=["m1"], if_versions={"m1": 2}))
        assert [each.kind for each in await changes(kept)] == ["created", "replaced", "deleted"]

    async def test_what_is_refused_leaves_no_entry(self, store: Store, kept: KeepsHistory) -> None:
        await store.commit(EVERYWHERE, put(make_memory("m1")))
        head = (await kept.heads())[TENANT]
        with pytest.raises(IdTaken):
            await store.commit(EVERYWHERE, put(make_memory("m2"), make_memory("m1", user_id="bob")))
        await store.commit(BOB, WriteBatch(delete_memories=["m1"]))
        assert (await kept.heads())[TENANT] == head

    async def test_of_concurrent_changes_each_has_its_place(self, store: Store, kept: KeepsHistory) -> None:
        async def change(number: int) -> None:
            with acted_by(Actor(f"actor {number}")):
                await store.commit(EVERYWHERE, put(make_memory("shared", f"by {number}"), make_memory(f"m{number}")))

        await asyncio.gather(*(change(number) for number in range(20)))
        found = await changes(kept)
        assert len(found) == 40
        for each in found:
            if each.memory != "shared":
                assert each.actor.subject == f"actor {each.memory[1:]}"
        assert [each.version for each in await changes(kept, "shared")] == list(range(1, 21))
        await sound(kept)

    async def test_tenants_have_chains_of_their_own(self, store: Store, kept: KeepsHistory) -> None:
        other = make_scope(tenant="other")
        await store.commit(EVERYWHERE, put(make_memory("m1")))
        await store.commit(other, put(make_memory("m1"), make_memory("m2")))
        heads = await kept.heads()
        assert {tenant: head.seq for tenant, head in heads.items()} == {TENANT: 1, "other": 2}
        for tenant, head in heads.items():
            assert await kept.link_at(tenant, head.seq) == head.link
            assert await kept.link_at(tenant, head.seq + 1) is None
            assert await kept.link_at(tenant, 0) == b""
        assert await kept.link_at("nobody", 1) is None
        assert heads[TENANT] != heads["other"]
        await sound(kept)

    async def test_pages_of_entries(self, store: Store, kept: KeepsHistory) -> None:
        for number in range(5):
            await store.commit(EVERYWHERE, put(make_memory(f"m{number}", user_id="ann" if number % 2 else "bob")))
        note = Change(kind="administered", at=0, note="something")
        await store.commit(EVERYWHERE, WriteBatch(notes=[note]))

        async def numbers(**asked: object) -> list[int]:
            return [entry.seq for entry in await kept.list_entries(**asked)]  # type: ignore[arg-type]

        assert await numbers(scope=EVERYWHERE) == [1, 2, 3, 4, 5, 6]
        assert await numbers(scope=EVERYWHERE, limit=2, after=2) == [3, 4]
        assert await numbers(scope=EVERYWHERE, limit=2, newest=True) == [6, 5]
        assert await numbers(scope=EVERYWHERE, limit=2, newest=True, after=3) == [2, 1]
        assert await numbers(scope=BOB) == [1, 3, 5], "entries that concern no memory are for the whole tenant"
        assert await numbers(scope=ANN, newest=True, limit=1) == [4]
        assert await numbers(scope=EVERYWHERE, limit=0) == []
        assert await numbers(scope=make_scope(tenant="nobody")) == []
        (entry,) = await kept.list_entries(EVERYWHERE, newest=True, limit=1)
        assert entry.change is not None
        assert (entry.change.kind, entry.change.note) == ("administered", "something")
        assert entry.change.at > 0

    async def test_former_states_can_go(self, store: Store, kept: KeepsHistory) -> None:
        for number in range(4):
            await store.commit(EVERYWHERE, put(make_memory("m1", f"state {number}"), make_memory("m2", f"x {number}")))
        entries = [entry for entry in await kept.list_entries(EVERYWHERE) if entry.has_former]
        seqs = [entry.seq for entry in entries]
        assert await kept.old_former(TENANT, before=None, keep=1, limit=99) == seqs[:4]
        assert await kept.old_former(TENANT, before=None, keep=1, limit=3) == seqs[:3]
        assert await kept.old_former(TENANT, before=START, keep=None, limit=99) == []
        at = entries[0].change.at if entries[0].change else 0
        assert at > 0
        why = Change(kind="pruned", at=0)
        assert await kept.drop_former(TENANT, [*seqs[:4], 9999], why) == 4
        assert await kept.drop_former(TENANT, seqs[:4], Change(kind="pruned", at=0)) == 0
        assert await kept.former_state(EVERYWHERE, seqs[0]) is None
        assert await kept.former_state(EVERYWHERE, seqs[4]) is not None
        last = (await changes(kept))[-1]
        assert last.kind == "pruned"
        assert [list(each) for each in last.places] == [[seqs[0], seqs[3]]]
        await sound(kept)

    async def test_erasing_leaves_the_links(self, store: Store, kept: KeepsHistory) -> None:
        mine, others = make_memory("m1", "secret"), make_memory("m2", "other", user_id="bob")
        await store.commit(EVERYWHERE, put(mine, others))
        await store.commit(EVERYWHERE, put(make_memory("m1", "more"), make_memory("m2", "mine", user_id="bob")))
        moved = make_memory("m1", "to bob", user_id="bob")
        await store.commit(EVERYWHERE, put(moved, moved_ids=frozenset({"m1"})))
        await store.commit(EVERYWHERE, put(make_memory("m3", "left")))
        links = [await kept.link_at(TENANT, seq) for seq in range(1, 7)]
        number, head = await kept.erase_history(ANN, Change(kind="erased", at=0, note="a note"))
        assert number == 4, "three entries, and the state that is bob's by now"
        assert head == (await kept.heads())[TENANT] == Head(7, head.link)
        assert [await kept.link_at(TENANT, seq) for seq in range(1, 7)] == links
        entries = {entry.seq: entry for entry in await kept.list_entries(EVERYWHERE)}
        assert [seq for seq, entry in entries.items() if entry.change is None] == [1, 3, 6]
        assert await store.get_memories(EVERYWHERE, ["m3"]) == [], "whatever is left goes too"
        assert [memory.record.text for memory in await store.get_memories(EVERYWHERE, ["m1"])] == ["to bob"]
        assert not entries[5].has_former
        assert entries[4].has_former
        await sound(kept)
        again = await kept.erase_history(ANN, Change(kind="erased", at=0))
        assert again == (0, head), "nothing is there, nothing is said"

    async def test_random_changes_stay_sound(self, store: Store, kept: KeepsHistory) -> None:
        chance = random.Random(11)  # noqa: S311 - the same changes each time
        for _ in range(60):
            ids = [f"m{chance.randrange(8)}" for _ in range(chance.randrange(1, 4))]
            vector = make_vector(1, chance.random()) if chance.random() < 0.5 else None
            batch = put(*(make_memory(each, f"{chance.random()}", vector=vector, topics=["a", "b"]) for each in ids))
            batch.delete_memories = [f"m{chance.randrange(8)}" for _ in range(chance.randrange(2))]
            await store.commit(EVERYWHERE, batch)
        await store.commit(EVERYWHERE, put(put_session=make_session()))
        report = await kept.verify()
        assert report.findings == []
        assert report.memories == (await store.list_memories(EVERYWHERE))[1]
        assert report.entries == report.heads[TENANT].seq > 60
        assert await kept.seal_anew() == report.memories
        await sound(kept)
        assert (await store.list_memories(EVERYWHERE))[1] == report.memories

    async def test_sessions_and_documents_have_entries(self, store: Store, kept: KeepsHistory) -> None:
        key = make_session().key
        await store.commit(EVERYWHERE, WriteBatch(put_session=make_session(), put_documents=[make_document("d1")]))
        await store.commit(EVERYWHERE, WriteBatch(put_session=make_session(updated=5)))
        both = WriteBatch(delete_session=key, delete_documents=[("view", "d1"), ("view", "unknown")])
        await store.commit(EVERYWHERE, both)
        await store.commit(EVERYWHERE, WriteBatch(delete_session=key, delete_documents=[("view", "d1")]))
        found = await changes(kept)
        assert [(each.kind, bool(each.after)) for each in found] == [
            ("session", True),
            ("document", True),
            ("session", True),
            ("session", False),
            ("document", False),
        ]
        sessions, documents = ([each for each in found if each.kind == kind] for kind in ("session", "document"))
        assert {each.owner for each in sessions} == {(key.namespace, key.user, key.session)}
        for group in (sessions, documents):
            assert len({each.name for each in group}) == 1
        assert sessions[0].after != sessions[1].after
        assert [each.kind for each in await changes(kept, "d1")] == [], "they are no memories"
        await sound(kept)

    async def test_what_expires_goes_without_an_entry(self, store: Store, kept: KeepsHistory) -> None:
        now = datetime.now(UTC)
        ended, a_day_ago = now - timedelta(seconds=1), now - timedelta(days=1)
        lease = make_document("lease", updated_at=now, expires_at=now + timedelta(seconds=15))
        document = make_document("day", updated_at=a_day_ago, expires_at=ended)
        session = msgspec.structs.replace(make_session(), expires_at=ended)
        await store.commit(EVERYWHERE, WriteBatch(put_session=session, put_documents=[lease, document]))
        await store.commit(EVERYWHERE, WriteBatch(put_documents=[lease]))
        assert [each.kind for each in await changes(kept)] == ["session", "document"], "a lease has none"
        await sound(kept)
        await store.purge_expired(now)
        await sound(kept)
        await store.commit(EVERYWHERE, WriteBatch(delete_documents=[("view", "lease")], put_session=make_session()))
        assert [each.kind for each in await changes(kept)] == ["session", "document", "session"]
        await sound(kept)

    async def test_entries_about_sessions_are_their_owners(self, store: Store, kept: KeepsHistory) -> None:
        mine, document = make_session(), make_document("d1", user="ann")
        await store.commit(EVERYWHERE, WriteBatch(put_session=mine, put_documents=[document]))
        await store.commit(EVERYWHERE, WriteBatch(put_session=make_session(make_key(user="bob"))))
        assert [entry.seq for entry in await kept.list_entries(ANN)] == [1, 2]
        assert [entry.seq for entry in await kept.list_entries(BOB)] == [3]
        await store.commit(EVERYWHERE, WriteBatch(delete_documents=[("view", "d1")]))
        number, _ = await kept.erase_history(ANN, Change(kind="erased", at=0, count=1))
        assert number == 3
        assert [entry.seq for entry in await kept.list_entries(EVERYWHERE) if entry.change is None] == [1, 2, 4]
        assert await store.get_session(EVERYWHERE, mine.key, START) is None, "whatever is left goes too"
        await sound(kept)
        assert await kept.seal_anew() == 0
        await sound(kept)

    async def test_entries_are_plain(self, kept: KeepsHistory) -> None:
        assert await kept.list_entries(EVERYWHERE) == list[Entry]()
        assert await kept.heads() == {}
        await sound(kept)
