"""The outbox: the jobs that follow from an event, and the notifications about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from memhost.events import MemoriesStored, SessionUpdated
from memhost.hooks import event_options
from memhost.jobs.outbox import Outbox, session_name
from memhost.models import Job, SessionKey
from memhost.plugins import PluginManager
from memhost.testing.clock import FakeClock
from tests.support import plugin_factory

NOW = FakeClock().now()
KEY = SessionKey("t", "n", "u", "s")


async def _listens(event: Any, context: Any) -> None:
    """Do nothing."""


class Told:
    """A runner that notes what it is told."""

    def __init__(self) -> None:
        self.jobs: list[Sequence[Job]] = []

    def notify(self, jobs: Sequence[Job]) -> None:
        self.jobs.append(jobs)


@pytest.fixture
def outbox() -> Outbox:
    needy = event_options(needs=("language_model",))(_copy_of_listens())
    points = [
        plugin_factory.make_plugin("one", {"memhost_memories_stored": _listens, "memhost_session_updated": _listens}),
        plugin_factory.make_plugin("two", {"memhost_memories_stored": _listens}),
        plugin_factory.make_plugin("needy", {"memhost_memories_stored": needy}),
    ]
    return Outbox(PluginManager.load(entry_points=points))


def _copy_of_listens() -> Any:
    async def listens(event: Any, context: Any) -> None:
        """Do nothing."""

    return listens


def stored(outbox: Outbox, ids: Sequence[str]) -> list[Job]:
    return outbox.memory_jobs("memories_stored", MemoriesStored, ids, tenant="t", now=NOW)


def test_each_plugin_that_listens_has_a_job_of_its_own(outbox: Outbox) -> None:
    jobs = stored(outbox, ["a"])
    assert sorted(job.plugin for job in jobs) == ["one", "two"]
    assert {(job.event, job.tenant, job.due_at, job.replace) for job in jobs} == {("memories_stored", "t", NOW, False)}
    assert len({job.id for job in [*jobs, *stored(outbox, ["a"])]}) == 4, "each event has ids of its own"
    assert (
        outbox.jobs("session_idle", SessionUpdated(session=KEY, version=1, message_ids=()), tenant="t", now=NOW) == []
    )
    assert (outbox.wants("session_updated"), outbox.wants("session_idle")) == (True, False)


def test_hooks_that_need_a_model_have_jobs_where_there_is_one(outbox: Outbox) -> None:
    outbox.use(["remote_embedder"])
    assert len(stored(outbox, ["a"])) == 2
    outbox.use(["language_model"])
    assert sorted(job.plugin for job in stored(outbox, ["a"])) == ["needy", "one", "two"]


@pytest.mark.parametrize(("ids", "parts"), [(0, []), (1, [1]), (500, [500]), (501, [500, 1]), (1000, [500, 500])])
def test_many_ids_are_several_events(outbox: Outbox, ids: int, parts: list[int]) -> None:
    import msgspec

    found = [job for job in stored(outbox, [f"m{number}" for number in range(ids)]) if job.plugin == "one"]
    events = [msgspec.msgpack.decode(job.payload, type=MemoriesStored) for job in found]
    assert [len(event.ids) for event in events] == parts
    assert [name for event in events for name in event.ids] == [f"m{number}" for number in range(ids)]


def test_a_debounced_event_has_one_id_and_takes_the_place_of_itself(outbox: Outbox) -> None:
    event = SessionUpdated(session=KEY, version=1, message_ids=())
    (first,) = outbox.jobs("session_updated", event, tenant="t", now=NOW, delay_s=30, key="k")
    (second,) = outbox.jobs("session_updated", event, tenant="t", now=NOW, key="k")
    assert first.id == second.id == "session_updated:k:one"
    assert outbox.ids("session_updated", "k") == [first.id]
    assert (first.replace, first.due_at - NOW, second.due_at) == (True, timedelta(seconds=30), NOW)


def test_who_runs_jobs_is_told_of_those_that_are_there(outbox: Outbox) -> None:
    jobs, runner = stored(outbox, ["a"]), Told()
    attended = [outbox.attended]
    outbox.committed(jobs)
    outbox.attach(runner)  # type: ignore[arg-type]
    attended.append(outbox.attended)
    outbox.committed([])
    outbox.committed(jobs)
    assert runner.jobs == [jobs]
    outbox.attach(None)
    assert [*attended, outbox.attended] == [False, True, False]


@pytest.mark.parametrize(
    "other",
    [
        SessionKey("t", "n", "us", ""),
        SessionKey("t", "nu", "", "s"),
        SessionKey("t|1.n", "", "u", "s"),
        SessionKey("", "n", "u", "s"),
        SessionKey("t", "n", "u", "s|"),
        SessionKey("t", "n", "u|1.s", ""),
    ],
)
def test_names_of_sessions_are_unambiguous(other: SessionKey) -> None:
    assert session_name(KEY) != session_name(other)
