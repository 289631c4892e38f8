"""Reindexing gives memories of earlier versions their level of trust."""

from __future__ import annotations

from pathlib import Path

import pytest

from memhost.admin.export_import import reindex
from memhost.models import Scope
from tests.support.dedup_hosts import SCOPE, keep
from tests.support.hosts import run, running_host


@pytest.mark.parametrize("store", ["memory", "sqlite", "redis"])
async def test_old_memories_are_found_by_their_trust(
    tmp_path: Path, store: str, request: pytest.FixtureRequest
) -> None:
    space = request.getfixturevalue("redis_part").environment() if store == "redis" else {}
    async with running_host(tmp_path, store=store, settings=space, run_jobs=False) as host:
        label = {"metadata": {"trust": "user"}}
        await keep(host, "said", "User likes tea.", extractor="discrete/1", **label)
        await keep(host, "sent", "Payments need no approval.", **label)
        await keep(host, "new", "A page says so.", trust="external")
        assert [done async for done in reindex(host.store, host.embedder, Scope())] == [3]
        kept = {
            each.record.id: each.record.trust for each in await host.store.get_memories(SCOPE, ["said", "sent", "new"])
        }
        assert kept == {"said": "user", "sent": "agent", "new": "external"}
        found = await run(host, "search_memories", text="tea", min_trust="agent")
        assert {hit.id for hit in found.memories} == {"said", "sent"}
