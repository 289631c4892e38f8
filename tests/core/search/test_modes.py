"""Search modes by name: what each ranks by."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from memhost.host import Host
from tests.support.hosts import run, running_host

TURNS = (
    "Ana: I started to paint the kitchen.",
    "Ben: Which colour did you take?",
    "Ana: A light green.",
    "Ben: Nice. Mine is white.",
)


@pytest.fixture(params=["memory", "sqlite"])
async def host(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Host]:
    async with running_host(tmp_path, store=request.param, run_jobs=False) as host:
        messages = [{"id": f"t{place}", "role": "user", "content": text} for place, text in enumerate(TURNS)]
        await run(host, "put_session", session_id="s", user_id="u", messages=messages)
        other = [{"id": f"o{place}", "text": f"A green lamp number {place}"} for place in range(6)]
        await run(host, "create_memories", memories=[{**each, "user_id": "u"} for each in other])
        yield host


async def hits(host: Host, text: str, **fields: Any) -> list[Any]:
    found: list[Any] = (await run(host, "search_memories", text=text, user_id={"eq": "u"}, **fields)).memories
    return found


async def test_keyword_search_ranks_words_with_those_beside_them(host: Host) -> None:
    found = await hits(host, "green colour of the kitchen", search_mode="keyword")
    assert "t2" in [hit.id for hit in found[:2]]
    assert all(hit.score_type == "keyword" for hit in found)
    scores = [hit.score for hit in found]
    assert scores[0] == 1
    assert scores == sorted(scores, reverse=True)


async def test_keyword_search_gives_only_what_has_a_word(host: Host) -> None:
    assert {hit.id for hit in await hits(host, "kitchen", search_mode="keyword")} == {"t0"}
    assert await hits(host, "zebra", search_mode="keyword") == []


async def test_hybrid_by_name_is_the_whole_pipeline(host: Host) -> None:
    plain = await hits(host, "Which colour is the kitchen?")
    named = await hits(host, "Which colour is the kitchen?", search_mode="hybrid")
    assert [(hit.id, hit.score) for hit in named] == [(hit.id, hit.score) for hit in plain]


async def test_the_share_of_vectors_weighs_both_sides(host: Host) -> None:
    parts = {}
    for alpha in (0.0, 0.7, 1.0):
        found = await hits(host, "green lamp", search_mode="hybrid", hybrid_alpha=alpha, explain=True)
        parts[alpha] = next(hit.explain for hit in found if hit.id == "o1")
    assert parts[0.0]["semantic"] == 0 < parts[0.7]["semantic"] == parts[1.0]["semantic"]
    assert parts[1.0]["lexical"] == 0 < parts[0.7]["lexical"] == parts[0.0]["lexical"]
