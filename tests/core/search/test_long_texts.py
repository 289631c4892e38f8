"""Searches that ask for short texts get the passage that says most, with a mark; others get whole texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import UNSET

from memhost.errors import MemhostError
from tests.support.hosts import run, running_host

FILLER = "Section on budgets and minutes. " * 1000
LONG = f"{FILLER}The spare key hangs behind the barometer. {FILLER}"


async def test_a_long_text_is_cut_to_its_passage_if_asked_for(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory") as host:
        texts = {"long": LONG, "short": "The spare key is red."}
        await run(host, "store_memories", memories=[{"id": name, "text": text} for name, text in texts.items()])
        for mode in ({}, {"search_mode": "semantic"}, {"search_mode": "keyword"}, {"search_mode": "hybrid"}):
            found = await run(host, "search_memories", text="Where is the spare key?", max_text=200, **mode)
            by_id = {hit.id: hit for hit in found.memories}
            assert "The spare key hangs behind the barometer." in by_id["long"].text
            assert by_id["long"].text.startswith("… ")
            assert len(by_id["long"].text) <= 200
            assert by_id["long"].cut_from == len(LONG)
            assert (by_id["short"].text, by_id["short"].cut_from) == (texts["short"], UNSET)
        whole = await run(host, "search_memories", text="Where is the spare key?")
        assert {hit.text for hit in whole.memories} == set(texts.values())
        assert all(hit.cut_from is UNSET for hit in whole.memories)
        listed = await run(host, "search_memories", max_text=100)
        assert next(hit.text for hit in listed.memories if hit.id == "long").startswith("Section on budgets")
        assert (await run(host, "get_memory", memory_id="long")).text == LONG


async def test_a_limit_that_holds_no_passage_is_refused(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory") as host:
        with pytest.raises((MemhostError, ValueError)):
            await run(host, "search_memories", text="key", max_text=3)
