"""Input and output of the ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Candidate(msgspec.Struct, gc=False):
    """One memory that may answer the query, or a neighbouring turn of one.

    Attributes:
        key: the store's identifier; ties in score are put in the order of the keys.
        text: what was said, without the speaker's prefix.
        terms: ``analysis.index_terms`` of it, in order; or the same joined by single spaces, which is faster.
        speaker: the speaker's name, where known.
        role: ``user``, ``assistant`` or another role, where known.
        session: the session it belongs to; None for a memory that is not a turn.
        position: index of the turn within its session, from 0; None for a memory that is not a turn.
        when: time of the turn or event in Unix seconds (UTC), where known.
        vector: its embedding, of length one, made by the same embedder as the query's; None if there is none.
        memory_type: ``message`` for a turn, else the kind of memory.
        owner: the user who owns it; None if nobody does.
        traits: :func:`memhost.ranking.traits_of` of it, if the store kept that; else it is computed each time.
    """

    key: int | str
    text: str
    terms: Sequence[str] | str
    speaker: str | None = None
    role: str | None = None
    session: str | None = None
    position: int | None = None
    when: float | None = None
    vector: Vector | None = None
    memory_type: str = "message"
    traits: int | None = None
    owner: str | None = None


class CorpusStats(msgspec.Struct, frozen=True):
    """Counts over the caller's scope; approximations will do.

    Attributes:
        documents: number of memories in the scope.
        average_length: mean number of terms of a memory; 0 if not known (the candidates' mean is taken).
        document_frequency: for each query term, how many memories in the scope hold it; a missing term is counted
            among the candidates.
    """

    documents: int
    average_length: float = 0.0
    document_frequency: Mapping[str, int] = msgspec.field(default_factory=dict)


class Ranked(msgspec.Struct, gc=False):
    """One candidate's place.

    Attributes:
        key: the candidate's key.
        score: in (0, 1): how likely the memory is to answer the query, comparable between queries.
        breakdown: what each stage added, in logits; ``score`` is the logistic function of the sum of its values.
        shares: it, or a turn beside it, has a word, a date or a quoted phrase in common with the query, or is of the
            speaker whom the query names.
        nearness: cosine of it and the query, counted from ``RankingWeights.vector_floor``; 0 without vectors.
    """

    key: int | str
    score: float
    breakdown: dict[str, float]
    shares: bool = True
    nearness: float = 0.0
