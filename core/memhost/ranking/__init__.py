"""Ranking of candidate memories for a query: pure functions over plain values, the same for every store.

A store finds candidates within the caller's scope: the best K by its own BM25 over ``analysis.index_terms``, the best K
by cosine, and the turns at most two places away from those in their sessions. :func:`rank` then recomputes every
feature from the candidates' terms and vectors, so that all stores rank alike, and adds them up::

    query = analyse_query("When did Ana go to the museum?")
    hits = rank(query, vector, candidates, CorpusStats(documents=900, document_frequency={"museum": 3}))

Candidates are objects (:class:`Candidate`), or :class:`Columns` that a store makes once, keeps, and takes rows of;
of these :func:`rank_columns` returns arrays.

For a query vector from a static (bag of words) embedder, embed ``query.embedding_text``; for a model that reads
sentences, embed the question, as ``text.first_person`` puts it. Without vectors ranking works on words alone.

Stages: the memory's own words (BM25) and vector; the same of the two turns before and after it; how much of the query
is covered nearby; the session as a whole; the speaker that the query names; the date that it names; whether the turn
asks or answers; the kind of answer expected. Each can be weighted or switched off (:class:`RankingWeights`).
"""

from memhost.ranking.columns import Columns
from memhost.ranking.columns.stored import candidate_of
from memhost.ranking.features import FEATURES, feature_matrix
from memhost.ranking.own_names import speaks_of_user
from memhost.ranking.score import DEFAULT_WEIGHTS, STAGES, RankedRows, rank, rank_columns
from memhost.ranking.traits import traits_of
from memhost.ranking.types import Candidate, CorpusStats, Ranked
from memhost.ranking.weights import RankingWeights

__all__ = [
    "DEFAULT_WEIGHTS",
    "FEATURES",
    "STAGES",
    "Candidate",
    "Columns",
    "CorpusStats",
    "Ranked",
    "RankedRows",
    "RankingWeights",
    "candidate_of",
    "feature_matrix",
    "rank",
    "rank_columns",
    "speaks_of_user",
    "traits_of",
]
