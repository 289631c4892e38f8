"""The statements of an owner that may be about what a text says: by meaning, by words, and by what they are about."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain, pairwise, zip_longest

from memhost.extraction.kinds import SUBJECT
from memhost.models import (
    TURN_STRATEGY,
    CandidateQuery,
    Condition,
    MemoryType,
    Op,
    Scope,
    StoredMemory,
    TextMatch,
    Vector,
)
from memhost.models.filters import metadata_text
from memhost.ports import Store
from memhost.text.analysis import analyse_query, query_terms

OF_EACH = 10
"""Statements that are looked at of each kind of nearness. Of 50 pairs of a fact and its change, in the wording of a
language model, the ten nearest by vector hold 43; a distance that holds as many lets hundreds of others in."""

STATEMENTS_ONLY = Condition("extraction_strategy", Op.NONE, (TURN_STRATEGY, "summary"))
"""Turns are evidence, and a session's summary is one of its kind: neither is merged for what it means."""

_STATEMENTS = (
    STATEMENTS_ONLY,
    Condition("memory_type", Op.NONE, (MemoryType.MESSAGE.value,)),
)
_LONGEST = 2_000
_MOST_TERMS = 64
_MOST_PHRASES = 100
_SIGNS = ".,;:!?…\"'()[]{}«»“”„‘’。、，！？"


async def nearest(
    store: Store,
    owner: Scope,
    text: str,
    vector: Vector | None,
    since: datetime,
    *,
    subject: str = "",
    entities: Sequence[str] = (),
    most: int = OF_EACH,
    valid: Condition | None = None,
) -> list[StoredMemory]:
    """Statements of the owner that hold, the nearest first; no turns and no summaries of sessions.

    These are the nearest by vector, by words, those of the same entities, and those of the same subject (or else of a
    subject that the text names), in turns.

    Args:
        store: Where they are.
        owner: One owner's memories.
        text: What is said.
        vector: Its embedding; None: by words alone.
        since: They hold at this moment, or held after it.
        subject: What it is about (`metadata.subject`), empty if nobody said.
        entities: Names in it.
        most: Most statements.
        valid: When they hold, in place of `since`.
    """
    conditions = statements_of(since) if valid is None else (*_STATEMENTS, valid)
    terms = await asyncio.to_thread(_terms, text[:_LONGEST])
    query = CandidateQuery(
        conditions=conditions,
        text=TextMatch(any_of=terms) if terms else None,
        text_limit=OF_EACH,
        vector=vector,
        vector_limit=OF_EACH,
    )
    found = await store.candidates(owner, query)
    hits = found.hits
    by_meaning = [hit for hit in hits if hit.distance is not None]
    by_meaning.sort(key=lambda hit: (hit.distance or 0.0, hit.memory.record.id))
    by_words = [hit for hit in hits if hit.text_score is not None]
    by_words.sort(key=lambda hit: (-(hit.text_score or 0.0), hit.memory.record.id))
    alike: list[list[StoredMemory]] = []
    subjects = (subject,) if subject else _phrases(text[:_LONGEST])
    for condition in _about(subjects, entities):
        page, _ = await store.list_memories(owner, [*conditions, condition], limit=OF_EACH)
        alike.append(page)
    legs = [*alike, [hit.memory for hit in by_meaning], [hit.memory for hit in by_words]]
    return in_turns(legs, most)


async def of_subject(store: Store, owner: Scope, subject: str, since: datetime) -> list[StoredMemory]:
    """The newest statements of a subject (`metadata.subject`) that hold at a moment, or held after it."""
    conditions = [*statements_of(since), *_about((subject,), ())]
    page, _ = await store.list_memories(owner, conditions, limit=OF_EACH)
    return page


def in_turns(legs: Sequence[Sequence[StoredMemory]], most: int) -> list[StoredMemory]:
    """The first of each list, then the second of each, and so on; each memory once."""
    ordered: Iterable[StoredMemory | None] = chain.from_iterable(zip_longest(*legs))
    found: dict[str, StoredMemory] = {}
    for each in ordered:
        if each is not None:
            found.setdefault(each.record.id, each)
    return list(found.values())[:most]


def statements_of(since: datetime) -> tuple[Condition, ...]:
    """Conditions of statements that hold at a moment, or held after it."""
    return (*_STATEMENTS, Condition("valid_to", Op.NOT_LTE, (since,)))


def _terms(text: str) -> tuple[str, ...]:
    return tuple(query_terms(analyse_query(text)))[:_MOST_TERMS]


def _phrases(text: str) -> tuple[str, ...]:
    """The words of a text and its pairs of neighbours, in small letters: what subjects look like."""
    words = [word for word in (each.strip(_SIGNS) for each in text.casefold().split()) if word]
    pairs = (f"{one} {other}" for one, other in pairwise(words))
    return tuple(dict.fromkeys([*words, *pairs]))[:_MOST_PHRASES]


def _about(subjects: Sequence[str], entities: Sequence[str]) -> list[Condition]:
    found = [Condition(f"metadata.{SUBJECT}", Op.ANY, tuple(map(metadata_text, subjects)))] if subjects else []
    if entities:
        found.append(Condition("entities", Op.ANY, tuple(entities)))
    return found
