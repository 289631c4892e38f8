"""Strategy `verbatim`: each turn word for word."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec import structs

from memhost.models import MemoryType, Message, SessionKey
from memhost.ports import ExtractionContext, Turn
from memhost.text.speakers import Label
from memhost_strategy_verbatim.strategy import Verbatim

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONTEXT = ExtractionContext(session=SessionKey("t", "n", "u", "s"), config={}, summary=None, now=NOW)


def turn(role: str, content: str, position: int = 0, occurrence: int = 1) -> Turn:
    message = Message(role=role, content=content, id=f"m{position}", created_at=NOW)
    return Turn(message=message, position=position, occurrence=occurrence)


async def test_turn_becomes_a_memory_with_its_origin() -> None:
    context = structs.replace(CONTEXT, labels=frozenset({Label("user", "mia")}))
    (draft,) = await Verbatim().extract([turn("user", "Mia: I moved to Lyon.", 4)], context)
    assert draft.text == "user: Mia: I moved to Lyon."
    assert draft.memory_type is MemoryType.MESSAGE
    assert (draft.id, draft.source_ids) == ("m4", ["m4"])
    assert (draft.speaker, draft.role, draft.position) == ("Mia", "user", 4)
    assert draft.created_at == NOW


@pytest.mark.parametrize("role", ["system", "tool", "System", "TOOL"])
async def test_instructions_and_raw_output_are_left_out(role: str) -> None:
    assert await Verbatim().extract([turn(role, "You are a helpful assistant.")], CONTEXT) == []


@pytest.mark.parametrize(
    ("role", "content", "speaker"),
    [
        ("user", "hello", None),
        ("Assistant", "hello", None),
        ("USER", "hello", None),
        ("Tools", "hello", "Tools"),
        ("Mia", "hello", "Mia"),
        ("Mia", "Tom: hello", "Mia"),
        ("user", "Tom: hello", None),
    ],
)
async def test_a_role_that_is_a_name_is_the_speaker(role: str, content: str, speaker: str | None) -> None:
    (draft,) = await Verbatim().extract([turn(role, content)], CONTEXT)
    assert draft.speaker == speaker


@pytest.mark.parametrize("role", ["user", "User", "Tools", "systems", "mia", "Outil"])
async def test_the_role_stays_as_it_was_sent(role: str) -> None:
    (draft,) = await Verbatim().extract([turn(role, "hello")], CONTEXT)
    assert (draft.role, draft.text) == (role, f"{role}: hello")


async def test_repeated_message_id_gets_an_id_of_the_servers() -> None:
    first, second = await Verbatim().extract([turn("user", "a"), turn("user", "b", occurrence=2)], CONTEXT)
    assert first.id == "m0"
    assert second.id is None
