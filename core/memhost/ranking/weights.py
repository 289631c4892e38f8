"""The weights of the ranking."""

from __future__ import annotations

import msgspec


class RankingWeights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Weight of each stage, in logits for one unit of its feature; 0 switches a stage off.

    A candidate's score is ``logistic(slope * (sum of weight * feature) + intercept)``. BM25 values are divided by the
    most that the query could reach, so they lie in [0, 1] like the other features and mean the same for every query.

    Source: fitted with ``bench/ranking_lab.py --fit`` (conditional logit, L2 5e-4) on three kinds of conversation
    and on articles: two friends (five conversations of LoCoMo, Maharana et al., ACL 2024, each written in four
    ways: with and without captions, with roles only, without dates), chats with an assistant and with a companion,
    sentences of articles in six languages. docs/benchmarks.md shows what conversations and whole kinds that were
    left out reach. Weights of the user's turns and of chats with an assistant are drawn to what was expected of
    them before any fit (L2 1e-3). A logistic calibration (Platt, 1999) on the same data gave slope 0.58 and intercept
    -8.68.
    ``k1`` and ``b`` as measured on LoCoMo; ``session_b`` is the usual value (Robertson and Zaragoza, 2009).
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

    lexical: float = 0.7
    """BM25 of the memory itself."""
    lexical_before: float = 0.0
    """BM25 of the turn before it, and likewise below."""
    lexical_after: float = 0.42
    lexical_before2: float = 1.4
    lexical_after2: float = 0.11
    lexical_asked: float = 2.68
    """BM25 of the turn before it if that is a question, to which this turn is then the answer."""
    coverage: float = 6.53
    """Share of the query's terms, by idf, found in the turn or near it."""
    variants: float = 2.6
    """Share of the query's terms, by idf, that are missing but for a word that begins alike."""
    alike: float = 1.57
    """Share of the query's terms, by idf, that are missing, as far as a word of like meaning is there."""
    alike_near: float = 3.05
    """The share that these words and those of the turns around add to `coverage`."""
    session: float = 5.54
    """BM25 of the session."""
    session_several: float = -3.62
    """Added to `session` if the question asks for several things (Which cities has Ana visited?): these lie in
    different sessions."""
    phrase: float = 4.0
    """Share of the quoted phrases of the query that occur verbatim."""

    vector_floor: float = 0.0
    """Cosine of unrelated texts with the embedder in use, in [0, 1): cosines are counted from there. 0 for the
    static model; some hosted models have 0.7."""
    vector: float = 0.1
    """Cosine of the memory and the query, from -1 to 1, and of its neighbours below."""
    vector_before: float = 0.86
    vector_after: float = 0.72
    vector_before2: float = 1.42
    vector_after2: float = 0.46
    centred: float = 2.3
    """Cosine of the memory and the query, both counted from the mean of the candidates."""
    sentences: float = 1.5
    """Factor of ``vector`` for embedders that read whole sentences (`memhost.ports.SentenceReader`). Chosen, like the
    next, for `minilm` on a grid of 20 pairs (docs/benchmarks.md): the weights were fitted for the static model."""
    sentences_around: float = 0.5
    """The same for the four weights of the neighbours' vectors: a sentence understood needs them less."""

    speaker: float = 0.77
    """The query names one known speaker, and this is a turn of that speaker's."""
    first_person: float = 0.23
    """Words of the first person: a turn that tells something of the speaker."""
    speaker_first_person: float = 0.53
    """Both of the two above."""

    date: float = 3.68
    """Nearness of the memory's date to one that the query names: 1 same day, 0.6 same month."""
    date_after: float = 1.44
    """Weight of how soon after a named day it was said: 1 on the day, 0 from 15 days on."""
    newness: float = 0.6
    """From the oldest to the newest of the statements of one speaker that answer a question of the present alike (by
    judgement: enough to decide between equals)."""

    question: float = -0.33
    """The turn ends in a question."""
    asks: float = -0.36
    """The turn holds a question mark."""
    answers: float = 0.42
    """The turn before it ends in a question."""
    length: float = 1.27
    """ln(1 + terms) / 5."""
    opening: float = 1.12
    """First turn of a session, where people tell their news; in short sessions only as far as it holds the query's
    words."""

    expected_time: float = 1.78
    """The query asks when, and the memory holds an expression of time; likewise below."""
    expected_number: float = 0.81
    expected_person: float = 0.5
    expected_place: float = 1.47
    expected_price: float = 2.2

    own_words: float = 1.26
    """The query is about the one who asks, and this is what the user said, or a statement."""
    others_words: float = 1.31
    """The query asks what the assistant said, and this is a turn of the assistant's."""
    user_turn: float = 0.97
    """The user's turns and statements, as far as the assistant writes longer turns than the user (0 to 1)."""
    lexical_asked_assisted: float = -1.45
    """Added to `lexical_asked` as far as the assistant writes longer turns than the user; the four below likewise."""
    question_assisted: float = 0.34
    asks_assisted: float = 0.19
    answers_assisted: float = -0.63
    length_assisted: float = -1.0

    alone: float = 0.5
    """A memory that is not a turn counts as if its neighbours had this share of its own value."""
    slope: float = 0.34
    intercept: float = -3.0
    """From the sum to the score. Half the slope of the fit, so that scores spread over 0..1 and relevance stays in
    charge when recency is mixed in: most answers get 0.3 to 0.9, an unrelated query 0.15 or less."""
