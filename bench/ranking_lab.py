"""Offline laboratory for the ranking: candidate generation and ranking over LoCoMo conversations, without a server.

Data: five conversations of LoCoMo (Maharana et al., ACL 2024; CC BY-NC 4.0, never part of the product), expected in
``../shared/data/locomo_dev.json`` beside the project. Each conversation is one scope; recall@k is the share of a
question's evidence turns among the first k hits, averaged over the questions with evidence.

    PYTHONPATH=core:plugins/models python bench/ranking_lab.py                  # every stage switched off in turn
    PYTHONPATH=core:plugins/models python bench/ranking_lab.py --shape c --no-captions
    PYTHONPATH=core:plugins/models python bench/ranking_lab.py --fit            # fit the weights, leave-one-out
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from memhost.ranking import (
    DEFAULT_WEIGHTS,
    FEATURES,
    Candidate,
    CorpusStats,
    RankingWeights,
    feature_matrix,
    rank,
    traits_of,
)
from memhost.text.analysis import AnalysedQuery, analyse_query, index_terms, query_terms, split_speaker
from memhost_model_static.embedder import StaticEmbedder

_FOLDER = os.environ.get("MEMHOST_EVAL_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
DATA = Path(_FOLDER) / "locomo_dev.json"
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open", 4: "single-hop", 5: "adversarial"}
CUTS = (1, 5, 10, 25)
STAGES = {
    "neighbours' words": ("lexical_before", "lexical_after", "lexical_before2", "lexical_after2"),
    "asked before": ("lexical_asked", "answers"),
    "own words": ("lexical",),
    "coverage": ("coverage",),
    "variants": ("variants",),
    "session": ("session",),
    "own vector": ("vector",),
    "neighbours' vectors": ("vector_before", "vector_after", "vector_before2", "vector_after2"),
    "speaker": ("speaker", "first_person", "speaker_first_person"),
    "date": ("date", "date_after"),
    "question form": ("question", "asks"),
    "length": ("length",),
    "opening": ("opening",),
    "expected answer": ("expected_time", "expected_number", "expected_person", "expected_place"),
}
Floats = npt.NDArray[np.float64]


@dataclass
class Question:
    """A question, the places of its evidence turns, and what was computed for it."""

    text: str
    evidence: list[int]
    category: int
    query: AnalysedQuery = field(init=False)
    chosen: list[int] = field(default_factory=list)
    features: Floats = field(default_factory=lambda: np.zeros((0, len(FEATURES))))

    def __post_init__(self) -> None:
        self.query = analyse_query(self.text)


@dataclass
class Scope:
    """One conversation: its turns as candidates, its questions, and its statistics."""

    name: str
    turns: list[Candidate]
    questions: list[Question]
    counts: list[Counter[str]] = field(default_factory=list)
    frequency: Counter[str] = field(default_factory=Counter)


def parse_time(text: str) -> float:
    moment = datetime.strptime(text.upper(), "%I:%M %p ON %d %B, %Y").replace(tzinfo=UTC)
    return moment.timestamp()


def messages(conversation: dict[str, Any], shape: str, captions: bool) -> list[dict[str, Any]]:
    """Write the turns as a client would.

    Shapes: a, "Name: text" with the session's date; b, no name in the text; c, as a, but all stored now and the date
    only in the first turn of a session.
    """
    out = []
    for number in range(1, 100):
        date = conversation.get(f"session_{number}_date_time")
        for position, turn in enumerate(conversation.get(f"session_{number}", [])):
            content = turn["text"]
            if captions and turn.get("blip_caption"):
                content += f" [shares a photo: {turn['blip_caption']}]"
            if shape == "c" and position == 0:
                content = f"[{date}] {content}"
            if shape != "b":
                content = f"{turn['speaker']}: {content}"
            role = "user" if turn["speaker"] == conversation["speaker_a"] else "assistant"
            when = time.time() if shape == "c" else parse_time(str(date)) + position
            out.append(
                {"id": turn["dia_id"], "content": content, "role": role, "when": when}
                | {"session": f"session_{number}", "position": position}
            )
    return out


def load_scope(item: dict[str, Any], shape: str, captions: bool, embedder: StaticEmbedder) -> Scope:
    written = messages(item["conversation"], shape, captions)
    split = [split_speaker(message["content"]) for message in written]
    vectors = embedder.embed_now([body for _, body in split])
    turns = []
    for key, (message, (speaker, body)) in enumerate(zip(written, split, strict=True)):
        terms = index_terms(body, speaker, message["when"])
        turns.append(
            Candidate(
                key=key,
                text=body,
                terms=" ".join(terms),
                speaker=speaker,
                role=message["role"],
                session=message["session"],
                position=message["position"],
                when=message["when"],
                vector=vectors[key],
                traits=traits_of(body, terms),
            )
        )
    place = {message["id"]: key for key, message in enumerate(written)}
    questions = []
    for entry in item["qa"]:
        ids = re.findall(r"D\d+:\d+", " ".join(entry["evidence"]))
        evidence = list(dict.fromkeys(place[name] for name in ids if name in place))
        if evidence:
            questions.append(Question(entry["question"], evidence, entry["category"]))
    scope = Scope(item["sample_id"], turns, questions)
    scope.counts = [Counter(str(turn.terms).split()) for turn in turns]
    for counts in scope.counts:
        scope.frequency.update(counts.keys())
    return scope


def engine_bm25(scope: Scope, query: AnalysedQuery) -> Floats:
    """Score all turns as SQLite's FTS5 does (k1 1.2, b 0.75)."""
    lengths = np.array([counts.total() for counts in scope.counts], dtype=np.float64)
    norm = 1.2 * (0.25 + 0.75 * lengths / lengths.mean())
    out = np.zeros(len(lengths))
    for term in query_terms(query):
        found = scope.frequency[term]
        idf = max(np.log((len(lengths) - found + 0.5) / (found + 0.5)), 1e-6)
        frequency = np.array([counts[term] for counts in scope.counts], dtype=np.float64)
        out += idf * frequency * 2.2 / (frequency + norm)
    return out


def choose(scope: Scope, question: Question, vector: npt.NDArray[np.float32], k: int) -> list[int]:
    """Return the places of the candidates: the best k by words, the best k by vector, and the turns around them."""
    words = engine_bm25(scope, question.query)
    by_words = [int(i) for i in np.argsort(-words, kind="stable")[:k] if words[i] > 0]
    cosine = np.stack([v for turn in scope.turns if (v := turn.vector) is not None]) @ vector
    seeds = {*by_words, *(int(i) for i in np.argsort(-cosine, kind="stable")[:k])}
    around = {j for i in seeds for j in range(i - 2, i + 3) if 0 <= j < len(scope.turns)}
    return sorted(j for j in around if any(_beside(scope, j, i) for i in range(j - 2, j + 3) if i in seeds))


def _beside(scope: Scope, i: int, j: int) -> bool:
    return scope.turns[i].session == scope.turns[j].session


def prepare(scopes: Sequence[Scope], embedder: StaticEmbedder, k: int) -> float:
    """Choose candidates and compute their features; return the mean time of one call of ``rank`` in milliseconds."""
    spent, calls = 0.0, 0
    for scope in scopes:
        mean = float(np.mean([counts.total() for counts in scope.counts]))
        for number, question in enumerate(scope.questions):
            query = question.query
            vector = embedder.embed_now([query.embedding_text])[0]
            stats = CorpusStats(len(scope.turns), mean, {term: scope.frequency[term] for term in query.terms})
            question.chosen = choose(scope, question, vector, k)
            candidates = [scope.turns[i] for i in question.chosen]
            question.features = feature_matrix(query, vector, candidates, stats, DEFAULT_WEIGHTS)
            if number % 10 == 0:
                start = time.perf_counter()
                rank(query, vector, candidates, stats)
                spent, calls = spent + time.perf_counter() - start, calls + 1
    return 1000.0 * spent / max(calls, 1)


def places(question: Question, weights: Floats) -> Floats:
    """Return the place of each evidence turn in the ranking, from 0; infinite where it was no candidate."""
    order = np.argsort(-(question.features @ weights), kind="stable")
    place = {question.chosen[i]: n for n, i in enumerate(order)}
    return np.array([place.get(turn, np.inf) for turn in question.evidence])


def measure(questions: Sequence[Question], weights: Floats) -> dict[str, float]:
    """Return recall, hit and reciprocal rank in per cent, averaged over ``questions``."""
    found = [places(question, weights) for question in questions]
    out = {f"r@{cut}": np.mean([(p < cut).mean() for p in found]) for cut in CUTS}
    out["all@5"] = np.mean([(p < 5).all() for p in found])
    out |= {f"hit@{cut}": np.mean([(p < cut).any() for p in found]) for cut in (1, 5, 10)}
    out["MRR"] = np.mean([1.0 / (1.0 + p.min()) for p in found])
    return {name: 100.0 * float(value) for name, value in out.items()}


def show(label: str, values: dict[str, float]) -> None:
    print(f"{label:26s}" + "".join(f"{value:8.1f}" for value in values.values()), flush=True)


def vector_of(weights: RankingWeights, off: Collection[str] = ()) -> Floats:
    return np.array([0.0 if name in off else float(getattr(weights, name)) for name in FEATURES])


def report(scopes: Sequence[Scope], weights: RankingWeights) -> None:
    every = [question for scope in scopes for question in scope.questions]
    print(f"{'':26s}" + "".join(f"{name:>8s}" for name in measure(every[:1], vector_of(weights))))
    show("all stages", measure(every, vector_of(weights)))
    for scope in scopes:
        show(f"  {scope.name}", measure(scope.questions, vector_of(weights)))
    for number, name in CATEGORIES.items():
        show(f"  {number} {name}", measure([q for q in every if q.category == number], vector_of(weights)))
    alone = msgspec.structs.asdict(weights)
    show("BM25 alone", measure(every, vector_of(weights, set(alone) - {"lexical"})))
    show("vector alone", measure(every, vector_of(weights, set(alone) - {"vector"})))
    for name, off in STAGES.items():
        show(f"without {name}", measure(every, vector_of(weights, off)))
    vectors = [name for name in FEATURES if name.startswith("vector")]
    show("without any vector", measure(every, vector_of(weights, vectors)))


def fit_one(questions: Sequence[Question], penalty: float = 1e-3) -> Floats:
    """Fit a conditional logit by Newton's method: each evidence turn against the 120 best candidates.

    Weights are kept at or above 0, but for those of the form of a question, by leaving out what falls below.
    """
    may_sink = {"question", "asks"}
    start = vector_of(DEFAULT_WEIGHTS)
    groups = [_sample(question, start) for question in questions]
    free = [i for i, name in enumerate(FEATURES) if name != "phrase"]
    while True:
        solved = _newton([(x[:, free], y) for x, y in groups if y.sum() > 0], penalty)
        below = [i for i, value in zip(free, solved, strict=True) if value < 0 and FEATURES[i] not in may_sink]
        if not below:
            break
        free = [i for i in free if i not in below]
    out = np.zeros(len(FEATURES))
    out[free] = solved
    return out


def _sample(question: Question, weights: Floats) -> tuple[Floats, Floats]:
    best = np.argsort(-(question.features @ weights), kind="stable")[:120].tolist()
    own = [question.chosen.index(turn) for turn in question.evidence if turn in question.chosen]
    rows = list(dict.fromkeys([*own, *best]))
    target = np.array([1.0 / max(len(own), 1) if i < len(own) else 0.0 for i in range(len(rows))])
    return question.features[rows], target


def _newton(groups: Sequence[tuple[Floats, Floats]], penalty: float) -> Floats:
    size = groups[0][0].shape[1]
    weights = np.zeros(size)
    for _ in range(15):
        gradient = 2.0 * penalty * len(groups) * weights
        hessian = 2.0 * penalty * len(groups) * np.eye(size)
        for x, y in groups:
            z = x @ weights
            p = np.exp(z - z.max())
            p /= p.sum()
            mean = p @ x
            gradient += mean - y @ x
            hessian += (x * p[:, None]).T @ x - np.outer(mean, mean)
        step = np.linalg.solve(hessian, gradient)
        weights = weights - step * min(1.0, 4.0 / max(float(np.abs(step).max()), 1e-9))
    return weights


def calibrate(questions: Sequence[Question], weights: Floats) -> tuple[float, float]:
    """Fit slope and intercept of the logistic from a sum to "is evidence" (Platt, 1999), by Newton's method."""
    z = np.concatenate([question.features @ weights for question in questions])
    y = np.concatenate([np.isin(q.chosen, q.evidence).astype(np.float64) for q in questions])
    design = np.column_stack([z, np.ones_like(z)])
    line = np.array([0.5, -8.0])
    for _ in range(25):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ line, -40, 40)))
        hessian = (design * (p * (1 - p))[:, None]).T @ design + 1e-6 * np.eye(2)
        line = line - np.clip(np.linalg.solve(hessian, design.T @ (p - y)), -1, 1)
    return float(line[0]), float(line[1])


def fit(shapes: dict[str, list[Scope]]) -> None:
    """Fit on all shapes together; print leave-one-conversation-out results, then the weights of all."""
    names = [scope.name for scope in next(iter(shapes.values()))]
    folds = {}
    for left in names:
        folds[left] = fit_one(
            [q for s in shapes.values() for scope in s if scope.name != left for q in scope.questions]
        )
    for shape, scopes in shapes.items():
        parts = [measure(scope.questions, folds[scope.name]) for scope in scopes]
        sizes = [len(scope.questions) for scope in scopes]
        total = {key: float(np.average([p[key] for p in parts], weights=sizes)) for key in parts[0]}
        show(f"left out, {shape}", total)
    final = fit_one([q for s in shapes.values() for scope in s for q in scope.questions])
    spread = np.std(list(folds.values()), axis=0)
    for i, name in enumerate(FEATURES):
        print(f"    {name}: float = {final[i]:.2f}    # +- {spread[i]:.2f} between folds")
    slope, intercept = calibrate([q for s in shapes.values() for scope in s for q in scope.questions], final)
    print(f"    slope: float = {slope:.2f}\n    intercept: float = {intercept:.2f}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the ranking on LoCoMo.")
    parser.add_argument("--shape", choices="abc", default="a", help="how a client writes the turns (see messages)")
    parser.add_argument("--no-captions", action="store_true", help="leave out the captions of pictures")
    parser.add_argument("--k", type=int, default=200, help="candidates of each kind (default 200)")
    parser.add_argument("--fit", action="store_true", help="fit the weights instead of measuring them")
    options = parser.parse_args()
    if not DATA.exists():
        print(f"skipped: {DATA} is not there")
        return 0
    items = json.loads(DATA.read_text(encoding="utf-8"))
    embedder = StaticEmbedder()
    if options.fit:
        wanted = [("a", True), ("a", False), ("b", True), ("c", True)]
        shapes = {f"{s}{'' if c else ' bare'}": [load_scope(i, s, c, embedder) for i in items] for s, c in wanted}
        for scopes in shapes.values():
            prepare(scopes, embedder, options.k)
        fit(shapes)
        return 0
    scopes = [load_scope(item, options.shape, not options.no_captions, embedder) for item in items]
    spent = prepare(scopes, embedder, options.k)
    print(f"shape {options.shape}, captions {not options.no_captions}, K {options.k}")
    report(scopes, DEFAULT_WEIGHTS)
    sizes = [len(question.chosen) for scope in scopes for question in scope.questions]
    print(f"candidates: mean {np.mean(sizes):.0f}, most {max(sizes)}; rank(): {spent:.2f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
