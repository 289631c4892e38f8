"""Tells texts that are made of the words of a query, over and over, so that searches find them first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence

from memhost.text.languages import function_words, language_of, stem_in
from memhost.text.words import SPACELESS_FUNCTION_WORDS

_NEAR, _FAR = 24, 48
"""Terms of a text that are looked at together: what stands before or behind them hides nothing."""
FEWEST, _MANY = 4, 8
"""Texts with at most so many words of a query repeat nothing; and number of repetitions that no sentence has."""
_USUAL, _CLEAR = 0.17, 0.4
"""Shares of repeated words that sentences have, and that no sentence has (docs/search.md)."""
_FUNCTION = 0.1
"""Share of function words below which a text is no sentence."""
_PRICE, _HIGHEST = 30.0, 7.0


def repetition(terms: Sequence[str], sought: Collection[str], window: int = _NEAR) -> tuple[int, float]:
    """Tell how often a text repeats words of a query, where it does so most.

    Args:
        terms: The index terms of the text, in order.
        sought: The terms of the query.
        window: How many terms that follow each other are looked at.

    Returns:
        The number of repeated words among so many terms, and their share of these.
    """
    inside: Counter[str] = Counter()
    repeats = most = 0
    for at, term in enumerate(terms):
        if term in sought:
            inside[term] += 1
            repeats += inside[term] > 1
        gone = terms[at - window] if at >= window else ""
        if gone in sought:
            repeats -= inside[gone] > 1
            inside[gone] -= 1
        most = max(most, repeats)
    return most, most / max(1, min(len(terms), window))


def stuffed(terms: Sequence[str], sought: Collection[str], text: Callable[[], str], *, trusted: bool) -> float:
    """Return what a text loses, in logits, for repeating words of the query as no sentence does: 0 to 7.

    Args:
        terms: The index terms of the text, in order.
        sought: The terms of the query.
        text: Gives the text itself, which most need not be looked at for.
        trusted: The user wrote it: then only what is plainly no sentence counts.
    """
    found = len([None for term in terms if term in sought])
    if found <= FEWEST:
        return 0.0
    count, share = repetition(terms, sought)
    over = share - (_CLEAR if trusted else _USUAL) if count >= FEWEST else 0.0
    if not trusted and found > _MANY and _is_thinned(terms, sought, text()):
        return _HIGHEST
    return min(_HIGHEST, _PRICE * max(0.0, over))


def _is_thinned(terms: Sequence[str], sought: Collection[str], text: str) -> bool:
    """Tell whether other words were put between the repeated ones, but no sentences."""
    count, share = repetition(terms, sought, _FAR)
    if count < _MANY or share < _USUAL or (language := language_of(text)) in SPACELESS_FUNCTION_WORDS:
        return False
    idle = {stem_in(word, language) for word in function_words(language)}
    return sum(term in idle for term in terms) < _FUNCTION * len(terms)
