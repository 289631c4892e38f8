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
        summary="Delete memories that are too old, unused for too long, or over a budget; by default only list them.",
        description=(
            "Examines the `limit` oldest memories of the scope. Pinned memories, `pinned_ids` and types outside "
            "`memory_type_allowlist` stay. With both limits, a memory is deleted if it exceeds both, or exceeds the "
            "age limit `hard_age_multiplier` (12) times; with one limit, if it exceeds that one. Of the remaining "
            "memories the best `budget` by recency stay, per namespace and user; frequent use improves the rank. "
            "Nothing is deleted unless `dry_run` is false. Deleted memories can be restored for "
            "`FORGETTING_TRASH_DAYS`."
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
            "memhost merges memories of one namespace and user, and never turns of a conversation or pinned "
            "memories. Repetitions have the same text, apart from gaps in prose and one full stop at the end, and no "
            "field that contradicts. Of repetitions the memory that was accessed last stays; of memories with the "
            "same meaning the oldest stays; both get the tags and sources of all. A language model decides which "
            "near memories mean the same or replace each other; it judges only memories that changed since the last "
            "pass. Without a model near memories stay separate. A dry run shows the texts that would be merged. "
            "Merged memories can be restored for `FORGETTING_TRASH_DAYS`; replaced facts are kept, out of search, "
            "for `SUPERSEDED_KEEP_DAYS`. Callers who are neither operator nor admin must name a user or be bound to "
            "users. With `wait_s` the answer comes after at most that many seconds, with `status` `running` and a "
            "`task_id` if the work continues. Who asks for the same meanwhile gets the same task."
        ),
        errors=("long_term_memory_disabled", "conflict", "forbidden", "rate_limited"),
    ),
)
