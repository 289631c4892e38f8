"""Requests that name more than makes sense: refused as the caller's fault, or as cheap as others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memhost.errors import InvalidRequest, ValidationFailed
from memhost.models import Scope
from memhost.models.limits import MAX_ALL_VALUES, MAX_FILTER_VALUES
from memhost.views import partitions
from memhost_store_sqlite.failures import explain
from tests.core.views.test_views import STORES, create
from tests.support.hosts import run, running_host

NAMES = [f"n{number}" for number in range(10_000)]


@STORES
@pytest.mark.parametrize(
    ("filters", "taken"),
    [
        ({"topics": {"all": NAMES[:MAX_ALL_VALUES]}}, True),
        ({"topics": {"all": NAMES[: MAX_ALL_VALUES + 1]}}, False),
        ({"topics": {"all": NAMES}}, False),
        ({"topics": {"all": NAMES[:60]}, "entities": {"all": NAMES[:60]}}, False),
        ({"metadata": {f"k{number}": {"all": NAMES[:2]} for number in range(100)}}, False),
        ({"topics": {"any": NAMES}, "entities": {"any": NAMES}}, True),
        ({"topics": {"any": NAMES}, "entities": {"none": NAMES}, "user_id": {"eq": "x"}}, False),
        ({"metadata": {f"k{number}": {"any": NAMES[:1000]} for number in range(100)}}, False),
        ({"metadata": {f"k{number}": {"any": NAMES[: MAX_FILTER_VALUES // 100]} for number in range(100)}}, True),
    ],
)
async def test_filters_are_bounded_together(store: str, filters: dict[str, Any], taken: bool, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        await run(host, "create_memories", memories=[{"id": "a", "text": "a note"}])
        for text in ({}, {"text": "a note"}):
            if taken:
                assert (await run(host, "search_memories", **filters, **text)).total == 0
            else:
                with pytest.raises(ValidationFailed, match=r"in all filters together|at most 100 are allowed"):
                    await run(host, "search_memories", **filters, **text)


async def test_filters_of_views_are_bounded(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await create(host, filters={"topics": {"all": NAMES[:MAX_ALL_VALUES]}})
        with pytest.raises(InvalidRequest, match="in all filters together"):
            await create(host, filters={"topics": {"all": NAMES[: MAX_ALL_VALUES + 1]}})


def test_what_the_engine_finds_too_large_is_the_callers_fault() -> None:
    import apsw

    with pytest.raises(apsw.SQLError) as many:
        apsw.Connection(":memory:").execute("SELECT " + " OR ".join(["1"] * 5000))
    with pytest.raises(apsw.SQLError) as unknown:
        apsw.Connection(":memory:").execute("SELECT nothing")
    assert isinstance(explain(many.value), InvalidRequest)
    assert not isinstance(explain(unknown.value), InvalidRequest)


@STORES
async def test_results_of_made_up_groups_are_not_kept_without_end(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "_MOST_WITH_EMPTY", 3)
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        view = await create(host, group_by=["user_id"])
        for number in range(6):
            result = await run(
                host, "run_summary_view_partition", view_id=view.id, group={"user_id": f"nobody-{number}"}
            )
            assert (result.memory_count, result.summary) == (0, "")
        await run(host, "create_memories", memories=[{"id": "a", "text": "a note", "user_id": "ann"}])
        await run(host, "run_summary_view_partition", view_id=view.id, group={"user_id": "ann"})
        found = await run(host, "list_summary_view_partitions", view_id=view.id)
        assert [item.group["user_id"] for item in found] == ["ann", "nobody-0", "nobody-1", "nobody-2"]


@pytest.mark.parametrize(
    ("operation", "fields"),
    [
        ("delete_user", {"user_id": "u" * 513}),
        ("delete_user", {"user_id": "u", "namespace": "n" * 513}),
        ("compact_memories", {"user_id": "u" * 513}),
        ("forget_memories", {"policy": {"budget": 1}, "session_id": "s" * 513}),
        ("rebuild_memories", {"namespace": "n" * 513}),
    ],
)
async def test_names_in_what_is_recorded_have_a_length(operation: str, fields: dict[str, Any], tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        with pytest.raises(ValidationFailed, match="at most 512"):
            await run(host, operation, **fields)


@STORES
async def test_deleting_unknown_ids_asks_the_store_a_few_times(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_host(tmp_path, store=store, run_jobs=False) as host:
        calls = 0
        whole = host.store.get_memories

        async def counted(scope: Scope, ids: Any) -> Any:
            nonlocal calls
            calls += 1
            return await whole(scope, ids)

        monkeypatch.setattr(host.store, "get_memories", counted)
        await run(host, "delete_memories", memory_ids=NAMES)
        assert calls < 10


async def test_a_full_session_says_so(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        said = [{"role": "user", "content": str(number)} for number in range(10_000)]
        await run(host, "put_session", session_id="s", messages=said)
        with pytest.raises(ValidationFailed, match="A session holds at most 10,000 messages"):
            await run(host, "change_session", session_id="s", messages=said[:1])
        with pytest.raises(ValidationFailed, match="in one request"):
            await run(host, "put_session", session_id="t", messages=[*said, said[0]])
