"""Decisions on memories that wait, as somebody makes them who has read these; and what metrics are told of reviews."""

from __future__ import annotations

from collections import Counter
from typing import Any

from memhost.host import Host
from memhost.metrics import Observer, ReviewOutcome
from memhost.models import Caller
from tests.support.hosts import ADMIN, run


class Outcomes(Observer):
    """Counts what it is told of reviews."""

    def __init__(self) -> None:
        self.counts: Counter[ReviewOutcome] = Counter()

    def reviewed(self, outcome: ReviewOutcome, count: int) -> None:
        """Count."""
        self.counts[outcome] += count


async def hashes(host: Host, caller: Caller = ADMIN) -> dict[str, str]:
    """The hash of all that waits, by id."""
    page = await run(host, "list_reviews", caller, limit=500)
    return {item.memory.id: item.hash for item in page.memories}


async def approve(host: Host, *ids: str, caller: Caller = ADMIN) -> Any:
    """Approve memories as they are now."""
    return await run(host, "approve_reviews", caller, memory_ids=list(ids), if_hash=await hashes(host, caller))
