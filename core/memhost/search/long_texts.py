"""Long texts of hits, cut to what they say about the query."""

from __future__ import annotations

import msgspec
from msgspec import UNSET

from memhost.models import EvidenceTurn, MemoryHit
from memhost.text.best_passage import CUT, best_passage

_MARKS = 2 * (len(CUT) + 1)
"""Characters of the marks around a passage."""
_LEAST = 40
"""Characters of a turn at least, so that it says something."""


def shorten(hit: MemoryHit, query: str, most: int) -> None:
    """Cut a hit's text, and those of its turns, to the passages that say most about the query.

    Texts of `most` characters stay whole. The turns share what the hit's own text leaves.

    Args:
        hit: The hit, which is changed.
        query: What was searched; of a listing the beginning is taken.
        most: Characters of the text with its marks.
    """
    if len(hit.text) > most:
        hit.cut_from = len(hit.text)
        hit.text = best_passage(hit.text, query, most - _MARKS).shown(hit.text)
    if hit.evidence is not UNSET:
        room = max(_LEAST, (most - len(hit.text)) // len(hit.evidence))
        hit.evidence = [_cut(turn, query, room) for turn in hit.evidence]


def _cut(turn: EvidenceTurn, query: str, most: int) -> EvidenceTurn:
    if len(turn.text) <= most:
        return turn
    text = best_passage(turn.text, query, most - _MARKS).shown(turn.text)
    return msgspec.structs.replace(
        turn, text=text, cut_from=len(turn.text) if turn.cut_from is UNSET else turn.cut_from
    )
