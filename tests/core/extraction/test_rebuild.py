"""Rebuilding: what strategies made is made again from the turns; everything else stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memhost.errors import Forbidden, InvalidRequest
from memhost.extraction.pipeline.answer_journal import AnswerJournal
from memhost.host import Host
from memhost.models import SessionKey
from memhost.ports import Completion
from memhost.testing.polling import until
from tests.core.memories.test_cascade import (
    BRUGES,
    GHENT,
    HOMES,
    SUMMARY,
    delete,
    notes,
    opened,
    put,
    says,
    stored,
    texts,
)
from tests.support.extractions import derived, extractions, host_with_model, item, settled
from tests.support.hosts import bound_to, run, running_host
from tests.support.model_server import Call, ModelServer, failure

STORES = pytest.mark.parametrize("storage", ["memory", "sqlite", "redis"], indirect=True)
PARIS = "User lives in Paris."
BETTER = {"Ghent": [item("User lives in Ghent, Belgium.", "m1")], "Bruges": [item(PARIS, "m2")]}


@pytest.fixture
def storage(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings that choose a store."""
    space = request.getfixturevalue("redis_part").environment() if request.param == "redis" else {}
    return {"STORE": request.param, **space}


async def rebuilt(host: Host, **fields: Any) -> Any:
    return (await run(host, "rebuild_memories", **fields)).report


async def trashed(host: Host) -> list[str]:
    return sorted(each.text for each in (await run(host, "list_trash")).memories if each.reason == "rebuilt")


@STORES
async def test_memories_are_made_again_from_the_turns(
    models: ModelServer, tmp_path: Path, storage: dict[str, str]
) -> None:
    async with opened(models, tmp_path, HOMES, settings=storage) as host:
        await put(host, says("m1", "Ghent"), says("m2", "Bruges"))
        models.answer(notes(BETTER))
        planned = await rebuilt(host, user_id="u", dry_run=True)
        assert (planned.sessions, planned.turns, planned.removed, planned.kept, planned.dry_run) == (1, 2, 2, 0, True)
        assert await texts(host) == sorted([GHENT, BRUGES])
        report = await rebuilt(host, user_id="u")
        assert (report.sessions, report.turns, report.removed, report.kept) == (1, 2, 2, 0)
        await settled(host, "s", user_id="u")
        assert await texts(host) == ["User lives in Ghent, Belgium.", PARIS]
        assert await trashed(host) == sorted([GHENT, BRUGES])


async def test_a_replaced_fact_is_made_again_with_what_replaced_it(models: ModelServer, tmp_path: Path) -> None:
    long = says("m1", "Ghent. " + "I walk along the canals and count the boats. " * 80)  # as much as is worth a call
    async with opened(models, tmp_path, HOMES, updates={BRUGES: GHENT}) as host:
        await put(host, long)
        await put(host, long, says("m2", "Bruges"))
        report = await rebuilt(host, user_id="u")
        assert report.removed == 2
        await settled(host, "s", user_id="u")
        assert await texts(host) == [BRUGES]
        assert (await stored(host))[GHENT].superseded_by is not None


async def test_turns_of_a_session_that_is_gone_are_read_as_they_are_kept(models: ModelServer, tmp_path: Path) -> None:
    async with opened(models, tmp_path, HOMES) as host:
        await put(host, says("m1", "Ghent"))
        await run(host, "delete_session", session_id="s", user_id="u")
        models.answer(notes(BETTER))
        assert (await rebuilt(host, user_id="u")).removed == 1

        async def there() -> bool:
            return await texts(host) == ["User lives in Ghent, Belgium."]

        await until(there, limit_s=30)


async def test_a_summary_is_written_again(models: ModelServer, tmp_path: Path) -> None:
    texts_of = iter(["First summary.", "Second summary."])

    def rule(_call: Call) -> Any:
        return {"memories": [{"text": next(texts_of)}]}

    models.answer(rule)
    async with host_with_model(models, tmp_path, store="memory") as host:
        fields = {"session_id": "s", "user_id": "u", "long_term_memory_strategy": SUMMARY}
        await run(host, "put_session", messages=[says("m1", "Ghent"), says("m2", "Rome")], **fields)
        await settled(host, "s", user_id="u")
        assert (await rebuilt(host, user_id="u")).removed == 1
        await settled(host, "s", user_id="u")
        (summary,) = await derived(host)
        assert (summary.text, summary.source_ids) == ("Second summary.", ["m1", "m2"])


@STORES
async def test_what_is_pinned_edited_repeated_or_stored_by_clients_stays(
    models: ModelServer, tmp_path: Path, storage: dict[str, str]
) -> None:
    kinds = ("pinned", "edited", "repeated")
    items = {kind: [item(f"User has a {kind} thing.", "m1")] for kind in kinds}
    async with opened(models, tmp_path, items, settings=storage) as host:
        own = {"id": "own", "text": "User has a boat.", "user_id": "u", "session_id": "s"}
        await run(host, "create_memories", memories=[own])
        await put(host, says("m1", " ".join(kinds)))
        ids = {each.text.split()[-2]: each.id for each in await derived(host) if each.extractor}
        await run(host, "edit_memory", memory_id=ids["pinned"], pinned=True)
        await run(host, "edit_memory", memory_id=ids["edited"], topics=["things"])
        mine = {"id": "mine", "text": "User has a repeated thing.", "user_id": "u"}
        await run(host, "create_memories", memories=[mine])
        known = await texts(host)
        models.answer(notes({}))
        report = await rebuilt(host, user_id="u")
        assert (report.removed, report.kept) == (0, 4)
        await settled(host, "s", user_id="u")
        assert await texts(host) == known
        assert "user: pinned edited repeated" in await stored(host)


async def test_what_rests_on_turns_that_are_not_kept_stays(models: ModelServer, tmp_path: Path) -> None:
    settings = {"STORE": "memory", "EXTRACTED_TURNS": "prune"}
    async with opened(models, tmp_path, HOMES, settings=settings) as host:
        await put(host, says("m1", "Ghent"), says("m2", "Bruges"))
        await put(host, says("m2", "Bruges"))
        models.answer(notes({}))
        report = await rebuilt(host, user_id="u")
        assert (report.turns, report.removed, report.kept) == (1, 1, 1)
        await settled(host, "s", user_id="u")
        assert await texts(host) == [GHENT]


async def test_other_owners_and_sessions_stay(models: ModelServer, tmp_path: Path) -> None:
    async with opened(models, tmp_path, HOMES) as host:
        await put(host, says("m1", "Ghent"))
        await put(host, says("m2", "Bruges"), session="t")
        await put(host, says("m1", "Ghent"), user="v")
        models.answer(notes({}))
        await rebuilt(host, user_id="u", session_id="t")
        await settled(host, "t", user_id="u")
        assert (await texts(host), await texts(host, "v")) == ([GHENT], [GHENT])
        await run(host, "rebuild_memories", bound_to(users=("v",)), user_id="u")
        assert await texts(host) == [GHENT]


async def test_a_deleted_turn_is_not_read_again(models: ModelServer, tmp_path: Path) -> None:
    async with opened(models, tmp_path, HOMES) as host:
        await put(host, says("m1", "Ghent"), says("m2", "Bruges"))
        await delete(host, "m1")
        assert (await rebuilt(host, user_id="u")).turns == 1
        await settled(host, "s", user_id="u")
        assert await texts(host) == [BRUGES]


async def test_without_a_model_nothing_is_removed(models: ModelServer, tmp_path: Path) -> None:
    async with host_with_model(models, tmp_path, store="sqlite") as host:
        models.answer(notes(HOMES))
        await put(host, says("m1", "Ghent"))
    async with running_host(tmp_path, store="sqlite", run_jobs=False) as host:
        for dry_run in (True, False):
            with pytest.raises(InvalidRequest, match="needs a language model"):
                await rebuilt(host, user_id="u", dry_run=dry_run)
        assert await texts(host) == [GHENT]


async def test_sessions_of_strategies_without_a_model_are_left_alone(models: ModelServer, tmp_path: Path) -> None:
    async with opened(models, tmp_path, HOMES) as host:
        fields = {"session_id": "s", "user_id": "u", "long_term_memory_strategy": {"strategy": "verbatim"}}
        await run(host, "put_session", messages=[says("m1", "Ghent")], **fields)
        report = await rebuilt(host, user_id="u")
        assert (report.sessions, report.turns, report.removed) == (0, 0, 0)
        assert extractions(models) == []


async def test_who_reaches_all_users_must_name_one(models: ModelServer, tmp_path: Path) -> None:
    async with opened(models, tmp_path, HOMES) as host:
        with pytest.raises(Forbidden, match="user_id"):
            await run(host, "rebuild_memories", bound_to(namespaces=("work",)))


@STORES
async def test_a_turn_that_was_edited_in_long_term_memory_is_read_as_it_is_there(
    models: ModelServer, tmp_path: Path, storage: dict[str, str]
) -> None:
    items = {"Ghent": [item(GHENT, "m1")], "Bruges": [item(BRUGES, "m1")]}
    async with opened(models, tmp_path, items, settings=storage) as host:
        await put(host, says("m1", "I live in Ghent"))
        await run(host, "edit_memory", memory_id="m1", text="user: I live in Bruges")
        await settled(host, "s", user_id="u")
        assert [(each.text, each.trust) for each in await derived(host)] == [(BRUGES, "agent")]
        await rebuilt(host, user_id="u")
        await settled(host, "s", user_id="u")
        assert [(each.text, each.trust) for each in await derived(host)] == [(BRUGES, "agent")]
        await put(host, says("m1", "I still live in Ghent"))
        await rebuilt(host, user_id="u")
        await settled(host, "s", user_id="u")
        assert await texts(host) == [GHENT]


async def test_an_edited_turn_that_waits_still_takes_back_what_it_said(models: ModelServer, tmp_path: Path) -> None:
    cat = "User has a cat."
    items = {"first": [item(cat, "m1")], "second": [item(cat, "m2")]}
    async with opened(models, tmp_path, items) as host:
        await put(host, says("m1", "first"))
        await put(host, says("m2", "second"), session="t")
        models.answer(lambda _call: failure(503))
        fields = {"session_id": "t", "user_id": "u", "messages": [says("m2", "nothing")]}
        await run(host, "put_session", **fields)
        await rebuilt(host, user_id="u", session_id="t")
        assert [each.source_ids for each in await derived(host)] == [["m1", "m2"]]
        models.answer(notes({}))
        await run(host, "extract_session", session_id="t", user_id="u")
        await settled(host, "t", user_id="u")
        assert [each.source_ids for each in await derived(host)] == [["m1"]]


async def test_a_pinned_summary_stays(models: ModelServer, tmp_path: Path) -> None:
    models.answer(lambda _call: {"memories": [{"text": "First summary."}]})
    async with host_with_model(models, tmp_path, store="memory") as host:
        fields = {"session_id": "s", "user_id": "u", "long_term_memory_strategy": SUMMARY}
        await run(host, "put_session", messages=[says("m1", "Ghent"), says("m2", "Rome")], **fields)
        await settled(host, "s", user_id="u")
        (summary,) = await derived(host)
        await run(host, "edit_memory", memory_id=summary.id, pinned=True)
        report = await rebuilt(host, user_id="u")
        assert (report.removed, report.kept) == (0, 1)


async def test_a_turn_that_waits_already_waits_once(models: ModelServer, tmp_path: Path) -> None:
    async with opened(models, tmp_path, HOMES) as host:
        await put(host, says("m1", "I live in Ghent"))
        models.answer(lambda _call: failure(503))
        await run(host, "edit_memory", memory_id="m1", text="user: I live in Bruges")
        await rebuilt(host, user_id="u")
        assert (await run(host, "get_session", session_id="s", user_id="u")).extraction.pending == 1


async def test_an_answer_of_an_earlier_attempt_is_not_used(models: ModelServer, tmp_path: Path) -> None:
    async with opened(models, tmp_path, HOMES) as host:
        await put(host, says("m1", "Ghent"))
        journal = AnswerJournal(host.store, host.clock, SessionKey("default", "", "u", "s"))
        journal.begin("discrete/1", ["a"], whole=True)
        await journal.write([Completion(text="{}", model="m", input_tokens=1, output_tokens=1)])
        assert (await journal.read()).documents == ["a"]
        models.answer(lambda _call: failure(503))
        await rebuilt(host, user_id="u")
        assert (await journal.read()).documents == []


async def test_what_tells_of_the_memories_is_marked(models: ModelServer, tmp_path: Path) -> None:
    async with opened(models, tmp_path, HOMES) as host:
        await put(host, says("m1", "Ghent"))
        view = await run(host, "create_summary_view", source="long_term", group_by=["user_id"])
        models.answer(lambda _call: "The user lives in Ghent.")
        await run(host, "run_summary_view_partition", view_id=view.id, group={"user_id": "u"})
        models.answer(lambda _call: failure(503))
        await rebuilt(host, user_id="u")
        assert [each.stale for each in await run(host, "list_summary_view_partitions", view_id=view.id)] == [True]
