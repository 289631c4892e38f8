"""The features of candidates: plain arrays with one value for each candidate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from memhost.ranking import traits as t
from memhost.ranking.columns import Columns
from memhost.ranking.columns.layout import OFFSETS, Layout
from memhost.ranking.matches import Matches, matches
from memhost.ranking.meaning import cosines
from memhost.ranking.named import named_speakers
from memhost.ranking.near_words import near_words
from memhost.ranking.nearness import date_features
from memhost.ranking.own_names import own_subjects
from memhost.ranking.prices import names_price
from memhost.ranking.recent import newness
from memhost.ranking.several import asks_for_several
from memhost.ranking.types import Candidate, CorpusStats, Flags, Floats, Ints, Vector
from memhost.ranking.weights import RankingWeights
from memhost.text.analysis import AnalysedQuery
from memhost.text.languages import ENGLISH

FEATURES = (
    "lexical",
    "lexical_before",
    "lexical_after",
    "lexical_before2",
    "lexical_after2",
    "lexical_asked",
    "coverage",
    "variants",
    "alike",
    "alike_near",
    "session",
    "session_several",
    "phrase",
    "vector",
    "vector_before",
    "vector_after",
    "vector_before2",
    "vector_after2",
    "centred",
    "speaker",
    "first_person",
    "speaker_first_person",
    "date",
    "date_after",
    "newness",
    "question",
    "asks",
    "answers",
    "length",
    "opening",
    "expected_time",
    "expected_number",
    "expected_person",
    "expected_place",
    "expected_price",
    "own_words",
    "others_words",
    "user_turn",
    "lexical_asked_assisted",
    "question_assisted",
    "asks_assisted",
    "answers_assisted",
    "length_assisted",
)
"""Columns of the feature matrix; each is the name of its weight as well."""

_COVERAGE_SHARE = np.array([0.7, 0.5, 0.5, 0.3])[:, None, None]
"""A term found in a turn nearby counts for so much; in the order of `OFFSETS`."""
_USUAL = 24.0  # terms of a usual turn
_LONG = 128.0  # terms from which on a memory covers words by mere length (by judgement; turns are shorter)
_TALK = 12.0  # turns from which on a session is a conversation whose opening tells news
_ASSISTED = 4.0  # turns of an assistant are so many times as long as the user's
_EXPECTED = {"time": t.TIME, "number": t.NUMBER, "person": t.NAME, "place": t.NAME}

Rows = Mapping[str, Floats]
"""The values of each feature, zeros until they are written."""


def feature_matrix(
    query: AnalysedQuery,
    query_vector: Vector | None,
    candidates: Sequence[Candidate] | Columns,
    stats: CorpusStats,
    weights: RankingWeights,
) -> Floats:
    """Return the features of ``candidates``, shape ``(len(candidates), len(FEATURES))``, columns as in ``FEATURES``.

    Only the settings of ``weights`` that shape features are used here (``k1``, ``b``, ``session_b``,
    ``alone``, ``vector_floor``).
    """
    return np.ascontiguousarray(
        feature_rows(query, query_vector, as_columns(candidates, query_vector), stats, weights).T
    )


def feature_rows(
    query: AnalysedQuery, query_vector: Vector | None, columns: Columns, stats: CorpusStats, weights: RankingWeights
) -> Floats:
    """Return the same with a row for each feature, shape ``(len(FEATURES), len(columns))``."""
    values = np.zeros((len(FEATURES), len(columns)))
    if len(columns):
        _fill(dict(zip(FEATURES, values, strict=True)), query, query_vector, columns, stats, weights)
    return values


def as_columns(candidates: Sequence[Candidate] | Columns, query_vector: Vector | None) -> Columns:
    """Return the candidates as columns, with the vectors that a query with that vector needs."""
    if isinstance(candidates, Columns):
        return candidates
    return Columns.of(candidates, dimensions=0 if query_vector is None else len(query_vector))


def _fill(
    rows: Rows,
    query: AnalysedQuery,
    query_vector: Vector | None,
    columns: Columns,
    stats: CorpusStats,
    weights: RankingWeights,
) -> None:
    """Write the values of all features."""
    layout = Layout(columns)
    named, speakers = named_speakers(query, columns)
    own, names = own_subjects(query, columns)
    named, speakers = np.maximum(named, own), speakers | names
    groups = list(zip(query.terms, query.others, strict=True))
    groups = [group for group in groups if group[0] not in speakers] or groups
    topic = [term for term, _ in groups]
    found = matches(groups, _near(query, topic, query_vector), columns.words)
    lengths = columns.words.sizes.astype(np.float64)
    ends = _has(columns.traits, t.QUESTION)
    _add_lexical(rows, topic, found, lengths, stats, weights, layout, ends)
    if asks_for_several(query):
        rows["session_several"][:] = rows["session"]
    _add_vectors(rows, query_vector, columns, weights, layout)
    for phrase in query.phrases:
        rows["phrase"][:] += columns.words.holding(" ".join(phrase).split(" "))
    rows["phrase"][:] /= max(len(query.phrases), 1)
    rows["first_person"][:] = (columns.traits % t.ENDING // t.FIRST_PERSON) / t.FIRST_PERSON_MOST
    rows["speaker"][:] = named
    rows["speaker_first_person"][:] = named * np.where(layout.turn, rows["first_person"], 1.0)
    rows["date"][:], rows["date_after"][:] = date_features(query, columns)
    rows["newness"][:] = newness(query, columns, rows["coverage"])
    rows["question"][:] = ends
    rows["asks"][:] = _has(columns.traits, t.ASKS)
    rows["answers"][:] = layout.before(ends)
    counted = np.clip(lengths, np.where(layout.turn, 0.0, _USUAL), _LONG)  # a short fact is no worse than a usual turn
    rows["length"][:] = np.log1p(counted) / 5.0
    rows["opening"][:] = _openings(layout, rows["coverage"])
    if query.wants in _EXPECTED:
        rows[f"expected_{query.wants}"][:] = _has(columns.traits, _EXPECTED[query.wants])
    elif query.wants == "price":
        rows["expected_price"][:] = columns.remembered(names_price, np.arange(len(columns)))
    _add_roles(rows, query, columns, lengths, layout)


def _add_roles(rows: Rows, query: AnalysedQuery, columns: Columns, lengths: Floats, layout: Layout) -> None:
    """Add who said it to whom: the user's own words, the assistant's, and manners that only chats of people have.

    In chats with an assistant that writes at length (`_assisted`), facts are in what the user says; there a turn that
    follows a question is no likelier to answer it, and a long turn no likelier to hold anything.
    """
    of_user, of_other = columns.of_user & layout.turn, columns.of_assistant & layout.turn
    user = columns.of_user | ~layout.turn  # statements tell of the user
    if query.perspective == "own":
        rows["own_words"][:] = user
    elif query.perspective == "other":
        rows["others_words"][:] = of_other
    assisted = _assisted(of_user, of_other, lengths)
    if not assisted:
        return
    if query.perspective != "other":
        rows["user_turn"][:] = user * assisted
    for name in ("lexical_asked", "question", "asks", "answers", "length"):
        rows[f"{name}_assisted"][:] = rows[name] * assisted


def _assisted(user: Flags, other: Flags, lengths: Floats) -> float:
    """Return how much the turns look like chats with an assistant: 1 where it writes at least 4 times as much."""
    if not user.any() or not other.any():
        return 0.0
    theirs, own = float(lengths[other].mean()), float(lengths[user].mean())
    return min(max(math.log(max(theirs, 1.0) / max(own, 1.0)) / math.log(_ASSISTED), 0.0), 1.0)


def _idf(frequency: Floats, total: float) -> Floats:
    return np.log1p((total - frequency + 0.5) / (frequency + 0.5))


def _bm25(counts: Floats, idf: Floats, lengths: Floats, average: float, k1: float, b: float) -> Floats:
    """Return BM25 scores, one a row (Robertson and Zaragoza, 2009; idf as in Lucene, never negative)."""
    norm = k1 * (1.0 - b + b * lengths / max(average, 1e-9))
    return _row_sums(counts * (k1 + 1.0) / (counts + norm[:, None]), idf)


def _row_sums(rows: npt.NDArray[np.floating[Any]], factors: npt.NDArray[np.floating[Any]]) -> Floats:
    """Return ``rows @ factors``, each row added up in double precision by itself.

    A product by BLAS may give equal rows sums that differ in the last bit, by their position in the matrix.
    """
    sums: Floats = np.multiply(rows, factors, dtype=np.float64, order="C").sum(axis=1)
    return sums


def _add_lexical(
    rows: Rows,
    topic: Sequence[str],
    matched: Matches,
    lengths: Floats,
    stats: CorpusStats,
    weights: RankingWeights,
    layout: Layout,
    ends: Floats,
) -> None:
    counts = matched.counts
    found = (counts > 0).astype(np.float64)
    among = np.add.reduce(found, axis=0)
    frequency = np.maximum(among, [stats.document_frequency.get(term, 0) for term in topic])
    total = max(float(stats.documents), float(len(counts)), float(frequency.max(initial=0.0)))
    idf = _idf(frequency, total)
    most = max(float(idf.sum()), 1e-9)
    average = stats.average_length or float(lengths.mean())
    own = _bm25(counts, idf, lengths, average, weights.k1, weights.b) / (most * (weights.k1 + 1.0))
    rows["lexical"][:] = own
    present = found if lengths.max() <= _LONG else found * np.minimum(1.0, (_LONG / lengths) ** 0.25)[:, None]
    for name, values in zip(OFFSETS, layout.near(own, weights.alone), strict=True):
        rows[f"lexical_{name}"][:] = values
    rows["lexical_asked"][:] = layout.before(own * ends)
    alike = matched.alike.any()
    # Both at once: what is found as it is, and what is found as it is or in meaning.
    both = np.concatenate((present, np.maximum(present, matched.alike)), axis=1) if alike else present
    covered = _covered(both, layout)
    coverage = covered[:, : len(topic)]
    rows["coverage"][:] = _row_sums(coverage, idf) / most
    if matched.variants.any():
        rows["variants"][:] = _row_sums(matched.variants, idf) / most
    if alike:
        rows["alike"][:] = _row_sums(matched.alike, idf) / most
        rows["alike_near"][:] = _row_sums(covered[:, len(topic) :] - coverage, idf) / most
    sessions, terms = len(layout.longest), len(topic)
    cells = layout.session[:, None] * terms + np.arange(terms)
    in_session: Floats = np.bincount(cells.ravel(), counts.ravel(), sessions * terms).astype(np.float64)
    in_session = in_session.reshape(sessions, terms)
    long: Floats = np.bincount(layout.session, lengths, sessions).astype(np.float64)
    session_idf = _idf((in_session > 0).sum(axis=0).astype(np.float64), float(sessions))
    bm25 = _bm25(in_session, session_idf, long, float(long.mean()), weights.k1, weights.session_b)
    rows["session"][:] = (bm25 / max(float(session_idf.sum()) * (weights.k1 + 1.0), 1e-9))[layout.session]


def _covered(present: Floats, layout: Layout) -> Floats:
    """Return how far each term is found in each candidate or near it."""
    near: Floats = (layout.near(present) * _COVERAGE_SHARE).max(axis=0)
    return np.maximum(present, near)


def _near(query: AnalysedQuery, topic: Sequence[str], query_vector: Vector | None) -> list[Mapping[str, float]]:
    """Return the words near in meaning to each term: none for names, other languages, and searches by words alone."""
    if query.language != ENGLISH or query_vector is None:
        return [{}] * len(topic)
    words = dict(zip(query.terms, query.words, strict=True))
    return [{} if words[term] in query.names else near_words(term) for term in topic]


def _add_vectors(
    rows: Rows, query_vector: Vector | None, columns: Columns, weights: RankingWeights, layout: Layout
) -> None:
    cosine, rows["centred"][:] = cosines(columns, query_vector, weights.vector_floor)
    rows["vector"][:] = cosine
    if query_vector is not None:
        for name, values in zip(OFFSETS, layout.near(cosine, weights.alone), strict=True):
            rows[f"vector_{name}"][:] = values


def _openings(layout: Layout, coverage: Floats) -> Floats:
    """Return how much each candidate counts as the opening of a conversation.

    Being the first of twelve turns and more tells something whatever is asked. The first of three is no likelier to
    hold an answer than the others: there the place counts only as far as the turn holds the query's words.
    """
    talk = np.minimum(layout.longest[layout.session] / (_TALK - 1.0), 1.0)
    return np.where(layout.position == 0, talk + (1.0 - talk) * np.minimum(coverage, 1.0), 0.0)


def _has(traits: Ints, bit: int) -> Floats:
    return ((traits & bit) > 0).astype(np.float64)
