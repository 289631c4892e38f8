"""The words of a query that are looked up, not thousands at once, and the sentence of it that is embedded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec

from memhost.models import CandidateQuery, Scope
from memhost.operations.limits import MAX_QUERY_TERMS
from memhost.ports import Store
from memhost.search.offload import Offload
from memhost.text.analysis import AnalysedQuery, analyse_query, speaker_terms
from memhost.text.first_person import in_first_person, possible_speakers
from memhost.text.temporal.asked import NOWHERE, Here

LONG_TEXT = 10_000
"""Texts with more characters are analysed in a thread; up to here that takes a few milliseconds."""
_MEASURED = 16 * MAX_QUERY_TERMS
"""Words of which the store is asked how many memories hold them."""
_MAX_PHRASES = 8
_MAX_DATES = 16


async def read_query(
    store: Store, scope: Scope, text: str, here: Here = NOWHERE, offload: Offload | None = None
) -> tuple[AnalysedQuery, int]:
    """The query, taken apart, with at most `MAX_QUERY_TERMS` words, and how many words were left out.

    Those that stay are the rarest in the scope. Of more words than the store can be asked about at once the longest are
    used instead: longer words are rarer (G. K. Zipf, The Psychobiology of Language, 1935).
    """
    if len(text) <= LONG_TEXT:
        analysed = partial(analyse_query, text, here)
        query = analysed() if offload is None else await offload.run(analysed)
    else:
        query = await asyncio.to_thread(analyse_query, text, here)
    if len(query.terms) <= MAX_QUERY_TERMS:
        return query, 0
    measured = _longest(query.terms, _MEASURED)
    if len(measured) > MAX_QUERY_TERMS:
        found = await store.candidates(scope, CandidateQuery(statistics_for=measured))
        there = [term for term in measured if found.frequencies.get(term)] or list(measured)
        measured = tuple(sorted(there, key=lambda term: (found.frequencies.get(term, 0), term))[:MAX_QUERY_TERMS])
    kept = frozenset(measured)
    triples = zip(query.terms, query.others, query.words, strict=True)
    rows = [(term, others, word) for term, others, word in triples if term in kept]
    narrowed = msgspec.structs.replace(
        query,
        terms=tuple(term for term, _, _ in rows),
        others=tuple(others for _, others, _ in rows),
        words=tuple(word for _, _, word in rows),
        all_terms=tuple(term for term in query.all_terms if term in kept),
        phrases=query.phrases[:_MAX_PHRASES],
        names=frozenset(name for name in query.names if name in {word for _, _, word in rows}),
        dates=query.dates[:_MAX_DATES],
        date_terms=query.date_terms[:_MAX_DATES],
    )
    return narrowed, len(query.terms) - len(kept)


async def sentence_to_embed(store: Store, scope: Scope, query: AnalysedQuery) -> str:
    """The query for an embedder of whole sentences: in the first person if it names one speaker of the scope.

    The store is asked only about queries with a word that can be a name.
    """
    asked = {word: tuple(speaker_terms(word)) for word in possible_speakers(query)}
    terms = tuple(dict.fromkeys(term for each in asked.values() for term in each))
    if not terms:
        return query.text
    found = await store.candidates(scope, CandidateQuery(statistics_for=terms))
    speak = {word for word, own in asked.items() if own and all(found.frequencies.get(term) for term in own)}
    return in_first_person(query, speak)


def _longest(terms: Sequence[str], most: int) -> tuple[str, ...]:
    """Return the longest terms; among terms of one length prefer those far apart in the query."""
    if len(terms) <= most:
        return tuple(terms)
    stride = max(1, len(terms) // most)
    order = sorted(range(len(terms)), key=lambda place: (-len(terms[place]), place % stride, place))
    return tuple(terms[place] for place in order[:most])
