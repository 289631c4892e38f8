"""Operations that keep long-term memory small: forgetting and compaction."""

from __future__ import annotations

from msgspec import UNSET

from memhost.consolidation.compaction import CompactionService
from memhost.consolidation.forgetting import ForgettingService
from memhost.operations.ams_compat import compacted_status
from memhost.operations.maintenance import CompactMemories, ForgetMemories
from memhost.operations.responses import CompactionAck, ForgetResult, Task
from memhost.operations.table import Call, Operation, forward

TAG = "Long-term memory"


async def _compact(compaction: CompactionService, call: Call, request: CompactMemories) -> CompactionAck:
    report = await compaction.compact(call, request)
    if isinstance(report, Task):
        return CompactionAck(status="running", task_id=report.id)
    return CompactionAck(
        status=compacted_status(report.remaining),
        report=report if request.report or request.dry_run else UNSET,
    )


OPERATIONS = (
    Operation(
        name="forget_memories",
        request=ForgetMemories,
        response=ForgetResult,
        handler=forward(ForgettingService, ForgettingService.forget),
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
        handler=forward(CompactionService, _compact),
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
)
