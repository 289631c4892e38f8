"""Ranking of the memory store: BM25, cosines and neighbours, by a full scan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from memhost.models import CandidateQuery, StoredMemory, TextMatch
from memhost.storekit import K1, B, occurrences, owner_of, rarity, required_phrases, scored_phrases


def average_length(corpus: Sequence[StoredMemory]) -> float:
    """Mean number of terms; 0 of nothing."""
    return sum(len(memory.terms) for memory in corpus) / len(corpus) if corpus else 0.0


def text_scores(eligible: Iterable[StoredMemory], corpus: Sequence[StoredMemory], match: TextMatch) -> dict[str, float]:
    """BM25 of every match; a phrase counts as one more term. Statistics are those of the whole scope."""
    required, units = required_phrases(match), scored_phrases(match)
    average = average_length(corpus) or 1.0
    weights = {}
    for unit in units:
        frequency = sum(occurrences(memory.terms, unit) > 0 for memory in corpus)
        weights[unit] = rarity(len(corpus), frequency)
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
