"""A user's own export has everything of the user, and nothing of others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memhost.errors import Forbidden, InvalidRequest
from memhost.host import Host
from memhost.models import Caller
from tests.security.test_erasure import ANN, BOB, fill
from tests.support import scripted
from tests.support.crossing import SETTINGS, echo
from tests.support.hosts import ADMIN, bound_to, run, running_host


async def exported(host: Host, caller: Caller, user: str = ANN, limit: int = 100, **more: Any) -> list[dict[str, Any]]:
    """All items of an export."""
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        page = await run(host, "export_user", caller, user_id=user, limit=limit, after=after, **more)
        found += msgspec.to_builtins(page.items)
        if page.next is None:
            return found
        after = page.next


async def write(host: Host, user: str) -> None:
    """More of what `fill` writes: versions, a deleted memory."""
    caller = bound_to(users=(user,))
    owner = {"user_id": user, "namespace": "home"}
    await run(host, "create_memories", caller, memories=[{"id": f"v-{user}", "text": f"{user} one", **owner}])
    await run(host, "edit_memory", caller, memory_id=f"v-{user}", text=f"{user} two")
    await run(host, "create_memories", caller, memories=[{"id": f"d-{user}", "text": f"{user} gone", **owner}])
    await run(host, "delete_memories", caller, memory_ids=[f"d-{user}"])


@pytest.mark.parametrize("store", ["memory", "sqlite", "redis"])
async def test_everything_is_exported(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    scripted.reset().rule = echo
    space = request.getfixturevalue("redis_part").environment() if store == "redis" else {}
    async with running_host(
        tmp_path, store=store, extra=[scripted.POINT], settings={**SETTINGS, **space}, run_jobs=False
    ) as host:
        for user in (ANN, BOB):
            await fill(host, user)
            await write(host, user)
        about = await run(host, "create_summary_view", source="long_term", group_by=["user_id"], name="all users")
        for user in (ANN, BOB):
            await run(host, "run_summary_view_partition", view_id=about.id, group={"user_id": user})
        items = await exported(host, bound_to(users=(ANN,)))
        kinds = {item["kind"] for item in items}
        assert {"memory", "version", "session", "trash", "waiting_turn", "view", "view_result"} <= kinds, kinds
        assert {"task", "job", "plugin_document", "usage"} <= kinds, kinds
        texts = json.dumps(items)
        assert BOB not in texts, texts[max(0, texts.index(BOB) - 300) :][:600]
        for canary in (f"I am {ANN}", f"{ANN} one", f"{ANN} two", f"{ANN} gone", f"{ANN} likes cocoa"):
            assert canary in texts, canary
        former = [item["content"]["before"] for item in items if item["kind"] == "version"]
        assert {f"{ANN} one", f"{ANN} gone"} <= {state["text"] for state in former if state}
        by_kind = {kind: [item for item in items if item["kind"] == kind] for kind in kinds}
        for kind in kinds - {"usage", "job", "task"}:
            assert ANN in json.dumps(by_kind[kind]), kind
        assert about.id in {item["content"]["view_id"] for item in by_kind["view_result"]}
        assert "all users" not in texts, "views of others are not theirs, results about them are"
        for limit in (1, 3):
            again = await exported(host, bound_to(users=(ANN,)), limit=limit)
            assert sorted(map(json.dumps, again)) == sorted(map(json.dumps, items))
        receipt = await run(host, "delete_user", user_id=ANN)
        assert receipt.counts["memories"] == len(by_kind["memory"])
        left = {item["kind"] for item in await exported(host, ADMIN)}
        assert left <= {"job"}, left  # plugins are told what was deleted


async def test_bounds_hold(tmp_path: Path) -> None:
    scripted.reset().rule = echo
    async with running_host(
        tmp_path, store="memory", extra=[scripted.POINT], settings=SETTINGS, run_jobs=False
    ) as host:
        await fill(host, ANN)
        for caller in (bound_to(users=(BOB,)), bound_to(users=(BOB,), namespaces=("home",))):
            assert await exported(host, caller) == []
        elsewhere = await exported(host, bound_to(namespaces=("work",)))
        assert [item for item in elsewhere if item["kind"] != "usage"] == []
        assert ANN in json.dumps(await exported(host, bound_to(namespaces=("home",))))
        with pytest.raises(Forbidden):
            await exported(host, bound_to(sessions=("s",)))
        for after in ("nonsense", "memories|x", "versions|-1"):
            with pytest.raises(InvalidRequest):
                await run(host, "export_user", user_id=ANN, after=after)
