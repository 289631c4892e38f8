"""Every operation, called by every role on its own, foreign and missing targets, through several interfaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from memhost.host import Host
from memhost.models import Caller
from memhost.operations import Operation
from memhost.testing.hosts import OWN
from memhost_auth_token.operations import OPERATIONS
from tests.support import clients, matrix, mcp_door
from tests.support.clients import Door, Outcome
from tests.support.hosts import running_host
from tests.support.matrix_cases import BERT, CASES
from tests.support.mcp_door import Row

CALLERS = EntryPoint(name="testing-callers", value=OWN["testing-callers"], group="memhost")
Opened = Callable[[Host], AbstractAsyncContextManager[Door]]
OTHER_STORE = pytest.mark.full("roles and scopes are checked above the store, which the same matrix on memory shows")


@pytest.mark.parametrize(
    ("way", "store"),
    [
        (clients.inside, "memory"),
        (clients.rest, "memory"),
        pytest.param(clients.rest, "sqlite", marks=OTHER_STORE),
        pytest.param(clients.rest, "redis", marks=OTHER_STORE),
    ],
    ids=["host-memory", "rest-memory", "rest-sqlite", "rest-redis"],
)
async def test_the_whole_matrix(way: Opened, store: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    settings = {"AUTH": "testing"}
    if store == "redis":
        settings |= request.getfixturevalue("redis_part").environment()
    async with running_host(tmp_path, store=store, extra=[CALLERS], settings=settings, run_jobs=False) as host:
        assert not list(matrix.uncovered(host)), "add cases for these operations to tests/support/matrix.py"
        wrong: list[str] = []
        theirs = await matrix.prepare(host, BERT)
        async with way(host) as door:
            for operation in host.operations:
                wrong += await matrix.check(host, door, operation, theirs)
        assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "store", ["memory", pytest.param("sqlite", marks=OTHER_STORE), pytest.param("redis", marks=OTHER_STORE)]
)
async def test_the_matrix_through_mcp(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Every tool as its operation, with the real client; operations without a tool are not to be had there."""
    settings = {"AUTH": "testing"}
    if store == "redis":
        settings |= request.getfixturevalue("redis_part").environment()
    async with (
        running_host(tmp_path, store=store, extra=[CALLERS], settings=settings, run_jobs=False) as host,
        mcp_door.mcp_door(host, matrix.ADMIN) as mcp,
    ):
        shown = {tool.name for tool in (await mcp.client.list_tools()).tools}
        assert shown == {row.tool for row in mcp_door.ROWS} | mcp_door.WITHOUT_OPERATION
        standing_for = {row.operation for row in mcp_door.ROWS}
        assert standing_for | mcp_door.WITHOUT_TOOL == {operation.name for operation in host.operations}
        wrong: list[str] = []
        theirs = await matrix.prepare(host, BERT)
        for row in mcp_door.ROWS:

            async def door(_name: str, caller: Caller | None, given: Mapping[str, Any], row: Row = row) -> Outcome:
                return await mcp.call(row.tool, caller, row.arguments(dict(given)))

            operation = host.operations[row.operation]
            found = await matrix.check(host, door, operation, theirs, CASES[row.case or row.operation])
            wrong += [f"{row.tool}: {text}" for text in found]
        assert not wrong, "\n".join(wrong)


def test_cases_are_operations() -> None:
    from memhost.host import core_operations

    names = {operation.name for operation in (*core_operations(), *OPERATIONS)}
    assert set(CASES) <= names
    assert all(isinstance(operation, Operation) for operation in core_operations())
