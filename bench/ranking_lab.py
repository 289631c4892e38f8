"""Offline laboratory for the ranking: candidates and ranking of several kinds of conversation, without a server.

Data, expected in ``../shared/data`` beside the project or in ``MEMHOST_EVAL_DATA`` (never part of the product):

- ``locomo_dev.json``: five conversations of two friends (LoCoMo, Maharana et al., ACL 2024; CC BY-NC 4.0)
- ``recall_*.json``: chats with an assistant and with a companion, sentences of articles in several languages, in the
  simple form that `memhost eval` reads

Each conversation is one scope; recall@k is the share of a question's evidence turns among the first k hits.

    python bench/ranking_lab.py                  # recall of each set, and of LoCoMo with each stage switched off
    python bench/ranking_lab.py --shape c --no-captions
    python bench/ranking_lab.py --embedder minilm   # or multilingual, with that extra installed
    python bench/ranking_lab.py --fit            # fit the weights; what conversations and kinds left out reach
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
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from memhost.models import Message
from memhost.ports import SentenceReader
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
from memhost.ranking.types import Floats
from memhost.search.retrieval import weighted_legs
from memhost.text.analysis import AnalysedQuery, analyse_query, index_terms, query_terms
from memhost.text.first_person import in_first_person, possible_speakers
from memhost.text.speakers import labels_of, said_by
from memhost.text.tokens import tokenize
from memhost_model_static.embedder import StaticEmbedder

_FOLDER = os.environ.get("MEMHOST_EVAL_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
FOLDER = Path(_FOLDER)
DATA = FOLDER / "locomo_dev.json"
SETS = ("assistant_dev", "companion_en", "words_en", "words_de", "words_ru", "words_tr", "words_ar", "words_zh")
SHARES = {"friends": 1.0, "assistant": 1.0, "companion": 0.5, "words": 0.3}
"""Weight of a question of each kind in the fit: the kinds count about as much as each other."""
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open", 4: "single-hop", 5: "adversarial"}
CUTS = (1, 5, 10, 25)
STAGES = {
    "neighbours' words": ("lexical_before", "lexical_after", "lexical_before2", "lexical_after2"),
    "asked before": ("lexical_asked", "answers"),
    "own words": ("lexical",),
    "coverage": ("coverage",),
    "variants": ("variants",),
    "words of like meaning": ("alike", "alike_near"),
    "session": ("session",),
    "several": ("session_several",),
    "own vector": ("vector", "centred"),
    "neighbours' vectors": ("vector_before", "vector_after", "vector_before2", "vector_after2"),
    "speaker": ("speaker", "first_person", "speaker_first_person"),
    "date": ("date", "date_after"),
    "question form": ("question", "asks"),
    "perspective": ("own_words", "others_words", "user_turn"),
    "length": ("length",),
    "opening": ("opening",),
    "expected answer": ("expected_time", "expected_number", "expected_person", "expected_place"),
}


class LabEmbedder(Protocol):
    """What the laboratory uses of an embedder: `static`, or one that reads sentences."""

    languages: frozenset[str]

    def embed_now(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of the texts, in the calling thread."""
        ...


def opened(name: str) -> LabEmbedder:
    """The embedder of that name, without a host."""
    if name == "minilm":
        from memhost_model_sentence.minilm import minilm

        return minilm()
    if name == "multilingual":
        from memhost_model_sentence.multilingual import multilingual

        return multilingual()
    return StaticEmbedder()


def usual_weights(embedder: LabEmbedder) -> RankingWeights:
    """The weights that a server with this embedder has."""
    return weighted_legs(DEFAULT_WEIGHTS, None, sentences=isinstance(embedder, SentenceReader))


def asked_of(embedder: LabEmbedder, scope: Scope, question: Question) -> str:
    """What a server embeds of the question."""
    if not isinstance(embedder, SentenceReader):
        return question.query.embedding_text
    speaking = {word for turn in scope.turns if turn.speaker for word in tokenize(turn.speaker)}
    return in_first_person(question.query, speaking.intersection(possible_speakers(question.query)))


@dataclass
class Question:
    """A question, the places of its evidence turns, and what was computed for it."""

    text: str
    evidence: list[int]
    category: Any
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


def kind_of(name: str) -> str:
    """The kind of conversation of a set."""
    return "friends" if name.startswith("locomo") else name.split("_")[0]


def load_set(name: str, embedder: LabEmbedder) -> list[Scope]:
    """Read a set in the simple form: one scope a conversation."""
    read = json.loads((FOLDER / f"recall_{name}.json").read_text(encoding="utf-8"))
    scopes = []
    for conversation in read["conversations"]:
        written = [
            {
                "id": turn["id"],
                "content": f"{turn['speaker']}: {turn['text']}" if conversation["named"] else turn["text"],
                "role": turn["role"],
                "when": datetime.fromisoformat(session["time"]).timestamp() + position,
                "session": f"session_{number}",
                "position": position,
            }
            for number, session in enumerate(conversation["sessions"])
            for position, turn in enumerate(session["turns"])
        ]
        asked = [(entry["text"], entry["evidence"], entry["category"]) for entry in conversation["questions"]]
        scopes.append(_scope(f"{name}/{conversation['id']}", written, asked, embedder))
    return scopes


def load_scope(item: dict[str, Any], shape: str, captions: bool, embedder: LabEmbedder) -> Scope:
    written = messages(item["conversation"], shape, captions)
    asked = [
        (entry["question"], re.findall(r"D\d+:\d+", " ".join(entry["evidence"])), entry["category"])
        for entry in item["qa"]
    ]
    return _scope(item["sample_id"], written, asked, embedder)


def _scope(
    name: str,
    written: Sequence[dict[str, Any]],
    asked: Sequence[tuple[str, list[str], Any]],
    embedder: LabEmbedder,
) -> Scope:
    """One conversation and its questions: text, ids of the evidence, category; without evidence they are left out."""
    split = _split(written)
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
    for text, ids, category in asked:
        evidence = list(dict.fromkeys(place[each] for each in ids if each in place))
        if evidence:
            questions.append(Question(text, evidence, category))
    scope = Scope(name, turns, questions)
    scope.counts = [Counter(str(turn.terms).split()) for turn in turns]
    for counts in scope.counts:
        scope.frequency.update(counts.keys())
    return scope


def _split(written: Sequence[dict[str, Any]]) -> list[tuple[str | None, str]]:
    """Speaker and text of each message, as a server tells them once a session is stored."""
    found: list[tuple[str | None, str]] = []
    for _, session in groupby(written, key=itemgetter("session")):
        said = [
            Message(role=each["role"], content=each["content"], id=each["id"], created_at=datetime.now(UTC))
            for each in session
        ]
        labels = labels_of(said)
        found += [said_by(message, labels) for message in said]
    return found


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


def prepare(scopes: Sequence[Scope], embedder: LabEmbedder, k: int) -> float:
    """Choose candidates and compute their features; return the mean time of one call of ``rank`` in milliseconds."""
    spent, calls = 0.0, 0
    weights = usual_weights(embedder)
    for scope in scopes:
        mean = float(np.mean([counts.total() for counts in scope.counts]))
        for number, question in enumerate(scope.questions):
            query = question.query
            vector = embedder.embed_now([asked_of(embedder, scope, question)])[0]
            terms = [*query.terms, *(term for others in query.others for term in others)]
            stats = CorpusStats(len(scope.turns), mean, {term: scope.frequency[term] for term in terms})
            question.chosen = choose(scope, question, vector, k)
            candidates = [scope.turns[i] for i in question.chosen]
            read = vector if query.language in embedder.languages else None
            question.features = feature_matrix(query, read, candidates, stats, weights)
            if number % 10 == 0:
                start = time.perf_counter()
                rank(query, read, candidates, stats, weights)
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


def fit_one(groups: Sequence[tuple[Floats, Floats, float]]) -> Floats:
    """Fit a conditional logit by Newton's method: each evidence turn against the 120 best candidates.

    Weights are kept at or above 0, but for those of `_MAY_SINK`, by leaving out what falls below.
    """
    free = [i for i, name in enumerate(FEATURES) if name not in _BY_HAND]
    while True:
        prior = np.array([_EXPECTED.get(FEATURES[i], 0.0) for i in free])
        penalty = np.array([_EXPECTED_PENALTY if FEATURES[i] in _EXPECTED else _PENALTY for i in free])
        solved = _newton([(x[:, free], y, share) for x, y, share in groups], penalty, prior)
        below = [i for i, value in zip(free, solved, strict=True) if value < 0 and FEATURES[i] not in _MAY_SINK]
        if not below:
            break
        free = [i for i in free if i not in below]
    out = vector_of(DEFAULT_WEIGHTS)
    out[[i for i, name in enumerate(FEATURES) if name not in _BY_HAND]] = 0.0
    out[free] = solved
    return out


_BY_HAND = {"phrase", "expected_price"}
"""Features that these questions do not ask for; their weights are set in other ways (see `RankingWeights`)."""
_EXPECTED = {
    "own_words": 1.2,
    "others_words": 1.2,
    "user_turn": 1.2,
    "lexical_asked_assisted": -1.2,
    "answers_assisted": -0.25,
    "question_assisted": 0.18,
    "asks_assisted": 0.18,
    "length_assisted": -0.65,
}
"""What weights are drawn to where the data says little: in chats with an assistant half the manners of people, no bonus
for length, and a bonus for the user's turns. Set by judgement, before any fit; of all others 0."""
_PENALTY, _EXPECTED_PENALTY = 5e-4, 1e-3
"""How strongly weights are drawn to 0, and to what is expected of them (L2)."""
_MAY_SINK = {"question", "asks", "session_several", *(name for name in FEATURES if name.endswith("_assisted"))}


def _sample(question: Question, weights: Floats, share: float) -> tuple[Floats, Floats, float] | None:
    own = [question.chosen.index(turn) for turn in question.evidence if turn in question.chosen]
    if not own:
        return None
    best = np.argsort(-(question.features @ weights), kind="stable")[:120].tolist()
    rows = list(dict.fromkeys([*own, *best]))
    target = np.array([1.0 / len(own) if i < len(own) else 0.0 for i in range(len(rows))])
    return question.features[rows], target, share


def _newton(groups: Sequence[tuple[Floats, Floats, float]], penalty: Floats, prior: Floats) -> Floats:
    total = sum(share for _, _, share in groups)
    weights = prior.copy()
    for _ in range(20):
        gradient = 2.0 * penalty * total * (weights - prior)
        hessian = 2.0 * total * np.diag(penalty)
        for x, y, share in groups:
            z = x @ weights
            p = np.exp(z - z.max())
            p /= p.sum()
            mean = p @ x
            gradient += share * (mean - y @ x)
            hessian += share * ((x * p[:, None]).T @ x - np.outer(mean, mean))
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


def fit(sets: dict[str, list[Scope]], folds: int = 5) -> None:
    """Fit on all sets; print what conversations and kinds that were left out reach, then the weights of all."""
    start = vector_of(DEFAULT_WEIGHTS)
    samples: dict[tuple[str, int], list[tuple[Floats, Floats, float]]] = {}
    for name, scopes in sets.items():
        share = SHARES[kind_of(name)]
        for place, scope in enumerate(scopes):
            found = (_sample(question, start, share) for question in scope.questions)
            samples[name, place] = [each for each in found if each is not None]
    every = [sample for each in samples.values() for sample in each]
    print(f"{'conversations left out':26s}" + "".join(f"{name:>8s}" for name in _SHOWN))
    fits = []
    for fold in range(folds):
        # A set of one conversation is never left out here: there would be none of its kind.
        kept = [
            s for (name, place), each in samples.items() if len(sets[name]) == 1 or place % folds != fold for s in each
        ]
        fits.append(fit_one(kept))
    for name, scopes in sets.items():
        if len(scopes) > 1:
            parts = [(len(s.questions), measure(s.questions, fits[i % folds])) for i, s in enumerate(scopes)]
            show(name, _averaged(parts))
    print("kinds left out")
    for kind in dict.fromkeys(map(kind_of, sets)):
        weights = fit_one([s for (name, _), each in samples.items() if kind_of(name) != kind for s in each])
        for name, scopes in sets.items():
            if kind_of(name) == kind:
                show(f"  {name}", _averaged([(len(s.questions), measure(s.questions, weights)) for s in scopes]))
    final = fit_one(every)
    print("all")
    for name, scopes in sets.items():
        show(f"  {name}", _averaged([(len(s.questions), measure(s.questions, final)) for s in scopes]))
    spread = np.std(fits, axis=0)
    for i, name in enumerate(FEATURES):
        print(f"    {name}: float = {final[i]:.2f}    # +- {spread[i]:.2f} between folds")
    slope, intercept = calibrate([q for scopes in sets.values() for scope in scopes for q in scope.questions], final)
    print(f"    calibrated: slope {slope:.2f}, intercept {intercept:.2f}")


_SHOWN = ("r@1", "r@5", "r@10", "r@25", "all@5", "hit@1", "hit@5", "hit@10", "MRR")


def _averaged(parts: Sequence[tuple[int, dict[str, float]]]) -> dict[str, float]:
    sizes = [size for size, _ in parts]
    return {name: float(np.average([values[name] for _, values in parts], weights=sizes)) for name in _SHOWN}


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the ranking on LoCoMo.")
    parser.add_argument("--shape", choices="abc", default="a", help="how a client writes the turns (see messages)")
    parser.add_argument("--no-captions", action="store_true", help="leave out the captions of pictures")
    parser.add_argument("--k", type=int, default=200, help="candidates of each kind (default 200)")
    parser.add_argument("--embedder", choices=("static", "minilm", "multilingual"), default="static")
    parser.add_argument("--fit", action="store_true", help="fit the weights instead of measuring them")
    options = parser.parse_args()
    if not DATA.exists():
        print(f"skipped: {DATA} is not there")
        return 0
    items = json.loads(DATA.read_text(encoding="utf-8"))
    embedder = opened(options.embedder)
    if options.fit:
        wanted = [("a", True), ("a", False), ("b", True), ("c", True)]
        sets = {f"locomo {s}{'' if c else ' bare'}": [load_scope(i, s, c, embedder) for i in items] for s, c in wanted}
        sets |= {name: load_set(name, embedder) for name in SETS}
        for scopes in sets.values():
            prepare(scopes, embedder, options.k)
        fit(sets)
        return 0
    scopes = [load_scope(item, options.shape, not options.no_captions, embedder) for item in items]
    spent = prepare(scopes, embedder, options.k)
    print(f"shape {options.shape}, captions {not options.no_captions}, K {options.k}")
    report(scopes, usual_weights(embedder))
    sizes = [len(question.chosen) for scope in scopes for question in scope.questions]
    print(f"candidates: mean {np.mean(sizes):.0f}, most {max(sizes)}; rank(): {spent:.2f} ms")
    for name in SETS:
        scopes = load_set(name, embedder)
        prepare(scopes, embedder, options.k)
        show(name, measure([q for scope in scopes for q in scope.questions], vector_of(usual_weights(embedder))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
