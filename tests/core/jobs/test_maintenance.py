"""Maintenance tasks: background hooks run those of core and of plugins by name, with checked arguments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memhost.errors import ConfigurationError, Forbidden, UnknownTask, ValidationFailed
from memhost.events import Upkeep
from memhost.host import core_tasks
from memhost.jobs.maintenance import MaintenanceTasks, read_arguments
from memhost.models import Scope, SessionKey
from memhost.operations.responses import CompactionReport
from memhost.plugins import PluginManager
from memhost.ports import Draft
from memhost.specs import MaintenanceTask, NoArguments, SettingsSpec
from memhost.testing.clock import FakeClock
from memhost_pipeline_maintenance import COMPACT, DUE
from tests.core.jobs.test_jobs import work
from tests.support import plugin_factory
from tests.support.hosts import run, running_host

KEY = SessionKey("default", "", "", "s")
CORE: dict[str, dict[str, Any]] = {
    "compact": {},
    "embed": {"ids": ["m"]},
    "expire_reviews": {},
    "enrich": {"ids": ("m",)},
    "extract": {"session": KEY},
    "forget": {"policy": {"budget": 5}},
    "prune_versions": {},
    "refresh_view": {"view_id": "none"},
    "request_refreshes": {},
    "request_vectors": {},
    "summarize_session": {"session": KEY, "window": 4000},
}
ANSWERS = {
    "embed": 0,
    "expire_reviews": 0,
    "enrich": 0,
    "extract": 0,
    "forget": 0,
    "prune_versions": 0,
    "refresh_view": None,
    "request_refreshes": 0,
    "request_vectors": 0,
    "summarize_session": False,
}
"""What the tasks answer for one memory with a vector, where no language model is."""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    times: int = 1


class Quiet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    volume: int = 3


async def note(context: Any, given: Note) -> int:
    """Stage a document and a memory."""
    context.put_document(given.name, str(context.plugin_settings).encode())
    await context.store_memories(KEY, [Draft(text=f"noted {given.name} {n}") for n in range(given.times)])
    return given.times


def offering(
    plugin: str, *names: str, do: Callable[[Any, Any], Awaitable[Any]] = note, **hooks: Callable[..., Any]
) -> EntryPoint:
    """A plugin that offers tasks of these names."""

    def tasks() -> Sequence[MaintenanceTask]:
        return [MaintenanceTask(name=name, summary="x", arguments=Note, run=do) for name in names]

    return plugin_factory.make_plugin(plugin, {"memhost_maintenance_tasks": tasks, **hooks})


def calling(hook: Callable[[Any], Awaitable[None]]) -> EntryPoint:
    """The plugin `caller`, which does that when a session was written."""

    async def updated(event: Any, context: Any) -> None:
        await hook(context)

    return plugin_factory.make_plugin("caller", {"memhost_session_updated": updated})


async def write(host: Any) -> None:
    """Make the plugin `caller` run."""
    await run(host, "put_session", session_id="s", messages=[{"role": "user", "content": "hi", "id": "m1"}])


# -- the table -----------------------------------------------------------------------------------------------


def test_core_lists_its_tasks_and_tells_what_they_raise() -> None:
    tasks = {task.name: task for task in core_tasks()}
    assert sorted(tasks) == sorted(CORE)
    assert {error.__name__ for error in tasks["extract"].errors} == {"ModelUnavailable", "AnswerUnusable", "Forbidden"}
    assert all(task.summary.endswith(".") and task.answer.endswith(".") for task in tasks.values())


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("compat", "Did you mean compact?"),
        ("request", "Did you mean request_vectors or request_refreshes?"),
        ("zzz", f"There are: {', '.join(sorted(CORE))}."),
    ],
)
def test_unknown_name_names_the_near_ones(name: str, hint: str) -> None:
    with pytest.raises(UnknownTask) as found:
        MaintenanceTasks(core_tasks()).find(name)
    assert (found.value.code, found.value.message) == ("not_found", f"There is no maintenance task {name!r}. {hint}")


def test_two_tasks_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="Two maintenance tasks are named embed"):
        MaintenanceTasks([*core_tasks(), *core_tasks()])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": "a", "time": 2}, "time: There is no such argument. Did you mean times?"),
        ({}, "Arguments of the maintenance task acme: Object missing required field `name`"),
        (
            {"name": "a", "times": "2"},
            "Arguments of the maintenance task acme: Expected `int`, got `str` - at `$.times`",
        ),
        ({"name": None}, "Arguments of the maintenance task acme: Expected `str`, got `null` - at `$.name`"),
    ],
)
def test_wrong_arguments_are_named(given: dict[str, Any], told: str) -> None:
    task = MaintenanceTask(name="acme", summary="x", arguments=Note, run=note)
    with pytest.raises(ValidationFailed) as found:
        read_arguments(task, given)
    assert told in found.value.message


def test_right_arguments_become_the_struct_of_the_task() -> None:
    task = MaintenanceTask(name="acme", summary="x", arguments=Note, run=note)
    assert read_arguments(task, {"name": "a"}) == Note(name="a", times=1)
    assert read_arguments(MaintenanceTask(name="acme", summary="x", run=note), {}) == NoArguments()


# -- names that are taken ------------------------------------------------------------------------------------


def rows(*points: EntryPoint) -> dict[str, str | None]:
    manager = PluginManager.load(entry_points=points, taken_tasks=[task.name for task in core_tasks()])
    assert {entry.plugin for entry in manager.maintenance_tasks} == {row.name for row in manager.rows if not row.error}
    return {row.name: row.error for row in manager.rows}


def test_name_of_a_core_task_makes_the_plugin_fail() -> None:
    found = rows(offering("a", "compact"), offering("b", "b_compact"))
    assert found["b"] is None
    assert "the maintenance task 'compact', but the host has one of that name" in (found["a"] or "")


def test_one_name_of_two_plugins_goes_to_neither() -> None:
    found = rows(offering("a", "same"), offering("b", "same"), offering("c", "other"))
    assert found["c"] is None
    told = "the maintenance task name same is offered by a (a-dist 6.7.8) and b (b-dist 6.7.8)"
    assert [told in (found[name] or "") for name in ("a", "b")] == [True, True]


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (MaintenanceTask(name="A", summary="x", run=note), "names are lower case"),
        (MaintenanceTask(name="a", summary="x", run=3), "whose run is not callable"),  # type: ignore[arg-type]
        (MaintenanceTask(name="a", summary="x", run=note, arguments=int), "whose arguments is not a"),  # type: ignore[arg-type]
    ],
)
def test_spec_that_cannot_work_makes_the_plugin_fail(spec: MaintenanceTask, told: str) -> None:
    assert told in (rows(plugin_factory.make_plugin("a", {"memhost_maintenance_tasks": lambda: [spec]}))["a"] or "")


# -- through jobs --------------------------------------------------------------------------------------------


async def test_every_core_task_runs_by_its_name(tmp_path: Path) -> None:
    answers: dict[str, Any] = {}

    async def all_of_them(context: Any) -> None:
        for name, arguments in CORE.items():
            answers[name] = await context.run(name, **arguments)

    async with running_host(tmp_path, store="memory", extra=[calling(all_of_them)], run_jobs=False) as host:
        await run(host, "create_memories", memories=[{"id": "m", "text": "a boat"}])
        await write(host)
        await work(host)
        compacted = answers.pop("compact")
        assert answers == ANSWERS
        assert isinstance(compacted, CompactionReport)
        assert compacted.remaining == (await run(host, "search_memories", text="boat")).total


async def test_forgetting_and_compacting_change_what_is_stored(tmp_path: Path) -> None:
    answers: list[Any] = []
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))

    async def both(context: Any) -> None:
        answers.append((await context.run("compact")).exact_removed)
        answers.append(await context.run("forget", policy={"max_age_days": 10}))

    async with running_host(tmp_path, store="memory", extra=[calling(both)], clock=clock, run_jobs=False) as host:
        await run(host, "create_memories", memories=[{"id": "old", "text": "an old boat"}])
        clock.advance(20 * 86_400)
        for key in ("a", "b"):
            await run(host, "create_memories", deduplicate=False, memories=[{"id": key, "text": "a new boat"}])
        await write(host)
        await work(host)
        assert answers == [1, 1]
        found = await host.store.get_memories(Scope(), ["old", "a", "b"])
        assert [memory.record.text for memory in found] == ["a new boat"]


async def test_sessions_of_other_tenants_and_policies_that_are_not_understood_are_refused(tmp_path: Path) -> None:
    other = SessionKey("other", "", "", "s")
    refused: list[str] = []

    async def tries(context: Any) -> None:
        for error, name, arguments in (
            (Forbidden, "extract", {"session": other}),
            (Forbidden, "summarize_session", {"session": other, "window": 1}),
            (ValidationFailed, "forget", {"policy": {"budgets": 0}}),
            (UnknownTask, "acme", {}),
        ):
            with pytest.raises(error):
                await context.run(name, **arguments)
            refused.append(name)

    async with running_host(tmp_path, store="memory", extra=[calling(tries)], run_jobs=False) as host:
        await write(host)
        await work(host)
        assert refused == ["extract", "summarize_session", "forget", "acme"]


async def test_task_of_a_plugin_sees_its_own_settings_and_documents(tmp_path: Path) -> None:
    answers: list[Any] = []

    async def twice(context: Any) -> None:
        answers.append(await context.run("acme_note", name="one", times=2))
        await context.store_memories(KEY, [Draft(text="mine")])
        answers.append(await context.run("acme_note", name="two"))

    acme = offering("acme", "acme_note", memhost_settings=lambda: [SettingsSpec(name="acme", settings=Quiet)])
    settings = {"ACME_VOLUME": "9"}
    async with running_host(
        tmp_path, store="memory", extra=[acme, calling(twice)], settings=settings, run_jobs=False
    ) as host:
        await write(host)
        await work(host)
        assert answers == [2, 1]
        documents = [await host.store.get_document(Scope(), "plugin:acme", n, host.clock.now()) for n in ("one", "two")]
        assert [document.body for document in documents if document] == [b"Quiet(volume=9)"] * 2
        assert await host.store.get_document(Scope(), "plugin:caller", "one", host.clock.now()) is None
        stored, _ = await host.store.list_memories(Scope(), [])
        made_by = {memory.record.text: memory.record.extractor for memory in stored}
        acme_version = f"acme/{plugin_factory.VERSION}"
        assert made_by == {
            "user: hi": "verbatim/1",
            "noted one 0": acme_version,
            "noted one 1": acme_version,
            "noted two 0": acme_version,
            "mine": f"caller/{plugin_factory.VERSION}",
        }


async def test_what_a_task_staged_goes_with_the_job_that_fails(tmp_path: Path) -> None:
    async def fails(context: Any) -> None:
        await context.run("acme_note", name="one")
        raise ValueError("after the task")

    extra = [offering("acme", "acme_note"), calling(fails)]
    async with running_host(tmp_path, store="memory", extra=extra, run_jobs=False) as host:
        await write(host)
        await work(host)
        (job,) = (await run(host, "list_jobs")).jobs
        assert "after the task" in (job.last_error or "")
        assert await host.store.get_document(Scope(), "plugin:acme", "one", host.clock.now()) is None


async def test_error_of_a_task_is_the_error_of_the_job(tmp_path: Path) -> None:
    async def broken(_context: Any, _given: Any) -> None:
        raise ValueError("in the task")

    async def runs(context: Any) -> None:
        await context.run("acme_broken", name="x")

    extra = [offering("acme", "acme_broken", do=broken), calling(runs)]
    async with running_host(tmp_path, store="memory", extra=extra, run_jobs=False) as host:
        await write(host)
        await work(host)
        (job,) = (await run(host, "list_jobs")).jobs
        assert (job.plugin, job.last_error) == ("caller", "ValueError: in the task")


async def test_task_of_a_plugin_runs_tasks_of_others(tmp_path: Path) -> None:
    async def passes_on(context: Any, given: Note) -> int:
        return int(await context.run("acme_note", name=given.name, times=3))

    answers: list[Any] = []

    async def runs(context: Any) -> None:
        answers.append(await context.run("other", name="deep"))
        answers.append(await context.run(DUE[COMPACT]))

    extra = [offering("acme", "acme_note"), offering("other", "other", do=passes_on), calling(runs)]
    async with running_host(tmp_path, store="memory", extra=extra, run_jobs=False) as host:
        await write(host)
        await work(host)
        assert answers == [3, None]
        assert await host.store.get_document(Scope(), "plugin:acme", "deep", host.clock.now()) is not None
        mark = await host.store.get_document(Scope(), "plugin:pipeline-maintenance", "compacted", host.clock.now())
        assert mark is not None


# -- the former way ------------------------------------------------------------------------------------------


async def test_upkeep_warns_and_runs_the_task_of_its_name() -> None:
    ran: list[tuple[str, dict[str, Any]]] = []

    async def record(task: str, **arguments: Any) -> int:
        ran.append((task, arguments))
        return 1

    upkeep = Upkeep(record)
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "compact": upkeep.compact,
        "embed": lambda: upkeep.embed(["m"]),
        "enrich": lambda: upkeep.enrich(("m",)),
        "extract": lambda: upkeep.extract(KEY),
        "forget": lambda: upkeep.forget({"budget": 5}),
        "refresh_view": lambda: upkeep.refresh_view("none"),
        "request_refreshes": upkeep.request_refreshes,
        "request_vectors": upkeep.request_vectors,
        "summarize_session": lambda: upkeep.summarize_session(KEY, 4000, last_try=True),
    }
    for name, call in calls.items():
        with pytest.warns(DeprecationWarning, match=rf"context\.run\('{name}'") as warned:
            await call()
        assert warned[0].filename == __file__
    assert ran == [
        (name, {**arguments, **({"task_id": None} if name == "refresh_view" else {})})
        for name, arguments in CORE.items()
        if name in calls
    ]


async def test_upkeep_of_a_context_still_works(tmp_path: Path) -> None:
    answers: list[Any] = []

    async def old(context: Any) -> None:
        with pytest.warns(DeprecationWarning, match="goes with memhost 0.3"):
            answers.append(await context.upkeep.embed(["m"]))

    async with running_host(tmp_path, store="memory", extra=[calling(old)], run_jobs=False) as host:
        await write(host)
        await work(host)
        assert answers == [0]
