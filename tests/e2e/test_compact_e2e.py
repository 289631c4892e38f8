"""Compaction over plain HTTP: none of the official clients calls it."""

from __future__ import annotations

import httpx
import pytest
from agent_memory_client import MemoryAPIClient
from agent_memory_client.filters import UserId
from agent_memory_client.models import ClientMemoryRecord, MemoryTypeEnum

COMPACT = "/v1/long-term-memory/compact"


@pytest.mark.parametrize("slash", ["", "/"])
async def test_repetitions_become_one_in_the_scope_only(
    client: MemoryAPIClient, http: httpx.AsyncClient, fresh: str, slash: str
) -> None:
    fresh += slash and "-slash"
    records = [
        ClientMemoryRecord(
            id=f"{user}-{fresh}-{number}",
            text="User likes tea." if number < 3 else "User swims.",
            topics=[f"topic {number}"],
            user_id=f"{user}-{fresh}",
            namespace=fresh,
            memory_type=MemoryTypeEnum.SEMANTIC,
        )
        for user in ("ann", "bob")
        for number in range(4)
    ]
    await client.create_long_term_memory(records, deduplicate=False)
    answer = await http.post(COMPACT + slash, params={"namespace": fresh, "user_id": f"ann-{fresh}"})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok, 2 memories remaining after compaction"})
    bob = await client.search_long_term_memory(text="", user_id=UserId(eq=f"bob-{fresh}"))
    assert bob.total == 4
    ann = await client.search_long_term_memory(text="tea", user_id=UserId(eq=f"ann-{fresh}"))
    assert sorted(ann.memories[0].topics or []) == ["topic 0", "topic 1", "topic 2"]
    answer = await http.post(COMPACT, params={"namespace": fresh})
    assert answer.json() == {"status": "ok, 4 memories remaining after compaction"}


async def test_count_of_an_empty_scope_is_zero(http: httpx.AsyncClient, fresh: str) -> None:
    answer = await http.post(COMPACT, params={"user_id": fresh})
    assert answer.json() == {"status": "ok, 0 memories remaining after compaction"}
