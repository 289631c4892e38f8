"""Maintenance as background hooks reach it: the services, bound to the tenant of a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memhost.models import Scope
from memhost.services.compaction import CompactionService
from memhost.services.forgetting import ForgettingService, policy_of
from memhost.services.view_runs import ViewRuns


class TenantUpkeep:
    """The `memhost.events.Upkeep` of one tenant."""

    def __init__(
        self, tenant: str, forgetting: ForgettingService, compaction: CompactionService, runs: ViewRuns
    ) -> None:
        self._tenant = tenant
        self._forgetting = forgetting
        self._compaction = compaction
        self._runs = runs

    async def forget(self, policy: Mapping[str, Any]) -> int:
        """Delete what the policy gives up; how many memories went."""
        return (await self._forgetting.apply(Scope(tenant=self._tenant), policy_of(policy))).deleted

    async def compact(self) -> int:
        """Merge memories that repeat each other word by word; how many memories went."""
        return await self._compaction.apply(Scope(tenant=self._tenant))

    async def refresh_view(self, view_id: str, *, task_id: str | None = None) -> None:
        """Compute all partitions of a summary view."""
        await self._runs.refresh(self._tenant, view_id, task_id)

    async def request_refreshes(self) -> int:
        """Make each continuous view due; how many there are."""
        return await self._runs.request_refreshes(self._tenant)
