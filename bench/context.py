"""The context of a query on a LoCoMo-format file: evidence kept, time beside a search, and how much of it caches keep.

    python -m bench.context ../shared/data/locomo_dev.json

For each answerable question: whether all of its evidence stands in the context of 250, 500, 750 and 1,500 tokens, and
no context is over its budget. Then a chat of fifty turns with a fact added every fifth: the share of the stable tokens
that are those of the call before. Search and context are asked in turns, so that both have the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from memhost.evaluation.sets import Conversation, read_set
from memhost.testing.server import ServerProcess

BUDGETS = (250, 500, 750, 1500)
TURNS, EVERY = 50, 5


async def call(client: httpx.AsyncClient, method: str, path: str, body: Any) -> Any:
    """The answer of a request that must succeed."""
    answer = await client.request(method, path, json=body)
    answer.raise_for_status()
    return answer.json()


async def write(client: httpx.AsyncClient, conversation: Conversation) -> None:
    """Store a conversation as one user's."""
    for number, turns in enumerate(conversation.sessions):
        said = [
            {"id": turn.id, "role": turn.role, "content": turn.text, "created_at": turn.at.isoformat()}
            for turn in turns
        ]
        body = {"user_id": conversation.id, "messages": said}
        await call(client, "PUT", f"/v1/working-memory/{conversation.id}.{number}", body)


async def ask(client: httpx.AsyncClient, conversation: Conversation, kept: dict[int, list[bool]]) -> list[list[float]]:
    """Ask the questions; the seconds of searches and of contexts of 750 tokens."""
    times: list[list[float]] = [[], []]
    for question in conversation.questions:
        if question.category == "adversarial":
            continue
        search = {"text": question.text, "user_id": {"eq": conversation.id}}
        begun = time.perf_counter()
        await call(client, "POST", "/v1/long-term-memory/search", search)
        times[0].append(time.perf_counter() - begun)
        for budget in BUDGETS:
            begun = time.perf_counter()
            body = {"query": question.text, "user_id": conversation.id, "budget": budget}
            found = await call(client, "POST", "/v1/context", body)
            if budget == 750:
                times[1].append(time.perf_counter() - begun)
            assert found["tokens"] <= budget, (question.text, found["tokens"])
            shown = {source for item in found["items"] for source in item["source_ids"]}
            kept[budget].append(set(question.evidence) <= shown)
    return times


async def reuse(client: httpx.AsyncClient) -> float:
    """The share of the stable tokens of a growing chat that are those of the call before."""
    stable = same = 0
    before = ""
    for turn in range(TURNS):
        said = {"id": f"chat{turn}", "role": "user", "content": f"Mia: Tulip number {turn} is open, near the gate."}
        await call(client, "PATCH", "/v1/working-memory/chat", {"user_id": "mia", "messages": [said]})
        if turn % EVERY == 0:
            fact = {"id": f"fact{turn}", "text": f"User has {turn} tulips.", "user_id": "mia"}
            await call(client, "POST", "/v1/long-term-memory/", {"memories": [fact]})
        asked = {"query": ("Where are tulips?", "Which number is open?")[turn % 2], "user_id": "mia", "budget": 750}
        found = await call(client, "POST", "/v1/context", asked)
        if turn:
            stable += found["stable_tokens"]
            same += found["stable_tokens"] if found["stable_hash"] == before else 0
        before = found["stable_hash"]
    return same / stable


async def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    if not options.file.exists():
        print(f"skipped: {options.file} is not there (see docs/benchmarks.md)")
        return 0
    kept: dict[int, list[bool]] = {budget: [] for budget in BUDGETS}
    searches: list[float] = []
    contexts: list[float] = []
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder)) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            for conversation in read_set(options.file).conversations:
                await write(client, conversation)
                times = await ask(client, conversation, kept)
                searches += times[0]
                contexts += times[1]
            reused = await reuse(client)
    print(
        f"{len(kept[750])} questions: all evidence within "
        + ", ".join(f"{budget}: {sum(found) / len(found):.3f}" for budget, found in kept.items())
    )
    print(f"stable tokens as in the call before: {100 * reused:.0f} %")
    print(
        f"p50 over HTTP: search {1000 * median(searches):.1f} ms, context {1000 * median(contexts):.1f} ms, "
        f"{median(contexts) / median(searches):.2f} times"
    )
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
