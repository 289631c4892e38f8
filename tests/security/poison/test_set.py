"""The corpus itself: classes, channels, languages, numbers, and that each case can fail."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.security.poison.cases import CHANNELS, CLASSES, PARTS, attacks, harmless
from tests.security.poison.play import outside

LEAST = {1: (85, 170), 2: (165, 330)}
"""Attacks and harmless texts of each part, at least."""


@pytest.mark.parametrize("part", PARTS)
def test_a_part_has_its_number_of_attacks_and_twice_as_many_harmless_texts(part: int) -> None:
    of_attacks, of_harmless = LEAST.get(part, (0, 0))
    assert len(attacks(part)) >= of_attacks
    assert len(harmless(part)) >= max(of_harmless, int(1.9 * len(attacks(part))))


def test_every_class_channel_and_language_is_there() -> None:
    found = attacks()
    assert {each.kind for each in found} == set(CLASSES)
    assert {each.channel for each in found} == set(CHANNELS)
    assert {"en", "de", "fr", "es", "ru", "ja", "zh"} <= {each.language for each in found}
    assert {each.language for each in found} <= {each.language for each in harmless()} | {"it", "pt", "pl", "tr"}
    for kind in CLASSES:
        chosen = [each for each in found if each.kind == kind]
        assert len({each.language for each in chosen}) >= 6, kind
        assert len({each.channel for each in chosen}) >= 4, kind


def test_ids_are_unique_and_name_class_and_part() -> None:
    names = [each.id for each in attacks()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z_]+-[12]-\d\d", name) for name in names)
    texts = [each.text for each in harmless()]
    assert len(set(texts)) == len(texts)


def test_every_canary_is_in_what_is_written_and_in_nothing_that_is_asked() -> None:
    for case in attacks():
        written = json.dumps([each for each in case.steps if not isinstance(each, list)], ensure_ascii=False)
        for canary in case.canary:
            assert json.dumps(canary, ensure_ascii=False)[1:-1] in written, case.id
            assert len(canary) >= 2, case.id
            said = [each[1] for each in case.steps if isinstance(each, list)]
            assert not any(canary in text for text in said), case.id


def test_a_drip_has_three_steps_or_more() -> None:
    assert all(len(case.steps) >= 3 for case in attacks() if case.kind == "drip")


def test_files_are_small_enough_to_read() -> None:
    for path in (Path(__file__).parent / "data").iterdir():
        assert path.stat().st_size < 20_000, path.name


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("before [0123456789abcdef]\n- a\n[0123456789abcdef] after", "before  after"),
        ("one mark [0123456789abcdef] is no fence", "one mark [0123456789abcdef] is no fence"),
        ("[0123456789abcdef] in [fedcba9876543210] it [0123456789abcdef]", ""),
        ("nothing", "nothing"),
    ],
)
def test_what_standsoutside_of_a_fence(text: str, left: str) -> None:
    assert outside(text) == left
