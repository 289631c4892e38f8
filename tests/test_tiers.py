"""Only marks with a reason move a test to another tier."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.tiers import MARKS, belongs, reason

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("names", "tiers"),
    [(set[str](), ["test", "all"]), ({"full"}, ["all"]), ({"soak"}, ["soak"]), ({"full", "soak"}, ["soak"])],
)
def test_marks_choose_the_tier(names: set[str], tiers: list[str]) -> None:
    assert [tier for tier in ("test", "all", "soak") if belongs(tier, names)] == tiers


@pytest.mark.parametrize("mark", [pytest.mark.full, pytest.mark.full(""), pytest.mark.full(" "), pytest.mark.soak(5)])
def test_mark_without_a_reason_is_seen(mark: pytest.MarkDecorator) -> None:
    assert not reason(mark.mark)


def test_mark_with_a_reason() -> None:
    assert reason(pytest.mark.full("because").mark) == "because"


def test_every_mark_says_more_than_that_it_is_slow() -> None:
    marks = re.compile(rf"mark\.({'|'.join(MARKS)})\b(\(\s*\"[^\"]{{20,}})?")
    bare = [
        f"{path.relative_to(ROOT)}: {found.group()}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if path != Path(__file__)
        for found in marks.finditer(path.read_text(encoding="utf-8"))
        if not found.group(2) and path.name != "tiers.py"
    ]
    assert not bare


def test_tiers_are_documented_and_made() -> None:
    text = (ROOT / "docs" / "development.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target, tier in (("test", "test"), ("test-all", "all"), ("soak", "soak")):
        assert f"`make {target}`" in text
        assert re.search(rf"^{target}:.*\n\t.*--tier={tier}\b", makefile, re.MULTILINE)
