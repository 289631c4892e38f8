"""The state of the host at the time of a scrape: its store, and what lies in the queue."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, get_args

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from memhost.errors import MemhostError
from memhost.models import JobState, Scope
from memhost.operations.maintenance import ReviewReason

if TYPE_CHECKING:
    from memhost.ports import Host

_LIMIT_S = 2.0
_KEPT_S = 2.0
_MOST_QUOTAS = 100
"""Gauges of quotas, of those that are used most."""


class HostState(Collector):
    """Gauges read from the host; gauges that cannot be read are left out, never reported as zero.

    Several scrapes within two seconds read the store once.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()
        self._up = False
        self._ping_s: float | None = None
        self._counts: dict[str, int] = {}
        self._jobs: dict[str, int] = {}
        self._oldest_s: float | None = None
        self._waiting_s: float | None = None
        self._reviews: dict[str, int] | None = None
        self._oldest_review_s = 0.0
        self._away_s: dict[str, float] = {}
        self._quotas: list[tuple[str, str, float]] = []

    async def refresh(self) -> None:
        """Read the store, unless that was done just now."""
        async with self._lock:
            if monotonic() - self._read_at < _KEPT_S:
                return
            readiness = await self._host.readiness()
            store = next(part for part in readiness.components if part.name == "store")
            self._up, self._ping_s = store.ok, store.latency_ms / 1000
            self._counts, self._jobs, self._oldest_s, self._waiting_s = {}, {}, None, None
            self._reviews = None
            self._away_s = {kind: self._seconds_since(since) for kind, since in self._host.models_away().items()}
            ratios = [(tenant, what, used / quota) for tenant, what, used, quota in self._host.quotas_used()]
            self._quotas = sorted(ratios, key=lambda each: -each[2])[:_MOST_QUOTAS]
            if store.ok:
                with contextlib.suppress(MemhostError, TimeoutError):
                    async with asyncio.timeout(_LIMIT_S):
                        await self._count()
            self._read_at = monotonic()

    async def _count(self) -> None:
        store = self._host.store
        counts = (await store.info()).counts
        self._counts = {name: counts[name] for name in ("memories", "sessions")}
        for state in JobState:
            _, self._jobs[state.value] = await store.list_jobs(Scope(), state, limit=1)
        due = await store.next_due()
        self._oldest_s = self._seconds_since(due)
        self._waiting_s = self._seconds_since(await self._host.waiting_since())
        reviews, since = await self._host.reviews_waiting()
        self._reviews, self._oldest_review_s = dict(reviews), self._seconds_since(since)

    def _seconds_since(self, moment: datetime | None) -> float:
        return 0.0 if moment is None else max(0.0, (self._host.clock.now() - moment).total_seconds())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges as last read."""
        yield GaugeMetricFamily("memhost_store_up", "1 if the store answers, else 0.", value=float(self._up))
        if self._ping_s is not None:
            yield GaugeMetricFamily("memhost_store_ping_seconds", "Time the store took to answer.", value=self._ping_s)
        for name, count in self._counts.items():
            yield GaugeMetricFamily(f"memhost_{name}", f"Number of {name} in the store.", value=count)
        if self._jobs:
            jobs = GaugeMetricFamily(
                "memhost_jobs", "Background jobs by state; dead jobs need an operator.", labels=("state",)
            )
            for state, count in self._jobs.items():
                jobs.add_metric((state,), count)
            yield jobs
        if self._oldest_s is not None:
            yield GaugeMetricFamily(
                "memhost_oldest_due_job_age_seconds",
                "How long the oldest due job has been waiting; 0 if none is due.",
                value=self._oldest_s,
            )
        if self._waiting_s is not None:
            yield GaugeMetricFamily(
                "memhost_oldest_waiting_job_age_seconds",
                "How long the oldest job has been waiting for a model or another process; 0 if none is.",
                value=self._waiting_s,
            )
        yield from self._told_of_reviews()
        if self._quotas:
            text = "Part of a tenant's quota that is used, as last measured; 1 is all of it."
            used = GaugeMetricFamily("memhost_quota_used_ratio", text, labels=("tenant", "what"))
            for tenant, what, ratio in self._quotas:
                used.add_metric((tenant, what), ratio)
            yield used
        if self._away_s:
            text = "How long a model of that kind has not answered this process; 0 if it answers."
            away = GaugeMetricFamily("memhost_model_away_seconds", text, labels=("kind",))
            for kind, seconds in self._away_s.items():
                away.add_metric((kind,), seconds)
            yield away

    def _told_of_reviews(self) -> Iterator[GaugeMetricFamily]:
        if self._reviews is None:
            return
        text = "Memories that wait for a review, by the first reason for which each does."
        reviews = GaugeMetricFamily("memhost_reviews_waiting", text, labels=("reason",))
        for reason in get_args(ReviewReason):
            reviews.add_metric((reason,), self._reviews.get(reason, 0))
        yield reviews
        yield GaugeMetricFamily(
            "memhost_oldest_review_age_seconds",
            "How long the oldest of them has been waiting; 0 if none is.",
            value=self._oldest_review_s,
        )
