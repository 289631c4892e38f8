"""Both legs, neighbours and statistics of a search, from the arrays of a `Block`: what `search` finds in the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

import apsw
import numpy as np
import numpy.typing as npt

from memhost.models import CandidateHit, CandidateQuery, Candidates, Condition, MemoryRecord, Op, TextMatch
from memhost.storekit import K1, B, Phrase, agreement, rarity, required_phrases, scored_phrases, to_micros
from memhost_store_sqlite.batch_read import leave_out
from memhost_store_sqlite.blocks import SOURCES, Block, Flags, Held, Numbers, marks_of
from memhost_store_sqlite.codec import among
from memhost_store_sqlite.conditions import compile_conditions
from memhost_store_sqlite.listing import admitted
from memhost_store_sqlite.scopes import Reach
from memhost_store_sqlite.sealing import Reading
from memhost_store_sqlite.top_k import top
from memhost_store_sqlite.vectors import cosines

Rows = npt.NDArray[np.int64]
Places = tuple[Rows, Rows]
"""Rows of the memories that hold a phrase, ascending, and how often each does."""

_SPAN = 1 << 32
"""More than a session can have positions, so that sessions and positions together are one number."""


def search_block(
    connection: apsw.Connection, reading: Reading, reach: Reach, query: CandidateQuery, block: Block
) -> Candidates:
    """Answer a query from the block of everything in reach."""
    units = [] if query.text is None else scored_phrases(query.text)
    required = [] if query.text is None else required_phrases(query.text)
    words = _Words(block, [*units, *required, *((term,) for term in query.statistics_for)])
    allowed = _allowed(connection, reading, reach, query.conditions, block)
    scores: dict[int, float] = {}
    near: dict[int, float] = {}
    total = 0
    if query.text is not None:
        scores, found = _text(block, words, reach, query.text, query, allowed)
        total = found if query.count and query.vector is None else 0
    if query.vector is not None:
        near, within = _nearest(block, query, allowed)
        total = within if query.count and query.max_distance is not None else total
    both_or_none = query.text is None or query.vector is not None
    if query.count and both_or_none and (query.vector is None or query.max_distance is None):
        total = len(block.rids) if allowed is None else int(allowed.sum())
    chosen = list(scores.keys() | near.keys())
    wanted = sorted([*chosen, *_around(block, chosen, query.neighbours)])
    hits, rows = _hits(connection, reading, query, block, wanted, scores, near, allowed)
    at = np.array(rows, dtype=np.int64)
    made = bool((np.frombuffer(block.kinds, dtype=np.uint8)[at] == SOURCES).any())
    answer = Candidates(hits=hits, columns=block.columns.take(at), made=made, total=total)
    if query.statistics_for:
        answer.documents = reach.documents
        answer.average_length = reach.length / reach.documents
        answer.frequencies = {term: len(words.of((term,))[0]) for term in query.statistics_for}
    return answer


class _Words:
    """Where the terms of a query occur in a block: all of them are looked for at once."""

    def __init__(self, block: Block, phrases: Iterable[Phrase]) -> None:
        self._words = words = block.columns.words
        known = words.vocabulary.numbers
        sought = {number for phrase in phrases for term in phrase if (number := known.get(term)) is not None}
        self._at = np.empty(0, dtype=np.int64)
        if sought:
            table = np.zeros(len(known), dtype=np.bool_)
            table[list(sought)] = True
            self._at = np.flatnonzero(table[words.numbers])
        self._numbers = words.numbers[self._at]
        self._rows = words.rows_of(self._at)
        self._known: dict[Phrase, Places] = {}

    def of(self, phrase: Phrase) -> Places:
        """The memories that hold a phrase."""
        if phrase not in self._known:
            self._known[phrase] = self._find(phrase)
        return self._known[phrase]

    def _find(self, phrase: Phrase) -> Places:
        sought = [self._words.vocabulary.numbers.get(term, -1) for term in phrase]
        rows = self._rows[self._numbers == sought[0]] if len(sought) == 1 else self._following(sought)
        if -1 in sought or not len(rows):
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        first = np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))
        return rows[first], np.diff(first, append=len(rows))

    def _following(self, sought: Sequence[int]) -> Rows:
        """The memory of each place where the terms follow each other."""
        numbers, behind = self._words.numbers, len(sought) - 1
        at = self._at[self._numbers == sought[0]]
        at = at[at + behind < len(numbers)]
        for offset, number in enumerate(sought[1:], 1):
            at = at[numbers[at + offset] == number]
        rows = self._words.rows_of(at)
        found: Rows = rows[rows == self._words.rows_of(at + behind)]
        return found


def _allowed(
    connection: apsw.Connection, reading: Reading, reach: Reach, conditions: Sequence[Condition], block: Block
) -> Flags | None:
    """Which memories satisfy the conditions; None if all do. Only what the arrays do not tell is asked of the file."""
    allowed: Flags | None = None
    others = []
    for condition in conditions:
        moment = condition.values[0] if condition.values else None
        if isinstance(moment, datetime) and (condition.field, condition.op) == ("valid_to", Op.NOT_LTE):
            holds = block.until > to_micros(moment)
        elif isinstance(moment, datetime) and (condition.field, condition.op) == ("valid_from", Op.NOT_GT):
            holds = block.since <= to_micros(moment)
        else:
            others.append(condition)
            continue
        allowed = holds if allowed is None else allowed & holds
    if others:
        rids = admitted(connection, reach, compile_conditions(others, reading.scope.tenant))
        holds = among(block.rids, np.sort(rids))
        allowed = holds if allowed is None else allowed & holds
    return allowed


def _text(
    block: Block, words: _Words, reach: Reach, match: TextMatch, query: CandidateQuery, allowed: Flags | None
) -> tuple[dict[int, float], int]:
    """The best memories by their words, and the number of all that match; see `fulltext.search`."""
    weights = np.zeros(len(block.rids))
    holds = np.zeros(len(block.rids), dtype=np.bool_)
    average = reach.length / reach.documents if reach.length else 1.0
    norms = K1 * (1 - B + B * block.columns.words.lengths / average)
    for unit in scored_phrases(match):
        rows, counts = words.of(unit)
        weight = rarity(reach.documents, len(rows))
        holds[rows] = True
        weights[rows] += weight if query.rough_text else weight * (K1 + 1) * counts / (counts + norms[rows])
    for phrase in required_phrases(match):
        there = np.zeros(len(block.rids), dtype=np.bool_)
        there[words.of(phrase)[0]] = True
        holds &= there
    if allowed is not None:
        holds &= allowed
    found = np.flatnonzero(holds)
    best = _best(block, found, weights[found], query.text_limit, exact=not query.rough_text)
    return dict(zip(found[best].tolist(), weights[found[best]].tolist(), strict=True)), len(found)


def _best(block: Block, rows: Rows, scores: npt.NDArray[np.floating], wanted: int, *, exact: bool) -> Rows:
    """Places of the best among rows, best first, ties by id (or, where that does not count, in the order of rows)."""
    if wanted <= 0 or not len(rows):
        return np.empty(0, dtype=np.int64)
    chosen = top(scores, wanted)
    if exact and (len(chosen) > wanted or len(np.unique(scores[chosen])) < len(chosen)):
        names = block.names
        chosen = np.array(sorted(chosen.tolist(), key=lambda at: (-scores[at], names[rows[at]])), dtype=np.int64)
    return chosen[:wanted]


def _nearest(block: Block, query: CandidateQuery, allowed: Flags | None) -> tuple[dict[int, float], int]:
    """The nearest memories by cosine, and the number of those within the greatest distance; see `vectors.search`."""
    assert query.vector is not None
    vectors = block.columns.vectors.get(len(query.vector))
    if vectors is None:
        return {}, 0
    embedded = vectors.at >= 0
    rows = np.flatnonzero(embedded if allowed is None else embedded & allowed)
    if not len(rows):
        return {}, 0
    matrix = vectors.matrix if len(rows) == len(vectors.matrix) else vectors.matrix[vectors.at[rows]]
    scores = cosines(matrix.astype(np.float32, copy=False), np.ascontiguousarray(query.vector, dtype=np.float32))
    if query.max_distance is not None:
        near = 1.0 - scores.astype(np.float64) <= query.max_distance
        rows, scores = rows[near], scores[near]
    best = _best(block, rows, scores, query.vector_limit, exact=True)
    distances = np.clip(1.0 - scores[best].astype(np.float64), 0.0, 2.0)
    return dict(zip(rows[best].tolist(), distances.tolist(), strict=True)), len(rows)


def _around(block: Block, chosen: list[int], reach: int) -> list[int]:
    """Turns of the same sessions at most `reach` positions away from what was chosen."""
    if reach <= 0 or not chosen:
        return []
    rows = np.array(chosen, dtype=np.int64)
    positions = block.columns.position
    rows = rows[positions[rows] >= 0]
    if not len(rows):
        return []
    steps = np.arange(-reach, reach + 1)
    wanted = (block.sessions[rows] * _SPAN + positions[rows])[:, None] + steps
    wanted = wanted[(positions[rows][:, None] + steps) >= 0]
    turns = np.flatnonzero(positions >= 0)
    places = block.sessions[turns] * _SPAN + positions[turns]
    found = turns[np.isin(places, wanted)]
    around: list[int] = np.setdiff1d(found, rows, assume_unique=True).tolist()
    return around


def _hits(
    connection: apsw.Connection,
    reading: Reading,
    query: CandidateQuery,
    block: Block,
    rows: Sequence[int],
    scores: Mapping[int, float],
    near: Mapping[int, float],
    allowed: Flags | None,
) -> tuple[list[CandidateHit], list[int]]:
    """The memories as candidates, those that are still there, and their rows."""
    rids: Numbers = block.rids[np.array(rows, dtype=np.int64)]
    marks = marks_of(connection, rids)
    passes = _agreement(query.conditions)
    hits, kept, bad = [], [], []
    for row, rid in zip(rows, rids.tolist(), strict=True):
        if rid not in marks:
            continue
        memory = Held.of(block, row, marks[rid])
        if passes is not None and (row in scores or row in near) and not passes(memory.record):
            bad.append(rid)
            continue
        fits = allowed is None or bool(allowed[row])
        kept.append(row)
        hits.append(CandidateHit(memory=memory, text_score=scores.get(row), distance=near.get(row), fits=fits))
    if bad:
        leave_out(connection, bad, reading)
    return hits, kept


_TOLD = (("valid_to", Op.NOT_LTE), ("valid_from", Op.NOT_GT))


def _agreement(conditions: Sequence[Condition]) -> Callable[[MemoryRecord], bool] | None:
    """The test of records by the conditions that were asked of the file: what the arrays tell, the records said."""
    return agreement([each for each in conditions if (each.field, each.op) not in _TOLD])
