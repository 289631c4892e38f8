"""Normal forms equal those of the standard library, without quadratic time."""

from __future__ import annotations

import unicodedata

import pytest

from memhost.text.unicode_forms import Form, normal_form

FORMS: tuple[Form, ...] = ("NFC", "NFD", "NFKC", "NFKD")
TEXTS = [
    "",
    "plain",
    "Anna is 5\u00b2 metres away",
    "cafe\u0301 and caf\u00e9",
    "\ufb01ne \uff21\uff22\uff23 \u2026",
    "\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab",
    "\u0928\u093c\u0947\u0928 \u0623\u064e\u0647\u0652\u0644\u064b\u0627",
    "a\u0316\u0301 a\u0301\u0316",
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324\u031e\u0349\u035a\u032f\u031e\u0320\u034dalgo",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("text", TEXTS)
def test_a_text_of_people_gets_the_form_of_the_standard(form: Form, text: str) -> None:
    assert normal_form(form, text) == unicodedata.normalize(form, text)
    assert normal_form(form, text * 50) == unicodedata.normalize(form, text * 50)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "marks", ["\u0301\u0316", "\u0344\u0316", "\u0301", "\u0316\u0301\u0334", "\u0e48\u0e38", "\u0f71\u0f73"]
)
def test_a_run_of_marks_is_cut_so_that_their_order_costs_little(form: Form, marks: str) -> None:
    found = normal_form(form, "a" + marks * 5000 + "b")
    longest = run = 0
    for sign in found:
        run = run + 1 if unicodedata.combining(sign) else 0
        longest = max(longest, run)
    assert longest <= 70
    bare = "".join(sign for sign in unicodedata.normalize("NFD", found) if not unicodedata.combining(sign))
    assert bare.replace("\u034f", "") == "ab"
