"""Decisions on memories that wait, as somebody makes them who has read these."""

from __future__ import annotations

from typing import Any

from memhost.host import Host
from memhost.models import Caller
from tests.support.hosts import ADMIN, run


async def hashes(host: Host, caller: Caller = ADMIN) -> dict[str, str]:
    """The hash of all that waits, by id."""
    page = await run(host, "list_reviews", caller, limit=500)
    return {item.memory.id: item.hash for item in page.memories}


async def approve(host: Host, *ids: str, caller: Caller = ADMIN) -> Any:
    """Approve memories as they are now."""
    return await run(host, "approve_reviews", caller, memory_ids=list(ids), if_hash=await hashes(host, caller))
