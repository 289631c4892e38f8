"""Summary views and tasks with the official client."""

from __future__ import annotations

import re

import httpx
import pytest
from agent_memory_client import MemoryAPIClient
from agent_memory_client.exceptions import MemoryServerError
from agent_memory_client.models import (
    ClientMemoryRecord,
    CreateSummaryViewRequest,
    MemoryTypeEnum,
    SummaryView,
    Task,
)

from memhost.testing.polling import until

ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")
SEMANTIC = MemoryTypeEnum.SEMANTIC


def record(user: str, text: str, **fields: object) -> ClientMemoryRecord:
    values = {"memory_type": SEMANTIC, **fields}
    return ClientMemoryRecord(id=f"{user}-{text}", text=text, user_id=user, **values)  # type: ignore[arg-type]


async def create(client: MemoryAPIClient, *group_by: str, **fields: object) -> SummaryView:
    request = CreateSummaryViewRequest(source="long_term", group_by=list(group_by), **fields)  # type: ignore[arg-type]
    return await client.create_summary_view(request)


async def finished(client: MemoryAPIClient, task: Task) -> Task:
    found: list[Task] = []

    async def done() -> bool:
        now = await client.get_task(task.id)
        assert now is not None
        found.append(now)
        return now.status in ("success", "failed")

    await until(done)
    return found[-1]


async def test_view_is_created_listed_read_and_deleted(client: MemoryAPIClient, fresh: str) -> None:
    view = await create(client, "user_id", name=fresh, filters={"namespace": fresh}, time_window_days=7)
    assert ULID.match(view.id)
    assert (view.group_by, view.filters, view.continuous) == (["user_id"], {"namespace": fresh}, False)
    assert view in await client.list_summary_views()
    assert await client.get_summary_view(view.id) == view
    await client.run_summary_view_partition(view.id, {"user_id": "ann"})
    for _ in range(2):
        assert (await client.delete_summary_view(view.id)).status == "ok"
    assert await client.get_summary_view(view.id) is None
    assert view not in await client.list_summary_views()
    with pytest.raises(Exception, match="not found"):
        await client.list_summary_view_partitions(view.id)


async def test_partitions_are_run_and_listed(client: MemoryAPIClient, fresh: str) -> None:
    ann, bob = f"ann-{fresh}", f"bob-{fresh}"
    await client.create_long_term_memory([record(ann, "likes tea"), record(ann, "plays chess"), record(bob, "swims")])
    view = await create(client, "user_id")
    result = await client.run_summary_view_partition(view.id, {"user_id": ann})
    assert (result.group, result.memory_count, result.view_id) == ({"user_id": ann}, 2, view.id)
    assert "likes tea" in result.summary
    assert "swims" not in result.summary
    empty = await client.run_summary_view_partition(view.id, {"user_id": f"nobody-{fresh}"})
    assert (empty.summary, empty.memory_count) == ("", 0)
    assert [item.group for item in await client.list_summary_view_partitions(view.id, user_id=ann)] == [result.group]
    assert len(await client.list_summary_view_partitions(view.id)) == 2
    assert await client.list_summary_view_partitions(view.id, namespace="n") == []
    for wrong in ({}, {"namespace": "n"}, {"user_id": ann, "namespace": "n"}):
        with pytest.raises(MemoryServerError) as caught:
            await client.run_summary_view_partition(view.id, wrong)
        assert caught.value.status_code == 400


async def test_full_run_ends_with_plain_type_names(client: MemoryAPIClient, fresh: str) -> None:
    episode = record(fresh, "went sailing", memory_type=MemoryTypeEnum.EPISODIC)
    await client.create_long_term_memory([record(fresh, "likes tea"), record(fresh, "plays chess"), episode])
    view = await create(client, "memory_type", filters={"user_id": {"eq": fresh}})
    task = await client.run_summary_view(view.id, force=True)
    assert (task.type, task.view_id) == ("summary_view_full_run", view.id)
    assert ULID.match(task.id)
    done = await finished(client, task)
    assert (done.status, done.error_message) == ("success", None)
    assert all((moment or "").endswith("Z") for moment in (done.created_at, done.started_at, done.completed_at))
    found = await client.list_summary_view_partitions(view.id)
    assert [(item.group, item.memory_count) for item in found] == [
        ({"memory_type": "episodic"}, 1),
        ({"memory_type": "semantic"}, 2),
    ]
    await client.delete_long_term_memories([f"{fresh}-went sailing"])
    assert (await finished(client, await client.run_summary_view(view.id))).status == "success"
    (left,) = await client.list_summary_view_partitions(view.id)
    assert left.group == {"memory_type": "semantic"}


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"source": "working_memory", "group_by": ["zz"]}, 400, "long_term"),
        ({"group_by": ["zz", "color"], "filters": {"bad": 1}}, 400, "color, zz"),
        ({"group_by": ["user_id", "user_id"]}, 400, "user_id"),
        ({"filters": {"text": "x", "entities": "y"}}, 400, "entities, text"),
        ({"filters": {"memory_type": "fact"}}, 400, "memory_type"),
        ({"filters": {"user_id": {}}}, 400, "user_id"),
        ({"source": "somewhere"}, 422, ""),
        ({"source": None}, 422, ""),
        ({"time_window_days": 0}, 422, ""),
        ({"filters": "x"}, 422, ""),
        ({"group_by": [5]}, 422, ""),
    ],
)
async def test_wrong_views_are_refused(
    http: httpx.AsyncClient, change: dict[str, object], status: int, words: str
) -> None:
    answer = await http.post("/v1/summary-views", json={"source": "long_term", **change})
    assert answer.status_code == status
    assert words in str(answer.json()["detail"])


async def test_unknown_views_and_tasks_are_404(client: MemoryAPIClient, http: httpx.AsyncClient) -> None:
    assert await client.get_task("no such task") is None
    for verb, path in (
        ("GET", ""),
        ("GET", "/partitions"),
        ("POST", "/partitions/run"),
        ("POST", "/run"),
    ):
        answer = await http.request(verb, f"/v1/summary-views/nope{path}", json={"group": {"any": "keys"}})
        assert answer.status_code == 404, path
        assert isinstance(answer.json()["detail"], str)


async def test_task_ids_of_clients_are_used_once(client: MemoryAPIClient, http: httpx.AsyncClient, fresh: str) -> None:
    view = await create(client)
    name = f"{fresh} a/b"
    body = {"task_id": name}
    answer = await http.post(f"/v1/summary-views/{view.id}/run", json=body)
    assert (answer.status_code, answer.json()["id"], answer.json()["status"]) == (200, name, "pending")
    assert (await http.get(f"/v1/tasks/{fresh}%20a%2Fb")).json()["id"] == name
    assert (await http.post(f"/v1/summary-views/{view.id}/run", json=body)).status_code == 409
    assert (await http.post(f"/v1/summary-views/{view.id}/run", json={"task_id": ""})).status_code == 422


async def test_both_spellings_are_answered_directly(http: httpx.AsyncClient) -> None:
    for path in ("/v1/summary-views", "/v1/summary-views/"):
        assert (await http.get(path)).status_code == 200
        view = (await http.post(path, json={"source": "long_term"})).json()["id"]
        assert (await http.post(f"/v1/summary-views/{view}/run{path[17:]}", json={})).status_code == 200
        assert (await http.post(f"/v1/summary-views/{view}/partitions/run{path[17:]}", json={"group": {}})).is_success
        assert (await http.delete(f"/v1/summary-views/{view}{path[17:]}")).json() == {"status": "ok"}
