"""Strategy `preferences`."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.conversations import answer, context, said

from memhost.models import MemoryType
from memhost_strategy_preferences.strategy import Preferences

STRATEGY = Preferences()
TURNS = said("I can't stand coffee any more.")


def test_items_have_polarity_and_subject() -> None:
    request = STRATEGY.prepare(TURNS, context())
    assert request is not None
    assert request.schema is not None
    keys = request.schema["properties"]["memories"]["items"]["properties"]
    assert {"text", "polarity", "subject", "lines"} <= set(keys)
    assert not {"type", "event_date"} & set(keys)


def test_polarity_and_subject_go_to_the_metadata() -> None:
    item = {
        "text": "User dislikes coffee.",
        "type": "episodic",
        "polarity": " Negative ",
        "subject": "Coffee",
        "event_date": "2026-01-01",
        "source_message_ids": ["m1"],
    }
    (draft,) = STRATEGY.parse(answer(item), TURNS, context()).drafts
    assert draft.metadata == {"kind": "preference", "polarity": "negative", "subject": "coffee"}
    assert (draft.memory_type, draft.event_date, draft.source_ids) == (MemoryType.SEMANTIC, None, ["m1"])


@pytest.mark.parametrize("wrong", [None, 5, "", "very", ["a"], {"a": 1}])
def test_wrong_values_are_left_out(wrong: Any) -> None:
    item = {"text": "User dislikes coffee.", "polarity": wrong, "subject": 5}
    (draft,) = STRATEGY.parse(answer(item), TURNS, context()).drafts
    assert draft.metadata == {"kind": "preference"}


def test_metadata_is_not_shared_between_drafts() -> None:
    items = [{"text": f"User likes {what}.", "polarity": "positive", "subject": what} for what in ("tea", "jam")]
    drafts = STRATEGY.parse(answer(*items), TURNS, context()).drafts
    assert [draft.metadata["subject"] for draft in drafts] == ["tea", "jam"]
