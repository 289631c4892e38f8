"""An approval is of what was read: what was changed since, in whatever way, goes on waiting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memhost.errors import MemoryChanged
from memhost.host import Host
from memhost.models import Caller, Scope
from tests.support.hosts import run, running_host
from tests.support.reviews import approve, hashes
from tests.support.stores import STORES

READ = "Rent is paid to IBAN DE89 3704 0044 0532 0130 00 now."
THEIRS = "Rent is paid to IBAN FR76 3000 6000 0112 3456 7890 189 now."
AGENT = Caller(subject="agent", bounds=Scope(users=("ann",)), roles=frozenset({"admin"}), channel="agent")
USER = Caller(subject="ann", bounds=Scope(users=("ann",)), roles=frozenset({"writer"}), channel="user")


async def add(host: Host, text: str, **more: Any) -> None:
    await run(host, "create_memories", AGENT, memories=[{"id": "m", "text": text, "user_id": "ann", **more}])


async def edit(host: Host, **fields: Any) -> None:
    await run(host, "edit_memory", AGENT, memory_id="m", **fields)


async def add_again(host: Host) -> None:
    await run(host, "delete_memories", AGENT, memory_ids=["m"])
    await add(host, THEIRS)


CHANGES = {
    "text": lambda host: edit(host, text=THEIRS),
    "topics": lambda host: edit(host, topics=["landlord"]),
    "metadata": lambda host: edit(host, metadata={"to": "Mallory"}),
    "session": lambda host: edit(host, session_id="s2"),
    "added": lambda host: add(host, THEIRS),
    "deleted and added": add_again,
}


@STORES
@pytest.mark.parametrize("change", CHANGES)
async def test_what_was_changed_since_is_not_approved(
    tmp_path: Path, store: str, space: dict[str, str], change: str
) -> None:
    async with running_host(tmp_path, store=store, settings=space, run_jobs=False) as host:
        await add(host, READ)
        read = await hashes(host, USER)
        await CHANGES[change](host)
        done = await run(host, "approve_reviews", USER, memory_ids=["m"], if_hash=read)
        assert (done.decided, done.changed, done.missing) == ([], ["m"], [])
        with pytest.raises(MemoryChanged):
            await run(host, "correct_review", USER, memory_id="m", text="Rent is paid.", if_hash=read["m"])
        assert (await run(host, "get_memory", memory_id="m")).review.state == "pending"
        assert (await approve(host, "m", caller=USER)).decided == ["m"], "after it was read again"


async def same(host: Host) -> None:
    await add(host, READ, topics=["rent"])


async def another(host: Host) -> None:
    await run(host, "create_memories", AGENT, memories=[{"id": "n", "text": THEIRS, "user_id": "ann"}])


async def nothing(host: Host) -> None:
    await run(host, "get_memory", AGENT, memory_id="m")


@STORES
@pytest.mark.parametrize("meanwhile", [same, another, nothing])
async def test_what_is_as_it_was_read_is_approved(
    tmp_path: Path, store: str, space: dict[str, str], meanwhile: Any
) -> None:
    async with running_host(tmp_path, store=store, settings=space, run_jobs=False) as host:
        await add(host, READ, topics=["rent"])
        read = await hashes(host, USER)
        await meanwhile(host)
        done = await run(host, "approve_reviews", USER, memory_ids=["m"], if_hash=read)
        assert (done.decided, done.changed) == (["m"], [])
        kept = await run(host, "get_memory", memory_id="m")
        assert (kept.text, kept.trust) == (READ, "user")


async def test_without_a_hash_nothing_is_approved(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await add(host, READ)
        done = await run(host, "approve_reviews", memory_ids=["m", "none"], if_hash={"none": "x"})
        assert (done.decided, done.changed, done.missing) == ([], ["m"], ["none"])
        assert (await run(host, "get_review", memory_id="m")).hash == (await hashes(host))["m"]
        corrected = await run(host, "correct_review", memory_id="m", text="Rent is paid.")
        assert corrected.text == "Rent is paid."
