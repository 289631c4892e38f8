"""How the memory store ranks: BM25, cosines and neighbours, by going through everything."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from memhost.models import CandidateQuery, MemoryRecord, StoredMemory, TextMatch

K1, B = 1.2, 0.3
"""BM25: saturation of repeated terms, and strength of the length normalisation (low suits short turns)."""

Phrase = tuple[str, ...]


def owner_of(record: MemoryRecord) -> tuple[str, str, str]:
    """Namespace, user and session of a record; absent ones are empty."""
    return record.namespace or "", record.user_id or "", record.session_id or ""


def occurrences(terms: Phrase, phrase: Phrase) -> int:
    """How often a phrase stands in the terms."""
    if len(phrase) == 1:
        return terms.count(phrase[0])
    size = len(phrase)
    return sum(terms[start : start + size] == phrase for start in range(len(terms) - size + 1))


def average_length(corpus: Sequence[StoredMemory]) -> float:
    """Mean number of terms; 0 of nothing."""
    return sum(len(memory.terms) for memory in corpus) / len(corpus) if corpus else 0.0


def text_scores(eligible: Iterable[StoredMemory], corpus: Sequence[StoredMemory], match: TextMatch) -> dict[str, float]:
    """BM25 of every match; a phrase counts as one more term. Statistics are those of the whole scope."""
    required = [phrase for phrase in match.required if phrase]
    wanted = [(term,) for term in match.any_of] + [phrase for phrase in match.phrases if phrase]
    units: list[Phrase] = list(dict.fromkeys(wanted or required))
    average = average_length(corpus) or 1.0
    weights = {}
    for unit in units:
        frequency = sum(occurrences(memory.terms, unit) > 0 for memory in corpus)
        weights[unit] = math.log(1 + (len(corpus) - frequency + 0.5) / (frequency + 0.5))
    scores = {}
    for memory in eligible:
        if not all(occurrences(memory.terms, phrase) for phrase in required):
            continue
        norm = K1 * (1 - B + B * len(memory.terms) / average)
        counts = [(weights[unit], occurrences(memory.terms, unit)) for unit in units]
        if any(count for _, count in counts):
            scores[memory.record.id] = sum(
                weight * count * (K1 + 1) / (count + norm) for weight, count in counts if count
            )
    return scores


def distances(eligible: Iterable[StoredMemory], query: CandidateQuery) -> dict[str, float]:
    """Cosine distance of each memory that has a vector, as far as the query allows."""
    if query.vector is None:
        return {}
    distances: dict[str, float] = {}
    for memory in eligible:
        if memory.vector is None:
            continue
        # einsum adds in one order whatever the row, so equal vectors get exactly equal distances
        distance = 1.0 - float(np.einsum("i,i->", memory.vector, query.vector))
        if query.max_distance is None or distance <= query.max_distance:
            distances[memory.record.id] = min(max(distance, 0.0), 2.0)
    return distances


def neighbours(corpus: Iterable[StoredMemory], found: Sequence[StoredMemory], reach: int) -> list[StoredMemory]:
    """Turns of the same session at most `reach` positions away that are not found themselves."""
    if reach <= 0:
        return []
    close: set[tuple[str | int, ...]] = set()
    for memory in found:
        if memory.position is not None:
            for position in range(memory.position - reach, memory.position + reach + 1):
                close.add((*owner_of(memory.record), position))
    known = {memory.record.id for memory in found}
    return [
        memory
        for memory in corpus
        if memory.record.id not in known and (*owner_of(memory.record), memory.position) in close
    ]
