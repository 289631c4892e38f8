"""Operations that keep long-term memory small: forgetting and compaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from memhost.operations.responses import Ack, ForgetResult
from memhost.operations.table import Call, Operation

if TYPE_CHECKING:
    from memhost.host import Host

TAG = "Long-term memory"


class ForgetMemories(msgspec.Struct, kw_only=True):
    """Which memories to examine, and by which policy to forget them.

    Keys of `policy`: `max_age_days`, `max_inactive_days`, `budget`, `memory_type_allowlist`,
    `hard_age_multiplier`; others, and values of a wrong type, are ignored.
    """

    policy: dict[str, Any]
    namespace: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    limit: Annotated[int, Meta(ge=0)] = 1000
    dry_run: bool = True
    pinned_ids: list[str] | None = None


class CompactMemories(msgspec.Struct, kw_only=True):
    """Which memories to compact; what is absent or empty does not restrict."""

    namespace: str | None = None
    user_id: str | None = None
    session_id: str | None = None


async def _forget(host: Host, call: Call, request: ForgetMemories) -> ForgetResult:
    return await host.forgetting.forget(call, request)


async def _compact(host: Host, call: Call, request: CompactMemories) -> Ack:
    remaining = await host.compaction.compact(call, request)
    return Ack(status=f"ok, {remaining} memories remaining after compaction")


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
            "stay, counted per namespace and user. Nothing is deleted unless `dry_run` is false."
        ),
        errors=("invalid_arguments", "long_term_memory_disabled"),
    ),
    Operation(
        name="compact_memories",
        request=CompactMemories,
        response=Ack,
        handler=_compact,
        access="delete",
        tag=TAG,
        summary="Merge memories that repeat each other word by word.",
        description=(
            "Repetitions are merged inside one namespace and user, never turns of a conversation, never pinned "
            "memories. The one accessed last stays, with the tags and sources of all. Merging memories that only "
            "mean the same needs a language model, and is left out without one."
        ),
        errors=("long_term_memory_disabled",),
    ),
)
