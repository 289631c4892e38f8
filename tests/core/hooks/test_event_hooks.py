"""Each event hook, one test a hook: what it is told, in which order, and what its answer does.

The plugins `a-first` and `b-second` implement every one of them.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from memhost.errors import Refused
from memhost.events import (
    Administered,
    ExtractionDue,
    HeadSigned,
    MemoriesDeleted,
    MemoriesHeld,
    MemoriesStored,
    MemoriesSuperseded,
    MemoriesUpdated,
    ReviewDecided,
    ScheduleDue,
    SessionIdle,
    SessionOverfull,
    SessionUpdated,
    VectorsMissing,
    ViewDue,
)
from memhost.host import Host
from memhost.models import SessionKey
from memhost.ports import Draft
from memhost.testing.clock import FakeClock
from memhost.testing.factories import after
from memhost.testing.polling import until
from tests.core.hooks.conftest import Plugins
from tests.support.dedup_hosts import SCOPE, judge, keep
from tests.support.hosts import ADMIN, run
from tests.support.reviews import approve
from tests.support.scripted import SCRIPT

pytestmark = pytest.mark.asyncio(loop_scope="module")

BOTH = ["a-first", "b-second"]

HELD = "Refunds under 500 EUR are approved without asking anyone."


def session(name: str) -> SessionKey:
    return SessionKey("default", "", "", name)


def said(*texts: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text, "id": f"m{number}"} for number, text in enumerate(texts)]


# -- in the request ------------------------------------------------------------------------------------------


async def test_before_session_write(host: Host, plugins: Plugins) -> None:
    async def shout(write: Any, context: Any) -> Any:
        write.content.messages[0].content += f" {context.subject}"
        return write

    async def whisper(write: Any, context: Any) -> Any:
        if "refuse" in write.content.messages[0].content:
            raise Refused("Not that.")
        write.content.messages[0].content += " second"
        write.session = session("another")
        return write

    plugins.does("b-second", "memhost_before_session_write", whisper)
    plugins.does("a-first", "memhost_before_session_write", shout)
    stored = await run(host, "put_session", session_id="write", messages=said("hello"))
    assert (stored.session_id, stored.messages[0].content) == ("write", "hello test second")
    with pytest.raises(Refused, match=r"Not that\. \(plugin b-second \(b-second-dist 6\.7\.8\)\)"):
        await run(host, "put_session", session_id="refused", messages=said("refuse this"))
    assert "refused" not in (await run(host, "list_sessions")).sessions


async def test_before_memories_stored(host: Host, plugins: Plugins) -> None:
    async def leave_out(memories: Any, context: Any) -> Any:
        return [memory for memory in memories if memory.id != "out"]

    async def change(memories: Any, context: Any) -> Any:
        for memory in memories:
            memory.text, memory.user_id = f"{len(memories)} {memory.text}", memory.user_id
        return [*memories, *memories]

    plugins.does("a-first", "memhost_before_memories_stored", leave_out)
    plugins.does("b-second", "memhost_before_memories_stored", change)
    await run(host, "create_memories", memories=[{"id": "in", "text": "kept"}, {"id": "out", "text": "left out"}])
    assert (await run(host, "get_memory", memory_id="in")).text == "1 kept"
    assert await host.store.get_memories(SCOPE, ["out"]) == []


async def test_hooks_lower_trust_and_never_raise_it(host: Host, plugins: Plugins) -> None:
    async def of_a_page(memories: Any, context: Any) -> Any:
        for memory in memories:
            memory.trust = {"page": "external", "none": None}.get(memory.id, "operator")
        return memories

    async def in_a_session(write: Any, context: Any) -> Any:
        for message in write.content.messages:
            message.trust = "external" if "page" in message.content else "operator"
        own = {"role": "user", "content": "a turn of the plugin", "id": "own", "created_at": after(0), "trust": "user"}
        return {
            "session": write.session,
            "content": {**structs.asdict(write.content), "messages": [*write.content.messages, own]},
        }

    plugins.does("a-first", "memhost_before_memories_stored", of_a_page)
    memories = [{"id": name, "text": f"{name} says so", "user_id": "lo"} for name in ("page", "none", "mine")]
    await run(host, "create_memories", memories=memories)
    levels = [(await run(host, "get_memory", memory_id=name)).trust for name in ("page", "none", "mine")]
    assert levels == ["external", "agent", "agent"]
    plugins.does("b-second", "memhost_before_session_write", in_a_session)
    turns = [*said("from a page", "said"), {"role": "tool", "content": "put out", "id": "t"}]
    stored = await run(host, "put_session", session_id="low", user_id="lo", messages=turns)
    told = await run(host, "get_session", session_id="low", user_id="lo")
    assert len(stored.messages) == 4
    assert [message.trust for message in told.messages] == ["external", "user", "tool", "agent"]


async def test_before_search(host: Host, plugins: Plugins) -> None:
    await run(host, "create_memories", memories=[{"id": "car", "text": "Ann drives an old car"}])

    async def correct(search: Any, context: Any) -> Any:
        assert search.text == "autmobile"
        search.text = "automobile"
        return search

    async def translate(search: Any, context: Any) -> Any:
        assert search.text == "automobile"
        search.text, search.limit, search.mode = "car", 1, "semantic"
        return search

    plugins.does("a-first", "memhost_before_search", correct)
    plugins.does("b-second", "memhost_before_search", translate)
    found = await run(host, "search_memories", text="autmobile", search_mode="keyword", limit=10)
    assert [(hit.id, hit.score_type) for hit in found.memories] == [("car", "keyword")]


async def test_after_search(host: Host, plugins: Plugins) -> None:
    texts = {"a": "a secret boat", "b": "the other boat", "c": "a third boat"}
    await run(host, "create_memories", memories=[{"id": f"after-{key}", "text": text} for key, text in texts.items()])

    async def redact(hits: Any, search: Any, context: Any) -> Any:
        assert search.text == "boat"
        for hit in hits:
            hit.text = hit.text.replace("secret", "[redacted]")
        return sorted(hits, key=lambda hit: hit.id, reverse=True)

    async def drop(hits: Any, search: Any, context: Any) -> Any:
        strange = type(hits[0])(
            id="strange", text="x", last_accessed=context.now, created_at=context.now, updated_at=context.now
        )
        return [*[hit for hit in hits if hit.id != "after-b"], strange]

    plugins.does("a-first", "memhost_after_search", redact)
    plugins.does("b-second", "memhost_after_search", drop)
    found = await run(host, "search_memories", text="boat", search_mode="keyword")
    assert [(hit.id, hit.text) for hit in found.memories] == [
        ("after-c", "a third boat"),
        ("after-a", "a [redacted] boat"),
    ]
    assert (await run(host, "get_memory", memory_id="after-a")).text == texts["a"]


# -- in the background ---------------------------------------------------------------------------------------


async def test_session_updated(host: Host, plugins: Plugins) -> None:
    async def note(event: Any, context: Any) -> None:
        known = await context.get_session(event.session)
        context.put_document(f"{event.session.session}-{event.version}", known.messages[-1].content.encode())

    plugins.does("a-first", "memhost_session_updated", note)
    await run(host, "put_session", session_id="updated", messages=said("one", "two"))
    for (plugin, event, _), name in zip(await plugins.events(SessionUpdated), BOTH, strict=True):
        assert (plugin, event) == (
            name,
            SessionUpdated(session=session("updated"), version=1, message_ids=("m0", "m1")),
        )

    async def kept() -> bool:
        document = await host.store.get_document(SCOPE, "plugin:a-first", "updated-1", host.clock.now())
        return document is not None and document.body == b"two"

    await until(kept)


async def test_session_idle(host: Host, plugins: Plugins, clock: FakeClock) -> None:
    await run(host, "put_session", session_id="idle", messages=said("hello"))
    await plugins.events(SessionUpdated)
    assert not [event for _, given in plugins.heard if isinstance(event := given.get("event"), SessionIdle)]
    clock.advance(host.settings.memory.session_idle_s + 1)

    async def told() -> bool:
        idle = [given["event"].session for _, given in plugins.heard if isinstance(given.get("event"), SessionIdle)]
        return idle.count(session("idle")) == len(BOTH)

    await until(told)


async def test_extraction_due(host: Host, plugins: Plugins) -> None:
    async def extract(event: Any, context: Any) -> None:
        assert await context.run("extract", session=event.session) == 0

    plugins.does("a-first", "memhost_extraction_due", extract)
    SCRIPT.rule = lambda _: '{"memories": []}'
    await run(host, "put_session", session_id="due", messages=said("I live in Oslo."))
    found = await plugins.events(ExtractionDue)
    assert [(plugin, event.session) for plugin, event, _ in found] == [(name, session("due")) for name in BOTH]

    async def extracted() -> bool:
        view = await run(host, "get_session", session_id="due")
        return [message.discrete_memory_extracted for message in view.messages] == ["t"]

    await until(extracted)


async def test_session_overfull(host: Host, plugins: Plugins) -> None:
    long = said(*(f"{number} " + "word " * 200 for number in range(8)))
    await run(host, "put_session", session_id="full", messages=long, context_window_max=1000)
    for plugin, event, context in await plugins.events(SessionOverfull):
        assert plugin in BOTH
        assert (event.session, event.window, context.attempt) == (session("full"), 1000, 1)


async def test_memories_stored(host: Host, plugins: Plugins) -> None:
    async def derive(event: Any, context: Any) -> None:
        for record in await context.get_memories(event.ids):
            if record.topics == ["again"]:
                await context.store_memories(
                    session("derived"), [Draft(text=f"from {record.id}", source_ids=[record.id])]
                )

    plugins.does("b-second", "memhost_memories_stored", derive)
    await run(host, "create_memories", memories=[{"id": "s1", "text": "a new memory", "topics": ["again"]}])
    found = await plugins.events(MemoriesStored, 4)
    assert [event.ids for _, event, _ in found].count(("s1",)) == 2
    assert all(event.tenant == "default" for _, event, _ in found)
    (derived,) = {event.ids for _, event, _ in found} - {("s1",)}
    record = await run(host, "get_memory", memory_id=derived[0])
    assert (record.text, record.source_ids, record.extractor) == ("from s1", ["s1"], "b-second/6.7.8")
    assert record.trust == "agent"


async def test_what_a_plugin_makes_is_trusted_as_the_least_of_its_sources(host: Host, plugins: Plugins) -> None:
    async def derive(event: Any, context: Any) -> None:
        if "low1" in event.ids:
            draft = Draft(id="made", text="of both", source_ids=["low1", "high1", "gone"])
            await context.store_memories(session("levels"), [draft])

    await keep(host, "high1", "said by the user", trust="user")
    plugins.does("b-second", "memhost_memories_stored", derive)
    tool = structs.replace(ADMIN, channel="tool")
    await run(host, "create_memories", tool, memories=[{"id": "low1", "text": "a tool says so", "user_id": "lv"}])
    await plugins.events(MemoriesStored, 4)
    assert (await run(host, "get_memory", memory_id="made")).trust == "tool"


async def test_memories_updated(host: Host, plugins: Plugins) -> None:
    await run(host, "create_memories", memories=[{"id": "u1", "text": "old"}])
    await plugins.events(MemoriesStored)
    await run(host, "edit_memory", memory_id="u1", text="new")
    for plugin, event, context in await plugins.events(MemoriesUpdated):
        assert (plugin in BOTH, event) == (True, MemoriesUpdated(tenant="default", ids=("u1",)))
        assert [record.text for record in await context.get_memories(event.ids)] == ["new"]


async def test_memories_superseded(host: Host, plugins: Plugins) -> None:
    # Other tests of the module have left memories here, and of those nothing is said.
    SCRIPT.rule = judge(lambda older, newer: "update" if "Rex" in older and "Rex" in newer else "distinct")
    await keep(host, "old-fact", "Rex is a big brown dog.")
    await keep(host, "new-fact", "Rex is a small brown dog.", created_at=after(9))
    await host.services.compaction.apply(SCOPE)
    for _, event, context in await plugins.events(MemoriesSuperseded):
        assert event == MemoriesSuperseded(tenant="default", ids=("old-fact",))
        assert [record.superseded_by for record in await context.get_memories(event.ids)] == ["new-fact"]


async def test_memories_deleted(host: Host, plugins: Plugins) -> None:
    await run(host, "create_memories", memories=[{"id": "d1", "text": "soon gone"}])
    await run(host, "delete_memories", memory_ids=["d1"])
    for plugin, event, context in await plugins.events(MemoriesDeleted):
        assert (plugin in BOTH, event.ids) == (True, ("d1",))
        assert await context.get_memories(event.ids) == []


async def test_memories_held(host: Host, plugins: Plugins) -> None:
    await run(host, "create_memories", memories=[{"id": "h1", "text": HELD}])
    for plugin, event, context in await plugins.events(MemoriesHeld):
        assert (plugin in BOTH, event.ids) == (True, ("h1",))
        assert await context.get_memories(event.ids) == []


async def test_review_decided(host: Host, plugins: Plugins) -> None:
    await run(host, "create_memories", memories=[{"id": "h1", "text": HELD}])
    await approve(host, "h1")
    for plugin, event, context in await plugins.events(ReviewDecided):
        assert (plugin in BOTH, event.memory_id, event.decision) == (True, "h1", "approved")
        assert [record.text for record in await context.get_memories(["h1"])] == [HELD]


async def test_vectors_missing(host: Host, plugins: Plugins) -> None:
    async def embed(event: Any, context: Any) -> None:
        await context.run("embed", ids=event.ids)

    async def look(event: Any, context: Any) -> None:
        await context.run("request_vectors")

    plugins.does("a-first", "memhost_memories_stored", look)
    plugins.does("b-second", "memhost_vectors_missing", embed)
    await run(host, "create_memories", memories=[{"id": "v1", "text": "without a vector"}])
    assert any("v1" in event.ids for _, event, _ in await plugins.events(VectorsMissing))

    async def embedded() -> bool:
        (memory,) = await host.store.get_memories(SCOPE, ["v1"])
        return memory.vector is not None

    await until(embedded)


async def test_view_due(host: Host, plugins: Plugins) -> None:
    async def refresh(event: Any, context: Any) -> None:
        await context.run("refresh_view", view_id=event.view_id, task_id=event.task_id)

    plugins.does("b-second", "memhost_view_due", refresh)
    SCRIPT.rule = lambda _: "a summary"
    view = await run(host, "create_summary_view", name="all", source="long_term", group_by=[], filters={})
    task = await run(host, "run_summary_view", view_id=view.id)
    for _, event, _ in await plugins.events(ViewDue):
        assert (event.tenant, event.view_id) == ("default", view.id)
        assert event.task_id.startswith(f"{task.id}@"), "named with its owner"

    async def done() -> bool:
        return bool((await run(host, "get_task", task_id=task.id)).status == "success")

    await until(done)


async def test_schedule_due(host: Host, plugins: Plugins, clock: FakeClock) -> None:
    clock.advance(86_400)
    found = await plugins.events(ScheduleDue)
    assert [(plugin, event.name) for plugin, event, _ in found] == [(name, f"{name}-daily") for name in BOTH]


async def test_administered(host: Host, plugins: Plugins) -> None:
    await run(host, "delete_user", user_id="ann")
    for plugin, event, _ in await plugins.events(Administered):
        assert plugin in BOTH
        told = (event.tenant, event.subject, event.action, event.target, event.request_id)
        assert told == ("default", "test", "delete_user", "ann", "test")


async def test_head_signed(host: Host, plugins: Plugins) -> None:
    await run(host, "create_memories", memories=[{"id": "chained", "text": "the chain grows"}])
    (entry, *_) = (await run(host, "list_changes", memory_id="chained")).changes

    async def told() -> bool:
        reached = {
            plugin
            for plugin, given in plugins.heard
            if isinstance(event := given.get("event"), HeadSigned) and event.seq >= entry.seq
        }
        return reached == set(BOTH)

    await until(told)
    event = next(given["event"] for _, given in reversed(plugins.heard) if isinstance(given.get("event"), HeadSigned))
    told_of = await run(host, "list_changes", after=event.seq - 1, oldest_first=True, limit=1)
    assert (event.tenant, told_of.changes[0].link) == ("default", event.link)
    assert (await run(host, "check_certificate", certificate=structs.asdict(event))).valid
