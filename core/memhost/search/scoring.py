"""Scores of the four search modes, from candidates to matches in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET

from memhost.models import (
    CandidateHit,
    Candidates,
    Condition,
    MemoryHit,
    MemoryRecord,
    NewerFact,
    OlderFact,
    Repeat,
    StoredMemory,
    TextMatch,
    Vector,
    matches,
)
from memhost.ranking import (
    CorpusStats,
    Ranked,
    RankedRows,
    RankingWeights,
    candidate_of,
    rank,
    rank_columns,
)
from memhost.ranking.traits import ENDING
from memhost.search.facts.grouping import Group, Hit, grouped
from memhost.search.facts.replaced import NOTHING, Replaced
from memhost.search.facts.sources import Digests
from memhost.text.analysis import AnalysedQuery

ScoreType = Literal["semantic", "keyword", "hybrid"]

NEAR = 0.08
"""Cosine, from the embedder's floor, below which a memory that shares no word with a query says nothing about it."""
NEAR_TO_FRAGMENTS = 0.3
"""The same where the embedder knows no word of the query, and has put its vector together from fragments of them.

Both measured (docs/benchmarks.md, "When nothing fits"): no answer to any of 867 questions lies below.
"""

_REPEATS_SHOWN = 20


class Scored(msgspec.Struct, frozen=True, gc=False):
    """A match before its page is known.

    Attributes:
        memory: The memory shown.
        dist: 1 - the score, or the cosine distance.
        score: From 0 to 1.
        kind: What the score measures.
        parts: They explain the score.
        group: What is one hit with it.
        newer: What replaced the fact that a turn states.
        row: Its row in the columns of the candidates; -1 if it is not known.
    """

    memory: StoredMemory
    dist: float
    score: float
    kind: ScoreType
    parts: Mapping[str, float]
    group: Group | None = None
    newer: MemoryRecord | None = None
    row: int = -1

    @property
    def id(self) -> str:
        """Id of the memory."""
        return self.memory.id

    @property
    def record(self) -> MemoryRecord:
        """The record of the memory."""
        return self.memory.record

    @property
    def text(self) -> str:
        """All that is said by it."""
        turns = self.group.turns if self.group is not None else ()
        return "\n".join([self.record.text, *(turn.text for turn in turns)])

    def hit(self, *, explain: bool) -> MemoryHit:
        """The match as clients see it."""
        found = hit_of(self.record, self.dist, self.score, self.kind, dict(self.parts) if explain else None)
        if self.group is not None:
            _describe(found, self.group, self.newer)
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


def _describe(hit: MemoryHit, group: Group, newer: MemoryRecord | None) -> None:
    """Add to a hit what is one with it, and what replaced or was replaced."""
    if group.best_id != hit.id:
        hit.score_of = group.best_id
    if group.repeats:
        newest = sorted(group.repeats, key=lambda record: (record.created_at, record.id), reverse=True)
        texts = {hit.text, *(turn.text for turn in group.turns)}
        hit.count = 1 + len(newest)
        hit.repeats = [
            Repeat(
                id=record.id,
                session_id=record.session_id,
                created_at=record.created_at,
                text=UNSET if record.text in texts else record.text,
            )
            for record in newest[:_REPEATS_SHOWN]
        ]
    if group.replaces:
        hit.replaces = [
            OlderFact(id=record.id, text=record.text, until=record.valid_to or record.updated_at)
            for record in group.replaces
        ]
    if group.replaced is not None and newer is not None:
        since = group.replaced.valid_to or newer.told_at
        hit.superseded = NewerFact(by=newer.id, text=newer.text, since=since, fact=group.replaced.text)


_FIELDS = MemoryRecord.__struct_fields__
_values_of = attrgetter(*_FIELDS)


def hit_of(
    record: MemoryRecord,
    dist: float = 0.0,
    score: float | None = None,
    kind: ScoreType | None = None,
    explain: dict[str, float] | None = None,
    version: int = 0,
) -> MemoryHit:
    """The record as a hit; `version` is that of the memory, 0 if it is not known."""
    fields = dict(zip(_FIELDS, _values_of(record), strict=True))
    fields["version"] = version or UNSET
    return MemoryHit(**fields, dist=dist, score=score, score_type=kind, explain=explain)


def semantic_scores(hits: Iterable[CandidateHit]) -> list[Scored]:
    """Nearest first: `dist` is the cosine distance, the score max(0, 1 - dist)."""
    found = []
    for hit in hits:
        distance = max(0.0, hit.distance or 0.0)
        score = max(0.0, min(1.0, 1.0 - distance))
        found.append(Scored(hit.memory, distance, score, "semantic", {"semantic": 1.0 - distance}))
    return sorted(found, key=lambda item: (item.dist, item.id))


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
    matching.sort(key=lambda hit: (-(hit.text_score or 0.0), hit.memory.id))
    first = {id(hit) for hit in matching[:ranked]}
    beside = [row for row, hit in enumerate(found.hits) if hit.text_score is None or id(hit) in first]
    stats = CorpusStats(found.documents, found.average_length, found.frequencies)
    if found.columns is None:
        rows = {found.hits[row].memory.id: row for row in beside}
        memories = [candidate_of(found.hits[row].memory) for row in beside]
        order = [
            (rows[str(item.key)], item.score, item.breakdown)
            for item in rank(query, None, memories, stats, weights, explain=explain)
        ]
    else:
        columns = found.columns if len(beside) == len(found.hits) else found.columns.take(beside)
        best_first = rank_columns(query, None, columns, stats, weights)
        order = [(beside[row], score, part) for row, score, part in best_first.with_parts(explain=explain)]
    order = [each for each in order if id(found.hits[each[0]]) in first]
    best = order[0][1] if order else 1.0
    scored = [
        Scored(found.hits[row].memory, 1.0 - score / best, score / best, "keyword", part, None, None, row)
        for row, score, part in order
    ]
    last = scored[-1].score if scored else 1.0
    least = matching[ranked - 1].text_score if len(matching) > ranked else None
    for hit in matching[ranked:]:
        score = last * (hit.text_score or 0.0) / least if least else 0.0
        scored.append(Scored(hit.memory, 1.0 - score, score, "keyword", {"keyword": hit.text_score or 0.0}))
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
        scored.append(Scored(hit.memory, 1.0 - score, score, "hybrid", parts))
    return _ordered(scored)


def pipeline_scores(
    query: AnalysedQuery,
    vector: Vector | None,
    found: Candidates,
    conditions: Sequence[Condition],
    weights: RankingWeights,
    *,
    replaced: Replaced = NOTHING,
    digests: Digests = (),
    explain: bool = False,
    understood: bool = True,
) -> Ranking:
    """Matches by the whole pipeline.

    Neighbours give context to the others; they are matches only if they satisfy the conditions. Facts that were
    replaced are ranked, for the sake of their turns and of what replaced them, and are no matches.

    Args:
        query: What is sought, taken apart.
        vector: Its embedding; None if the embedder does not know its language.
        found: The store's candidates.
        conditions: What matches satisfy.
        weights: Weights of the ranking.
        replaced: Facts that were replaced.
        digests: Strategies whose memories stand for no turns.
        explain: Fill in the parts of the scores.
        understood: The embedder knows a word of the query, so that nearness to it means something.
    """
    stats = CorpusStats(found.documents, found.average_length, found.frequencies)
    least = NEAR if understood else NEAR_TO_FRAGMENTS
    matching = [hit.text_score is not None or hit.distance is not None or _fits(hit, conditions) for hit in found.hits]
    if found.columns is not None and replaced is NOTHING:
        order = rank_columns(query, vector, found.columns, stats, weights)
        return _ranking(order, found, matching, least, digests, explain=explain)
    own = [hit.memory for hit, fits in zip(found.hits, matching, strict=True) if fits]
    own += [memory for memory in replaced.added if matches(memory.record, conditions)]
    stored = {memory.id: memory for memory in (*own, *replaced.facts)}
    memories = {hit.memory.id: hit.memory for hit in found.hits} | stored
    ranked = rank(query, vector, list(map(candidate_of, memories.values())), stats, weights, explain=explain)
    ordered = [(stored[str(item.key)], item) for item in ranked if item.key in stored]
    fits = any(item.shares or item.nearness >= least for memory, item in ordered if memory.id not in replaced.heads)
    shown = [_scored(hit, replaced) for hit in grouped(ordered, replaced.heads, digests)]
    left_out = stored.keys() - replaced.heads.keys() - {item.id for item in shown}
    return Ranking(shown, left_out, fits or not ordered)


def _ranking(
    order: RankedRows, found: Candidates, matching: Sequence[bool], least: float, digests: Digests, *, explain: bool
) -> Ranking:
    """The matches in an order of the candidates' columns, where no fact was replaced."""
    hits = found.hits
    kept = np.array(matching, dtype=np.bool_)[order.rows]
    fits = bool((kept & (order.shares | (order.nearness >= least))).any()) or not kept.any()
    if not kept.all():
        order = order.only(kept)
    best_first = order.with_parts(explain=explain)
    if not found.made and _all_end_apart(found.columns.traits[order.rows]):
        shown = [
            Scored(hits[row].memory, 1.0 - score, score, "hybrid", part, None, None, row)
            for row, score, part in best_first
        ]
        return Ranking(shown, set(), fits)
    places: dict[str, int] = {}
    ordered = []
    for row, score, part in best_first:
        memory = hits[row].memory
        places[memory.id] = row
        ordered.append((memory, Ranked(memory.id, score, part)))
    shown = [_scored(hit, NOTHING, places[hit.memory.id]) for hit in grouped(ordered, {}, digests)]
    return Ranking(shown, places.keys() - {item.id for item in shown}, fits)


def _all_end_apart(traits: npt.NDArray[np.int64]) -> bool:
    """Tell whether texts with these traits end differently, so that none says what another says."""
    ends = np.sort(traits // ENDING)
    return not len(ends) or bool(ends[0] > 0 and (ends[1:] != ends[:-1]).all())


def _scored(hit: Hit, replaced: Replaced, row: int = -1) -> Scored:
    item, group = hit.best, hit.group
    fact = None if group is None else group.replaced
    newer = None if fact is None else replaced.heads[fact.id]
    return Scored(hit.memory, 1.0 - item.score, item.score, "hybrid", item.breakdown, group, newer, row)


def below_newer(ordered: Sequence[Scored]) -> list[Scored]:
    """The matches in their order, but each turn of a replaced fact behind the newer one, with no better score."""
    waiting = {item.id for item in ordered}
    later: dict[str, list[Scored]] = {}
    found: list[Scored] = []
    for item in ordered:
        newer = item.newer.id if item.newer is not None else ""
        if newer in waiting:
            later.setdefault(newer, []).append(item)
            continue
        waiting.discard(item.id)
        found.append(item)
        for turn in later.pop(item.id, ()):
            waiting.discard(turn.id)
            found.append(msgspec.structs.replace(turn, score=item.score, dist=1.0 - item.score))
    return found


def _fits(hit: CandidateHit, conditions: Sequence[Condition]) -> bool:
    return matches(hit.memory.record, conditions) if hit.fits is None else hit.fits


def _distance(hit: CandidateHit, vector: Vector) -> float:
    if hit.distance is not None:
        return hit.distance
    if hit.memory.vector is None:
        return 1.0
    return float(1.0 - hit.memory.vector @ vector)


def _best(hits: Iterable[CandidateHit]) -> float:
    return max((hit.text_score for hit in hits if hit.text_score is not None), default=0.0)


def _ordered(scored: Iterable[Scored]) -> list[Scored]:
    return sorted(scored, key=lambda item: (-item.score, item.id))
