"""Every operation, called by every role about its own, other people's and missing things, through several doors."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from memhost.host import Host
from memhost.operations import Operation
from tests.support import doors, matrix
from tests.support.callers import POINT
from tests.support.doors import Door
from tests.support.hosts import running_host

Opened = Callable[[Host], AbstractAsyncContextManager[Door]]


@pytest.mark.parametrize(
    ("way", "store"),
    [(doors.inside, "memory"), (doors.rest, "sqlite"), (doors.rest, "redis")],
    ids=["host-memory", "rest-sqlite", "rest-redis"],
)
async def test_the_whole_matrix(way: Opened, store: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    settings = {"AUTH": "fake-callers"}
    if store == "redis":
        settings |= request.getfixturevalue("redis_part").environment()
    async with running_host(tmp_path, store=store, extra=[POINT], settings=settings, run_jobs=False) as host:
        assert not list(matrix.uncovered(host)), "add cases for these operations to tests/support/matrix.py"
        wrong: list[str] = []
        theirs = await matrix.prepare(host, matrix.BERT)
        async with way(host) as door:
            for operation in host.operations:
                wrong += await matrix.check(host, door, operation, theirs)
        assert not wrong, "\n".join(wrong)


def test_cases_are_operations() -> None:
    from memhost.operations import core_operations

    names = {operation.name for operation in core_operations()}
    assert set(matrix.CASES) <= names
    assert all(isinstance(operation, Operation) for operation in core_operations())
