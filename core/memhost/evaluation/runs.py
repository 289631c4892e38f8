"""Asks the questions of a set, of a server or of plain BM25, and measures the answers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from memhost.evaluation.bm25 import bm25
from memhost.evaluation.metrics import BUDGETS, MEASURES, Floats, measures, share
from memhost.evaluation.server import AmsServer, Hit
from memhost.evaluation.sets import EvalSet, Question
from memhost.messages.tokens import estimate

FLOOR = "bm25"
_LINE_END = 1
"""Tokens between two memories of a context."""


@dataclass
class Measured:
    """The measures of a system on a set.

    Attributes:
        system: Its name.
        values: One row for each question, one column for each of `MEASURES`; NaN where it does not apply.
        seconds: Time of each search; empty for BM25.
        budgets_by: How evidence within a budget was counted: `context`, the server composed it, or `hits`, the hits in
            order while they fit.
    """

    system: str
    values: Floats
    seconds: list[float] = field(default_factory=list)
    budgets_by: str = "hits"


async def measure_server(
    server: AmsServer, given: EvalSet, system: str, advance: Callable[[], None] = lambda: None
) -> Measured:
    """Write each conversation, ask its questions, and measure; `advance` is called after each question."""
    rows: list[list[float]] = []
    seconds: list[float] = []
    for conversation in given.conversations:
        owner = re.sub(r"[^\w.-]", "_", f"{given.name}.{conversation.id}")  # also the beginning of session ids
        await server.write(owner, conversation)
        for question in conversation.questions:
            begun = time.perf_counter()
            hits = await server.search(owner, question.text)
            seconds.append(time.perf_counter() - begun)
            rows.append(measures([hit.turns for hit in hits], await _kept(server, owner, question, hits), question))
            advance()
    return Measured(system, _array(rows), seconds, "context" if server.has_context else "hits")


async def _kept(server: AmsServer, owner: str, question: Question, hits: Sequence[Hit]) -> list[float]:
    wanted = frozenset(question.evidence)
    kept = []
    for budget in BUDGETS:
        composed = await server.context(owner, question.text, budget)
        kept.append(share(wanted, within(hits, budget) if composed is None else composed))
    return kept


def within(hits: Sequence[Hit], budget: int) -> list[tuple[str, ...]]:
    """The turns of the first hits whose texts fit into `budget` tokens together (a token for four characters)."""
    found: list[tuple[str, ...]] = []
    for hit in hits:
        budget -= estimate(hit.text) + _LINE_END
        if budget < 0:
            break
        found.append(hit.turns)
    return found


def measure_floor(given: EvalSet) -> Measured:
    """The same of plain BM25 over the turns."""
    rows: list[list[float]] = []
    for conversation in given.conversations:
        turns = conversation.turns
        texts = [turn.text for turn in turns]
        ranked = bm25(texts, [question.text for question in conversation.questions], conversation.language)
        for question, places in zip(conversation.questions, ranked, strict=True):
            hits = [Hit(texts[place], (turns[place].id,)) for place in places]
            wanted = frozenset(question.evidence)
            kept = [share(wanted, within(hits, budget)) for budget in BUDGETS]
            rows.append(measures([hit.turns for hit in hits], kept, question))
    return Measured(FLOOR, _array(rows))


def _array(rows: list[list[float]]) -> Floats:
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(MEASURES))
