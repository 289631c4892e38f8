"""Which texts hold secrets, and which only look like it: in `tests/data/secrets.json`, twice as many of these."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memhost.secrets import Masker, find_secrets, mask_secrets, named
from memhost.secrets.named import is_secret_of
from tests.support.tiers import examples

SET = json.loads((Path(__file__).parents[2] / "data" / "secrets.json").read_text())
KEY = b"a key of the tests of the masker"


@pytest.mark.parametrize("case", SET["found"], ids=lambda case: case["text"][:40])
def test_secrets_are_found(case: dict[str, Any]) -> None:
    found = find_secrets(case["text"])
    assert case["kind"] in {secret.kind for secret in found}
    masked = Masker(KEY).text(case["text"])
    assert not [secret for secret in case["secrets"] if secret in masked]


@pytest.mark.parametrize("text", SET["left"], ids=lambda text: text[:40])
def test_other_texts_are_left(text: str) -> None:
    assert [(each.kind, text[each.start : each.end]) for each in find_secrets(text)] == []
    assert Masker(KEY).text(text) is text


def test_the_set_has_twice_as_many_texts_that_are_left() -> None:
    assert len(SET["left"]) >= 2 * len(SET["found"]) >= 2 * 100


@pytest.mark.parametrize(
    ("extra", "text", "secret"),
    [
        ("iban", "Transfer it to DE89 3704 0044 0532 0130 00, please.", "DE89 3704 0044 0532 0130 00"),
        ("iban", "IBAN: GB82WEST12345698765432", "GB82WEST12345698765432"),
        ("national_id", "SSN 078-05-1120", "078-05-1120"),
        ("national_id", "DNI 12345678Z", "12345678Z"),
        ("national_id", "PESEL 44051401359", "44051401359"),
        ("national_id", "CPF 529.982.247-25", "529.982.247-25"),
        ("national_id", "T.C. 10000000146", "10000000146"),
        ("national_id", "身份证11010519491231002X", "11010519491231002X"),
        ("iban", "DE88 3704 0044 0532 0130 00", None),
        ("national_id", "078-05-0000 and 12345678A and 44051401358", None),
    ],
)
def test_options_find_more_only_where_they_are_on(extra: Any, text: str, secret: str | None) -> None:
    assert find_secrets(text) == []
    found = find_secrets(text, frozenset({extra}))
    assert [text[each.start : each.end] for each in found] == ([secret] if secret else [])


@pytest.mark.parametrize(
    ("name", "value", "held"),
    [
        ("password", "hunter22!", True),
        ("DB_PASSWORD", "hunter22!", True),
        ("smtp.password", "hunter22!", True),
        ("api_key", "9f8a7b6c5d4e3f2a1b0c", True),
        ("password", "required", False),
        ("password", "changeme", False),
        ("primary_key", "9f8a7b6c5d4e3f2a1b0c", False),
        ("city", "hunter22!", False),
        ("note", "the password is important", False),
    ],
)
def test_values_of_objects_are_told_by_their_names(name: str, value: str, held: bool) -> None:
    assert is_secret_of(name, value) is held


def test_masks_tell_equal_secrets_and_nothing_else() -> None:
    masker = Masker(KEY)
    one, two, other = (masker.text(f"password: {word}") for word in ("hunter22!", "hunter22!", "hunter23!"))
    assert one == two != other
    assert Masker(b"another").text("password: hunter22!") != one
    assert masker.text("4111 1111 1111 1111") == masker.text("4111-1111-1111-1111") == masker.text("4111111111111111")
    assert masker.text("mein Passwort ist hunter22!").endswith(one.removeprefix("password: "))


def test_no_mask_looks_like_a_number() -> None:
    masks = {Masker(KEY).mask_of(f"hunter{number}!") for number in range(1_000)}
    assert len(masks) == 1_000
    assert all(re.fullmatch(r"\[secret:[a-f][0-9a-f]{5}\]", mask) for mask in masks)


def test_without_a_key_all_masks_are_alike() -> None:
    assert Masker().text("password: hunter22!") == "password: [secret]"
    assert mask_secrets("User's password is hunter2!") == ("User's password is [secret]", True)


FRAGMENTS = st.sampled_from(
    [
        *(case["text"] for case in SET["found"]),
        *SET["left"],
        *("[secret:1f9c2a]", "[secret]", "password", "=", ": ", '"', "\n", " is ", "://", "@", "my ", "token", "4111"),
    ]
)


@given(st.lists(st.one_of(FRAGMENTS, st.text(max_size=8)), max_size=6).map("".join))
@settings(max_examples=examples(200, full=5_000), deadline=None)
def test_a_masked_text_stays_as_it_is(text: str) -> None:
    masker = Masker(KEY)
    masked = masker.text(text)
    assert Masker(KEY).text(masked) == masked


@given(st.text())
@settings(max_examples=examples(100, full=2_000), deadline=None)
def test_any_text_can_be_searched(text: str) -> None:
    places = [(secret.start, secret.end) for secret in find_secrets(text)]
    assert places == sorted(places)
    assert all(0 <= start < end <= len(text) for start, end in places)


@given(
    st.sampled_from([*named._WORDS, *named._ELSE, "nothing", ""]),
    st.text(st.characters(codec="ascii"), max_size=6),
    st.sampled_from(["", "é", "密"]),
)
def test_a_text_may_name_a_secret_if_it_has_any_of_the_words(word: str, around: str, beside: str) -> None:
    low = f"{around}{word}{around}{beside}".lower()
    assert named._may_name(low) == any(each in low for each in (*named._WORDS, *named._ELSE))
