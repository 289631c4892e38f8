"""Memories that name nobody belong to the user that their caller is bound to, and to nobody else's caller."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from memhost.errors import Forbidden, IdTaken
from memhost.host import Host
from memhost.models import Caller, Scope
from memhost.testing.callers import CALLERS
from memhost.testing.hosts import call, running_host


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with running_host(tmp_path) as host:
        yield host


def bound(*users: str, **parts: object) -> Caller:
    return Caller(subject="someone", roles=frozenset({"writer"}), bounds=Scope(users=users, **parts))  # type: ignore[arg-type]


WRITES = ("create_memories", "store_memories")


@pytest.mark.parametrize("operation", WRITES)
@pytest.mark.parametrize("user", ["ann", "Zoë", "李雷"])
async def test_a_caller_bound_to_one_user_owns_what_it_stores(host: Host, operation: str, user: str) -> None:
    await call(host, operation, bound(user), memories=[{"id": "m", "text": "hello"}])
    assert (await call(host, "get_memory", bound(user), memory_id="m")).user_id == user


@pytest.mark.parametrize("operation", WRITES)
async def test_a_caller_bound_to_nobody_stores_for_nobody(host: Host, operation: str) -> None:
    await call(host, operation, CALLERS["admin"], memories=[{"id": "m", "text": "hello"}])
    assert (await call(host, "get_memory", memory_id="m")).user_id is None


@pytest.mark.parametrize("operation", WRITES)
@pytest.mark.parametrize(
    ("caller", "memory"),
    [
        (bound("ann", "bob"), {}),
        (bound("ann"), {"user_id": "bob"}),
        (bound("李雷"), {"user_id": "韩梅梅"}),
        (bound("ann", namespaces=("work",)), {}),
        (bound("ann", namespaces=("work",)), {"namespace": "home"}),
    ],
    ids=["two-users", "another", "another-in-chinese", "no-namespace", "another-namespace"],
)
async def test_nobody_is_made_owner_of_what_lies_elsewhere(
    host: Host, operation: str, caller: Caller, memory: dict[str, str]
) -> None:
    with pytest.raises(Forbidden):
        await call(host, operation, caller, memories=[{"id": "m", "text": "hello", **memory}])
    assert (await call(host, "search_memories")).memories == []


async def test_what_belongs_to_nobody_is_not_taken_over(host: Host) -> None:
    await call(host, "create_memories", memories=[{"id": "m", "text": "of all"}])
    with pytest.raises(IdTaken):
        await call(host, "create_memories", bound("ann"), memories=[{"id": "m", "text": "mine"}])
    kept = await call(host, "get_memory", memory_id="m")
    assert (kept.user_id, kept.text) == (None, "of all")
