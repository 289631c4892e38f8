"""A search over everything in a scope, from the arrays of a `Block`: what `search` finds with the query engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from memhost.models import CandidateHit, CandidateQuery, Candidates, Condition, matches
from memhost.storekit.held import Flags, Held, any_made, hold_at
from memhost.storekit.legs import search_columns
from memhost_store_redis.blocks import Block, Whole

_CHANGING = frozenset({"access_count", "last_accessed"})
"""Fields that the records of a block do not tell."""

_TESTED = 1000
"""Memories of which each is tested in Python by the conditions; of more the engine knows sooner which satisfy them."""


def can_answer(conditions: Iterable[Condition], documents: int) -> bool:
    """Tell whether the records of a block of so many memories tell which of them satisfy the conditions."""
    others = [each for each in conditions if each.field not in ("valid_from", "valid_to")]
    return not others or (documents <= _TESTED and not any(each.field in _CHANGING for each in others))


def search_block(whole: Whole, query: CandidateQuery) -> Candidates:
    """Answer a query whose conditions `can_answer` allows."""
    block, marks = whole.block, whole.marks
    allowed = _allowed(block, query.conditions)
    legs = search_columns(block.columns, block.names, query, allowed, length=whole.length)
    hits = [
        CandidateHit(
            memory=Held.of(block, row, marks[row]),
            text_score=legs.text.get(row),
            distance=legs.near.get(row),
            fits=allowed is None or bool(allowed[row]),
        )
        for row in legs.rows
    ]
    at = np.array(legs.rows, dtype=np.int64)
    made = any_made(block.kinds, at)
    answer = Candidates(hits=hits, columns=block.columns.take(at), made=made, total=legs.total)
    if query.statistics_for:
        answer.documents = len(block.ids)
        answer.average_length = whole.length / len(block.ids)
        answer.frequencies = legs.frequencies
    return answer


def _allowed(block: Block, conditions: Sequence[Condition]) -> Flags | None:
    """Which memories satisfy the conditions; None if all do."""
    allowed, others = hold_at(block.since, block.until, conditions)
    if others:
        holds = np.fromiter((matches(record, others) for record in block.records()), np.bool_, len(block.ids))
        allowed = holds if allowed is None else allowed & holds
    return allowed
