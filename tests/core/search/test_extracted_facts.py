"""Searches in chats from which a model extracted: turns and statements together lose nothing that one of them has."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from memhost.host import Host
from tests.support.dated_chats import LOCOMO, sessions, tell_all
from tests.support.extractions import host_with_model
from tests.support.hosts import run
from tests.support.model_server import ModelServer

QUESTIONS = (
    ("What kind of car does Evan drive?", r"Prius"),
    ("What happened to Evan's old Prius?", r"broke down"),
    ("Where has Evan been on road trips with his family?", r"Jasper|Rockies"),
    ("When did Evan hike in the Rockies?", r"week before 2023-05-18|hiked the trails last week"),
    (
        "What hobby did Evan start a few years ago?",
        r"started watercolor|painting.*few years|doing it for a few years|started doing this a few years",
    ),
    ("When did Evan go to Jasper with his family?", r"Jasper.*2023-05-20|Last weekend, I took my family"),
    ("When did Sam find out he had a weight problem?", r"weight was not good|weight wasn't great"),
    ("When did Evan have heart palpitations?", r"palpitation"),
    ("What is Evan's favorite food?", r"ginger snaps"),
    ("What sweets does Evan love?", r"ginger snaps"),
    ("What unhealthy snacks does Sam enjoy?", r"soda and candy"),
    ("What frustrated Sam at the supermarket?", r"self-checkout"),
    ("What healthy swaps did Evan suggest?", r"seltzer"),
    ("How did Evan get into watercolor painting?", r"friend got (him|me) into"),
    ("What advice did Evan give Sam about finding a passion?", r"keep trying new things"),
    ("What did Evan find relaxing about the road trip to Jasper?", r"fresh air"),
    ("Who did Sam hike with as a child?", r"\bdad\b"),
    ("How old was Sam when he went hiking with his father?", r"\bten\b"),
    ("Which hobby does Sam want to take up?", r"try(ing)? painting"),
    ("Has Sam been to Jasper?", r"never been to Jasper"),
    ("What did Evan agree to teach Sam?", r"basic exercises"),
    ("What worked for Evan to become healthier?", r"fitness routine"),
    ("Which road did Evan drive to see glaciers?", r"Icefields"),
    ("Where did Evan stay in Jasper?", r"cabin"),
    ("Is Sam going to drink seltzer?", r"seltzer|give it a try"),
    ("Does Sam do any sport?", r"exercis|hik"),
)
"""Natural questions about the first three sessions of LoCoMo's conv-49, each with the pattern of its answer."""


@pytest.fixture
async def host(models: ModelServer, tmp_path: Path) -> AsyncIterator[Host]:
    settings = {"COMPACTION_EVERY_MINUTES": "0", "SECRETS": "keep"}  # the ranking of masked words is not what is tested
    async with host_with_model(models, tmp_path, settings=settings) as opened:
        yield opened


async def found(host: Host, user: str, query: str, limit: int = 10, **fields: Any) -> list[Any]:
    answer = await run(host, "search_memories", text=query, limit=limit, user_id={"eq": user}, **fields)
    hits: list[Any] = answer.memories
    return hits


def said(hit: Any) -> str:
    return "\n".join([hit.text, *(turn.text for turn in hit.evidence or [])])


def rank(hits: Sequence[Any], pattern: str) -> int | None:
    return next((n for n, hit in enumerate(hits, 1) if re.search(pattern, said(hit), re.IGNORECASE)), None)


@pytest.mark.skipif(not LOCOMO.is_file(), reason="needs LoCoMo (MEMHOST_EVAL_DATA)")
async def test_turns_and_statements_together_find_what_each_finds(host: Host, models: ModelServer) -> None:
    await tell_all(host, models, {"evan"})
    verbatim = {"strategy": "verbatim", "config": {}}
    for _, session, (messages,), _, _ in sessions({"evan"}):
        fields = {"messages": messages, "long_term_memory_strategy": verbatim}
        await run(host, "put_session", session_id=session, user_id="vevan", **fields)
    ranks: dict[str, list[int | None]] = {"turns": [], "both": [], "statements": []}
    for query, pattern in QUESTIONS:
        both = await found(host, "evan", query)
        shown = {hit.id for hit in both}
        assert not [turn.id for hit in both for turn in hit.evidence or [] if turn.id in shown]
        ranks["both"].append(rank(both, pattern))
        ranks["turns"].append(rank(await found(host, "vevan", query), pattern))
        facts = await found(host, "evan", query, memory_type={"any": ["semantic", "episodic"]})
        ranks["statements"].append(
            next((n for n, hit in enumerate(facts, 1) if re.search(pattern, hit.text, re.I)), None)
        )
    assert None not in ranks["both"]
    reciprocal = {name: sum(1 / each for each in given if each) / len(QUESTIONS) for name, given in ranks.items()}
    assert reciprocal["both"] >= max(0.85, reciprocal["turns"]), reciprocal
    first = {name: sum(each == 1 for each in given) for name, given in ranks.items()}
    assert first["both"] >= max(first["turns"], first["statements"])
    assert rank((await found(host, "evan", "What is Evan's favorite food?"))[:3], r"loves? ginger snaps") is not None
    when = await found(host, "evan", "When did Sam first go to the doctor and find out he had a weight problem?")
    assert "a few days before 2023-05-24" in when[0].text


async def test_a_statement_is_there_with_its_date_beside_its_turn(host: Host, models: ModelServer) -> None:
    await tell_all(host, models, {"leo"})
    hits = await found(host, "leo", "What are my job plans?")
    decided = next(hit for hit in hits if "not to hand in a resignation letter" in hit.text)
    assert (f"{decided.event_date:%Y-%m-%d}", [turn.id for turn in decided.evidence]) == ("2026-01-03", ["leo-1.7"])
    assert f"{decided.said_at:%Y-%m-%dT%H:%M}" == "2026-01-01T08:09"
    assert not {"leo-1.1", "leo-1.3", "leo-1.7"} & {hit.id for hit in hits}


async def test_what_replaced_a_fact_comes_before_the_turns_that_said_it(host: Host, models: ModelServer) -> None:
    await tell_all(host, models, {"dev", "mia"})
    hits = await found(host, "dev", "which database does the orders service use?", limit=20)
    first, *others = hits
    assert "Postgres 18 everywhere" in first.text
    assert [each.text.startswith("The orders service uses Postgres 16") for each in first.replaces] == [True]
    old = [
        hit
        for hit in others
        if "Postgres 16" in hit.text and "Postgres 18" not in hit.text and "uuidv7" not in hit.text
    ]
    assert old
    assert all(hit.superseded.by == first.id for hit in old)
    ports = await found(host, "dev", "which port does the API have?")
    assert "runs on port 8000" in ports[0].text
    assert not [hit for hit in ports[:5] if hit.superseded]
    theme = await found(host, "mia", "dark mode or light theme?")
    assert "light theme everywhere" in theme[0].text
    assert not [hit for hit in theme if hit.text == "User uses dark mode everywhere."]
