"""The weights of the ranking."""

from __future__ import annotations

import msgspec


class RankingWeights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Weight of each stage, in logits for one unit of its feature; 0 switches a stage off.

    A candidate's score is ``logistic(slope * (sum of weight * feature) + intercept)``. BM25 values are divided by the
    most that the query could reach, so they lie in [0, 1] like the other features and mean the same for every query.

    Source: fitted with ``bench/ranking_lab.py --fit`` (conditional logit, L2 1e-3) on five conversations of LoCoMo
    (Maharana et al., ACL 2024), each written in four ways: with and without captions, with roles only, without
    dates. Leaving any conversation out moves the weights by 0.3 or less, and conversations left out reach the same
    recall@10 to 0.1 points. A logistic calibration (Platt, 1999) on the same data gave slope 0.68 and intercept
    -9.44. ``k1`` and ``b`` as measured there; ``session_b`` is the usual value (Robertson and Zaragoza, 2009).
    ``phrase`` and ``alone`` were set by judgement; ``expected_price`` on the tuning half of
    ``tests/data/small_stores.json``, since these conversations ask for one price only. ``lexical`` is low because
    ``coverage``, which counts each term once, says the same better.
    """

    k1: float = 1.2
    """BM25: how soon a repeated term stops counting."""
    b: float = 0.3
    """BM25: how much long memories are held back, 0 to 1; low, since turns are short."""
    session_b: float = 0.75
    """The same for whole sessions."""

    lexical: float = 0.45
    """BM25 of the memory itself."""
    lexical_before: float = 0.0
    """BM25 of the turn before it, and likewise below."""
    lexical_after: float = 0.38
    lexical_before2: float = 1.45
    lexical_after2: float = 0.18
    lexical_asked: float = 2.46
    """BM25 of the turn before it if that is a question, to which this turn is then the answer."""
    coverage: float = 6.02
    """Share of the query's terms, by idf, found in the turn or near it."""
    variants: float = 2.24
    """Share of the query's terms, by idf, that are missing but for a word that begins alike."""
    session: float = 4.14
    """BM25 of the session."""
    phrase: float = 4.0
    """Share of the quoted phrases of the query that occur verbatim."""

    vector_floor: float = 0.0
    """Cosine of unrelated texts with the embedder in use, in [0, 1): cosines are counted from there. 0 for the
    static model; some hosted models have 0.7."""
    vector: float = 3.41
    """Cosine of the memory and the query, from -1 to 1, and of its neighbours below."""
    vector_before: float = 1.07
    vector_after: float = 0.82
    vector_before2: float = 1.53
    vector_after2: float = 0.51

    speaker: float = 0.81
    """The query names one known speaker, and this is a turn of that speaker's."""
    first_person: float = 0.24
    """Words of the first person: a turn that tells something of the speaker."""
    speaker_first_person: float = 0.38
    """Both of the two above."""

    date: float = 3.23
    """Nearness of the memory's date to one that the query names: 1 same day, 0.6 same month."""
    date_after: float = 1.28
    """Weight of how soon after a named day it was said: 1 on the day, 0 from 15 days on."""
    newness: float = 0.6
    """From the oldest to the newest of the statements of one speaker that answer a question of the present alike (by
    judgement: enough to decide between equals)."""

    question: float = -0.37
    """The turn ends in a question."""
    asks: float = -0.33
    """The turn holds a question mark."""
    answers: float = 0.48
    """The turn before it ends in a question."""
    length: float = 0.83
    """ln(1 + terms) / 5."""
    opening: float = 1.19
    """First turn of a session, where people tell their news; in short sessions only as far as it holds the query's
    words."""

    expected_time: float = 1.72
    """The query asks when, and the memory holds an expression of time; likewise below."""
    expected_number: float = 0.58
    expected_person: float = 0.38
    expected_place: float = 1.2
    expected_price: float = 2.2

    own_words: float = 1.2
    """The query is about the one who asks, and this is what the user said, or a statement."""
    others_words: float = 1.2
    """The query asks what the assistant said, and this is a turn of the assistant's."""
    user_turn: float = 1.2
    """The user's turns and statements, as far as the assistant writes longer turns than the user (0 to 1)."""
    lexical_asked_assisted: float = -1.5
    """Added to `lexical_asked` in such chats, and likewise below: the manners of people do not hold there."""
    question_assisted: float = 0.3
    asks_assisted: float = 0.2
    answers_assisted: float = -0.6
    length_assisted: float = -1.0

    alone: float = 0.5
    """A memory that is not a turn counts as if its neighbours had this share of its own value."""
    slope: float = 0.34
    intercept: float = -3.0
    """From the sum to the score. Half the slope of the fit, so that scores spread over 0..1 and relevance stays in
    charge when recency is mixed in: most answers get 0.3 to 0.9, an unrelated query 0.15 or less."""
