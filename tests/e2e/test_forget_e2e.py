"""Forgetting with the official client and over plain HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from agent_memory_client import MemoryAPIClient
from agent_memory_client.filters import UserId
from agent_memory_client.models import ClientMemoryRecord, ForgetPolicy, MemoryTypeEnum

FORGET = "/v1/long-term-memory/forget"


async def store_aged(client: MemoryAPIClient, user: str, *days: float) -> None:
    now = datetime.now(UTC)
    await client.create_long_term_memory(
        [
            ClientMemoryRecord(
                id=f"{user}-{number}",
                text=f"fact {number}",
                user_id=user,
                memory_type=MemoryTypeEnum.SEMANTIC,
                created_at=now - timedelta(days=age),
                last_accessed=now - timedelta(days=age),
            )
            for number, age in enumerate(days)
        ]
    )


async def left(client: MemoryAPIClient, user: str) -> list[str]:
    found = await client.search_long_term_memory(text="", user_id=UserId(eq=user))
    return sorted(hit.id.removeprefix(f"{user}-") for hit in found.memories)


async def test_client_forgets_in_a_dry_run(client: MemoryAPIClient, fresh: str) -> None:
    await store_aged(client, fresh, 40, 5)
    told = await client.forget_long_term_memories(policy=ForgetPolicy(max_age_days=30), user_id=fresh, dry_run=True)
    assert (told.scanned, told.deleted, told.deleted_ids, told.dry_run) == (2, 1, [f"{fresh}-0"], True)
    # Release 0.14.0 cannot say dry_run=false: what it does not say must not delete.
    again = await client.forget_long_term_memories(policy=ForgetPolicy(max_age_days=30), user_id=fresh, dry_run=False)
    assert again.dry_run
    assert await left(client, fresh) == ["0", "1"]


async def test_dry_run_is_the_default(client: MemoryAPIClient, http: httpx.AsyncClient, fresh: str) -> None:
    await store_aged(client, fresh, 40, 5)
    answer = (await http.post(FORGET, params={"user_id": fresh}, json={"policy": {"budget": 0}})).json()
    assert answer == {"scanned": 2, "deleted": 2, "deleted_ids": [f"{fresh}-0", f"{fresh}-1"], "dry_run": True}
    assert await left(client, fresh) == ["0", "1"]


async def test_budget_of_zero_deletes_all_that_is_not_pinned(
    client: MemoryAPIClient, http: httpx.AsyncClient, fresh: str
) -> None:
    await store_aged(client, fresh, 4, 3, 2, 1)
    await store_aged(client, f"other-{fresh}", 4)
    await http.patch(f"/v1/long-term-memory/{fresh}-1", json={"pinned": True})
    body = {"policy": {"budget": 0}, "pinned_ids": [f"{fresh}-2"]}
    answer = (await http.post(FORGET, params={"user_id": fresh, "dry_run": "false"}, json=body)).json()
    assert answer == {"scanned": 4, "deleted": 2, "deleted_ids": [f"{fresh}-0", f"{fresh}-3"], "dry_run": False}
    assert await left(client, fresh) == ["1", "2"]
    assert await left(client, f"other-{fresh}") == ["0"]


async def test_both_limits_together(client: MemoryAPIClient, http: httpx.AsyncClient, fresh: str) -> None:
    await store_aged(client, fresh, 40, 20, 5)
    await http.post("/v1/long-term-memory/search", json={"text": "fact 0", "user_id": {"eq": fresh}, "limit": 1})
    policy = {"max_age_days": 10, "max_inactive_days": 30, "hard_age_multiplier": 3}
    answer = (await http.post(FORGET, params={"user_id": fresh}, json={"policy": policy})).json()
    assert answer["deleted_ids"] == [f"{fresh}-0"]


async def test_the_oldest_are_examined_first(client: MemoryAPIClient, http: httpx.AsyncClient, fresh: str) -> None:
    await store_aged(client, fresh, 1, 2, 3)
    params = {"user_id": fresh, "limit": "2", "dry_run": "FALSE"}
    answer = (await http.post(FORGET, params=params, json={"policy": {"budget": 0}})).json()
    assert answer["deleted_ids"] == [f"{fresh}-2", f"{fresh}-1"]
    assert await left(client, fresh) == ["0"]


@pytest.mark.parametrize(
    ("params", "body"),
    [
        ({"limit": "-1"}, {"policy": {}}),
        ({"limit": "x"}, {"policy": {}}),
        ({"dry_run": "maybe"}, {"policy": {}}),
        ({}, {"max_age_days": 1}),
        ({}, {"policy": None}),
        ({}, {"policy": {}, "pinned_ids": "a"}),
    ],
)
async def test_wrong_requests_are_422(http: httpx.AsyncClient, params: dict[str, str], body: dict[str, Any]) -> None:
    answer = await http.post(FORGET, params=params, json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][0] in ("query", "body")


@pytest.mark.parametrize("wrong", [{"max_age_day": 30}, {"budget": "0"}, {"max_inactive_days": [1]}, {"other": 1}])
async def test_a_policy_that_is_not_understood_deletes_nothing(
    client: MemoryAPIClient, http: httpx.AsyncClient, fresh: str, wrong: dict[str, Any]
) -> None:
    await store_aged(client, fresh, 40)
    answer = await http.post(
        FORGET, params={"user_id": fresh, "dry_run": "0"}, json={"policy": {"max_age_days": 30} | wrong}
    )
    assert answer.status_code == 422
    assert next(iter(wrong)) in answer.text
    assert await left(client, fresh) == ["0"]


async def test_what_was_forgotten_can_be_brought_back(
    client: MemoryAPIClient, http: httpx.AsyncClient, fresh: str
) -> None:
    await store_aged(client, fresh, 40, 5)
    params: dict[str, str] = {"user_id": fresh, "dry_run": "false"}
    await http.post(FORGET, params=params, json={"policy": {"max_age_days": 30}})
    assert await left(client, fresh) == ["1"]
    trash = (await http.get("/v1/long-term-memory/trash", params={"user_id": fresh})).json()
    assert [(item["id"], item["text"], item["reason"]) for item in trash["memories"]] == [
        (f"{fresh}-0", "fact 0", "forgotten")
    ]
    restore = "/v1/long-term-memory/restore"
    answer = await http.post(restore, json={"ids": [f"{fresh}-0", f"{fresh}-1", "none"]})
    assert answer.json() == {"restored": [f"{fresh}-0"], "taken": [f"{fresh}-1"], "missing": ["none"]}
    assert await left(client, fresh) == ["0", "1"]
    assert (await http.post(restore, json={})).status_code == 422
