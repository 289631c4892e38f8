"""No pattern and no function of texts takes more than in proportion to the length of what a client may send.

These are the only tests that look at time: at CPU time of their own thread, at its growth, and at nothing else.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

import pytest

from memhost.consolidation.wording import holds_facts_of, says_all, stands_for
from memhost.extraction.parsing.answers import Limits, read_answer
from memhost.extraction.screening.safety import check_prompt
from memhost.extraction.screening.spoken_numbers import numbers_in
from memhost.extraction.shown import shown_to_model
from memhost.memories.records import content_hash
from memhost.memories.repetition import compatible, statement
from memhost.messages.windows import count_tokens
from memhost.models import MemoryRecord, Message
from memhost.ranking import traits_of
from memhost.secrets.detector import find_secrets
from memhost.secrets.masking import mask_secrets
from memhost.text.analysis import analyse_query, index_terms, split_speaker
from memhost.text.best_passage import best_passage
from memhost.text.first_person import in_first_person
from memhost.text.passages import passages
from memhost.text.recalled.fence import fenced
from memhost.text.recalled.own_text import own_text
from memhost.text.small_talk import without_small_talk
from memhost.text.speakers import labels_of, speaker_of
from memhost.text.temporal.asked import Here, asked_times
from memhost.text.temporal.dates import find_relative, said_date
from memhost.text.temporal.seasons import find_seasons
from memhost.text.tokens import pieces, tokenize
from memhost_model_static.embedder import StaticEmbedder
from memhost_rest.body import parse_body, parse_query
from memhost_rest.decoding import DecodingError
from tests.support.growth import (
    Growth,
    Work,
    after,
    alone,
    beginnings,
    hostile,
    methods_of,
    patterns,
    searching,
    signs_of,
    text_functions,
    units,
)

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ON_REQUEST_PATHS = (
    "memhost.admin",
    "memhost.consolidation",
    "memhost.context",
    "memhost.credentials",
    "memhost.events",
    "memhost.extraction",
    "memhost.history",
    "memhost.host",
    "memhost.http",
    "memhost.integrity",
    "memhost.jobs",
    "memhost.logs",
    "memhost.memories",
    "memhost.messages",
    "memhost.models",
    "memhost.operations",
    "memhost.plugins",
    "memhost.profile",
    "memhost.ranking",
    "memhost.reading",
    "memhost.search",
    "memhost.secrets",
    "memhost.sessions",
    "memhost.storage",
    "memhost.storekit",
    "memhost.text",
    "memhost.usage",
    "memhost.views",
    "memhost_auth",
    "memhost_mcp",
    "memhost_metrics",
    "memhost_model",
    "memhost_pipeline",
    "memhost_rest",
    "memhost_store",
    "memhost_strategy",
)
NOT_FROM_CLIENTS = ("required",)
"""Functions that read what memhost's own modules say, not what clients send."""
FAMILIES = ("memhost.extraction", "memhost.logs", "memhost", "")
"""First parts of the names of patterns, so that their tests share the work."""


@pytest.fixture(scope="module")
def growth() -> Growth:
    return Growth(list(hostile()))


@pytest.fixture(scope="module")
def all_patterns() -> dict[str, re.Pattern[Any]]:
    return patterns()


def test_the_measure_sees_what_is_quadratic() -> None:
    dots, letters = (Growth(list(hostile(sign)), tries=2) for sign in ".a")
    thorough = Growth(list(hostile(".a")))
    assert dots.of(lambda text: re.sub(r"[\s.!?]+$", "", text))
    assert letters.of(lambda text: re.findall(r"a+b", text))
    begun = re.compile(r"say(?=\s*/?\s*no\b)")
    assert thorough.of(begun.search) == ""
    assert Growth([], tries=2).of(begun.search, list(after("say", " ")))
    assert "say" in beginnings(begun)
    assert signs_of(re.compile(r"(?:a|[@=]+)\s*#?(?!%)")) == "@=#%a"
    assert Growth([], tries=2).of(lambda text: re.findall(r"(?:a@)+b", text), list(units()))
    assert thorough.of(lambda text: sorted(text)) == ""
    assert thorough.of(lambda text: [text.replace("a", "b")]) == ""


def test_patterns_are_found_wherever_they_are(all_patterns: dict[str, re.Pattern[Any]]) -> None:
    names = {name.partition("#")[0] for name in all_patterns}
    assert len(all_patterns) > 100
    assert {
        "memhost.extraction.screening.injection._obeyed",
        "memhost.text.temporal.written._NUMERIC",
        "memhost.logs._SECRET_TEXT",
    } <= names
    assert {"memhost_rest.asgi_io._UNPRINTABLE", "memhost_store_sqlite.codec._PLAIN"} <= names


@pytest.mark.parametrize("family", FAMILIES)
def test_patterns(growth: Growth, all_patterns: dict[str, re.Pattern[Any]], family: str) -> None:
    earlier = FAMILIES[: FAMILIES.index(family)]
    found = {}
    for name, pattern in all_patterns.items():
        if name.startswith(family) and not name.startswith(earlier or ("-",)):
            more = [maker for start in beginnings(pattern) for maker in after(start, " .a7")]
            signs = signs_of(pattern)
            more += hostile(signs) if len(signs) <= 8 else alone(signs)
            if told := growth.of(searching(pattern, methods_of(name)), more):
                found[name] = told
    assert not found


def test_functions_of_one_text(growth: Growth) -> None:
    functions = text_functions(ON_REQUEST_PATHS)
    assert len(functions) > 30
    found = {
        name: told
        for name, work in functions.items()
        if name.rpartition(".")[2] not in NOT_FROM_CLIENTS and (told := growth.of(work, list(units())))
    }
    assert not found


def record(text: str) -> MemoryRecord:
    return MemoryRecord(id="a", text=text, created_at=NOW, updated_at=NOW, last_accessed=NOW)


def message(text: str) -> Message:
    return Message(role="user", content=text, id="m", created_at=NOW)


def answered(text: str) -> None:
    limits = Limits(now=NOW, sent=("m",))
    read_answer(text, limits)
    read_answer('{"memories": [{"text": "' + text + '"}]}', limits)


def as_body(text: str) -> None:
    with suppress(DecodingError):
        parse_body(('{"a": "' + text + '"').encode(errors="ignore"), "application/json")


OTHERS: dict[str, Work] = {
    "content_hash": lambda text: content_hash(record(text)),
    "find_relative": lambda text: find_relative(text, date(2026, 1, 2)),
    "said_date": lambda text: said_date(text, date(2026, 1, 2)),
    "traits_of": lambda text: traits_of(text, index_terms(text)),
    "speaker": lambda text: (split_speaker("Ann: " + text), speaker_of(message(text)), labels_of([message(text)] * 2)),
    "tokens": lambda text: count_tokens(message(text)),
    "answers": answered,
    "broken bodies": as_body,
    "times of a question": lambda text: asked_times(text, Here(today=date(2026, 1, 2))),
    "a question of a speaker": lambda text: in_first_person(analyse_query(text), {"ann", "a"}),
    "the passage of a text": lambda text: best_passage(text, "What did Ann say of the a7 in 2026?", 400),
    "the passage for a query": lambda text: best_passage("Ann said that a7 is long. " * 400, text, 400),
    "tokens of other languages": lambda text: [tokenize(text, language) for language in ("tr", "zh", "vi", "de")],
    "small talk": lambda text: without_small_talk("Hello! " + text + " Bye!", {"ann"}),
    "one text in another": lambda text: (
        says_all(text, text[::-1]),
        holds_facts_of(text, [text]),
        stands_for(text, [text]),
    ),
    "repetitions": lambda text: (compatible(record(text), record(text + ".")), statement(text)),
    "numbers": lambda text: numbers_in(text, parts=True),
    "secrets": lambda text: find_secrets(text, frozenset({"iban", "national_id"})),
    "masked": lambda text: mask_secrets("password: " + text + " token=" + text),
    "a fence": lambda text: fenced(text[:100], [text, text]),
    "what a model is shown": lambda text: shown_to_model(message(text)),
    "own words": lambda text: own_text("## Long-term memories related to the query\n" + text + "\n- " + text),
    "pieces": lambda text: (passages(text, 400), list(pieces(text))),
    "seasons": lambda text: find_seasons(text, date(2026, 1, 2)),
    "a prompt": lambda text: check_prompt("Summarise {text} " + text),
    "queries": lambda text: parse_query(text.encode(errors="ignore").replace(b"%", b"%20")),
}


def test_the_static_embedder(growth: Growth) -> None:
    embedder = StaticEmbedder()
    assert growth.of(lambda text: embedder.embed_now([text])) == ""


@pytest.mark.parametrize("name", OTHERS)
def test_other_functions(growth: Growth, name: str) -> None:
    assert growth.of(OTHERS[name], list(units())) == ""
