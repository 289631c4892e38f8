"""Who said a memory: the one named speaker of its sources, the assistant alone, or nobody in particular."""

from __future__ import annotations

import pytest

from memhost.memories.trust import SAID_BY, UNCONFIRMED, is_held_back, name_speaker, why_held_back
from memhost.models import MemoryRecord
from memhost.models.trust import by_role, lowest
from memhost.testing.factories import make_record


def told(*said: tuple[str, str | None], action: bool = False) -> MemoryRecord:
    record = make_record("m", "User likes tea.")
    record.trust = lowest(by_role(role) for role, _ in said)
    name_speaker(record, said, action=action)
    return record


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ([("user", "Mia")], "Mia"),
        ([("user", "Mia"), ("user", "Mia")], "Mia"),
        ([("assistant", "Sam")], "Sam"),
        ([("user", "Мила"), ("assistant", "Мила")], "Мила"),
        ([("user", "Mia"), ("user", "Tom")], None),
        ([("user", "Mia"), ("user", None)], None),
        ([("user", None)], None),
        ([], None),
    ],
)
def test_what_one_named_speaker_said_has_the_name(said: list[tuple[str, str | None]], name: str | None) -> None:
    record = told(*said)
    assert record.metadata.get(SAID_BY) == name
    assert UNCONFIRMED not in record.metadata


@pytest.mark.parametrize("said", [[("assistant", None)], [("AI", None), ("assistant", None)], [("model", None)]])
def test_what_only_the_assistant_said_is_in_no_context(said: list[tuple[str, str | None]]) -> None:
    record = told(*said)
    assert (record.metadata[UNCONFIRMED], is_held_back(record)) == (True, True)
    if record.trust == "assistant":
        assert why_held_back(record) == "unconfirmed"


@pytest.mark.parametrize(
    ("said", "action"),
    [
        ([("assistant", None)], True),
        ([("assistant", None), ("user", None)], False),
        ([("user", None), ("assistant", None)], False),
        ([("assistant", "Sam")], False),
        ([("assistant", "Planner"), ("assistant", None)], False),
        ([("tool", None)], False),
        ([("user", None)], False),
        ([], False),
    ],
)
def test_what_somebody_took_up_and_what_an_agent_did_is(said: list[tuple[str, str | None]], *, action: bool) -> None:
    assert UNCONFIRMED not in told(*said, action=action).metadata
