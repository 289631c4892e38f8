"""Queries that are one quoted phrase."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from memhost.host import Host
from memhost.operations import Call
from tests.support.hosts import ADMIN, run, running_host

TEXTS = {
    "tea": "I like green tea from Kyoto",
    "food": "My favourite cuisine is Thai",
    "cat": "Кошка спит на красном диване",
}


@pytest.fixture(params=["memory", "sqlite"])
async def host(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Host]:
    async with running_host(tmp_path, store=request.param, run_jobs=False) as host:
        await run(host, "create_memories", memories=[{"id": key, "text": text} for key, text in TEXTS.items()])
        yield host


async def found(host: Host, text: str, **fields: str) -> tuple[list[str], list[str]]:
    call = Call(caller=ADMIN, request_id="test")
    request = msgspec.convert({"text": text, **fields}, host.operations["search_memories"].request)
    answer = await host.execute("search_memories", call, request)
    return [hit.id for hit in answer.memories], [notice for _, notice in call.notices]


MODES = [{"search_mode": "keyword"}, {"search_mode": "hybrid", "text_scorer": "BM25STD"}]


@pytest.mark.parametrize("fields", MODES)
@pytest.mark.parametrize(
    ("query", "first"),
    [
        ('"Which cuisine is the favourite?"', "food"),
        ("\u201ctea of Kyoto\u201d", "tea"),
        ('"красный диван кошки"', "cat"),
    ],
)
async def test_a_question_in_quotation_marks_is_sought_by_its_words(
    host: Host, query: str, first: str, fields: dict[str, str]
) -> None:
    hits, notices = await found(host, query, **fields)
    assert hits[0] == first
    assert any("quoted phrase" in notice for notice in notices)


@pytest.mark.parametrize("fields", MODES)
@pytest.mark.parametrize(
    ("query", "hits"),
    [
        ('"green tea"', ["tea"]),
        ('"favourite cuisine is Thai"', ["food"]),
        ('"на красном диване"', ["cat"]),
    ],
)
async def test_a_phrase_that_a_memory_holds_finds_only_that(
    host: Host, query: str, hits: list[str], fields: dict[str, str]
) -> None:
    assert await found(host, query, **fields) == (hits, [])


@pytest.mark.parametrize("query", ['"zebra crossing"', '"wal"', '"полосатая зебра"'])
async def test_what_no_memory_holds_is_not_found(host: Host, query: str) -> None:
    hits, _ = await found(host, query, search_mode="keyword")
    assert hits == []
