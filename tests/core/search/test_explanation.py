"""Explanations of hits: which words, which meaning, which neighbours, which date - and nothing that is not so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.hosts import run, running_host

MESSAGES = [
    ("Ann: My sister plays the oboe in Leeds.", "2026-03-01T09:00:00Z"),
    ("Ben: Every day?", "2026-03-01T09:01:00Z"),
    ("Ann: The kettle leaks.", "2026-03-01T09:02:00Z"),
    ("Ben: Моя собака любит кости.", "2026-04-02T09:00:00Z"),
    ("Ann: 我住在大连。", "2026-04-02T09:01:00Z"),
]


async def explained(folder: Path, text: str, **fields: Any) -> dict[str, list[str]]:
    """The sentences about each message, by its number."""
    messages = [
        {"id": str(place), "role": "user", "name": content[:3], "content": content, "created_at": at}
        for place, (content, at) in enumerate(MESSAGES)
    ]
    async with running_host(folder, store="memory", run_jobs=False) as host:
        await run(host, "put_session", session_id="s", user_id="u", messages=messages)
        answer = await run(host, "search_memories", text=text, explain=True, limit=10, **fields)
    return {hit.id: hit.explanation for hit in answer.memories}


@pytest.mark.parametrize(
    ("text", "message", "told"),
    [
        ("Which instrument does my sister play?", "0", "It has the words: sister, play. It lacks: instrument."),
        ("Любит ли собака гулять?", "3", "It has the words: любит, собака."),
        ("谁住在大连", "4", "It has the words:"),
        ("Which instrument does my sister play?", "1", "The turn before it has: sister, play."),
        ("Which instrument does my sister play?", "2", "Two turns before it has: sister, play."),
        ("What happened on 2 April 2026?", "3", "Its date, 2026-04-02, is at or near the one that the query names."),
        ("What did Ben say?", "1", "Ben, whom the query names, said it."),
        ("Where does my sister play?", "0", "It has a place, which the query asks for."),
    ],
)
async def test_what_speaks_for_a_hit_is_told(tmp_path: Path, text: str, message: str, told: str) -> None:
    sentences = (await explained(tmp_path, text))[message]
    assert any(sentence.startswith(told) for sentence in sentences), sentences
    english = text.isascii()  # the embedder knows no other language
    assert any(sentence.startswith("Its meaning has the cosine") for sentence in sentences) == english


@pytest.mark.parametrize(
    ("text", "message", "untold"),
    [
        ("Which instrument does my sister play?", "2", "It has the words"),
        ("Любит ли собака гулять?", "2", "It has the words"),
        ("Любит ли собака гулять?", "0", "собака"),
        ("谁住在大连", "2", "It has the words"),
        ("谁住在大连", "0", "The turn"),
        ("Which instrument does my sister play?", "0", "The turn"),
        ("Which instrument does my sister play?", "4", "The turn"),
        ("Which instrument does my sister play?", "0", "date"),
        ("What happened on 2 April 2026?", "0", "Its date"),
        ("What happened in 1999?", "3", "Its date"),
        ("What did Ben say?", "0", "whom the query names"),
        ("What did Ben say?", "2", "whom the query names"),
        ("What did the sister say?", "1", "whom the query names"),
        ("Where does my sister play?", "2", "It has a place"),
        ("My sister plays", "0", "It has a place"),
        ("My sister plays", "0", "reranker"),
    ],
)
async def test_what_does_not_speak_for_a_hit_is_not(tmp_path: Path, text: str, message: str, untold: str) -> None:
    sentences = (await explained(tmp_path, text))[message]
    assert not any(untold in sentence for sentence in sentences), sentences


@pytest.mark.parametrize(
    ("mode", "words", "meaning"), [("semantic", False, True), ("keyword", True, False), ("hybrid", True, True)]
)
async def test_a_mode_by_name_explains_what_it_weighs(tmp_path: Path, mode: str, words: bool, meaning: bool) -> None:
    scorer = {"text_scorer": "BM25STD"} if mode == "hybrid" else {}
    sentences = (await explained(tmp_path, "oboe", search_mode=mode, **scorer))["0"]
    assert ("It has the words: oboe." in sentences) == words
    assert any("cosine" in sentence for sentence in sentences) == meaning
    assert not any("turn" in sentence for sentence in sentences)


async def test_without_explain_there_are_no_sentences(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await run(host, "create_memories", memories=[{"id": "a", "text": "an oboe"}])
        (hit,) = (await run(host, "search_memories", text="oboe")).memories
    assert not hit.explanation
    assert hit.explain is None
