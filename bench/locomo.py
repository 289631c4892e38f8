"""Recall of the running server on LoCoMo (Maharana et al., ACL 2024), through the real client over HTTP.

Each conversation is written, session by session, with `agent-memory-client` into one freshly started server,
as one user's; then each of its questions with evidence is searched with default settings (25 hits). Printed by
category and in all: recall@1/5/10/25 (share of the evidence turns among the first k hits), recall-all@5 (all
evidence turns among the first five) and MRR.

The data is licensed for non-commercial use and not part of this repository; without it the script says so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agent_memory_client import MemoryAPIClient, MemoryClientConfig
from agent_memory_client.models import MemoryMessage, WorkingMemory

from memhost.testing.server import ServerProcess

_FOLDER = os.environ.get("MEMHOST_EVAL_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
DATA = Path(_FOLDER) / "locomo_dev.json"
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
DEPTHS = (1, 5, 10, 25)


@dataclass
class Score:
    """Sums over questions."""

    questions: int = 0
    recall: dict[int, float] = field(default_factory=lambda: dict.fromkeys(DEPTHS, 0.0))
    all_at_5: float = 0.0
    reciprocal: float = 0.0

    def add(self, wanted: set[str], found: Sequence[str]) -> None:
        """Count one question."""
        self.questions += 1
        for depth in DEPTHS:
            self.recall[depth] += len(wanted & set(found[:depth])) / len(wanted)
        self.all_at_5 += wanted <= set(found[:5])
        ranks = [found.index(turn) + 1 for turn in wanted if turn in found]
        self.reciprocal += 1.0 / min(ranks) if ranks else 0.0

    def row(self) -> list[float]:
        """Means."""
        count = max(1, self.questions)
        return [*(self.recall[depth] / count for depth in DEPTHS), self.all_at_5 / count, self.reciprocal / count]


def sessions(conversation: dict[str, Any]) -> Iterator[tuple[str, list[MemoryMessage]]]:
    """Sessions in order; each turn says who spoke and, where a picture was shared, what it shows."""
    numbers = sorted(int(key[8:]) for key in conversation if re.fullmatch(r"session_\d+", key))
    for number in numbers:
        written = conversation[f"session_{number}_date_time"]
        start = datetime.strptime(written, "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
        messages = []
        for index, turn in enumerate(conversation[f"session_{number}"]):
            caption = f" [shares a photo: {turn['blip_caption']}]" if turn.get("blip_caption") else ""
            role = "user" if turn["speaker"] == conversation["speaker_a"] else "assistant"
            messages.append(
                MemoryMessage(
                    id=turn["dia_id"],
                    role=role,
                    content=f"{turn['speaker']}: {turn['text']}{caption}",
                    created_at=start + timedelta(seconds=index),
                )
            )
        yield f"session_{number}", messages


def questions(item: dict[str, Any]) -> Iterator[tuple[str, int, set[str]]]:
    """Question, category and evidence turns that exist."""
    turns = {turn["dia_id"] for key, part in item["conversation"].items() if isinstance(part, list) for turn in part}
    for entry in item["qa"]:
        wanted = {turn for text in entry["evidence"] for turn in re.findall(r"D\d+:\d+", text)} & turns
        if wanted:
            yield entry["question"], entry["category"], wanted


async def play(url: str, item: dict[str, Any], scores: dict[int, Score]) -> float:
    """Write one conversation and search its questions; mean seconds of a search."""
    user = item["sample_id"]
    async with MemoryAPIClient(MemoryClientConfig(base_url=url)) as client:
        for session_id, messages in sessions(item["conversation"]):
            memory = WorkingMemory(session_id=session_id, user_id=user, messages=messages)
            await client.put_working_memory(session_id, memory, user_id=user)
        spent = 0.0
        count = 0
        for question, category, wanted in questions(item):
            begun = time.perf_counter()
            found = await client.search_long_term_memory(text=question, user_id={"eq": user}, limit=25)
            spent += time.perf_counter() - begun
            count += 1
            turns = [turn for hit in found.memories for turn in hit.extracted_from or ()]
            scores[category].add(wanted, turns)
    return spent / max(1, count)


def total(scores: dict[int, Score]) -> Score:
    """All categories together."""
    result = Score()
    for score in scores.values():
        result.questions += score.questions
        result.all_at_5 += score.all_at_5
        result.reciprocal += score.reciprocal
        for depth in DEPTHS:
            result.recall[depth] += score.recall[depth]
    return result


def show(scores: dict[int, Score]) -> None:
    """Print the table."""
    print(f"{'':14}{'n':>5}" + "".join(f"{name:>9}" for name in ("r@1", "r@5", "r@10", "r@25", "all@5", "MRR")))
    rows = [(CATEGORIES[key], score) for key, score in sorted(scores.items())] + [("all", total(scores))]
    for name, score in rows:
        print(f"{name:14}{score.questions:5}" + "".join(f"{value:9.3f}" for value in score.row()))


async def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--conversations", type=int, default=5, help="how many of the conversations to play")
    parser.add_argument("--json", action="store_true", help="print the overall means as JSON")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the server")
    options = parser.parse_args()
    if not DATA.exists():
        print(f"skipped: {DATA.name} is not beside the project (see docs/benchmarks.md)")
        return 0
    items = json.loads(DATA.read_text())[: options.conversations]
    scores = {category: Score() for category in CATEGORIES}
    environment = dict(pair.split("=", 1) for pair in options.set)
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder), environment=environment) as server:
        times = [await play(server.url, item, scores) for item in items]
    if options.json:
        names = [*(f"recall@{depth}" for depth in DEPTHS), "recall_all@5", "mrr"]
        print(json.dumps(dict(zip(names, total(scores).row(), strict=True))))
    else:
        show(scores)
        print(f"mean search over HTTP: {1000 * sum(times) / len(times):.1f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
