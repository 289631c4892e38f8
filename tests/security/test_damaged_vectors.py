"""A vector that somebody damaged hides its own memory from searches by meaning at most, and `memhost verify` tells."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memhost.host import Host
from tests.security.test_tampering import place
from tests.security.test_tampering_redis import KEY, Editor
from tests.support.hosts import ADMIN, bound_to, run, running_host
from tests.support.redis_server import RedisSpace
from tests.support.tampering import fill, opened, verified

ALICE = bound_to(users=("alice",))


async def fill_more(host: Host, kinds: Iterable[str]) -> None:
    """Beside what `fill` makes, a memory of alice for each kind of damage."""
    await fill(host)
    memories = [{"id": f"bad-{kind}", "text": f"alice decided on {kind}", "user_id": "alice"} for kind in kinds]
    await run(host, "create_memories", memories=memories)


async def check_the_rest_is_served(host: Host, kinds: Iterable[str]) -> None:
    """Searches by words find all, those by meaning all others; single reads, lists, prompts and writes go on."""
    bad = {f"bad-{kind}" for kind in kinds}
    own = {"alice-0", "alice-1", "alice-2"}
    for caller, others in ((ALICE, own), (ADMIN, own | {"bob-0", "bob-1", "bob-2"})):
        for mode in ("keyword", "semantic", "hybrid"):
            asked: dict[str, Any] = {"text": "decided something", "search_mode": mode, "limit": 50}
            found = await run(host, "search_memories", caller, **asked)
            ids = [hit.id for hit in found.memories]
            assert others <= set(ids) <= others | bad, mode
            assert len(ids) == len(set(ids))
            assert all(0 <= hit.dist <= 2 for hit in found.memories), mode
        listed = await run(host, "search_memories", caller, limit=50)
        assert {hit.id for hit in listed.memories} >= others
        prompt = await run(host, "memory_prompt", caller, query="decided something", long_term_search={"limit": 50})
        assert all(f"{name.replace('-', 'token')} decided" in prompt.messages[0].content.text for name in others)
    for name in bad:
        assert (await run(host, "get_memory", ALICE, memory_id=name)).id == name
    await run(host, "create_memories", memories=[{"id": "new", "text": "alice decided today", "user_id": "alice"}])
    assert "new" in {hit.id for hit in (await run(host, "search_memories", ALICE, text="alice decided")).memories}
    found = (await verified(host)).findings
    assert {(finding.kind, finding.what, finding.id) for finding in found} == {
        ("changed", "memory", name) for name in bad
    }


SQL = {
    "empty": "x''",
    "byte": "x'00'",
    "odd": "x'c1c2c3'",
    "number": "5",
    "text": "'words'",
    "longer": "vector || x'0000'",
    "shorter": "substr(vector, 1, length(vector) - 2)",
    "half": "substr(vector, 1, length(vector) / 2)",
    "letters": "substr(hex(vector), 1, length(vector))",
    "nan": "CAST(replace(hex(zeroblob(length(vector) / 2)), '00', '~~') AS BLOB)",
}


@pytest.mark.parametrize("kinds", [["byte"], ["shorter"], ["nan"], [*SQL]], ids=lambda kinds: kinds[-1])
@pytest.mark.parametrize(
    "settings",
    [{}, {"SQLITE_BLOCK_CACHE_MB": "0"}, {"SQLITE_BLOCK_CACHE_MB": "0", "SQLITE_SCAN_ROWS": "0"}],
    ids=["blocks", "scan", "cache"],
)
async def test_in_sqlite(kinds: list[str], settings: dict[str, str], tmp_path: Path) -> None:
    async with running_host(tmp_path, run_jobs=False) as host:
        await fill_more(host, kinds)
    with opened(tmp_path) as connection:
        for kind in kinds:
            vid = place(connection, f"bad-{kind}")[1]
            connection.execute(f"UPDATE vectors SET vector = {SQL[kind]} WHERE vid = ?", (vid,))
    async with running_host(tmp_path, run_jobs=False, settings=settings) as host:
        await check_the_rest_is_served(host, kinds)


REDIS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda vector: b"",
    "byte": lambda vector: b"\0",
    "text": lambda vector: b"words",
    "longer": lambda vector: vector + b"\0\0\0\0",
    "half": lambda vector: vector[: len(vector) // 2],
    "nan": lambda vector: np.full(len(vector) // 4, np.nan, dtype=np.float32).tobytes(),
    "endless": lambda vector: np.full(len(vector) // 4, np.inf, dtype=np.float32).tobytes(),
}


@pytest.mark.parametrize("kinds", [["half"], ["nan"], [*REDIS]], ids=lambda kinds: kinds[-1])
async def test_in_redis(kinds: list[str], tmp_path: Path, redis_part: RedisSpace) -> None:
    environment = {**redis_part.environment(), "INTEGRITY_KEY": KEY}
    async with running_host(tmp_path, store="redis", run_jobs=False, settings=environment) as host:
        await fill_more(host, kinds)
        edit = Editor(environment["REDIS_URL"], redis_part.name)
        for kind in kinds:
            key = edit.key(f"bad-{kind}")
            edit.client.hset(key, "vector1", REDIS[kind](edit.client.hget(key, "vector1")))
        await check_the_rest_is_served(host, kinds)
