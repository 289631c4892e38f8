"""Data added after a memory was stored: topics, entities, and vectors of remote embedders."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from memhost.errors import ConfigurationError, ModelRefused, ModelUnavailable
from memhost.host import Host
from memhost.memories.enrichment import normal_topic
from memhost.models import MemoryRecord, StoredMemory
from memhost.testing.clock import FakeClock
from memhost.testing.models import Asked
from tests.core.jobs.test_jobs import work
from tests.support import scripted
from tests.support.hosts import ADMIN, run, running_host
from tests.support.scripted import Script

STORES = pytest.mark.parametrize("store", ["memory", "sqlite"])
DOWN = ModelUnavailable("The model does not answer.")


@pytest.fixture
def script() -> Script:
    made = scripted.reset()
    made.rule = tagging
    return made


def tagging(asked: Asked) -> str:
    """A topic and an entity for each line, made of its last word."""
    lines = [json.loads(line) for line in re.findall(r'^\{"n".*$', asked.prompt, re.M)]
    items = [
        {"n": line["n"], "topics": [f" Sea,  Food_{line['n']} "], "entities": [line["text"].split()[-1]]}
        for line in lines
    ]
    return json.dumps({"memories": items})


@asynccontextmanager
async def host_with_models(folder: Path, store: str = "memory", **settings: str) -> AsyncIterator[Host]:
    wanted = {**scripted.WITH_MODEL, **settings}
    async with running_host(
        folder, store=store, extra=[scripted.POINT], settings=wanted, clock=FakeClock(), run_jobs=False
    ) as host:
        yield host


async def add(host: Host, *ids: str, **fields: Any) -> None:
    memories = [{"id": name, "text": f"a fact about {name}", "user_id": "ann", **fields} for name in ids]
    await run(host, "create_memories", memories=memories)


async def record(host: Host, memory_id: str) -> MemoryRecord:
    found: MemoryRecord = await run(host, "get_memory", memory_id=memory_id)
    return found


async def stored(host: Host, memory_id: str) -> StoredMemory:
    (found,) = await host.store.get_memories(ADMIN.bounds, [memory_id])
    return found


# -- topics and entities ---------------------------------------------------------------------------------------


@STORES
async def test_memories_without_tags_get_them_in_one_call(store: str, tmp_path: Path, script: Script) -> None:
    async with host_with_models(tmp_path, store) as host:
        await add(host, *(f"Item{number}" for number in range(20)), pinned=True)
        before = await record(host, "Item3")
        assert await work(host) == 1
        after = await record(host, "Item3")
        assert (after.topics, after.entities) == (["sea food 4"], ["Item3"])
        assert (after.text, after.updated_at, after.pinned) == (before.text, before.updated_at, True)
        (call,) = script.calls
        assert (call.purpose, call.schema is not None) == ("enrichment", True)
        found = await run(host, "search_memories", topics={"eq": "sea food 1"})
        assert [hit.id for hit in found.memories] == ["Item0"]
        assert await work(host) == 0


async def test_more_than_twenty_and_several_owners_are_several_calls(tmp_path: Path, script: Script) -> None:
    async with host_with_models(tmp_path) as host:
        memories = [{"id": f"m{n}", "text": f"fact {n}", "user_id": "bob" if n == 24 else "ann"} for n in range(25)]
        await run(host, "create_memories", memories=memories)
        await work(host)
        assert [len(re.findall(r'"n":\d', call.prompt)) for call in script.calls] == [20, 4, 1]


async def test_tagged_turns_and_extracted_memories_cost_nothing(tmp_path: Path, script: Script) -> None:
    async with host_with_models(tmp_path) as host:
        await add(host, "Done", topics=["a"], entities=["b"])
        await run(host, "put_session", session_id="s", messages=[{"role": "user", "content": "hi", "id": "m"}])
        await work(host, rounds=2)
        assert script.calls == []
        await add(host, "Half", topics=["own topic"])
        await work(host)
        half = await record(host, "Half")
        assert (half.topics, half.entities) == (["own topic"], ["Half"])


async def test_promoted_memories_are_tagged(tmp_path: Path, script: Script) -> None:
    async with host_with_models(tmp_path) as host:
        memory = {"id": "p", "text": "User likes Rome", "memory_type": "semantic"}
        await run(host, "put_session", session_id="s", user_id="ann", memories=[memory])
        await work(host)
        assert (await record(host, "p")).entities == ["Rome"]


@pytest.mark.parametrize(
    ("settings", "topics", "entities"),
    [
        ({"ENABLE_TOPIC_EXTRACTION": "false"}, [], ["Rome"]),
        ({"TOP_K_TOPICS": "0"}, [], ["Rome"]),
        ({"NER_MODEL_SOURCE": "off"}, ["sea food 1"], []),
        ({"ENABLE_NER": "false", "TOPIC_MODEL_SOURCE": "off"}, [], []),
        ({"TOPIC_MODEL_SOURCE": "LLM"}, ["sea food 1"], ["Rome"]),
    ],
)
async def test_switches(
    settings: dict[str, str], topics: list[str], entities: list[str], tmp_path: Path, script: Script
) -> None:
    async with host_with_models(tmp_path, **settings) as host:
        await add(host, "Rome")
        await work(host)
        found = await record(host, "Rome")
        assert (found.topics, found.entities) == (topics, entities)


async def test_sources_that_are_not_offered_are_refused_at_start(tmp_path: Path, script: Script) -> None:
    with pytest.raises(ConfigurationError, match="TOPIC_MODEL_SOURCE is 'BERT', but must be one of llm, off"):
        async with host_with_models(tmp_path, TOPIC_MODEL_SOURCE="BERT"):
            pass


async def test_bad_answers_are_asked_once_more_then_left(tmp_path: Path, script: Script) -> None:
    script.answers.extend(["what?", "", '{"memories": [{"n": 2, "topics": "drinks", "entities": null}]}'])
    async with host_with_models(tmp_path) as host:
        await add(host, "Rome", "Tea")
        await work(host)
        assert len(script.calls) == 2
        assert (await record(host, "Rome")).topics == []
        await add(host, "Rome", "Tea", deduplicate=False)
        await work(host)
        assert len(script.calls) == 4
        assert (await record(host, "Tea")).topics == ["drinks"]
        assert (await record(host, "Rome")).topics == ["sea food 1"]


async def test_refused_memory_does_not_hold_up_the_others(tmp_path: Path, script: Script) -> None:
    script.rule = lambda asked: ModelRefused("No.") if "Bad" in asked.prompt else tagging(asked)
    async with host_with_models(tmp_path) as host:
        await add(host, "Good", "Bad", "Fine")
        await work(host)
        assert [bool((await record(host, name)).topics) for name in ("Good", "Bad", "Fine")] == [True, False, True]


@STORES
async def test_what_changed_meanwhile_is_left_alone(store: str, tmp_path: Path, script: Script) -> None:
    async with host_with_models(tmp_path, store) as host:
        await add(host, "Gone", "Edited", "Same")

        async def between(_asked: Asked) -> None:
            await run(host, "delete_memories", memory_ids=["Gone"])
            await run(host, "edit_memory", memory_id="Edited", text="quite another thing")

        script.before_answer = between
        await work(host)
        assert await host.store.get_memories(ADMIN.bounds, ["Gone"]) == []
        edited = await record(host, "Edited")
        assert (edited.text, edited.topics) == ("quite another thing", [])
        assert (await record(host, "Same")).entities == ["Same"]


async def test_model_down_leaves_the_job_waiting(tmp_path: Path, script: Script) -> None:
    script.answers.append(DOWN)
    async with host_with_models(tmp_path) as host:
        await add(host, "Rome")
        await work(host)
        (waiting,) = (await run(host, "list_jobs", state="waiting")).jobs
        assert (waiting.attempts, waiting.waiting_since) == (0, host.clock.now())
        assert "ModelUnavailable" in (waiting.last_error or "")
        host.clock.advance(60)  # type: ignore[attr-defined]
        await work(host)
        assert (await record(host, "Rome")).entities == ["Rome"]


def test_topics_have_one_form() -> None:
    assert normal_topic("  Sea,Food_and\tWine ") == "sea food and wine"


# -- vectors ---------------------------------------------------------------------------------------------------


@STORES
async def test_remote_embedder_works_after_the_write(store: str, tmp_path: Path, script: Script) -> None:
    script.embedder_down = True
    async with host_with_models(tmp_path, store, LLM="none", **scripted.WITH_EMBEDDER) as host:
        await add(host, "Rome", "Oslo")
        await run(host, "put_session", session_id="s", messages=[{"role": "user", "content": "in Bern", "id": "m"}])
        assert (await stored(host, "Rome")).vector is None
        found = await run(host, "search_memories", text="Rome", search_mode="keyword")
        assert [hit.id for hit in found.memories] == ["Rome"]
        for mode in ({"search_mode": "semantic"}, {"search_mode": "hybrid"}, {}):
            with pytest.raises(ModelUnavailable):
                await run(host, "search_memories", text="Rome", **mode)
        await work(host)
        assert (await stored(host, "Rome")).vector is None
        script.embedder_down = False
        host.clock.advance(60)  # type: ignore[attr-defined]
        await work(host)
        assert sorted(script.embedded) == [["a fact about Rome", "a fact about Oslo"], ["in Bern"]]
        for memory_id in ("Rome", "Oslo", "m"):
            assert (await stored(host, memory_id)).vector is not None
        found = await run(host, "search_memories", text="a fact about Oslo", search_mode="semantic")
        assert found.memories[0].id == "Oslo"
        assert found.memories[0].dist == pytest.approx(0, abs=0.01)


async def test_edits_embed_again_only_if_the_text_changed(tmp_path: Path, script: Script) -> None:
    async with host_with_models(tmp_path, LLM="none", **scripted.WITH_EMBEDDER) as host:
        await add(host, "Rome")
        await work(host)
        await run(host, "edit_memory", memory_id="Rome", topics=["cities"])
        assert (await stored(host, "Rome")).vector is not None
        await run(host, "edit_memory", memory_id="Rome", text="a fact about Turin")
        assert (await stored(host, "Rome")).vector is None
        await work(host)
        assert (await stored(host, "Rome")).vector is not None
        assert script.embedded == [["a fact about Rome"], ["a fact about Turin"]]


async def test_vectors_come_before_tags_in_one_job(tmp_path: Path, script: Script) -> None:
    async with host_with_models(tmp_path, **scripted.WITH_EMBEDDER) as host:
        await add(host, "Rome")
        assert await work(host) == 1
        memory = await stored(host, "Rome")
        assert memory.vector is not None
        assert memory.record.entities == ["Rome"]


async def test_local_embedder_without_model_leaves_no_jobs(tmp_path: Path, script: Script) -> None:
    async with host_with_models(tmp_path, LLM="none") as host:
        await add(host, "Rome")
        assert (await stored(host, "Rome")).vector is not None
        assert (await run(host, "list_jobs")).total == 0


# -- queries ---------------------------------------------------------------------------------------------------


async def search(host: Host, text: str = "where does she live", **fields: Any) -> list[str]:
    found = await run(host, "search_memories", text=text, optimize_query=True, **fields)
    return [hit.id for hit in found.memories]


async def test_query_is_rewritten_for_searches_by_meaning(tmp_path: Path, script: Script) -> None:
    async with host_with_models(tmp_path, LLM="scripted", QUERY_OPTIMIZATION_MODEL="quick") as host:
        await add(host, "Rome", "Oslo", topics=["t"], entities=["e"])
        script.rule = lambda _asked: '"a fact  about\nOslo"'
        for fields in ({"search_mode": "semantic"}, {}):
            assert (await search(host, **fields))[0] == "Oslo"
        assert {(call.purpose, call.model) for call in script.calls} == {("query", "quick")}
        await search(host, search_mode="keyword")
        await search(host, search_mode="hybrid")
        await search(host, text="")
        await run(host, "search_memories", text="x")
        assert len(script.calls) == 2
        script.rule = lambda _asked: "zebra"
        assert await search(host, "a fact about Oslo", distance_threshold=0.2) == ["Oslo"]


@pytest.mark.parametrize("answer", [DOWN, ModelRefused("No."), "", "x", "y" * 5000])
async def test_without_a_usable_answer_the_query_stays(answer: str | Exception, tmp_path: Path, script: Script) -> None:
    async with host_with_models(tmp_path) as host:
        await add(host, "Rome", "Oslo", topics=["t"], entities=["e"])
        script.rule = lambda _asked: answer
        assert (await search(host, "a fact about Rome", search_mode="semantic"))[0] == "Rome"


async def test_the_model_is_told_which_day_it_is_where_the_caller_is(tmp_path: Path, script: Script) -> None:
    async with host_with_models(tmp_path) as host:
        await search(host, "What did I do last week?", search_mode="semantic")
        await search(host, "What did I do last week?", search_mode="semantic", timezone="America/New_York")
        days = [re.findall(r"Today is (.*?) for", call.prompt) for call in script.calls]
        assert days == [["Thu 2026-01-01"], ["Wed 2025-12-31"]]


async def test_operators_query_prompt(tmp_path: Path, script: Script) -> None:
    template = "Rewrite {query} as {json}"
    async with host_with_models(tmp_path, QUERY_OPTIMIZATION_PROMPT_TEMPLATE=template) as host:
        await search(host, "this {query}", search_mode="semantic")
        assert script.calls[0].prompt == "Rewrite this {query} as {json}"
    with pytest.raises(ConfigurationError, match="query"):
        async with host_with_models(tmp_path, QUERY_OPTIMIZATION_PROMPT_TEMPLATE="Rewrite it"):
            pass
