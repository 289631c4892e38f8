"""Maintenance as background hooks reach it: the services, bound to the tenant of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memhost.consolidation.compaction import CompactionService
from memhost.consolidation.forgetting import ForgettingService, policy_of
from memhost.errors import Forbidden
from memhost.extraction.pipeline.runs import ExtractionRuns
from memhost.memories.enrichment import Enrichment
from memhost.memories.missing_vectors import MissingVectors
from memhost.models import Scope, SessionKey
from memhost.operations.responses import CompactionReport
from memhost.sessions.summaries import SessionSummaries
from memhost.views.runs import ViewRuns


@dataclass(frozen=True, kw_only=True)
class UpkeepServices:
    """What does the work."""

    forgetting: ForgettingService
    compaction: CompactionService
    views: ViewRuns
    extraction: ExtractionRuns
    summaries: SessionSummaries
    vectors: MissingVectors
    enrichment: Enrichment


class TenantUpkeep:
    """The `memhost.events.Upkeep` of one tenant."""

    def __init__(self, tenant: str, services: UpkeepServices) -> None:
        self._tenant = tenant
        self._services = services

    async def forget(self, policy: Mapping[str, Any]) -> int:
        """Delete what the policy gives up; how many memories went."""
        return (await self._services.forgetting.apply(Scope(tenant=self._tenant), policy_of(policy))).deleted

    async def compact(self) -> CompactionReport:
        """Merge memories that repeat each other or mean the same; what was done."""
        return await self._services.compaction.apply(Scope(tenant=self._tenant))

    async def extract(self, session: SessionKey) -> int:
        """Extract memories from the turns of a session that wait for it; how many were stored."""
        self._check(session)
        return await self._services.extraction.run(session)

    async def summarize_session(self, session: SessionKey, window: int, *, last_try: bool = False) -> bool:
        """Fold a session's older messages into its context; whether there was anything to do."""
        self._check(session)
        return await self._services.summaries.summarize(session, window)

    async def embed(self, ids: Sequence[str]) -> int:
        """Embed those of the memories that have no vector; how many there were."""
        return await self._services.vectors.embed(self._tenant, ids)

    async def request_vectors(self) -> int:
        """Have all memories embedded that have no vector; how many there are."""
        return await self._services.vectors.request(self._tenant)

    async def enrich(self, ids: Sequence[str]) -> int:
        """Find topics and entities for those of the memories that lack them; how many were asked about."""
        return await self._services.enrichment.enrich(self._tenant, ids)

    async def refresh_view(self, view_id: str, *, task_id: str | None = None) -> None:
        """Compute all partitions of a summary view."""
        await self._services.views.refresh(self._tenant, view_id, task_id)

    async def request_refreshes(self) -> int:
        """Make each continuous view due; how many there are."""
        return await self._services.views.request_refreshes(self._tenant)

    def _check(self, session: SessionKey) -> None:
        if session.tenant != self._tenant:
            raise Forbidden("A job reaches the sessions of its own tenant only.")
