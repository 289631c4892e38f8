"""Operations that keep long-term memory small: forgetting and compaction."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from memhost.models.limits import Many

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
