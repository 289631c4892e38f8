"""Quotas of what is stored: memories, sessions and bytes of users, namespaces and tenants."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from memhost.errors import QuotaExceeded
from memhost.logs import log
from memhost.models import MemoryRecord, Scope
from memhost.ports import Clock, Measures, Store
from memhost.settings.quotas import DEFAULTS, QuotaSettings

logger = logging.getLogger(__name__)

Level = Literal["user", "namespace", "tenant"]
What = Literal["memories", "sessions", "bytes"]

LEVELS: tuple[Level, ...] = ("user", "namespace", "tenant")
KINDS: tuple[What, ...] = ("memories", "sessions", "bytes")

_MEASURED_S = 60.0
"""Age of a measurement after which it is repeated in the background, because other processes write as well."""
_AGAIN_S = 1.0
"""Age of a measurement after which it is repeated before a refusal, because something may have been deleted."""
_SHOWN_S = 10.0
"""Age of what a caller is shown."""
_SHARE, _AT_LIMIT = 50, 10
"""So many times as long as it took do measurements in the background rest, whoever they are of; and so long rests that
of an owner at a quota."""
_MOST_KNOWN = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """So many memories, sessions and bytes."""

    memories: int = 0
    sessions: int = 0
    bytes: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            memories=self.memories + other.memories,
            sessions=self.sessions + other.sessions,
            bytes=self.bytes + other.bytes,
        )

    def of(self, what: What) -> int:
        """One of the numbers."""
        return int(getattr(self, what))


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """The use of one quota."""

    level: Level
    tenant: str
    name: str
    what: What
    used: int
    limit: int


@dataclass(slots=True)
class _Known:
    """The last measurement with what was added since; `doubtful` where something was counted and then not stored."""

    amount: Amount
    at: float
    took_s: float
    again: asyncio.Task[None] | None = None
    doubtful: bool = False


class Quotas:
    """Refuses what would exceed a quota.

    What is used is measured when an owner first writes, and counted on from there: deletions and replacements show at
    the next measurement, which comes before anybody is refused.

    Args:
        store: The store; bytes count where it can measure them (`memhost.ports.Measures`).
        settings: The quotas.
        private: Whether only the people of this machine can write, who have no quotas by default.
        clock: Time.
    """

    def __init__(self, *, store: Store, settings: QuotaSettings, private: bool, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        given = msgspec.structs.asdict(settings)
        self._limits: dict[tuple[Level, What], int] = {}
        for level in LEVELS:
            for what in KINDS:
                name = f"quota_{level}_{what}"
                limit = (0 if private else DEFAULTS[name]) if given[name] is None else given[name]
                if limit and (what != "bytes" or isinstance(store, Measures)):
                    self._limits[level, what] = limit
        unmeasured = [name for name, limit in given.items() if limit and name.endswith("_bytes")]
        if unmeasured and not isinstance(store, Measures):
            detail = "this store does not tell how much it keeps; set a limit in the store itself"
            log(logger, logging.WARNING, "quotas.without_effect", settings=unmeasured, detail=detail)
        self._rest_until = 0.0
        self._known: OrderedDict[tuple[Level, Scope], _Known] = OrderedDict()

    @property
    def active(self) -> bool:
        """Tell whether there is any quota."""
        return bool(self._limits)

    async def admit(self, tenant: str, added: Mapping[tuple[str, str], Amount]) -> None:
        """Count what is about to be stored, by namespace and user.

        Raises:
            QuotaExceeded: It would exceed a quota; nothing is counted.
        """
        if not self._limits or not added:
            return
        totals: dict[tuple[Level, Scope], Amount] = {}
        for (namespace, user), amount in added.items():
            for key in self._owners(tenant, namespace, user):
                totals[key] = totals.get(key, Amount()) + amount
        for (level, scope), amount in totals.items():
            await self._check(level, scope, amount)
        for key, amount in totals.items():
            if (known := self._known.get(key)) is not None:
                known.amount += amount

    def not_stored(self, tenant: str, owners: Iterable[tuple[str, str]]) -> None:
        """Tell that what was admitted for these owners was not stored: they are measured before a refusal."""
        for namespace, user in set(owners):
            for key in self._owners(tenant, namespace, user):
                if (known := self._known.get(key)) is not None:
                    known.doubtful = True

    async def used(self, bounds: Scope) -> list[QuotaUse]:
        """The use of the quotas of a caller: of the tenant, or of the one namespace and user it is bound to."""
        namespace = bounds.namespaces[0] if bounds.namespaces is not None and len(bounds.namespaces) == 1 else ""
        user = bounds.users[0] if bounds.users is not None and len(bounds.users) == 1 else ""
        found: list[QuotaUse] = []
        for level, scope in self._owners(bounds.tenant, namespace, user):
            if (level == "tenant" and not bounds.whole) or (level == "namespace" and bounds.users is not None):
                continue
            known = await self._measured(level, scope, _SHOWN_S)
            found += self._uses(level, scope, known.amount)
        return found

    def known(self) -> list[QuotaUse]:
        """The use of the quotas of tenants, as last measured or counted."""
        return [
            use
            for (level, scope), known in self._known.items()
            if level == "tenant"
            for use in self._uses(level, scope, known.amount)
        ]

    # -- parts -----------------------------------------------------------------------------------------

    def _uses(self, level: Level, scope: Scope, amount: Amount) -> Iterator[QuotaUse]:
        for what in KINDS:
            if limit := self._limits.get((level, what)):
                yield QuotaUse(level, scope.tenant, _name(level, scope), what, amount.of(what), limit)

    def _owners(self, tenant: str, namespace: str, user: str) -> Iterator[tuple[Level, Scope]]:
        limited = {level for level, _ in self._limits}
        if user and "user" in limited:
            yield "user", Scope(tenant=tenant, users=(user,))
        if namespace and "namespace" in limited:
            yield "namespace", Scope(tenant=tenant, namespaces=(namespace,))
        if "tenant" in limited:
            yield "tenant", Scope(tenant=tenant)

    async def _check(self, level: Level, scope: Scope, added: Amount) -> None:
        amount = (await self._measured(level, scope, _MEASURED_S)).amount
        if self._first_over(level, amount, added) is not None:
            amount = (await self._measured(level, scope, _AGAIN_S)).amount
        over = self._first_over(level, amount, added)
        if over is None:
            return
        limit = self._limits[level, over]
        whose = "tenant" if level == "tenant" else f"{level} {_name(level, scope)}"
        raise QuotaExceeded(
            f"The {whose} would have {amount.of(over) + added.of(over):,} {over}; the quota is {limit:,} "
            f"(QUOTA_{level.upper()}_{over.upper()}). Delete some, or ask the operator for more."
        )

    def _first_over(self, level: Level, amount: Amount, added: Amount) -> What | None:
        for what in KINDS:
            limit = self._limits.get((level, what), 0)
            if limit and added.of(what) > 0 and amount.of(what) + added.of(what) > limit:
                return what
        return None

    async def _measured(self, level: Level, scope: Scope, age_s: float) -> _Known:
        """A measurement with what was added since: one that is no older, or one that is renewed in the background."""
        key, now = (level, scope), self._now()
        known = self._known.get(key)
        least_s = 0.0 if known is not None and known.doubtful else age_s
        if known is None or (age_s < _MEASURED_S and now - known.at >= max(least_s, _AT_LIMIT * known.took_s)):
            return await self._measure(key)
        self._known.move_to_end(key)
        if now - known.at >= age_s and now >= self._rest_until and known.again is None:
            self._rest_until = now + _MEASURED_S  # until this one has ended
            known.again = asyncio.create_task(self._renew(key))
        return known

    async def _renew(self, key: tuple[Level, Scope]) -> None:
        try:
            await self._measure(key)
        finally:
            took_s = 0.0
            if (known := self._known.get(key)) is not None:
                known.again, took_s = None, known.took_s
            self._rest_until = self._now() + _SHARE * took_s

    async def _measure(self, key: tuple[Level, Scope]) -> _Known:
        level, scope = key
        begun = self._now()
        before = self._known[key].amount if key in self._known else None
        _, memories = await self._store.list_memories(scope, limit=1)
        _, sessions = await self._store.list_sessions(scope, self._clock.now(), limit=1)
        measures = isinstance(self._store, Measures) and (level, "bytes") in self._limits
        size = await self._store.stored_bytes(scope) if measures else 0  # type: ignore[attr-defined]
        amount = Amount(memories=memories, sessions=sessions, bytes=size)
        if before is not None and (later := self._known.get(key)) is not None:
            amount += _difference(later.amount, before)  # what was counted meanwhile may not be in the measurement
        known = _Known(amount, self._now(), self._now() - begun)
        self._known[key] = known
        self._known.move_to_end(key)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return known

    def _now(self) -> float:
        return self._clock.now().timestamp()

    async def aclose(self) -> None:
        """Stop measuring."""
        for known in self._known.values():
            if known.again is not None:
                known.again.cancel()


def _difference(after: Amount, before: Amount) -> Amount:
    return replace(
        after,
        memories=after.memories - before.memories,
        sessions=after.sessions - before.sessions,
        bytes=after.bytes - before.bytes,
    )


def _name(level: Level, scope: Scope) -> str:
    names = scope.users if level == "user" else scope.namespaces if level == "namespace" else None
    return names[0] if names else ""


def amounts_of(records: Iterable[MemoryRecord]) -> dict[tuple[str, str], Amount]:
    """The amounts that records add, by namespace and user."""
    found: dict[tuple[str, str], Amount] = {}
    for record in records:
        owner = (record.namespace or "", record.user_id or "")
        found[owner] = found.get(owner, Amount()) + Amount(memories=1, bytes=size_of(record))
    return found


def size_of(value: Any) -> int:
    """About so many bytes does a value take in the store."""
    return len(msgspec.msgpack.encode(value))
