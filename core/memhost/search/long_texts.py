"""Long texts of hits, cut to what they say about the query."""

from __future__ import annotations

from memhost.models import MemoryHit
from memhost.text.best_passage import CUT, best_passage

_MARKS = 2 * (len(CUT) + 1)
"""Characters of the marks around a passage."""


def shorten(hit: MemoryHit, query: str, most: int) -> None:
    """Cut a hit's text to the passage that says most about the query; texts of `most` characters stay whole.

    Args:
        hit: The hit, which is changed.
        query: What was searched; of a listing the beginning is taken.
        most: Characters of the text with its marks.
    """
    if len(hit.text) > most:
        hit.cut_from = len(hit.text)
        hit.text = best_passage(hit.text, query, most - _MARKS).shown(hit.text)
