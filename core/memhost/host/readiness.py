"""State of the server's resources, in a sentence each, for `ready`, `doctor` and the metrics."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import datetime
from time import perf_counter

import msgspec

from memhost.errors import MemhostError, Unavailable
from memhost.operations.responses import ComponentHealth
from memhost.ports import PutsOff, Store
from memhost.usage.model_health import Kind, ModelHealth

_LIMIT_S = 1.0


class WaitingWork(msgspec.Struct, frozen=True, kw_only=True):
    """Background jobs of all tenants that wait, because a needed part is away or another process holds a lease.

    Attributes:
        jobs: How many; 0 also where the store does not tell.
        since: Since when the oldest of them has waited.
        kind: Name of the error that it waits for to pass (`ModelUnavailable`); empty if none waits.
        reason: The whole of it, which is for operators.
    """

    jobs: int = 0
    since: datetime | None = None
    kind: str = ""
    reason: str = ""

    def told(self, now: datetime) -> str:
        """Return a sentence about the waiting jobs: their number, how long they have waited, and for what."""
        if self.since is None:
            return f"{self.jobs} jobs wait" if self.jobs else "nothing waits"
        jobs = "1 job waits" if self.jobs == 1 else f"{self.jobs} jobs wait"
        return f"{jobs}, the oldest {since(self.since, now)}: {self.kind}"


async def waiting_work(store: Store) -> WaitingWork:
    """Return the work that waits now.

    Raises:
        StoreUnavailable: The store does not answer.
    """
    if not isinstance(store, PutsOff):
        return WaitingWork()
    jobs, oldest = await store.waiting_jobs()
    if oldest is None:
        return WaitingWork(jobs=jobs)
    reason = oldest.last_error or ""
    return WaitingWork(jobs=jobs, since=oldest.waiting_since, kind=reason.partition(":")[0], reason=reason)


def since(moment: datetime, now: datetime) -> str:
    """Since when, and for how long that is."""
    return f"since {moment:%Y-%m-%d %H:%M} UTC ({span((now - moment).total_seconds())})"


def span(seconds: float) -> str:
    """A time in its two largest units: "3 h 4 min"."""
    whole = max(0, int(seconds))
    units = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
    for (size, name), (smaller, beside) in itertools.pairwise(units):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name}" + (f" {rest} {beside}" if rest else "")
    return f"{whole} s"


def model_told(kind: Kind, health: ModelHealth, now: datetime) -> str:
    """That the models of a kind answer, as far as this process has asked them.

    Raises:
        Unavailable: One is away; the sentence says since when and why.
    """
    found = health.worst(kind)
    if found is None:
        return "not called by this process yet"
    model, state = found
    if state.away_since is None:
        return f"{model} answers"
    raise Unavailable(f"{model} is away {since(state.away_since, now)}: {state.reason}")


async def model_component(kind: Kind, health: ModelHealth, now: datetime) -> ComponentHealth:
    """Return the state of the models of a kind."""

    async def check() -> str:
        return model_told(kind, health, now)

    return await component(kind, check)


async def component(name: str, check: Callable[[], Awaitable[str]]) -> ComponentHealth:
    """Return the state of a part of the server, by a check that raises a `MemhostError` if there is a problem."""
    started = perf_counter()
    try:
        async with asyncio.timeout(_LIMIT_S):
            detail = await check()
        ok = True
    except TimeoutError:
        ok, detail = False, f"does not answer within {_LIMIT_S:g} s"
    except MemhostError as error:
        ok, detail = False, error.message
    return ComponentHealth(name=name, ok=ok, detail=detail, latency_ms=round((perf_counter() - started) * 1000, 3))
