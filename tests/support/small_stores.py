"""Small stores: conversations of a few turns with questions, `tests/data/small_stores.json`.

Half of them (`tune`) may be looked at to tune the ranking, half (`held`) may not. Each question has the places of the
turns that answer it. `python -m tests.support.small_stores` prints how often such a turn is the first hit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from memhost.models import Message
from memhost.ranking import DEFAULT_WEIGHTS, Candidate, CorpusStats, Ranked, RankingWeights, rank, traits_of
from memhost.text.analysis import analyse_query, index_terms
from memhost.text.speakers import labels_of, said_by
from memhost_model_static.embedder import StaticEmbedder

DATA = Path(__file__).parents[1] / "data" / "small_stores.json"
_NOON = 1_780_000_000.0
_BETWEEN_S = 45


class Asked(NamedTuple):
    """A question of a store."""

    split: str
    language: str
    turns: list[Candidate]
    text: str
    answers: list[int]


def questions(embedder: StaticEmbedder) -> Iterator[Asked]:
    """All questions with the turns of their stores."""
    for number, store in enumerate(json.loads(DATA.read_text(encoding="utf-8"))):
        turns = []
        said = [
            Message(role=role, content=content, id=str(position), created_at=datetime.fromtimestamp(_NOON, UTC))
            for position, (role, content) in enumerate(store["turns"])
        ]
        labels = labels_of(said)
        for position, message in enumerate(said):
            speaker, body = said_by(message, labels)
            role = message.role
            when = _NOON + _BETWEEN_S * position
            terms = index_terms(body, speaker, when)
            vector = embedder.embed_now([body])[0]
            turns.append(
                Candidate(
                    position, body, terms, speaker, role, f"s{number}", position, when, vector,
                    traits=traits_of(body, terms),
                )
            )  # fmt: skip
        for question in store["questions"]:
            yield Asked(store["split"], store["language"], turns, question["text"], question["answers"])


def ranked(asked: Asked, embedder: StaticEmbedder, weights: RankingWeights = DEFAULT_WEIGHTS) -> list[Ranked]:
    """The turns of the store for the question, best first."""
    query = analyse_query(asked.text)
    vector = embedder.embed_now([query.embedding_text])[0]
    return rank(query, vector, asked.turns, CorpusStats(documents=len(asked.turns)), weights)


def first_hits(split: str, embedder: StaticEmbedder, weights: RankingWeights = DEFAULT_WEIGHTS) -> tuple[int, int]:
    """How many questions have an answer first, and how many there are."""
    asked = [each for each in questions(embedder) if each.split == split]
    return sum(ranked(each, embedder, weights)[0].key in each.answers for each in asked), len(asked)


if __name__ == "__main__":
    for name in ("tune", "held"):
        print(name, "{} of {}".format(*first_hits(name, StaticEmbedder())))
