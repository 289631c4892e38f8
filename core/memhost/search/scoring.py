"""Scores of the four search modes, from candidates to matches in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from memhost.memories.exact_duplicates import TURN_STRATEGY
from memhost.models import (
    CandidateHit,
    Candidates,
    Condition,
    MemoryHit,
    MemoryRecord,
    MemoryType,
    Repeat,
    StoredMemory,
    TextMatch,
    Vector,
    matches,
)
from memhost.ranking import Candidate, CorpusStats, Ranked, RankingWeights, rank
from memhost.text.analysis import AnalysedQuery

ScoreType = Literal["semantic", "keyword", "hybrid"]

NEAR = 0.08
"""Cosine, from the embedder's floor, below which a memory that shares no word with a query says nothing about it."""
NEAR_TO_FRAGMENTS = 0.3
"""The same where the embedder knows no word of the query, and has put its vector together from fragments of them.

Both measured (docs/benchmarks.md, "When nothing fits"): no answer to any of 867 questions lies below.
"""

_REPEATS_SHOWN = 20


class Scored(msgspec.Struct, frozen=True):
    """A match before its page is known. `parts` explain the score."""

    record: MemoryRecord
    dist: float
    score: float
    kind: ScoreType
    parts: Mapping[str, float]
    repeats: Sequence[MemoryRecord] = ()

    def hit(self, *, explain: bool) -> MemoryHit:
        """The match as clients see it."""
        found = hit_of(self.record, self.dist, self.score, self.kind, dict(self.parts) if explain else None)
        if self.repeats:
            newest = sorted(self.repeats, key=lambda record: (record.created_at, record.id), reverse=True)
            found.repeats = [
                Repeat(id=record.id, session_id=record.session_id, created_at=record.created_at)
                for record in newest[:_REPEATS_SHOWN]
            ]
        return found


class Ranking(msgspec.Struct, frozen=True):
    """The matches of the whole pipeline in order.

    Attributes:
        matches: Best first.
        left_out: Ids of matches that another match represents.
        fits: Whether anything has words, a date or meaning in common with the query.
    """

    matches: list[Scored]
    left_out: set[str]
    fits: bool


def hit_of(
    record: MemoryRecord,
    dist: float = 0.0,
    score: float | None = None,
    kind: ScoreType | None = None,
    explain: dict[str, float] | None = None,
) -> MemoryHit:
    """The record as a hit."""
    fields = {name: getattr(record, name) for name in MemoryRecord.__struct_fields__}
    return MemoryHit(**fields, dist=dist, score=score, score_type=kind, explain=explain)


def semantic_scores(hits: Iterable[CandidateHit]) -> list[Scored]:
    """Nearest first: `dist` is the cosine distance, the score max(0, 1 - dist)."""
    found = []
    for hit in hits:
        distance = max(0.0, hit.distance or 0.0)
        score = max(0.0, min(1.0, 1.0 - distance))
        found.append(Scored(hit.memory.record, distance, score, "semantic", {"semantic": 1.0 - distance}))
    return sorted(found, key=lambda item: (item.dist, item.record.id))


def keyword_scores(
    query: AnalysedQuery,
    found: Candidates,
    ranked: int,
    weights: RankingWeights,
    *,
    explain: bool = False,
) -> list[Scored]:
    """Memories that hold the words, best first, each score relative to the best.

    The best `ranked` by the store's own score are ranked by their words, their neighbours' and their session's; others
    follow in the store's order.
    """
    matching = [hit for hit in found.hits if hit.text_score is not None]
    matching.sort(key=lambda hit: (-(hit.text_score or 0.0), hit.memory.record.id))
    first = {hit.memory.record.id: hit.memory.record for hit in matching[:ranked]}
    beside = [hit for hit in found.hits if hit.text_score is None or hit.memory.record.id in first]
    stats = CorpusStats(found.documents, found.average_length, found.frequencies)
    order = rank(query, None, [_candidate(hit.memory) for hit in beside], stats, weights, explain=explain)
    best = next((item.score for item in order if item.key in first), 1.0)
    scored = [
        Scored(first[str(item.key)], 1.0 - item.score / best, item.score / best, "keyword", item.breakdown)
        for item in order
        if item.key in first
    ]
    last = scored[-1].score if scored else 1.0
    least = matching[ranked - 1].text_score if len(matching) > ranked else None
    for hit in matching[ranked:]:
        score = last * (hit.text_score or 0.0) / least if least else 0.0
        scored.append(Scored(hit.memory.record, 1.0 - score, score, "keyword", {"keyword": hit.text_score or 0.0}))
    return scored


def hybrid_scores(found: Candidates, vector: Vector, text: TextMatch | None, alpha: float) -> list[Scored]:
    """Alpha x (2 - distance) / 2 + (1 - alpha) x text score relative to the best.

    Quoted phrases are required; words that match nothing add nothing, so the best hit need not reach 1.
    """
    best = _best(found.hits)
    scored = []
    for hit in found.hits:
        if text is not None and text.required and hit.text_score is None:
            continue
        near = (2.0 - _distance(hit, vector)) / 2.0
        lexical = (hit.text_score or 0.0) / best if best > 0 else 0.0
        score = min(1.0, max(0.0, alpha * near + (1.0 - alpha) * lexical))
        parts = {"semantic": near, "keyword": lexical}
        scored.append(Scored(hit.memory.record, 1.0 - score, score, "hybrid", parts))
    return _ordered(scored)


def pipeline_scores(
    query: AnalysedQuery,
    vector: Vector | None,
    found: Candidates,
    conditions: Sequence[Condition],
    weights: RankingWeights,
    *,
    explain: bool = False,
    understood: bool = True,
) -> Ranking:
    """Matches by the whole pipeline.

    Neighbours give context to the others; they are matches only if they satisfy the conditions.

    Args:
        query: What is sought, taken apart.
        vector: Its embedding; None if the embedder does not know its language.
        found: The store's candidates.
        conditions: What matches satisfy.
        weights: Weights of the ranking.
        explain: Fill in the parts of the scores.
        understood: The embedder knows a word of the query, so that nearness to it means something.
    """
    records = {
        hit.memory.record.id: hit.memory.record
        for hit in found.hits
        if hit.text_score is not None or hit.distance is not None or matches(hit.memory.record, conditions)
    }
    stats = CorpusStats(found.documents, found.average_length, found.frequencies)
    ranked = rank(query, vector, [_candidate(hit.memory) for hit in found.hits], stats, weights, explain=explain)
    ordered = [(records[str(item.key)], item) for item in ranked if item.key in records]
    least = NEAR if understood else NEAR_TO_FRAGMENTS
    fits = any(item.shares or item.nearness >= least for _, item in ordered)
    kept, doubles = _without_doubles(ordered)
    once, repeats = _once(kept)
    matches_ = [
        Scored(record, 1.0 - item.score, item.score, "hybrid", item.breakdown, repeats.get(record.id, ()))
        for record, item in once
    ]
    left_out = doubles | {record.id for others in repeats.values() for record in others}
    return Ranking(matches_, left_out, fits or not ordered)


def _candidate(memory: StoredMemory) -> Candidate:
    record = memory.record
    when = record.event_date or record.created_at
    return Candidate(
        record.id,
        record.text[memory.lead :],
        memory.terms,
        memory.speaker,
        memory.role,
        None if memory.position is None else f"{record.namespace}\x00{record.user_id}\x00{record.session_id}",
        memory.position,
        when.timestamp(),
        memory.vector,
        record.memory_type.value,
        memory.traits,
        record.user_id,
    )


def _without_doubles(
    ordered: Sequence[tuple[MemoryRecord, Ranked]],
) -> tuple[list[tuple[MemoryRecord, Ranked]], set[str]]:
    """Leaves out a turn that a better hit was derived from, and a hit whose source turns all rank better."""
    turns: set[tuple[str | None, ...]] = set()
    sources: set[tuple[str | None, ...]] = set()
    kept: list[tuple[MemoryRecord, Ranked]] = []
    doubles: set[str] = set()
    for record, item in ordered:
        if not record.source_ids:
            kept.append((record, item))
            continue
        names = {(record.namespace, record.user_id, record.session_id, source) for source in record.source_ids}
        if record.memory_type is MemoryType.MESSAGE:
            double = not sources.isdisjoint(names)
            turns |= names
        else:
            double = names <= turns
            sources |= names
        if double:
            doubles.add(record.id)
        else:
            kept.append((record, item))
    return kept, doubles


def _once(
    ordered: Sequence[tuple[MemoryRecord, Ranked]],
) -> tuple[list[tuple[MemoryRecord, Ranked]], dict[str, list[MemoryRecord]]]:
    """Make one hit of what one speaker said several times, word for word: the best of them, and the others by its id.

    Only turns of the same owner, equal to the last character, role included; the others keep their ids and times.
    What clients store themselves is found as often as they store it (with `deduplicate: false`, that is twice).
    """
    first: dict[tuple[object, ...], str] = {}
    kept: list[tuple[MemoryRecord, Ranked]] = []
    repeats: dict[str, list[MemoryRecord]] = {}
    for record, item in ordered:
        if record.memory_type is MemoryType.MESSAGE and record.extraction_strategy == TURN_STRATEGY:
            said = (record.namespace, record.user_id, record.text, record.event_date, _labels(record))
            stands = first.setdefault(said, record.id)
            if stands != record.id:
                repeats.setdefault(stands, []).append(record)
                continue
        kept.append((record, item))
    return kept, repeats


def _labels(record: MemoryRecord) -> bytes:
    """Return what was added to a turn, in one form; for most turns nothing."""
    if not (record.topics or record.entities or record.metadata):
        return b""
    return msgspec.json.encode((record.topics, record.entities, record.metadata), order="deterministic")


def _distance(hit: CandidateHit, vector: Vector) -> float:
    if hit.distance is not None:
        return hit.distance
    if hit.memory.vector is None:
        return 1.0
    return float(1.0 - hit.memory.vector @ vector)


def _best(hits: Iterable[CandidateHit]) -> float:
    return max((hit.text_score for hit in hits if hit.text_score is not None), default=0.0)


def _ordered(scored: Iterable[Scored]) -> list[Scored]:
    return sorted(scored, key=lambda item: (-item.score, item.record.id))
