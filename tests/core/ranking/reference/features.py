"""The features of a candidate: plain arrays with one value for each candidate."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from memhost.ranking import traits as t
from memhost.ranking.columns.layout import OFFSETS
from memhost.ranking.features import _ASSISTED, _EXPECTED, _LONG, _TALK, _USUAL, FEATURES
from memhost.ranking.matches import Matches
from memhost.ranking.near_words import near_words
from memhost.ranking.nearness import _AFTER_DAYS, _DATED, _EPOCH, _LAST_SECOND, nearness
from memhost.ranking.prices import names_price
from memhost.ranking.several import asks_for_several
from memhost.ranking.types import Candidate, CorpusStats, Flags, Floats, Ints, Vector
from memhost.ranking.weights import RankingWeights
from memhost.text.analysis import AnalysedQuery
from memhost.text.languages import ENGLISH
from memhost.text.speakers import is_assistant, is_user
from memhost.text.temporal.written import find_dates
from memhost.text.tokens import stem, tokenize
from memhost.text.words import GREETING_WORDS
from tests.core.ranking.reference.matches import matches
from tests.core.ranking.reference.meaning import cosines
from tests.core.ranking.reference.own_names import own_subjects
from tests.core.ranking.reference.recent import newness

_AROUND = tuple(OFFSETS.items())
_COVERAGE_SHARE = {-1: 0.7, 1: 0.5, -2: 0.5, 2: 0.3}  # a term found that many turns away counts for so much
_GREETINGS = "|".join(sorted({stem(word) for word in GREETING_WORDS}))


class _Layout:
    """Position of each candidate: its session, and which candidates are its neighbours."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        sessions: dict[str | int, int] = {}
        count = len(candidates)
        # A memory that is not a turn is a session of its own.
        names: list[str | int] = [
            i if c.session is None or c.position is None else c.session for i, c in enumerate(candidates)
        ]
        self.session: Ints = np.array([sessions.setdefault(name, len(sessions)) for name in names], dtype=np.int64)
        self.position: Ints = np.array(
            [-1 if c.position is None or c.session is None else c.position for c in candidates], dtype=np.int64
        )
        self.sessions = len(sessions)
        self.turn: npt.NDArray[np.bool_] = self.position >= 0
        self._lone: Floats | None = None if self.turn.all() else np.where(self.turn, 0.0, 1.0)
        place = self.session * (1 << 32) + self.position + 8
        order = np.argsort(place, kind="stable")
        ordered = place[order]
        # For each offset the place of the neighbour, or ``count`` (a row of zeros) where there is none.
        self._near: dict[int, Ints] = {}
        for _, offset in _AROUND:
            at = np.minimum(np.searchsorted(ordered, place + offset), count - 1)
            exists = (ordered[at] == place + offset) & self.turn
            self._near[offset] = np.where(exists, order[at], count)

    def near(self, values: Floats, offset: int, alone: float) -> Floats:
        """Return each candidate's neighbour's value: 0 where there is none, ``alone`` x its own for what is no turn."""
        out: Floats = np.concatenate((values, np.zeros((1, *values.shape[1:]))))[self._near[offset]]
        if self._lone is not None and alone:
            out += alone * (self._lone if values.ndim == 1 else self._lone[:, None]) * values
        return out


def feature_matrix(
    query: AnalysedQuery,
    query_vector: Vector | None,
    candidates: Sequence[Candidate],
    stats: CorpusStats,
    weights: RankingWeights,
) -> Floats:
    """Return the features of ``candidates``, shape ``(len(candidates), len(FEATURES))``, columns as in ``FEATURES``.

    Only the settings of ``weights`` that shape features are used here (``k1``, ``b``, ``session_b``,
    ``alone``, ``vector_floor``).
    """
    layout = _Layout(candidates)
    joined = _joined_terms(candidates)
    named, speakers = _named_speakers(query, candidates, joined)
    own, names = own_subjects(query, candidates)
    named, speakers = np.maximum(named, own), speakers | names
    groups = list(zip(query.terms, query.others, strict=True))
    groups = [group for group in groups if group[0] not in speakers] or groups
    topic = [term for term, _ in groups]
    found = matches(groups, _near(query, topic, query_vector), joined)
    lengths = np.array([terms.count(" ") - 1 for terms in joined], dtype=np.float64)
    columns: dict[str, Floats] = {}
    traits = _traits(candidates, joined)
    ends = _has(traits, t.QUESTION)
    _add_lexical(columns, topic, found, lengths, stats, weights, layout, ends)
    columns["session_several"] = columns["session"] * asks_for_several(query)
    _add_vectors(columns, query_vector, candidates, weights, layout)
    columns["phrase"] = _phrases(query, joined)
    columns["first_person"] = (traits % t.ENDING // t.FIRST_PERSON) / t.FIRST_PERSON_MOST
    columns["speaker"] = named
    columns["speaker_first_person"] = named * np.where(layout.turn, columns["first_person"], 1.0)
    _add_dates(columns, query, candidates)
    columns["newness"] = newness(query, candidates, columns["coverage"])
    columns["question"] = ends
    columns["asks"] = _has(traits, t.ASKS)
    columns["answers"] = layout.near(ends, -1, 0.0)
    counted = np.clip(lengths, np.where(layout.turn, 0.0, _USUAL), _LONG)  # a short fact is no worse than a usual turn
    columns["length"] = np.log1p(counted) / 5.0
    columns["opening"] = _openings(layout, columns["coverage"])
    for kind, bit in _EXPECTED.items():
        columns[f"expected_{kind}"] = _has(traits, bit) if query.wants == kind else np.zeros(len(candidates))
    columns["expected_price"] = np.array(
        [query.wants == "price" and names_price(c.text) for c in candidates], np.float64
    )
    _add_roles(columns, query, candidates, lengths, layout)
    return np.stack([columns[name] for name in FEATURES], axis=1)


def _add_roles(
    columns: dict[str, Floats],
    query: AnalysedQuery,
    candidates: Sequence[Candidate],
    lengths: Floats,
    layout: _Layout,
) -> None:
    """Add who said it to whom: the user's own words, the assistant's, and manners that only chats of people have.

    In chats with an assistant that writes at length (`_assisted`), facts are in what the user says; there a turn that
    follows a question is no likelier to answer it, and a long turn no likelier to hold anything.
    """
    of_user, of_other = _by_role(candidates, is_user), _by_role(candidates, is_assistant) & layout.turn
    user, other = of_user | ~layout.turn, of_other  # statements tell of the user
    columns["own_words"] = np.where(user & (query.perspective == "own"), 1.0, 0.0)
    columns["others_words"] = np.where(other & (query.perspective == "other"), 1.0, 0.0)
    assisted = _assisted(of_user & layout.turn, of_other, lengths)
    columns["user_turn"] = np.where(user & (query.perspective != "other"), assisted, 0.0)
    for name in ("lexical_asked", "question", "asks", "answers", "length"):
        columns[f"{name}_assisted"] = columns[name] * assisted


def _by_role(candidates: Sequence[Candidate], is_one: Callable[[str | None], bool]) -> Flags:
    """Return which candidates have one of the roles; each role is looked at once."""
    roles = [c.role for c in candidates]
    wanted = {role for role in set(roles) if is_one(role)}
    return np.array([role in wanted for role in roles])


def _assisted(user: Flags, other: Flags, lengths: Floats) -> float:
    """Return how much the turns look like chats with an assistant: 1 where it writes at least 4 times as much."""
    if not user.any() or not other.any():
        return 0.0
    ratio = max(float(lengths[other].mean()), 1.0) / max(float(lengths[user].mean()), 1.0)
    return float(np.clip(np.log(ratio) / np.log(_ASSISTED), 0.0, 1.0))


def _named_speakers(
    query: AnalysedQuery, candidates: Sequence[Candidate], joined: Sequence[str]
) -> tuple[Floats, set[str]]:
    """Return 1 for each memory of the one speaker that the query names, and the stems of all speakers' names."""
    words = {speaker: set(tokenize(speaker)) for speaker in {c.speaker for c in candidates if c.speaker}}
    if not words:
        return _named_role(query, candidates, joined)
    asked = set(tokenize(query.text))
    named = [speaker for speaker, own in words.items() if own & asked]
    stems = {stem(word) for own in words.values() for word in own}
    if len(named) != 1:
        return np.zeros(len(candidates)), stems
    mentions = [f" {stem(word)} " for word in words[named[0]]]
    return (
        np.array(
            [
                c.speaker == named[0] if c.position is not None else any(name in terms for name in mentions)
                for c, terms in zip(candidates, joined, strict=True)
            ],
            dtype=np.float64,
        ),
        stems,
    )


def _named_role(
    query: AnalysedQuery, candidates: Sequence[Candidate], joined: Sequence[str]
) -> tuple[Floats, set[str]]:
    """Tell from greetings which role a name in the query belongs to, where turns carry no speaker's name.

    A person who is greeted ("Hey Ana!") is not the speaker: a name greeted at least twice, and only by turns of one of
    two roles, is the other role's.
    """
    roles = sorted({c.role for c in candidates if c.role and c.position is not None})
    found: dict[str, str] = {}
    if len(roles) == 2:
        for name in sorted(query.names):
            greeting = re.compile(rf" (?:{_GREETINGS}) (?:\w+ )?{re.escape(stem(name))} ")
            by = [c.role for c, terms in zip(candidates, joined, strict=True) if greeting.match(terms)]
            if len(by) > 1 and len(set(by)) == 1 and by[0] in roles:
                found[name] = roles[1 - roles.index(by[0])]
    stems = {stem(name) for name in found}
    if len(set(found.values())) != 1:
        return np.zeros(len(candidates)), stems
    wanted = next(iter(found.values()))
    return np.array([c.role == wanted and c.position is not None for c in candidates], dtype=np.float64), stems


def _joined_terms(candidates: Sequence[Candidate]) -> list[str]:
    return [f" {c.terms if isinstance(c.terms, str) else ' '.join(c.terms)} " for c in candidates]


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
    columns: dict[str, Floats],
    topic: Sequence[str],
    matched: Matches,
    lengths: Floats,
    stats: CorpusStats,
    weights: RankingWeights,
    layout: _Layout,
    ends: Floats,
) -> None:
    counts = matched.counts
    found = (counts > 0).astype(np.float64)
    among = found.sum(axis=0)
    frequency = np.maximum(among, [stats.document_frequency.get(term, 0) for term in topic])
    total = max(float(stats.documents), float(len(counts)), float(frequency.max(initial=0.0)))
    idf = _idf(frequency, total)
    most = max(float(idf.sum()), 1e-9)
    average = stats.average_length or float(lengths.mean())
    own = _bm25(counts, idf, lengths, average, weights.k1, weights.b) / (most * (weights.k1 + 1.0))
    columns["lexical"] = own
    present = found * np.minimum(1.0, (_LONG / np.maximum(lengths, 1.0)) ** 0.25)[:, None]
    for name, offset in _AROUND:
        columns[f"lexical_{name}"] = layout.near(own, offset, weights.alone)
    columns["lexical_asked"] = layout.near(own * ends, -1, 0.0)
    coverage = _covered(present, layout)
    columns["coverage"] = _row_sums(coverage, idf) / most
    columns["variants"] = _row_sums(matched.variants, idf) / most
    columns["alike"] = _row_sums(matched.alike, idf) / most
    more = _covered(np.maximum(present, matched.alike), layout) - coverage if matched.alike.any() else matched.alike
    columns["alike_near"] = _row_sums(more, idf) / most
    in_session = np.zeros((layout.sessions, counts.shape[1]))
    np.add.at(in_session, layout.session, counts)
    long: Floats = np.bincount(layout.session, lengths, layout.sessions).astype(np.float64)
    session_idf = _idf((in_session > 0).sum(axis=0).astype(np.float64), float(layout.sessions))
    bm25 = _bm25(in_session, session_idf, long, float(long.mean()), weights.k1, weights.session_b)
    columns["session"] = (bm25 / max(float(session_idf.sum()) * (weights.k1 + 1.0), 1e-9))[layout.session]


def _covered(present: Floats, layout: _Layout) -> Floats:
    """Return how far each term is found in each candidate or near it."""
    coverage = present
    for _, offset in _AROUND:
        coverage = np.maximum(coverage, layout.near(present, offset, 0.0) * _COVERAGE_SHARE[offset])
    return coverage


def _near(query: AnalysedQuery, topic: Sequence[str], query_vector: Vector | None) -> list[Mapping[str, float]]:
    """Return the words near in meaning to each term: none for names, other languages, and searches by words alone."""
    if query.language != ENGLISH or query_vector is None:
        return [{}] * len(topic)
    words = dict(zip(query.terms, query.words, strict=True))
    return [{} if words[term] in query.names else near_words(term) for term in topic]


def _add_vectors(
    columns: dict[str, Floats],
    query_vector: Vector | None,
    candidates: Sequence[Candidate],
    weights: RankingWeights,
    layout: _Layout,
) -> None:
    cosine, columns["centred"] = cosines(candidates, query_vector, weights.vector_floor)
    columns["vector"] = cosine
    for name, offset in _AROUND:
        columns[f"vector_{name}"] = layout.near(cosine, offset, weights.alone)


def _openings(layout: _Layout, coverage: Floats) -> Floats:
    """Return how much each candidate counts as the opening of a conversation.

    Being the first of twelve turns and more tells something whatever is asked. The first of three is no likelier to
    hold an answer than the others: there the place counts only as far as the turn holds the query's words.
    """
    longest = np.zeros(layout.sessions)
    np.maximum.at(longest, layout.session, layout.position.astype(np.float64))
    talk = np.minimum(longest[layout.session] / (_TALK - 1.0), 1.0)
    return np.where(layout.position == 0, talk + (1.0 - talk) * np.minimum(coverage, 1.0), 0.0)


def _phrases(query: AnalysedQuery, joined: Sequence[str]) -> Floats:
    if not query.phrases:
        return np.zeros(len(joined))
    sought = [f" {' '.join(phrase)} " for phrase in query.phrases]
    return np.array([sum(phrase in terms for phrase in sought) / len(sought) for terms in joined])


def _traits(candidates: Sequence[Candidate], joined: Sequence[str]) -> Ints:
    return np.array(
        [
            c.traits if c.traits is not None else t.traits_of(c.text, terms.split())
            for c, terms in zip(candidates, joined, strict=True)
        ],
        dtype=np.int64,
    )


def _has(traits: Ints, bit: int) -> Floats:
    return ((traits & bit) > 0).astype(np.float64)


def _session_days(candidates: Sequence[Candidate], offset: float) -> npt.NDArray[np.float64]:
    """Return each candidate's day (days since 1970, NaN if unknown): what its session's opening says, else its time."""
    stated: dict[str, float] = {}
    for c in candidates:
        if c.position == 0 and c.session is not None:
            for y, m, d in find_dates(c.text[:_DATED]):
                if y and m and d:
                    try:
                        stated[c.session] = float(date(y, m, d).toordinal() - _EPOCH)
                    except ValueError:
                        continue
                    break
    times = np.array([np.nan if c.when is None else c.when for c in candidates], dtype=np.float64)
    # What is said of a day alone is stored as its midnight in UTC, and is that day everywhere.
    days = np.where(np.abs(times) < _LAST_SECOND, times / 86400.0, np.nan)
    days = np.floor(np.where(days == np.floor(days), days, days + offset / 86400.0))
    if stated:
        said = np.array([stated.get(c.session, np.nan) if c.session else np.nan for c in candidates])
        days = np.where(np.isnan(said), days, said)
    return days


def _add_dates(columns: dict[str, Floats], query: AnalysedQuery, candidates: Sequence[Candidate]) -> None:
    same = np.zeros(len(candidates))
    soon = np.zeros(len(candidates))
    if query.dates or query.spans:
        number = _session_days(candidates, query.utc_offset)
        for span in query.spans:
            near, after = nearness(span, number)
            same, soon = np.maximum(same, near), np.maximum(soon, after)
        known = ~np.isnan(number)
        days = np.where(known, number, 0.0).astype(np.int64).astype("datetime64[D]")
        months = days.astype("datetime64[M]")
        year = months.astype("datetime64[Y]").astype(np.int64) + 1970
        month = months.astype(np.int64) % 12 + 1
        day = (days - months).astype(np.int64) + 1
        for y, m, d in query.dates:
            fits = known & ((year == y) if y else np.full(len(known), True))
            if not m:
                value = np.full(len(known), 0.2)
            else:
                value = np.where(month == m, np.where(day == d, 1.0, 0.3) if d else 0.6, 0.0)
            same = np.maximum(same, np.where(fits, value, 0.0))
            if m and d:
                since = (month - m) * 30.44 + (day - d) + ((year - y) * 365.25 if y else 0.0)
                soon = np.maximum(soon, np.where(known & (since > -0.5), 1.0 - since / _AFTER_DAYS, 0.0))
    columns["date"] = same
    columns["date_after"] = soon
