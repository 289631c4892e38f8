"""Both legs, neighbours and statistics of a search, from the arrays of a `Block`: what `search` finds in the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat

import apsw
import numpy as np

from memhost.models import CandidateHit, CandidateQuery, Candidates, Condition, MemoryRecord, Op
from memhost.storekit import agreement
from memhost.storekit.held import Flags, Held, Numbers, any_made, hold_at
from memhost.storekit.legs import Legs, search_columns
from memhost_store_sqlite.batch_read import leave_out
from memhost_store_sqlite.blocks import Block, marks_of
from memhost_store_sqlite.codec import among
from memhost_store_sqlite.conditions import compile_conditions
from memhost_store_sqlite.listing import admitted
from memhost_store_sqlite.scopes import Reach
from memhost_store_sqlite.sealing import Reading


def search_block(
    connection: apsw.Connection, reading: Reading, reach: Reach, query: CandidateQuery, block: Block
) -> Candidates:
    """Answer a query from the block of everything in reach."""
    allowed = _allowed(connection, reading, reach, query.conditions, block)
    legs = search_columns(block.columns, block.names, query, allowed, length=reach.length)
    hits, rows = _hits(connection, reading, query, block, legs, allowed)
    at = np.array(rows, dtype=np.int64)
    answer = Candidates(hits=hits, columns=block.columns.take(at), made=any_made(block.kinds, at), total=legs.total)
    if query.statistics_for:
        answer.documents = reach.documents
        answer.average_length = reach.length / reach.documents
        answer.frequencies = legs.frequencies
    return answer


def _allowed(
    connection: apsw.Connection, reading: Reading, reach: Reach, conditions: Sequence[Condition], block: Block
) -> Flags | None:
    """Which memories satisfy the conditions; None if all do. Only what the arrays do not tell is asked of the file."""
    allowed, others = hold_at(block.since, block.until, conditions)
    if others:
        rids = admitted(connection, reach, compile_conditions(others, reading.scope.tenant))
        holds = among(block.rids, np.sort(rids))
        allowed = holds if allowed is None else allowed & holds
    return allowed


def _hits(
    connection: apsw.Connection,
    reading: Reading,
    query: CandidateQuery,
    block: Block,
    legs: Legs,
    allowed: Flags | None,
) -> tuple[list[CandidateHit], list[int]]:
    """The memories as candidates, those that are still there, and their rows."""
    at = np.array(legs.rows, dtype=np.int64)
    rids: Numbers = block.rids[at]
    marks = marks_of(connection, rids)
    passes = _agreement(query.conditions)
    all_fit = repeat(True) if allowed is None else allowed[at].tolist()
    hits, kept, bad = [], [], []
    for row, rid, fits in zip(legs.rows, rids.tolist(), all_fit, strict=False):
        mark = marks.get(rid)
        if mark is None:
            continue
        memory = Held.of(block, row, mark)
        text_score, distance = legs.text.get(row), legs.near.get(row)
        if passes is not None and (text_score is not None or distance is not None) and not passes(memory.record):
            bad.append(rid)
            continue
        kept.append(row)
        hits.append(CandidateHit(memory=memory, text_score=text_score, distance=distance, fits=fits))
    if bad:
        leave_out(connection, bad, reading)
    return hits, kept


_TOLD = (("valid_to", Op.NOT_LTE), ("valid_from", Op.NOT_GT))


def _agreement(conditions: Sequence[Condition]) -> Callable[[MemoryRecord], bool] | None:
    """The test of records by the conditions that were asked of the file: what the arrays tell, the records said."""
    return agreement([each for each in conditions if (each.field, each.op) not in _TOLD])
