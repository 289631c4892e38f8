"""Forgetting: selects the memories that a policy gives up and moves them to the trash."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from memhost.consolidation.similarity import restored_at
from memhost.errors import Problem
from memhost.events import MemoriesDeleted
from memhost.jobs.outbox import Outbox
from memhost.memories.derived import former
from memhost.memories.enabled import require_long_term_memory
from memhost.memories.recency import Recency
from memhost.memories.records import refuse
from memhost.memories.trash import entries
from memhost.models import Condition, MemoryRecord, MemoryType, Op, Scope, WriteBatch
from memhost.operations.maintenance import ForgetMemories
from memhost.operations.requests import SearchFields
from memhost.operations.responses import ForgetResult
from memhost.operations.table import Call
from memhost.ports import Clock, Store
from memhost.reading import ReadingError, problems, unknown_name
from memhost.settings.schema import MemorySettings
from memhost.storage.bound_documents import document_scope
from memhost.storage.paging import scan

logger = logging.getLogger(__name__)

_CHUNK = 500
_DAY_S = 86_400.0
_USE = 0.3
_HALF_USES = 10.0


class ForgetPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The limits by which memories are forgotten.

    Attributes:
        max_age_days: Memories that were said (`said_at`, else `created_at`) longer ago are deleted.
        max_inactive_days: Memories not accessed for longer are deleted. With both limits a memory must exceed both, or
            the age limit `hard_age_multiplier` times.
        budget: Number of remaining memories to keep per namespace and user, the best by recency and use.
        types: Memory types that may be deleted; None means all.
        hard_age_multiplier: See `max_inactive_days`.
    """

    max_age_days: float | None = None
    max_inactive_days: float | None = None
    budget: int | None = None
    types: tuple[str, ...] | None = None
    hard_age_multiplier: float = 12.0


def policy_of(given: Mapping[str, Any]) -> ForgetPolicy:
    """The policy of a client's object. Keys that are unknown, or whose value has a wrong type, count as absent."""
    types = given.get("memory_type_allowlist")
    multiplier = _number(given.get("hard_age_multiplier"))
    budget = _number(given.get("budget"))
    return ForgetPolicy(
        max_age_days=_number(given.get("max_age_days")),
        max_inactive_days=_number(given.get("max_inactive_days")),
        budget=int(budget) if budget is not None and budget.is_integer() else None,
        types=tuple(item for item in types if isinstance(item, str)) if isinstance(types, list) else None,
        hard_age_multiplier=12.0 if multiplier is None else multiplier,
    )


def policy_problems(given: Mapping[str, Any]) -> list[Problem]:
    """Return the problems of a client's policy; a policy with a problem deletes nothing.

    A key that is not understood may be one that was meant to keep memories.
    """
    found = []
    for name, value in given.items():
        if name not in _KEYS:
            fault = unknown_name(name, _KEYS)
            found += problems(ReadingError(fault).under("policy"))
            continue
        fits, form = _KEYS[name]
        if value is not None and not fits(value):
            found.append(Problem(where=("policy", name), message=f"must be {form}", value=value))
    return found


def _is_limit(value: Any) -> bool:
    return _number(value) is not None


def _is_budget(value: Any) -> bool:
    number = _number(value)
    return number is not None and number.is_integer()


def _are_types(value: Any) -> bool:
    return isinstance(value, list) and all(item in list(MemoryType) for item in value)


_LIMIT = (_is_limit, "a number, at least 0")
_KEYS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "max_age_days": _LIMIT,
    "max_inactive_days": _LIMIT,
    "hard_age_multiplier": _LIMIT,
    "budget": (_is_budget, "a whole number, at least 0"),
    "memory_type_allowlist": (_are_types, f"a list of {', '.join(MemoryType)}"),
}
"""Keys of a policy, with what their values must be."""


def _number(value: Any) -> float | None:
    """The value if it is a number that can be a limit: finite and not negative."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return float(value) if 0 <= value < 2**63 else None


class ForgettingService:
    """The rules of forgetting."""

    def __init__(self, *, store: Store, outbox: Outbox, settings: MemorySettings, clock: Clock) -> None:
        self._store = store
        self._outbox = outbox
        self._settings = settings
        self._clock = clock

    async def forget(self, call: Call, request: ForgetMemories) -> ForgetResult:
        """Apply the policy to the `limit` oldest memories of the scope; with `dry_run` only list those to delete.

        Raises:
            LongTermMemoryDisabled: Long-term memory is off.
            ValidationFailed: The policy has a key or a value that is not understood.
        """
        require_long_term_memory(self._settings)
        refuse(policy_problems(request.policy))
        scope = call.caller.bounds.narrow(
            namespace=request.namespace or None,
            user=request.user_id or None,
            session=request.session_id or None,
        )
        return await self.apply(
            scope,
            policy_of(request.policy),
            pinned_ids=request.pinned_ids or (),
            limit=request.limit,
            dry_run=request.dry_run,
        )

    async def apply(
        self,
        scope: Scope,
        policy: ForgetPolicy,
        *,
        pinned_ids: Collection[str] = (),
        limit: int | None = None,
        dry_run: bool = False,
    ) -> ForgetResult:
        """Forget inside a scope. Can be repeated: what is gone is not chosen again.

        Args:
            scope: Where.
            policy: What.
            pinned_ids: Memories to keep beside those that are pinned.
            limit: Memories to examine, oldest first; None examines all.
            dry_run: Only tell what would go.
        """
        conditions = [] if policy.types is None else [Condition("memory_type", Op.ANY, policy.types)]
        scanned = 0
        candidates: list[MemoryRecord] = []
        keep = frozenset(pinned_ids)
        if policy.types != ():
            async for memory in scan(self._store, scope, conditions, limit=limit):
                scanned += 1
                if not memory.record.pinned and memory.record.id not in keep:
                    candidates.append(_bare(memory.record))
        chosen = choose(candidates, policy, self._clock.now())
        if not dry_run:
            chosen = await self._delete(scope, chosen)
            if chosen:
                fields = {"tenant": scope.tenant, "scanned": scanned, "deleted": len(chosen)}
                logger.info("memories.forgotten", extra={"fields": fields})
        return ForgetResult(scanned=scanned, deleted=len(chosen), deleted_ids=chosen, dry_run=dry_run)

    async def _delete(self, scope: Scope, ids: Sequence[str]) -> list[str]:
        """Move memories to the trash, except those pinned or deleted in the meantime; return the moved ones."""
        deleted: list[str] = []
        for start in range(0, len(ids), _CHUNK):
            now = self._clock.now()
            found = await self._store.get_memories(scope, ids[start : start + _CHUNK])
            going = [memory for memory in found if not memory.record.pinned]
            part = [memory.record.id for memory in going]
            batch = WriteBatch(delete_memories=part)
            batch.put_documents = entries(scope.tenant, going, "forgotten", now, self._settings)
            batch.delete_documents = await former.names_of(
                self._store, document_scope(scope), [memory.record for memory in going], now
            )
            batch.add_jobs = self._outbox.memory_jobs(
                "memories_deleted", MemoriesDeleted, part, tenant=scope.tenant, now=now
            )
            result = await self._store.commit(document_scope(scope), batch)
            self._outbox.committed(batch.add_jobs)
            deleted += result.deleted
        return deleted


def _bare(record: MemoryRecord) -> MemoryRecord:
    """Return the fields of a record that choosing needs, because many are held at a time.

    What was made from an old conversation is as old as that. A restored memory counts as old as its restoration.
    """
    born = max(record.told_at, restored_at(record) or record.told_at)
    return MemoryRecord(
        id=record.id,
        text="",
        namespace=record.namespace,
        user_id=record.user_id,
        created_at=born,
        updated_at=record.updated_at,
        last_accessed=max(record.last_accessed, born),
        access_count=record.access_count,
    )


def choose(candidates: Sequence[MemoryRecord], policy: ForgetPolicy, now: datetime) -> list[str]:
    """Ids of the candidates that the policy gives up, in their order."""
    given_up = {record.id for record in candidates if _exceeds(record, policy, now)}
    if policy.budget is not None:
        owners: dict[tuple[str, str], list[MemoryRecord]] = {}
        for record in candidates:
            if record.id not in given_up:
                owners.setdefault((record.namespace or "", record.user_id or ""), []).append(record)
        for records in owners.values():
            given_up.update(_over_budget(records, policy.budget, now))
    return [record.id for record in candidates if record.id in given_up]


def _exceeds(record: MemoryRecord, policy: ForgetPolicy, now: datetime) -> bool:
    too_old = policy.max_age_days is not None and _days(record.created_at, now) > policy.max_age_days
    idle = policy.max_inactive_days is not None and _days(record.last_accessed, now) > policy.max_inactive_days
    if policy.max_age_days is None or policy.max_inactive_days is None:
        return too_old or idle
    return (too_old and idle) or _days(record.created_at, now) > policy.max_age_days * policy.hard_age_multiplier


def _over_budget(records: Iterable[MemoryRecord], budget: int, now: datetime) -> list[str]:
    """Those that are neither recent nor often used enough.

    Use adds up to `_USE`, half of it after `_HALF_USES` accesses.
    """
    weights = SearchFields(recency_semantic_weight=0.0, recency_recency_weight=1.0)
    recency = Recency(weights, now)

    def rank(record: MemoryRecord) -> tuple[float, datetime, str]:
        use = _USE * (1.0 - math.exp2(-record.access_count / _HALF_USES))
        return recency.score(record, 0.0) + use, record.created_at, record.id

    ranked = sorted(records, key=rank, reverse=True)
    return [record.id for record in ranked[budget:]]


def _days(moment: datetime, now: datetime) -> float:
    return (now - moment).total_seconds() / _DAY_S
