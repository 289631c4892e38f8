"""A deleted or edited turn reaches what was made from it; what rests on something else, or is a client's, stays."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memhost.host import Host
from memhost.memories.repetition import STALE
from memhost.models import MemoryRecord, Scope, SessionKey, WriteBatch
from memhost.ports import Draft
from tests.support.extractions import derived, extractions, fresh_lines, host_with_model, item, settled
from tests.support.hosts import bound_to, run, running_host
from tests.support.model_server import Call, ModelServer

STORES = pytest.mark.parametrize("storage", ["memory", "sqlite", "redis"], indirect=True)
Items = Mapping[str, list[dict[str, Any]]]


@pytest.fixture
def storage(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings that choose a store."""
    space = request.getfixturevalue("redis_part").environment() if request.param == "redis" else {}
    return {"STORE": request.param, **space}


def notes(items: Items, updates: Mapping[str, str] | None = None) -> Any:
    """A rule of the model: the memories of each word that it reads, and the pairs in which a newer text replaces."""

    def rule(call: Call) -> Any:
        if "<pairs>" in call.prompt:
            pairs = [json.loads(line) for line in call.prompt.splitlines() if line.startswith('{"pair": ')]
            return {
                "verdicts": [
                    {"pair": pair["pair"], "verdict": _verdict(pair, updates or {}), "text": None} for pair in pairs
                ]
            }
        lines = fresh_lines(call)
        return {"memories": [entry for word, entries in items.items() if word in lines for entry in entries]}

    return rule


def _verdict(pair: dict[str, Any], updates: Mapping[str, str]) -> str:
    return "update" if updates.get(pair["newer"]["text"]) == pair["older"]["text"] else "distinct"


def says(message_id: str, text: str) -> dict[str, Any]:
    day = int("".join(sign for sign in message_id if sign.isdigit()) or 1)
    return {"id": message_id, "role": "user", "content": text, "created_at": f"2026-03-{day:02d}T10:00:00Z"}


async def put(host: Host, *messages: dict[str, Any], session: str = "s", user: str = "u") -> None:
    await run(host, "put_session", session_id=session, user_id=user, messages=list(messages))
    await settled(host, session, user_id=user)


async def texts(host: Host, user: str = "u") -> list[str]:
    return sorted(each.text for each in await derived(host, user_id={"eq": user}))


async def stored(host: Host) -> dict[str, MemoryRecord]:
    """Everything by its text, replaced facts too."""
    found, _ = await host.store.list_memories(Scope(), limit=1000)
    return {each.record.text: each.record for each in found}


async def unsupported(host: Host) -> list[str]:
    trash = await run(host, "list_trash")
    return sorted(each.text for each in trash.memories if each.reason == "unsupported")


async def delete(host: Host, *ids: str, **caller: Any) -> None:
    await run(host, "delete_memories", *caller.values(), memory_ids=list(ids))


@asynccontextmanager
async def opened(models: ModelServer, folder: Path, items: Items, **options: Any) -> AsyncIterator[Host]:
    models.answer(notes(items, options.pop("updates", None)))
    settings = {"DEDUPLICATION_DISTANCE_THRESHOLD": "2", **options.pop("settings", {"STORE": "memory"})}
    async with host_with_model(models, folder, settings=settings, **options) as host:
        yield host


GHENT = "User lives in Ghent."
BRUGES = "User lives in Bruges."
ROME = "User lives in Rome."
HOMES: Items = {
    "Ghent": [item(GHENT, "m1")],
    "Bruges": [item(BRUGES, "m2")],
    "Rome": [item(ROME, "m3")],
}


# -- what follows ------------------------------------------------------------------------------------------------


@STORES
async def test_what_a_deleted_turn_alone_said_goes_to_the_trash(
    models: ModelServer, tmp_path: Path, storage: dict[str, str]
) -> None:
    items = {"Ghent": [item(GHENT, "m1")], "both": [item("User has a cat.", "m1", "m2")]}
    async with opened(models, tmp_path, items, settings=storage) as host:
        await put(host, says("m1", "Ghent both"), says("m2", "both"))
        await delete(host, "m1")
        assert await texts(host) == ["User has a cat."]
        assert await unsupported(host) == [GHENT]
        (cat,) = await derived(host)
        assert (cat.source_ids, cat.extracted_from) == (["m2"], ["m2"])
        await delete(host, "m2")
        assert await texts(host) == []
        assert await unsupported(host) == ["User has a cat.", GHENT]


@STORES
async def test_what_a_withdrawn_fact_replaced_is_again_exactly_as_it_was(
    models: ModelServer, tmp_path: Path, storage: dict[str, str]
) -> None:
    async with opened(models, tmp_path, HOMES, updates={BRUGES: GHENT}, settings=storage) as host:
        await put(host, says("m1", "Ghent"))
        before = (await stored(host))[GHENT]
        await put(host, says("m1", "Ghent"), says("m2", "Bruges"))
        assert (await stored(host))[GHENT].superseded_by is not None
        await delete(host, "m2")
        assert await texts(host) == [GHENT]
        after = (await stored(host))[GHENT]
        ignored = {"access_count": 0, "last_accessed": before.last_accessed}
        assert msgspec.structs.replace(after, **ignored) == msgspec.structs.replace(before, **ignored)


async def test_an_edit_that_takes_a_fact_back_gives_back_what_it_replaced(models: ModelServer, tmp_path: Path) -> None:
    async with opened(models, tmp_path, HOMES, updates={BRUGES: GHENT}) as host:
        await put(host, says("m1", "Ghent"))
        await put(host, says("m1", "Ghent"), says("m2", "Bruges"))
        assert await texts(host) == [BRUGES]
        await put(host, says("m1", "Ghent"), says("m2", "Sorry, wrong chat"))
        assert await texts(host) == [GHENT]


async def test_what_replaced_a_withdrawn_fact_takes_its_place_in_the_chain(models: ModelServer, tmp_path: Path) -> None:
    async with opened(models, tmp_path, HOMES, updates={BRUGES: GHENT, ROME: BRUGES}) as host:
        for number in (1, 2, 3):
            await put(host, *[says("m1", "Ghent"), says("m2", "Bruges"), says("m3", "Rome")][:number])
        assert await texts(host) == [ROME]
        known = await stored(host)
        await delete(host, "m2")
        after = await stored(host)
        assert BRUGES not in after
        assert after[GHENT].superseded_by == after[GHENT].metadata["superseded_by"] == known[ROME].id
        assert after[GHENT].valid_to == known[BRUGES].valid_to
        await delete(host, "m3")
        assert await texts(host) == [GHENT]


async def test_a_memory_with_sources_in_two_sessions_goes_with_the_last(models: ModelServer, tmp_path: Path) -> None:
    items = {"first": [item("User has a cat.", "m1")], "second": [item("User has a cat.", "m2")]}
    async with opened(models, tmp_path, items) as host:
        await put(host, says("m1", "first"))
        await put(host, says("m2", "second"), session="t")
        (cat,) = await derived(host)
        assert sorted(cat.source_ids) == ["m1", "m2"]
        await delete(host, "m2")
        (cat,) = await derived(host)
        assert cat.source_ids == ["m1"]
        await delete(host, "m1")
        assert await texts(host) == []


DOG, REX, BOTH = "User has a dog.", "User's dog is called Rex.", "User has a dog called Rex."


@pytest.mark.parametrize(
    ("verdict", "deleted", "text", "stale"),
    [
        ("merge", "m2", BOTH, True),
        ("merge", "m1", BOTH, True),
        ("same", "m2", REX, True),
        ("same", "m1", REX, False),
    ],
)
async def test_a_merged_text_that_says_more_than_its_sources_is_marked(
    models: ModelServer, tmp_path: Path, verdict: str, deleted: str, text: str, stale: bool
) -> None:
    items = {"dog": [item(DOG, "m1")], "Rex": [item(REX, "m2")]}

    def rule(call: Call) -> Any:
        if "<pairs>" in call.prompt:
            return {"verdicts": [{"pair": 1, "verdict": verdict, "text": BOTH if verdict == "merge" else None}]}
        return notes(items)(call)

    async with opened(models, tmp_path, {}) as host:
        models.answer(rule)
        await put(host, says("m1", "a dog"))
        await put(host, says("m1", "a dog"), says("m2", "Rex"))
        assert await texts(host) == [text]
        await delete(host, deleted)
        (merged,) = await derived(host)
        assert (merged.text, merged.source_ids) == (text, [{"m1": "m2", "m2": "m1"}[deleted]])
        assert (STALE in merged.metadata) == stale


async def test_a_deleted_turn_that_waits_is_not_read_any_more(models: ModelServer, tmp_path: Path) -> None:
    async with opened(models, tmp_path, HOMES, run_jobs=False) as host:
        await run(
            host, "put_session", session_id="s", user_id="u", messages=[says("m1", "Ghent"), says("m2", "Bruges")]
        )
        await delete(host, "m1")
        view = await run(host, "get_session", session_id="s", user_id="u")
        assert view.extraction.pending == 1


SUMMARY = {"strategy": "summary"}


async def test_a_summary_is_made_anew_without_a_deleted_turn(models: ModelServer, tmp_path: Path) -> None:
    def rule(call: Call) -> Any:
        known = call.prompt[call.prompt.find("<reference>") :]
        told = [word for word in ("Ghent", "Bruges", "Rome") if word in known]
        return {"memories": [{"text": "Discussed: " + ", ".join(told) + "."}]}

    models.answer(rule)
    async with host_with_model(models, tmp_path, store="memory") as host:
        turns = [says("m1", "Ghent"), says("m2", "Bruges"), says("m3", "Rome")]
        fields = {"session_id": "s", "user_id": "u", "long_term_memory_strategy": SUMMARY}
        await run(host, "put_session", messages=turns, **fields)
        await settled(host, "s", user_id="u")
        assert await texts(host) == ["Discussed: Ghent, Bruges, Rome."]
        await delete(host, "m2")
        await settled(host, "s", user_id="u")
        (summary,) = await derived(host)
        assert (summary.text, summary.source_ids) == ("Discussed: Ghent, Rome.", ["m1", "m3"])
        assert STALE not in summary.metadata
        turns[0] = says("m1", "Vienna")
        await run(host, "put_session", messages=turns, **fields)
        await settled(host, "s", user_id="u")
        assert await texts(host) == ["Discussed: Rome."]


async def test_results_of_views_are_marked_until_they_are_computed_again(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        for user in ("u", "v"):
            await run(
                host, "create_memories", memories=[{"id": f"{user}1", "text": f"{user} likes tea", "user_id": user}]
            )
        view = await run(host, "create_summary_view", source="long_term", group_by=["user_id"])
        for user in ("u", "v"):
            await run(host, "run_summary_view_partition", view_id=view.id, group={"user_id": user})

        async def stale() -> dict[str, bool]:
            results = await run(host, "list_summary_view_partitions", view_id=view.id)
            return {result.group["user_id"]: result.stale for result in results}

        assert await stale() == {"u": False, "v": False}
        await run(host, "edit_memory", memory_id="u1", text="u likes coffee")
        assert await stale() == {"u": True, "v": False}
        await run(host, "run_summary_view_partition", view_id=view.id, group={"user_id": "u"})
        assert await stale() == {"u": False, "v": False}
        await delete(host, "v1")
        assert await stale() == {"u": False, "v": True}


async def plugin_made(host: Host, text: str, *sources: str, pinned: bool = False) -> str:
    """A memory as a plugin's job makes one of other memories."""
    from memhost.memories.records import index_records, record_from_draft

    now = host.clock.now()
    draft = Draft(text=text, source_ids=list(sources))
    record = record_from_draft(draft, SessionKey("default", "", "u", ""), f"by-plugin-{text}", "acme/1", now)
    record.pinned = pinned
    await host.store.commit(Scope(), WriteBatch(put_memories=await index_records([record], host.embedder)))
    return record.id


async def test_what_a_plugin_made_of_memories_follows_them(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        for name in ("one", "two"):
            await run(host, "create_memories", memories=[{"id": name, "text": f"fact {name}", "user_id": "u"}])
        of_one, of_both = await plugin_made(host, "of one", "one"), await plugin_made(host, "of both", "one", "two")
        await plugin_made(host, "of that", of_one)
        kept = await plugin_made(host, "pinned", "one", pinned=True)
        await run(host, "edit_memory", memory_id="one", text="another fact")
        assert STALE in (await run(host, "get_memory", memory_id=of_both)).metadata
        assert STALE not in (await run(host, "get_memory", memory_id=kept)).metadata
        await delete(host, "one")
        assert await unsupported(host) == ["of one", "of that"]
        assert (await run(host, "get_memory", memory_id=of_both)).source_ids == ["two"]
        assert (await run(host, "get_memory", memory_id=kept)).text == "pinned"


async def test_the_text_of_a_turn_that_is_edited_in_long_term_memory_is_read_again(
    models: ModelServer, tmp_path: Path
) -> None:
    items = {"Ghent": [item(GHENT, "m1")], "Bruges": [item(BRUGES, "m1")]}
    async with opened(models, tmp_path, items) as host:
        await put(host, says("m1", "I live in Ghent"))
        await run(host, "edit_memory", memory_id="m1", text="user: I live in Bruges")
        await settled(host, "s", user_id="u")
        assert await texts(host) == [BRUGES]


@STORES
@pytest.mark.parametrize("indexed", ["true", "false"])
async def test_a_session_is_deleted_with_its_memories(
    models: ModelServer, tmp_path: Path, storage: dict[str, str], indexed: str
) -> None:
    items = {**HOMES, "first": [item("User has a cat.", "m1")], "second": [item("User has a cat.", "m4")]}
    settings = {**storage, "INDEX_ALL_MESSAGES": indexed}
    async with opened(models, tmp_path, items, settings=settings) as host:
        await run(host, "create_memories", memories=[{"id": "own", "text": "A.", "user_id": "u", "session_id": "s"}])
        await put(host, says("m1", "first Ghent"), says("m2", "Bruges"))
        await put(host, says("m4", "second"), session="t")
        await put(host, says("m1", "Ghent"), user="v")
        await run(host, "delete_session", session_id="s", user_id="u", with_memories=True)
        assert await texts(host) == ["A.", "User has a cat."]
        assert await texts(host, "v") == [GHENT]
        assert await unsupported(host) == sorted([GHENT, BRUGES])
        turns = sorted(text for text in await stored(host) if text.startswith("user: "))
        assert turns == (["user: Ghent", "user: second"] if indexed == "true" else [])
        (cat,) = [each for each in await derived(host) if each.text == "User has a cat."]
        assert cat.source_ids == ["m4"]


# -- what stays as it is -----------------------------------------------------------------------------------------


@STORES
async def test_what_is_pinned_changed_repeated_or_stored_by_a_client_stays(
    models: ModelServer, tmp_path: Path, storage: dict[str, str]
) -> None:
    kinds = ("pinned", "edited", "repeated", "other")
    items = {kind: [item(f"User has a {kind} thing.", "m1")] for kind in kinds}
    async with opened(models, tmp_path, items, settings=storage) as host:
        await run(host, "create_memories", memories=[{"id": "own", "text": "User has a boat.", "user_id": "u"}])
        await put(host, says("m1", " ".join(kinds)))
        ids = {each.text.split()[-2]: each.id for each in await derived(host) if each.extractor}
        await run(host, "edit_memory", memory_id=ids["pinned"], pinned=True)
        await run(host, "edit_memory", memory_id=ids["edited"], topics=["things"])
        await run(
            host, "create_memories", memories=[{"id": "mine", "text": "User has a repeated thing.", "user_id": "u"}]
        )
        cited = {"id": "cites", "text": "User cites m1.", "user_id": "u", "session_id": "s", "extracted_from": ["m1"]}
        await run(host, "create_memories", memories=[cited])
        before = {record.id: record for record in (await stored(host)).values()}
        await delete(host, "m1")
        after = {record.id: record for record in (await stored(host)).values()}
        gone = before.keys() - after.keys()
        assert gone == {"m1", ids["other"]}
        assert {name: before[name] for name in after} == after
        assert (await run(host, "get_memory", memory_id="mine")).text == "User has a repeated thing."


async def test_what_others_said_under_the_same_ids_stays(models: ModelServer, tmp_path: Path) -> None:
    """Ids of messages are unique in their session only."""
    async with opened(
        models, tmp_path, {"Ghent": [item(GHENT, "m1")], "boat": [item("User has a boat.", "m1")]}
    ) as host:
        await put(host, says("m1", "Ghent"))
        await put(host, says("m1", "boat"), session="t")
        await put(host, says("m1", "Ghent"), user="v")
        await delete(host, "m1")
        assert await texts(host) == ["User has a boat."]
        assert await texts(host, "v") == [GHENT]


async def test_a_memory_of_two_sessions_is_not_taken_for_another_sessions(models: ModelServer, tmp_path: Path) -> None:
    """Where its own session holds a message of that id, the source is that one."""
    items = {"first": [item("User has a cat.", "m1", "m2")], "second": [item("User has a dog.", "m2")]}
    async with opened(models, tmp_path, items) as host:
        await put(host, says("m1", "first"), says("m2", "hm"))
        await put(host, says("m2", "second"), session="t")
        dog = next(each for each in await derived(host) if each.session_id == "t")
        (turn,) = [each for each in (await stored(host)).values() if each.text == "user: second"]
        await delete(host, turn.id)
        assert await texts(host) == ["User has a cat."]
        (cat,) = await derived(host)
        assert cat.source_ids == ["m1", "m2"]
        assert dog.text in await unsupported(host)


async def test_the_deletion_of_a_fact_brings_nothing_back(models: ModelServer, tmp_path: Path) -> None:
    """Whoever deletes a fact does not say that the one before it holds again."""
    async with opened(models, tmp_path, HOMES, updates={BRUGES: GHENT}) as host:
        await put(host, says("m1", "Ghent"))
        await put(host, says("m1", "Ghent"), says("m2", "Bruges"))
        known = await stored(host)
        await delete(host, known[BRUGES].id)
        assert await texts(host) == []
        assert (await stored(host))[GHENT] == known[GHENT]


async def test_a_fact_that_something_else_replaced_stays_replaced(models: ModelServer, tmp_path: Path) -> None:
    items = {**HOMES, "boat": [item("User has a boat.", "m4")]}
    async with opened(models, tmp_path, items, updates={BRUGES: GHENT}) as host:
        await put(host, says("m1", "Ghent"))
        await put(host, says("m1", "Ghent"), says("m2", "Bruges"), says("m4", "boat"))
        known = await stored(host)
        await delete(host, "m4")
        assert (await stored(host))[GHENT] == known[GHENT]


async def test_a_fact_that_another_turn_supports_goes_on_replacing(models: ModelServer, tmp_path: Path) -> None:
    items = {"Ghent": [item(GHENT, "m1")], "Bruges": [item(BRUGES, "m2", "m3")]}
    async with opened(models, tmp_path, items, updates={BRUGES: GHENT}) as host:
        await put(host, says("m1", "Ghent"))
        await put(host, says("m1", "Ghent"), says("m2", "Bruges"), says("m3", "yes, Bruges"))
        known = await stored(host)
        await delete(host, "m2")
        after = await stored(host)
        assert (after[BRUGES].source_ids, after[GHENT]) == (["m3"], known[GHENT])


@pytest.mark.parametrize("space", ["I live  in Ghent", " I live in Ghent", "I live in Ghent \n", "I live\nin\tGhent"])
async def test_an_edit_in_white_space_is_not_read_again(models: ModelServer, tmp_path: Path, space: str) -> None:
    async with opened(models, tmp_path, HOMES) as host:
        await put(host, says("m1", "I live in Ghent"))
        known, calls = await derived(host), len(extractions(models))
        models.answer(notes({}))
        await put(host, says("m1", space))
        view = await run(host, "get_session", session_id="s", user_id="u")
        assert [message.content for message in view.messages] == [space]
        assert [each.text for each in await derived(host)] == [each.text for each in known]
        assert len(extractions(models)) == calls
        await run(host, "edit_memory", memory_id="m1", text="user:  I live in  Ghent")
        assert (await run(host, "get_session", session_id="s", user_id="u")).extraction.pending == 0


async def test_white_space_in_a_turn_that_waits_leaves_it_waiting(models: ModelServer, tmp_path: Path) -> None:
    async with opened(models, tmp_path, HOMES, run_jobs=False) as host:
        for text in ("Ghent now", "Ghent  now"):
            await run(host, "put_session", session_id="s", user_id="u", messages=[says("m1", text)])
        assert (await run(host, "get_session", session_id="s", user_id="u")).extraction.pending == 1


async def test_other_turns_go_on_waiting(models: ModelServer, tmp_path: Path) -> None:
    async with opened(models, tmp_path, HOMES, run_jobs=False) as host:
        for session in ("s", "t"):
            await run(host, "put_session", session_id=session, user_id="u", messages=[says(f"{session}1", "Ghent")])
        await delete(host, "t1")
        view = await run(host, "get_session", session_id="s", user_id="u")
        assert view.extraction.pending == 1


async def test_messages_that_leave_the_window_stay_evidence(models: ModelServer, tmp_path: Path) -> None:
    """Clients send windows of their history: what they leave out is not deleted."""
    async with opened(models, tmp_path, HOMES) as host:
        await put(host, says("m1", "Ghent"), says("m2", "hm"), says("m3", "ok"))
        await put(host, says("m2", "hm"), says("m3", "ok"))
        await put(host, says("m3", "ok"))
        assert await texts(host) == [GHENT]
        await run(host, "delete_session", session_id="s", user_id="u")
        assert await texts(host) == [GHENT]


async def test_a_client_memory_with_the_id_of_a_message_is_no_turn(models: ModelServer, tmp_path: Path) -> None:
    async with opened(models, tmp_path, HOMES) as host:
        await run(
            host, "create_memories", memories=[{"id": "m1", "text": "A note.", "user_id": "u", "session_id": "t"}]
        )
        await put(host, says("m1", "Ghent"))
        await delete(host, "m1")
        assert await texts(host) == [GHENT]


async def test_a_deletion_outside_the_bounds_does_nothing(models: ModelServer, tmp_path: Path) -> None:
    async with opened(models, tmp_path, HOMES) as host:
        await put(host, says("m1", "Ghent"))
        known = await stored(host)
        await run(host, "delete_memories", bound_to(users=("v",)), memory_ids=["m1"])
        assert await stored(host) == known


async def test_a_caller_bound_to_a_session_reaches_what_was_made_of_its_turns(
    models: ModelServer, tmp_path: Path
) -> None:
    async with opened(models, tmp_path, HOMES) as host:
        await put(host, says("m1", "Ghent"))
        await run(host, "delete_memories", bound_to(sessions=("s",)), memory_ids=["m1"])
        assert await texts(host) == []


async def test_a_summary_of_other_turns_is_not_made_anew(models: ModelServer, tmp_path: Path) -> None:
    models.answer(lambda _call: {"memories": [{"text": "Ghent was discussed."}]})
    async with host_with_model(models, tmp_path, store="memory") as host:
        for session in ("s", "t"):
            turns = [says(f"{session}1", "Ghent"), says(f"{session}2", "Rome")]
            fields = {"session_id": session, "user_id": "u", "long_term_memory_strategy": SUMMARY}
            await run(host, "put_session", messages=turns, **fields)
            await settled(host, session, user_id="u")
        calls = len(extractions(models))
        known = {each.session_id: each for each in await derived(host)}
        await delete(host, "t1")
        await settled(host, "t", user_id="u")
        after = {each.session_id: each for each in await derived(host)}
        assert (after["s"].updated_at, after["s"].metadata) == (known["s"].updated_at, known["s"].metadata)
        assert len(extractions(models)) == calls + 1


async def test_views_that_do_not_see_a_memory_are_not_marked(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        for name, topics in (("a", ["tea"]), ("b", ["cats"])):
            await run(host, "create_memories", memories=[{"id": name, "text": name, "user_id": "u", "topics": topics}])
        about = {"topics": {"any": ["tea"]}}
        view = await run(host, "create_summary_view", source="long_term", group_by=["user_id"], filters=about)
        await run(host, "run_summary_view_partition", view_id=view.id, group={"user_id": "u"})
        await delete(host, "b")
        (result,) = await run(host, "list_summary_view_partitions", view_id=view.id)
        assert not result.stale
        await delete(host, "a")
        (result,) = await run(host, "list_summary_view_partitions", view_id=view.id)
        assert result.stale
