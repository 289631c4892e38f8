"""Messages longer than one model call allows: read in parts, completely, each part once."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memhost.errors import ModelRefused
from memhost.extraction.pipeline.extractor_calls import divided
from memhost.messages.windows import prompt_tokens
from memhost.models import Message, Scope
from memhost.ports import Turn
from memhost.testing.clock import FakeClock
from memhost.testing.models import Asked
from memhost.text.passages import passages
from tests.core.jobs.test_jobs import work
from tests.support import scripted
from tests.support.conversations import NOW, message, turns_of
from tests.support.hosts import run, running_host

SHORT = ("Hello, I have news.", "That is all.")
NOTES = "The notes of the garden club go on about the budget, as every year. "
TEXTS = {
    "sentences": "My cat is called Mimi. " + NOTES * 200,
    "no borders": "My cat is called Mimi and " + "word " * 3000,
    "one word": "Mimi" + "x" * 12_000,
    "lines of a log": "Mimi\n" + "\n".join(f'{{"level": "info", "line": {number}}}' for number in range(400)),
    "Chinese": "我的猫叫咪咪。" + "园艺俱乐部的记录一直在谈论预算。" * 300,
    "Chinese without borders": "咪咪" + "园艺俱乐部" * 900,
    "Russian": "Мою кошку зовут Мими. " + "Записи садового клуба всё о бюджете. " * 150,
}


def lines_of(asked: Asked) -> list[dict[str, Any]]:
    block = asked.prompt[asked.prompt.rfind("<messages>") : asked.prompt.rfind("</messages>")]
    return [json.loads(line) for line in block.splitlines()[1:]]


@pytest.mark.parametrize("kind", TEXTS)
async def test_a_long_message_is_read_in_parts_that_together_are_the_message(tmp_path: Path, kind: str) -> None:
    script = scripted.reset()

    def rule(asked: Asked) -> str:
        if asked.purpose != "extraction":
            return json.dumps({"verdicts": []})
        lines = lines_of(asked)
        text = f"Part {len(script.of('extraction'))} has {len(lines[0]['text'])} letters."
        parts = [line["n"] for line in lines if line["text"] not in SHORT]
        return json.dumps({"memories": [{"text": text, "lines": parts, "known": "new"}]})

    script.rule = rule
    settings = {"LLM": "scripted", "EXTRACTION_MAX_TOKENS": "500", "EXTRACTION_DEBOUNCE_SECONDS": "0"}
    said = [
        {"id": "before", "role": "user", "content": SHORT[0]},
        {"id": "long", "role": "user", "content": TEXTS[kind]},
        {"id": "after", "role": "user", "content": SHORT[1]},
    ]
    async with running_host(
        tmp_path, store="memory", extra=[scripted.POINT], settings=settings, clock=FakeClock(), run_jobs=False
    ) as host:
        await run(host, "put_session", session_id="s", messages=said)
        await work(host)
        view = await run(host, "get_session", session_id="s")
        assert (view.extraction.pending, view.extraction.state) == (0, "idle")
        calls = script.of("extraction")
        long = [line["text"] for call in calls for line in lines_of(call) if line["text"] not in SHORT]
        assert "".join(long) == TEXTS[kind]
        assert len(long) > 2
        assert all(sum(prompt_tokens(line["text"]) for line in lines_of(call)) <= 500 for call in calls)
        assert not kind.startswith("Chinese") or max(map(len, long)) <= 500, "such a letter may well be a token"
        read = [line["text"] for call in calls for line in lines_of(call)]
        assert [read.count(text) for text in SHORT] == [1, 1]
        found = await run(host, "search_memories", extraction_strategy={"none": ["message"]}, limit=100)
        assert len(found.memories) == len(calls), "what each part gave is kept"
        sources = [memory.source_ids for memory in found.memories]
        short = sum(all(line["text"] in SHORT for line in lines_of(call)) for call in calls)
        assert (sources.count(["long"]), sources.count([])) == (len(calls) - short, 0)


async def test_what_was_paid_for_is_kept_when_a_later_part_fails(tmp_path: Path) -> None:
    script = scripted.reset()
    script.rule = lambda asked: json.dumps({"memories": [{"text": f"User note {len(script.calls)}."}]})
    script.answers.extend([json.dumps({"memories": [{"text": "User has a cat."}]}), "no JSON", "none either"])
    settings = {"LLM": "scripted", "EXTRACTION_MAX_TOKENS": "2000", "EXTRACTION_DEBOUNCE_SECONDS": "0"}
    clock = FakeClock()
    async with running_host(
        tmp_path, store="memory", extra=[scripted.POINT], settings=settings, clock=clock, run_jobs=False
    ) as host:
        said = [{"id": "long", "role": "user", "content": TEXTS["sentences"]}]
        await run(host, "put_session", session_id="s", messages=said)
        await work(host)
        assert (await run(host, "get_session", session_id="s")).extraction.pending == 1
        clock.advance(3600)
        await work(host)
        assert (await run(host, "get_session", session_id="s")).extraction.pending == 0
        parts = [lines_of(call)[0]["text"] for call in script.calls if len(call.messages) == 2]
        assert parts.count(parts[0]) == 1, "the first part is not paid for twice"
        found = await run(host, "search_memories", extraction_strategy={"none": ["message"]}, limit=100)
        assert "User has a cat." in [memory.text for memory in found.memories]


async def test_a_part_that_the_provider_declines_does_not_cost_the_others(tmp_path: Path) -> None:
    script = scripted.reset()

    def rule(asked: Asked) -> Any:
        if "Mimi" in lines_of(asked)[0]["text"]:
            return ModelRefused("declined")
        return json.dumps({"memories": [{"text": "User is in the garden club."}]})

    script.rule = rule
    settings = {"LLM": "scripted", "EXTRACTION_MAX_TOKENS": "2000", "EXTRACTION_DEBOUNCE_SECONDS": "0"}
    async with running_host(
        tmp_path, store="memory", extra=[scripted.POINT], settings=settings, clock=FakeClock(), run_jobs=False
    ) as host:
        said = [{"id": "long", "role": "user", "content": TEXTS["sentences"]}]
        await run(host, "put_session", session_id="s", messages=said)
        await work(host)
        found = await run(host, "search_memories", extraction_strategy={"none": ["message"]}, limit=100)
        assert [memory.text for memory in found.memories] == ["User is in the garden club."]
        view = await run(host, "get_session", session_id="s")
        assert (view.extraction.state, view.extraction.pending) == ("refused", 0)
        assert re.fullmatch(r"Skipped part 1 of \d \(long\): declined", view.extraction.last_error)


async def test_a_message_of_which_every_part_is_declined_is_refused(tmp_path: Path) -> None:
    scripted.reset().rule = lambda _asked: ModelRefused("declined")
    settings = {"LLM": "scripted", "EXTRACTION_MAX_TOKENS": "2000", "EXTRACTION_DEBOUNCE_SECONDS": "0"}
    async with running_host(
        tmp_path, store="memory", extra=[scripted.POINT], settings=settings, clock=FakeClock(), run_jobs=False
    ) as host:
        said = [{"id": "long", "role": "user", "content": TEXTS["sentences"]}]
        await run(host, "put_session", session_id="s", messages=said)
        await work(host)
        view = await run(host, "get_session", session_id="s")
        assert (view.extraction.state, view.extraction.pending) == ("refused", 0)
        assert "declined" in view.extraction.last_error


async def test_the_summary_of_a_session_goes_from_part_to_part(tmp_path: Path) -> None:
    script = scripted.reset()
    script.rule = lambda asked: json.dumps({"memories": [{"text": f"Summary number {len(script.calls)}."}]})
    settings = {"LLM": "scripted", "EXTRACTION_MAX_TOKENS": "2000", "EXTRACTION_DEBOUNCE_SECONDS": "0"}
    async with running_host(
        tmp_path, store="memory", extra=[scripted.POINT], settings=settings, clock=FakeClock(), run_jobs=False
    ) as host:
        said = [{"id": "long", "role": "user", "content": TEXTS["sentences"]}]
        strategy = {"strategy": "summary", "config": {}}
        await run(host, "put_session", session_id="s", messages=said, long_term_memory_strategy=strategy)
        await work(host)
        calls = script.of("extraction")
        assert len(calls) > 1
        assert "Summary number 1." in calls[1].prompt
        assert all(len(line["text"]) <= 8000 for call in calls for line in lines_of(call))
        assert "".join(line["text"] for call in calls for line in lines_of(call)) == TEXTS["sentences"]
        found = await run(host, "search_memories", extraction_strategy={"eq": "summary"})
        assert [memory.text for memory in found.memories] == [f"Summary number {len(calls)}."]


async def test_a_text_too_long_for_the_embedder_costs_no_other_its_vector_and_no_search_its_answer(
    tmp_path: Path,
) -> None:
    script = scripted.reset()
    script.longest = 2000
    async with running_host(
        tmp_path, store="memory", extra=[scripted.POINT], settings=scripted.WITH_EMBEDDER, run_jobs=False
    ) as host:
        texts = {
            "long": "The spare key hangs behind the barometer. " * 100,
            "tea": "User likes tea",
            "cat": "User has a cat",
        }
        memories = [{"id": name, "text": text, "user_id": "ann"} for name, text in texts.items()]
        await run(host, "store_memories", memories=memories)
        await work(host)
        found = await host.store.get_memories(Scope(tenant="default"), list(texts))
        assert all(memory.vector is not None and memory.vector.any() for memory in found)
        for mode in ({}, {"search_mode": "semantic"}, {"search_mode": "hybrid"}, {"search_mode": "keyword"}):
            query = "Where is the spare key behind the barometer? " * 100
            hits = await run(host, "search_memories", text=query, user_id={"eq": "ann"}, **mode)
            assert hits.memories[0].id == "long"
        prompt = await run(host, "memory_prompt", query="spare key barometer " * 300, long_term_search={})
        assert prompt.long_term_memories[0].id == "long"
        (near, *_) = (await run(host, "search_memories", text="tea", search_mode="semantic")).memories
        assert near.id == "tea"


def test_messages_that_fit_are_asked_about_together() -> None:
    turns = turns_of([message("Hello.", id="a"), message("I have a cat.", id="b")])
    assert divided(turns, 500) == [turns]


def test_of_what_tools_say_no_more_counts_than_is_sent() -> None:
    turns = turns_of([message("x " * 50_000, id="a", role="tool"), message("I have a cat.", id="b")])
    assert divided(turns, 500) == [turns]


def test_parts_keep_id_and_time_and_calls_are_not_repeated() -> None:
    long = Message(role="user", content="A sentence. " * 500, id="a", created_at=NOW, tool_calls=[{"id": "c"}])
    parts = divided([Turn(message=long, position=3)], 300)
    assert {(turn.message.id, turn.message.created_at, turn.position) for part in parts for turn in part} == {
        ("a", NOW, 3)
    }
    assert all(not turn.message.tool_calls for part in parts for turn in part)


@given(st.text(alphabet=st.sampled_from("ab .!?。\n\"'’中é"), max_size=300), st.integers(min_value=1, max_value=40))
def test_passages_lose_nothing_and_fit(text: str, most: int) -> None:
    pieces = passages(text, most)
    assert "".join(pieces) == text
    assert all(len(piece) <= most for piece in pieces)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("One two. Three four. Five six.", ["One two. ", "Three four. ", "Five six."]),
        ("It costs 3.50 EUR. Fine.", ["It costs 3.50 EUR. ", "Fine."]),
        ("今日は晴れ。明日は雨。", ["今日は晴れ。明日は雨。"]),
        ("first line\nsecond line here", ["first line\n", "second line here"]),
        ("alpha beta gamma delta epsilon zeta", ["alpha beta gamma ", "delta epsilon zeta"]),
        ("", [""]),
    ],
)
def test_passages_end_with_sentences(text: str, pieces: list[str]) -> None:
    assert passages(text, 20) == pieces
