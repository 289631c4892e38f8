"""Maintenance tasks that keep long-term memory small."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from memhost.consolidation.compaction import CompactionService
from memhost.consolidation.forgetting import ForgettingService, policy_of, policy_problems
from memhost.errors import Busy, ValidationFailed
from memhost.events import JobContext
from memhost.jobs.maintenance import done_by
from memhost.memories.records import refuse
from memhost.operations.responses import CompactionReport
from memhost.specs import MaintenanceTask, NoArguments


class Forget(msgspec.Struct, frozen=True, kw_only=True):
    """The limits by which memories are forgotten.

    Attributes:
        policy: Keys as in the operation `forget_memories`: `max_age_days`, `max_inactive_days`, `budget`,
            `memory_type_allowlist`, `hard_age_multiplier`.
    """

    policy: Mapping[str, Any]


async def _forget(forgetting: ForgettingService, context: JobContext, given: Forget) -> int:
    refuse(policy_problems(given.policy))
    return (await forgetting.apply(context.scope, policy_of(given.policy))).deleted


async def _compact(compaction: CompactionService, context: JobContext, _given: NoArguments) -> CompactionReport:
    return await compaction.apply(context.scope)


TASKS = (
    MaintenanceTask(
        name="forget",
        summary="Move the memories that the policy gives up to the trash.",
        arguments=Forget,
        run=done_by(ForgettingService, _forget),
        answer="`int`: how many memories went.",
        errors={ValidationFailed: "The policy has a key or a value that memhost does not understand; nothing went."},
    ),
    MaintenanceTask(
        name="compact",
        summary="Merge memories that repeat each other or mean the same.",
        run=done_by(CompactionService, _compact),
        answer="`memhost.operations.responses.CompactionReport`: what was merged, and what is left.",
        errors={Busy: "Another process compacts the same memories."},
    ),
)
