"""Which statements an agent may take from its user alone, and which are everyday facts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memhost.extraction.screening.sensitive.kinds import kinds_of

DATA = Path(__file__).parents[2] / "data" / "sensitive"
HELD: dict[str, list[str]] = json.loads((DATA / "held.json").read_text(encoding="utf-8"))
LEFT: dict[str, list[str]] = json.loads((DATA / "left_alone.json").read_text(encoding="utf-8"))


def test_the_sets_are_large_and_in_many_languages() -> None:
    held, left = (sum(map(len, texts.values())) for texts in (HELD, LEFT))
    assert held >= 200
    assert left >= 2 * held
    for texts in (HELD, LEFT):
        languages = {name.rpartition(" ")[2] for name in texts}
        assert {"en", "de", "fr", "es", "it", "pt", "nl", "ru", "tr", "zh", "ja", "ko"} <= languages


@pytest.mark.parametrize("group", HELD)
def test_statements_that_need_the_user_are_told(group: str) -> None:
    assert [text for text in HELD[group] if not kinds_of(text)] == []


@pytest.mark.parametrize("group", LEFT)
def test_everyday_statements_are_left_alone(group: str) -> None:
    assert [(text, kinds_of(text)) for text in LEFT[group] if kinds_of(text)] == []
