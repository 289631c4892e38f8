"""Reading answers: recovery, and validation item by item."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memhost.extraction.parsing.answers import MAX_TEXT, Limits, Reading, read_answer
from memhost.extraction.temporal.said_dates import read_date
from memhost.models import MemoryType
from tests.support.conversations import NOW, answer

LIMITS = Limits(sent=("m1", "m2"), now=NOW)
TEA = {"text": "User likes tea."}


def read(text: str) -> Reading:
    return read_answer(text, LIMITS)


def texts(text: str) -> list[str]:
    return [item.draft.text for item in read(text).items]


@pytest.mark.parametrize(
    "given_answer",
    [
        answer(TEA),
        f"```json\n{answer(TEA)}\n```",
        f"Sure, here [as asked] is it:\n\n{answer(TEA)}\nAnything else?",
        f"I found [1] item: {answer(TEA)}",
        json.dumps([TEA]),
        json.dumps(TEA),
        json.dumps({"memories": TEA}),
        json.dumps({"result": {"memories": [TEA]}}),
        f"<think>maybe {{}} or [] ?</think>{answer(TEA)}",
    ],
)
def test_items_are_found_whatever_surrounds_them(given_answer: str) -> None:
    assert texts(given_answer) == ["User likes tea."]


@pytest.mark.parametrize("given_answer", ['{"memories": []}', "[]", "{}", '{"memories": null}', "None: []"])
def test_nothing_is_an_answer(given_answer: str) -> None:
    reading = read(given_answer)
    assert reading.problem is None
    assert reading.items == []
    assert not reading.cut


@pytest.mark.parametrize(
    "given_answer",
    [
        "",
        "   ",
        "I cannot help with that.",
        '{"memories": "none"}',
        '{"memories": [{"text": "User',
        "[" * 5000,
        "{" * 5000,
    ],
)
def test_what_cannot_be_read_says_why(given_answer: str) -> None:
    reading = read(given_answer)
    assert reading.problem is not None
    assert reading.items == []


def test_answer_cut_off_keeps_whole_items() -> None:
    reading = read('{"memories": [{"text": "User likes tea.", "topics": []}, {"text": "User li')
    assert [item.draft.text for item in reading.items] == ["User likes tea."]
    assert reading.cut


def test_empty_list_inside_a_cut_item_is_no_answer() -> None:
    assert read('{"memories": [{"topics": [], "text": "User li').problem is not None


def test_bad_item_is_dropped_and_the_others_kept() -> None:
    reading = read(
        answer(TEA, {"text": 5}, {"topics": ["text"]}, {"text": {"type": "string"}}, {"text": "User has a cat."})
    )
    assert [item.draft.text for item in reading.items] == ["User likes tea.", "User has a cat."]
    assert reading.faults == 2
    assert len(reading.dropped) == 3


def test_at_most_fifty_items() -> None:
    reading = read(answer(*({"text": f"User owns book {number}."} for number in range(60))))
    assert len(reading.items) == 50
    assert any("10 items" in reason for reason in reading.dropped)


def test_near_identical_items_are_merged() -> None:
    first = {"text": "User has the cat.", "topics": ["Pets"], "source_message_ids": ["m1"], "confidence": 0.5}
    other = {"text": "user has a  CAT", "topics": ["pets", "cats"], "source_message_ids": ["m2"], "confidence": 0.9}
    (item,) = read(answer(first, other)).items
    assert item.draft.topics == ["Pets", "cats"]
    assert item.draft.source_ids == ["m1", "m2"]
    assert item.draft.confidence == 0.9


def test_one_differing_word_is_no_repetition() -> None:
    assert len(read(answer({"text": "User likes tea."}, {"text": "User dislikes tea."})).items) == 2


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("semantic", "semantic"),
        ("Fact", "semantic"),
        ("preference", "semantic"),
        (" EVENT ", "episodic"),
        (3, "semantic"),
    ],
)
def test_types_and_their_synonyms(kind: Any, expected: str) -> None:
    (item,) = read(answer({**TEA, "type": kind})).items
    assert item.draft.memory_type is MemoryType(expected)


def test_tags_are_cleaned_and_commas_kept() -> None:
    raw = {**TEA, "topics": [" food ", "Food", "x" * 101, 5, "", "a", "b", "c"], "entities": ["Oslo, Norway"]}
    (item,) = read(answer(raw)).items
    assert item.draft.topics == ["food", "a", "b"]
    assert item.draft.entities == ["Oslo, Norway"]


def test_only_ids_that_were_sent_are_sources() -> None:
    (item,) = read(answer({**TEA, "source_message_ids": ["m2", "m9", 4, "m2"]})).items
    assert item.draft.source_ids == ["m2"]


def test_owner_and_id_of_an_answer_count_for_nothing() -> None:
    raw = {
        **TEA,
        "id": "x",
        "user_id": "eve",
        "namespace": "n",
        "session_id": "s",
        "pinned": True,
        "metadata": {"a": 1},
    }
    (item,) = read(answer(raw)).items
    assert item.draft.id is None
    assert item.draft.metadata == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-03-12", datetime(2026, 3, 12, tzinfo=UTC)),
        ("2026-03-12T10:00:00Z", datetime(2026, 3, 12, 10, tzinfo=UTC)),
        ("2026-03-12T10:00:00+02:00", datetime(2026, 3, 12, 8, tzinfo=UTC)),
        ("2026-03-12T10:00", datetime(2026, 3, 12, 10, tzinfo=UTC)),
        ("2026-03", datetime(2026, 3, 1, tzinfo=UTC)),
        ("1999", datetime(1999, 1, 1, tzinfo=UTC)),
        ("2045-01-01", datetime(2045, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        ("next week", None),
        ("2026-13", None),
        (20260312, None),
        ("", None),
    ],
)
def test_dates(value: Any, expected: datetime | None) -> None:
    found = read_date(value)
    assert (found and found.start) == expected


@pytest.mark.parametrize(
    ("value", "end", "first", "last", "precision"),
    [
        ("2026-11-23/2026-11-27", None, "2026-11-23", "2026-11-27", "day"),
        ("2026-11-23/27", None, "2026-11-23", "2026-11-27", "day"),
        ("2026-11-23..27", None, "2026-11-23", "2026-11-27", "day"),
        ("2026-11-23 to 2026-11-27", None, "2026-11-23", "2026-11-27", "day"),
        ("23.11.2026 - 27.11.2026", None, "2026-11-23", "2026-11-27", "day"),
        ("2026-11-28–12-02", None, "2026-11-28", "2026-12-02", "day"),
        ("2026-11-23", "2026-11-27", "2026-11-23", "2026-11-27", "day"),
        ("2023/05/07 - 2023/05/09", None, "2023-05-07", "2023-05-09", "day"),
        ("2015/2019", None, "2015-01-01", "2019-01-01", "year"),
        ("2015-06", "2019", "2015-06-01", "2019-01-01", "year"),
        ("2026-03-12T10:00:00Z", "2026-03-12T11:30:00Z", "2026-03-12T10:00", "2026-03-12T11:30", "minute"),
        ("2026-11-23", "2026-11-01", "2026-11-23", None, "day"),
        ("2026-11-23", "2026-11-23", "2026-11-23", None, "day"),
        ("2026-11-23", "soon", "2026-11-23", None, "day"),
        ("1998", None, "1998-01-01", None, "year"),
        ("2023/05", None, "2023-05-01", None, "month"),
        ("2023/05/07", None, "2023-05-07", None, "day"),
        ("2026-03-12T00:00:00Z", None, "2026-03-12", None, "day"),
    ],
)
def test_spans_and_units(value: str, end: str | None, first: str, last: str | None, precision: str) -> None:
    found = read_date(value, end)
    assert found is not None
    assert found.start == datetime.fromisoformat(first).replace(tzinfo=UTC)
    assert found.end == (last and datetime.fromisoformat(last).replace(tzinfo=UTC))
    assert found.precision == precision


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-27..23",
        "2026-11-27/2026-11-23",
        "2026-11/27-30",
        "05/07/2023",
        "05/07/2023 to 07/07/2023",
        "2020/21",
        "2026-11-23/99",
        "2026-11-23..",
        "..2026-11-23",
        "2026-11-23 or 2026-11-27",
        "2026-11-23, 2026-11-27",
        "between 2026-11-23 and 27",
        "FROM/TO",
        "YYYY-MM-DD/YYYY-MM-DD",
        "555-1234/5678",
    ],
)
def test_what_is_no_span(value: str) -> None:
    assert read_date(value) is None


def test_bad_date_is_told_and_the_item_kept() -> None:
    reading = read(answer({**TEA, "event_date": "soon"}, {"text": "User has a cat.", "event_date": None}))
    assert len(reading.items) == 2
    assert len(reading.dropped) == 1


@pytest.mark.parametrize(
    ("value", "expected"), [(0.5, 0.5), (7, 1.0), (-1, 0.0), ("so so", None), (True, None), (10**400, 1.0)]
)
def test_confidence(value: Any, expected: float | None) -> None:
    (item,) = read(answer({**TEA, "confidence": value})).items
    assert item.draft.confidence == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["text", "topics", "memories"]), inner),
    max_leaves=6,
)
ITEMS = st.dictionaries(
    st.sampled_from(["text", "type", "topics", "entities", "event_date", "source_message_ids", "confidence", "id"]),
    JSON,
)


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    read(text)


@settings(max_examples=40)
@given(st.lists(ITEMS | JSON, max_size=4), st.integers(min_value=0))
def test_any_json_is_read_without_an_error(items: list[Any], length: int) -> None:
    text = json.dumps({"memories": items})
    for each in (text, text[: length % (len(text) + 1)], json.dumps(items)):
        for item in read(each).items:
            draft = item.draft
            assert 2 <= len(draft.text) <= MAX_TEXT
            draft.text.encode()
            assert set(draft.source_ids) <= set(LIMITS.sent)
            assert draft.confidence is None or 0 <= draft.confidence <= 1
