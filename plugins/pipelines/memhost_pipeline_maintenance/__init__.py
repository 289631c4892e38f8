"""The server's own maintenance: summaries, what writes do not wait for, and periodic work.

It has no access that another plugin has not: switch it off (`PLUGINS_DISABLED=pipeline-maintenance`) and put your
own in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from memhost import event_options, hookimpl
from memhost.events import (
    JobContext,
    MemoriesStored,
    MemoriesUpdated,
    ScheduleDue,
    SessionOverfull,
    VectorsMissing,
    ViewDue,
)
from memhost.models import Condition, MemoryType, Op
from memhost.specs import MaintenanceTask, NoArguments, ScheduleSpec

REFRESH, COMPACT, FORGET, EMBED = "refresh-views", "compact-memories", "forget-memories", "embed-memories"
EXPIRE = "expire-reviews"

DUE = {
    REFRESH: "request_refreshes",
    COMPACT: "compact_if_changed",
    FORGET: "forget_by_settings",
    EMBED: "request_vectors",
    EXPIRE: "expire_reviews",
}
"""Schedules, and the maintenance task that each runs."""

_LONG_S = 1800.0
"""Limit for work with many calls to a model; finished parts are stored at once, so that a repetition continues."""

_PATIENT = 50
"""Attempts at what no later write would start again; with the usual waits they outlast an outage of eight hours."""

_MARK = "compacted"
_MAX_REST_LENGTH = timedelta(days=1)
_NOT_TURNS = Condition("memory_type", Op.NONE, (MemoryType.MESSAGE.value,))


class _Mark(msgspec.Struct):
    """State of the store after the last pass: enough to see that nothing has changed since."""

    at: datetime
    memories: int
    newest: str


@hookimpl
def memhost_schedules() -> Sequence[ScheduleSpec]:
    """Return the periodic tasks; `SUMMARY_VIEW_REFRESH_EVERY_MINUTES` and its like change or switch off the periods."""
    return [
        ScheduleSpec(name=REFRESH, summary="Recompute continuous summary views.", every_s=3600.0),
        ScheduleSpec(name=COMPACT, summary="Merge memories that repeat each other.", every_s=600.0),
        ScheduleSpec(name=EMBED, summary="Find memories without a vector and embed them.", every_s=86_400.0),
        ScheduleSpec(name=EXPIRE, summary="Refuse memories that waited too long for a review.", every_s=86_400.0),
        ScheduleSpec(name=FORGET, summary="Forget memories that are too old or unused.", every_s=3600.0),
    ]


@hookimpl
def memhost_maintenance_tasks() -> Sequence[MaintenanceTask]:
    """Return the tasks of the schedules beside those of core."""
    return [
        MaintenanceTask(
            name=DUE[COMPACT],
            summary="Run `compact` if memories came or changed since the last pass, and once a day in any case.",
            run=_compact,
        ),
        MaintenanceTask(
            name=DUE[FORGET],
            summary="Run `forget` with the limits of the settings (`FORGETTING_MAX_AGE_DAYS` and its like).",
            run=_forget,
            answer="`int`: how many memories went.",
        ),
    ]


@hookimpl
@event_options(timeout_s=_LONG_S)
async def memhost_session_overfull(event: SessionOverfull, context: JobContext) -> None:
    """Summarise the session."""
    await context.run("summarize_session", session=event.session, window=event.window)


@hookimpl
@event_options(timeout_s=_LONG_S, max_tries=_PATIENT, needs=("language_model", "remote_embedder"))
async def memhost_memories_stored(event: MemoriesStored, context: JobContext) -> None:
    """Add what the write did not wait for: vectors of an embedder that is not local, then topics and entities."""
    await context.run("embed", ids=event.ids)
    await context.run("enrich", ids=event.ids)


@hookimpl
@event_options(timeout_s=_LONG_S, max_tries=_PATIENT, needs=("remote_embedder",))
async def memhost_memories_updated(event: MemoriesUpdated, context: JobContext) -> None:
    """Embed edited texts."""
    await context.run("embed", ids=event.ids)


@hookimpl
@event_options(timeout_s=_LONG_S, max_tries=_PATIENT)
async def memhost_vectors_missing(event: VectorsMissing, context: JobContext) -> None:
    """Embed them."""
    await context.run("embed", ids=event.ids)


@hookimpl
@event_options(timeout_s=_LONG_S)
async def memhost_view_due(event: ViewDue, context: JobContext) -> None:
    """Compute the view."""
    await context.run("refresh_view", view_id=event.view_id, task_id=event.task_id)


@hookimpl
@event_options(timeout_s=_LONG_S)
async def memhost_schedule_due(event: ScheduleDue, context: JobContext) -> None:
    """Run the task of the schedule. Once a day versions go whose time is over, too."""
    await context.run(DUE[event.name])
    if event.name == EMBED:
        await context.run("prune_versions")


async def _compact(context: JobContext, _given: NoArguments) -> None:
    """Compact if memories came or changed since the last pass, and once a day in any case."""
    known = await context.get_document(_MARK)
    if known is not None:
        mark = msgspec.msgpack.decode(known.body, type=_Mark)
        if context.now - mark.at < _MAX_REST_LENGTH and not await _changed(context, mark):
            return
    report = await context.run("compact")
    if report.unfinished:
        return
    memories, newest = await _state(context)
    body = msgspec.msgpack.encode(_Mark(at=context.now, memories=memories, newest=newest))
    context.put_document(_MARK, body)


async def _changed(context: JobContext, mark: _Mark) -> bool:
    if await _state(context) != (mark.memories, mark.newest):
        return True
    since = Condition("updated_at", Op.GTE, (mark.at,))
    _, edited = await context.list_memories([_NOT_TURNS, since], limit=1)
    return edited > 0


async def _state(context: JobContext) -> tuple[int, str]:
    """Number of memories that can be merged, and the id of the newest."""
    found, total = await context.list_memories([_NOT_TURNS], limit=1)
    return total, found[0].id if found else ""


async def _forget(context: JobContext, _given: NoArguments) -> int:
    """Forget by the limits of the settings."""
    memory = context.settings.memory
    policy = {
        "max_age_days": memory.forgetting_max_age_days,
        "max_inactive_days": memory.forgetting_max_inactive_days,
        "budget": memory.forgetting_budget_keep_top_n,
    }
    return int(await context.run("forget", policy=policy))
