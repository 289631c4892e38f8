"""Operations that keep long-term memory small: forgetting and compaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import UNSET, Meta

from memhost.models.limits import Many
from memhost.operations.responses import CompactionAck, ForgetResult, RestoreResult, Task, TrashPage
from memhost.operations.table import Call, Operation

if TYPE_CHECKING:
    from memhost.host import Host

TAG = "Long-term memory"


class ForgetMemories(msgspec.Struct, kw_only=True):
    """Which memories to examine, and by which policy to forget them.

    Keys of `policy`: `max_age_days`, `max_inactive_days`, `budget`, `memory_type_allowlist`,
    `hard_age_multiplier`. Other keys, and values of a wrong type, are refused: what is not understood deletes nothing.
    """

    policy: dict[str, Any]
    namespace: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    limit: Annotated[int, Meta(ge=0)] = 1000
    dry_run: bool = True
    pinned_ids: Many[str] | None = None


class CompactMemories(msgspec.Struct, kw_only=True):
    """Which memories to compact; what is absent or empty does not restrict.

    `report` adds to the answer what was done. A dry run changes nothing, asks no language model, and always reports.
    With `wait_s` (seconds) work that takes longer goes on after the answer, which then names a task.
    """

    namespace: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    dry_run: bool = False
    report: bool = False
    wait_s: Annotated[float, Meta(ge=0, le=300)] | None = None


class ListTrash(msgspec.Struct, kw_only=True):
    """Which part of the trash to list; owners that are absent or empty do not restrict."""

    namespace: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 100
    after: str = ""


class RestoreMemories(msgspec.Struct, kw_only=True):
    """Which memories to bring back."""

    ids: Many[str]


async def _forget(host: Host, call: Call, request: ForgetMemories) -> ForgetResult:
    return await host.forgetting.forget(call, request)


async def _compact(host: Host, call: Call, request: CompactMemories) -> CompactionAck:
    report = await host.compaction.compact(call, request)
    if isinstance(report, Task):
        return CompactionAck(status="running", task_id=report.id)
    return CompactionAck(
        status=f"ok, {report.remaining} memories remaining after compaction",
        report=report if request.report or request.dry_run else UNSET,
    )


async def _trash(host: Host, call: Call, request: ListTrash) -> TrashPage:
    bounds = call.caller.bounds.narrow(
        namespace=request.namespace or None,
        user=request.user_id or None,
        session=request.session_id or None,
    )
    return await host.trash.page(bounds, request.limit, request.after)


async def _restore(host: Host, call: Call, request: RestoreMemories) -> RestoreResult:
    return await host.trash.restore(call, request.ids)


OPERATIONS = (
    Operation(
        name="forget_memories",
        request=ForgetMemories,
        response=ForgetResult,
        handler=_forget,
        access="delete",
        tag=TAG,
        summary="Delete memories that are too old, too long unused, or over a budget; by default only tell which.",
        description=(
            "Examines the `limit` oldest memories of the scope. Pinned ones and `pinned_ids` stay, and so do types "
            "outside `memory_type_allowlist`. With both limits a memory goes if it exceeds both, or the age limit "
            "`hard_age_multiplier` (12) times; with one, if it exceeds that. Of the rest the best `budget` by recency "
            "stay, counted per namespace and user; those used often count for more. Nothing is deleted unless "
            "`dry_run` is false, and what is deleted can be brought back for `FORGETTING_TRASH_DAYS`."
        ),
        errors=("invalid_arguments", "long_term_memory_disabled"),
    ),
    Operation(
        name="compact_memories",
        request=CompactMemories,
        response=CompactionAck,
        handler=_compact,
        access="delete",
        tag=TAG,
        summary="Merge memories that repeat each other or mean the same.",
        description=(
            "Memories are merged inside one namespace and user, never turns of a conversation, never pinned "
            "memories. Of repetitions (one text, but for gaps in prose and one full stop at the end; no field that "
            "contradicts) the one accessed last stays, of memories that mean the same the oldest, with the tags and "
            "sources of all. Whether near memories mean the same, or one replaces the other, a language model decides, "
            "about those that changed since the last pass; without one they all stay. A dry run shows the texts that "
            "would become one. What goes can be brought back for "
            "`FORGETTING_TRASH_DAYS`; replaced facts are kept, out of search, for `SUPERSEDED_KEEP_DAYS`. Who is "
            "neither operator nor admin must name a user or be bound to some. With `wait_s` the answer comes after so "
            "many seconds at the latest, with `status` `running` and a `task_id` if the work goes on."
        ),
        errors=("long_term_memory_disabled", "conflict", "forbidden"),
    ),
    Operation(
        name="list_trash",
        request=ListTrash,
        response=TrashPage,
        handler=_trash,
        access="read",
        tag=TAG,
        summary="List memories that the server removed by itself, and that can still be brought back.",
        description=(
            "`reason` is `forgotten` (by a policy), `repeated` (word by word another memory), `merged` (into another "
            "one that means the same), `reworded` (the former text of a merged memory, under an id of its own), "
            "`superseded` (replaced long ago by a newer fact) or `unsupported` (made from a turn alone that was edited "
            "and says something else). What a client deletes is gone at once, also from here."
        ),
        errors=("invalid_arguments", "long_term_memory_disabled"),
    ),
    Operation(
        name="restore_memories",
        request=RestoreMemories,
        response=RestoreResult,
        handler=_restore,
        access="write",
        tag=TAG,
        summary="Bring memories back from the trash, or make replaced facts valid again.",
        description=(
            "A memory whose id has been taken meanwhile stays in the trash. What was brought back is not merged "
            "again by the server (its metadata says `restored_at`), and ages from now."
        ),
        errors=("invalid_arguments", "long_term_memory_disabled", "model_unavailable"),
    ),
)
