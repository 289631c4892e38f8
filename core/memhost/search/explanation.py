"""Explains a hit in sentences: which words, which meaning, which neighbours, which date.

The parts of a score say how much each stage added. These sentences say what it added that for, so that a person sees
what to change: the query, a memory, a date, or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import UNSET

from memhost.models import MemoryHit, StoredMemory, Vector
from memhost.search.reranking import PIPELINE, RERANKER
from memhost.text.analysis import AnalysedQuery
from memhost.text.speakers import is_user
from memhost.text.tokens import stems

_BESIDE = ((-1, "The turn before it"), (1, "The turn after it"), (-2, "Two turns before it"), (2, "Two turns after it"))
_WANTED = {
    "time": "an expression of time",
    "person": "a person",
    "place": "a place",
    "price": "a price",
    "number": "a number",
}


class Explainer:
    """Explains hits of one search.

    Args:
        candidates: What the store gave, with the neighbours of matches.
        query: The query, taken apart; None if words did not count.
        vector: Its embedding; None if meaning did not count.
    """

    def __init__(self, candidates: Sequence[StoredMemory], query: AnalysedQuery | None, vector: Vector | None) -> None:
        self._query = query
        self._vector = vector
        self._by_id = {memory.record.id: memory for memory in candidates}
        self._by_place = {place: memory for memory in candidates if (place := _place(memory, 0)) is not None}

    def sentences(self, hit: MemoryHit) -> list[str]:
        """The reasons of the hit's score, the most telling first; they are about the memory whose score it has."""
        memory = self._by_id.get(hit.id if hit.score_of is UNSET else hit.score_of)
        if memory is None:
            return [f"It lies behind the ranked matches, where distance alone decides ({hit.dist:.2f})."]
        parts = hit.explain or {}
        found = [] if self._query is None else [_words(self._query, memory), *self._around(self._query, memory, parts)]
        if self._vector is not None:
            found.append(_meaning(memory, self._vector))
        return _one_with(hit) + found + _reranked(parts)

    def _around(self, query: AnalysedQuery, memory: StoredMemory, parts: Mapping[str, float]) -> list[str]:
        """Reasons beside its own words and meaning, in the whole pipeline."""
        found = []
        for step, named in _BESIDE if "context" in parts else ():
            place = _place(memory, step)
            beside = self._by_place.get(place) if place is not None else None
            held = _held(query, beside) if beside is not None else []
            if held:
                found.append(f"{named} has: {', '.join(held)}.")
        if query.dates and parts.get("date", 0.0) > 0:
            when = memory.record.event_date or memory.record.told_at
            found.append(f"Its date, {when:%Y-%m-%d}, is at or near the one that the query names.")
        if memory.speaker and not set(query.terms).isdisjoint(stems(memory.speaker)):
            found.append(f"{memory.speaker}, whom the query names, said it.")
        if parts.get("role", 0.0) > 0:
            whose = "the one who asks" if memory.role is None or is_user(memory.role) else "the assistant"
            found.append(f"It is what {whose} said, or is about them.")
        if query.wants in _WANTED and parts.get("expected", 0.0) > 0:
            found.append(f"It has {_WANTED[query.wants]}, which the query asks for.")
        return found


def _held(query: AnalysedQuery, memory: StoredMemory) -> list[str]:
    """The words of the query that the memory has, as the query spells them."""
    terms: Sequence[str] | str = memory.terms
    held = set(terms.split() if isinstance(terms, str) else terms)
    rows = zip(query.terms, query.others, query.words, strict=True)
    return [word for term, others, word in rows if term in held or not held.isdisjoint(others)]


def _words(query: AnalysedQuery, memory: StoredMemory) -> str:
    held = _held(query, memory)
    if not held:
        return "It has no word of the query."
    missing = [word for word in query.words if word not in held]
    return f"It has the words: {', '.join(held)}." + (f" It lacks: {', '.join(missing)}." if missing else "")


def _meaning(memory: StoredMemory, vector: Vector) -> str:
    if memory.vector is None:
        return "It has no vector yet, so that its meaning did not count."
    return f"Its meaning has the cosine {float(memory.vector @ vector):.2f} with the query (1: the same, 0: unrelated)."


def _one_with(hit: MemoryHit) -> list[str]:
    """Say whose score it has, and why it is not where its own words would put it."""
    found = []
    if hit.score_of is not UNSET:
        older = hit.replaces is not UNSET and any(each.id == hit.score_of for each in hit.replaces)
        whose = "the fact that it replaced" if older else "a turn that says it, or said what was replaced"
        found.append(f"It has the score of {hit.score_of}, {whose}; what follows is about that.")
    if hit.superseded is not UNSET:
        found.append(f"A newer fact replaced what it says, {hit.superseded.by}: it ranks no better than that.")
    return found


def _reranked(parts: Mapping[str, float]) -> list[str]:
    if RERANKER in parts:
        return [f"The reranker gave it {parts[RERANKER]:.2f}; without the reranker it had {parts[PIPELINE]:.2f}."]
    if PIPELINE in parts:
        return [f"It lies behind the matches that the reranker saw; without the reranker it had {parts[PIPELINE]:.2f}."]
    return []


def _place(memory: StoredMemory, step: int) -> tuple[str | None, str | None, str | None, int] | None:
    """Owner, session and position of the turn so many steps away; None if the memory is not a turn."""
    record = memory.record
    if memory.position is None:
        return None
    return record.namespace, record.user_id, record.session_id, memory.position + step
