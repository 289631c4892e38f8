"""Recalled memories that come back in a turn are not extracted again, and the turn is not found by them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.extractions import (
    derived,
    extractions,
    fresh_lines,
    host_with_model,
    item,
    noting,
    said,
    settled,
    texts_of,
)
from tests.support.hosts import run
from tests.support.model_server import ModelServer

BLOCK = "[Recalled memories]\n- User prefers tabs over spaces\n- User works at Initech as QA lead\n[/Recalled memories]"
OWN = "I adopted a dog from the shelter in Graz."


async def test_a_model_sees_what_the_user_said_and_the_turn_stays_as_it_was(
    models: ModelServer, tmp_path: Path
) -> None:
    models.answer(noting({OWN: [item("User adopted a dog from the shelter in Graz.", "m0")]}))
    async with host_with_model(models, tmp_path) as host:
        turn = f"{BLOCK}\n\n{OWN}"
        await run(host, "put_session", session_id="s", user_id="ana", messages=said(turn, BLOCK))
        view = await settled(host, "s", user_id="ana")
        assert [message.content for message in view.messages] == [turn, BLOCK]
        (call,) = extractions(models)
        assert OWN in fresh_lines(call)
        assert "Initech" not in call.prompt
        assert len(texts_of(call)) == 1, "of the second turn nothing is left"
        assert [memory.text for memory in await derived(host)] == ["User adopted a dog from the shelter in Graz."]


async def test_a_turn_that_is_all_recalled_needs_no_call(models: ModelServer, tmp_path: Path) -> None:
    async with host_with_model(models, tmp_path) as host:
        await run(host, "put_session", session_id="s", user_id="ana", messages=said(BLOCK))
        view = await settled(host, "s", user_id="ana")
        assert view.extraction.state == "idle"
        assert not extractions(models)


async def test_a_preview_does_not_read_them_either(models: ModelServer, tmp_path: Path) -> None:
    models.answer({"memories": []})
    async with host_with_model(models, tmp_path) as host:
        await run(host, "preview_extraction", messages=said("Hello!", f"{OWN}\n{BLOCK}"))
        (call,) = extractions(models)
        assert OWN in call.prompt
        assert "Initech" not in call.prompt


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_turns_are_found_by_the_words_of_the_user(models: ModelServer, tmp_path: Path, store: str) -> None:
    others = ["The weather in Leoben is fine.", "I work as a nurse.", "We painted the kitchen."]
    async with host_with_model(models, tmp_path, store=store, settings={"EXTRACTION_ENABLED": "false"}) as host:
        turns = said(f"{BLOCK}\n\n{OWN}", BLOCK, *others)
        await run(host, "put_session", session_id="s", user_id="ana", messages=turns)
        found = await run(host, "search_memories", text="dog from the shelter", user_id={"eq": "ana"}, limit=1)
        assert [hit.text for hit in found.memories] == [f"user: {BLOCK}\n\n{OWN}"]
        found = await run(host, "search_memories", text="Who works at Initech?", user_id={"eq": "ana"}, limit=2)
        assert all("Initech" not in hit.text for hit in found.memories)
        context = await run(host, "get_context", query="dog from the shelter", user_id="ana", budget=1_000)
        assert OWN in context.text
        assert "Initech" not in context.text
