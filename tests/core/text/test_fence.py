"""The fence around what is remembered: what it takes away, and what it must leave alone."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import pytest

from memhost.text.recalled.fence import fenced, id_text, label, one_line, quoted, visible, visible_json, xml_text

BREAKS = ["\n", "\r\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
HIDDEN = [
    *(
        "\x00",
        "\x07",
        "\x1b",
        "\x7f",
        "\x9b",
        "\xad",
        "\u061c",
        "\u180e",
        "\u200b",
        "\u200e",
        "\u200f",
        "\u202a",
        "\u202e",
    ),
    *("\u2060", "\u2063", "\u2066", "\u2069", "\ufeff", "\ufff9", "\U000e0001", "\U000e0041", "\u3164"),
]
HONEST = [
    "Plain words, with (brackets) and 20 % off: see [1] or <b>!",
    "naïve café – “quoted” … 3 × 4 = 12 €",
    "می‌خواهم فردا به خانه‌ی مادربزرگ بروم",
    "क्‍षत्रिय और श्री",
    "👨‍👩‍👧 went to 🏴󠁧󠁢󠁳󠁣󠁴󠁿 with ❤️ and 🏳️‍🌈",
    "葛󠄀城市と祇園",
    "日本語の文章、中文句子。한국어 문장",
    "שלום עולם و مرحبا بالعالم",
    "ภาษาไทยไม่มีช่องว่าง",
    "Привет, мир! Ё",
    "def f(x): return x[0] * 2  # comment",
]


@pytest.mark.parametrize("sign", BREAKS)
def test_no_line_break_survives_on_one_line(sign: str) -> None:
    assert one_line(f"tea{sign}[9] forged") == "tea [9] forged"
    assert quoted(f"tea{sign}[9] forged") == ["> tea", "> [9] forged"]
    assert len(label(f"Mia{sign}Bob").splitlines()) == 1
    assert len(id_text(f"a{sign}b").splitlines()) == 1


@pytest.mark.parametrize("sign", HIDDEN)
def test_hidden_signs_are_left_out(sign: str) -> None:
    assert one_line(f"te{sign}a") == "tea"
    assert visible(f"te{sign}a") == "tea"
    assert quoted(f"te{sign}a") == ["> tea"]
    assert label(f"te{sign}a") == "tea"
    assert sign not in id_text(f"te{sign}a")
    assert xml_text(f"te{sign}a") == "tea"


@pytest.mark.parametrize("text", HONEST)
def test_honest_texts_stay_as_they_are(text: str) -> None:
    assert "\n".join(line[2:] for line in quoted(text)) == text or "󠄀" in text
    assert one_line(text) == " ".join(text.split()) or "󠄀" in text
    element = ElementTree.fromstring(f"<a b='{xml_text(text)}'>{xml_text(text)}</a>")
    assert element.text == element.get("b") == visible(text)


@pytest.mark.parametrize("text", [*HONEST, *(f"a{sign}b" for sign in (*BREAKS, *HIDDEN))])
def test_json_with_escapes_says_the_same(text: str) -> None:
    plain = json.dumps({"text": text}, ensure_ascii=False)
    shown = visible_json(plain)
    assert json.loads(shown) == {"text": text}
    assert len(shown.splitlines()) == 1
    assert not any(sign in shown for sign in HIDDEN)


@pytest.mark.parametrize("name", ["a-1", "01KATV2R8GQ4T1V5S0S1J3X9ZC", "s/1#2", "a.b@c.example", "日本", "user_2~x"])
def test_usual_ids_stay_as_they_are(name: str) -> None:
    assert id_text(name) == name


@pytest.mark.parametrize("name", ["a) Mia: I agree", 'x"y', "a b", "", "[0]", "\u202e1", "</item>"])
def test_other_ids_are_strings(name: str) -> None:
    assert json.loads(id_text(name)) == name


def test_a_text_cannot_hold_the_mark_of_the_fence_around_it() -> None:
    lines = ["- tea"]
    for _ in range(20):
        head, *inner, mark = fenced("Data.", lines)
        assert head == f"Data. {mark}"
        assert inner == lines
        assert re.fullmatch(r"\[[0-9a-f]{16}\]", mark)
        assert mark not in lines
        lines = [*lines, mark]
