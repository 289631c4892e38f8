"""Summary views: their definitions, and the summaries of their groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from memhost.errors import DocumentGone, Forbidden, InvalidRequest, LimitReached, NotFound, UnsafePrompt
from memhost.extraction.prompts import PromptPolicy, prompt_problems
from memhost.memories.enabled import require_long_term_memory
from memhost.models import Scope, WriteBatch, new_id
from memhost.operations.responses import SummaryView, SummaryViewPartitionResult
from memhost.operations.table import Call
from memhost.operations.views import GROUP_FIELDS, CreateSummaryView, ListPartitions, RunPartition, UpdateSummaryView
from memhost.ports import Clock, Store
from memhost.settings.schema import MemorySettings
from memhost.storage.bound_documents import Bound, BoundDocuments, document_scope
from memhost.views.filters import check_fields, compile_view_filters
from memhost.views.partitions import BoundView, ViewPartitions

EDITABLE = ("name", "group_by", "filters", "time_window_days", "continuous", "prompt", "model_name")
"""Fields that an edit can set."""

_CHOOSING = ("group_by", "filters", "time_window_days")
"""Fields that choose memories: results made with others no longer fit the view."""


class ViewService:
    """The rules of summary views.

    A view sees what its maker could see; who may see less than that does not see the view, nor its results.
    """

    def __init__(
        self,
        *,
        store: Store,
        partitions: ViewPartitions,
        prompts: PromptPolicy,
        settings: MemorySettings,
        clock: Clock,
    ) -> None:
        self._store = store
        self._partitions = partitions
        self._prompts = prompts
        self._settings = settings
        self._clock = clock
        self._views = BoundDocuments(store, "view", SummaryView)

    # -- views -----------------------------------------------------------------------------------------

    async def create(self, call: Call, request: CreateSummaryView) -> SummaryView:
        """Store a view.

        Raises:
            InvalidRequest: The source does not exist yet, or fields or filters are wrong.
            UnsafePrompt: The prompt may not be used.
            Forbidden: The caller's bounds hold nothing.
            LimitReached: The tenant, or the caller, has as many views as may be.
        """
        self._check_enabled()
        if request.source != "long_term":
            raise InvalidRequest("Only source 'long_term' can be summarised.")
        bounds = call.caller.bounds
        if () in (bounds.namespaces, bounds.users, bounds.sessions):
            raise Forbidden("This credential cannot read any memories, so it cannot create a summary view.")
        view = SummaryView(
            id=new_id(),
            name=request.name,
            group_by=request.group_by or [],
            filters=_given(request.filters),
            time_window_days=request.time_window_days,
            continuous=bool(request.continuous),
            prompt=request.prompt,
            model_name=request.model_name,
        )
        self._check(view)
        await self._check_room(bounds)
        document = self._views.make(view.id, Bound(bounds, view), self._clock.now())
        await self._store.commit(document_scope(bounds), WriteBatch(put_documents=[document]))
        return view

    async def list_all(self, call: Call) -> list[SummaryView]:
        """All views that the caller may see, by id."""
        self._check_enabled()
        return [item.content for item in await self._views.list_all(call.caller.bounds, self._clock.now())]

    async def get(self, call: Call, view_id: str) -> SummaryView:
        """The view of that id.

        Raises:
            NotFound: There is none that the caller may see.
        """
        return (await self.visible(call, view_id)).content

    async def update(self, call: Call, request: UpdateSummaryView) -> SummaryView:
        """Set the given fields of a view. Results of other groups, filters or windows than the new ones are removed.

        Raises:
            NotFound: There is no such view.
            InvalidRequest: No field is given, or fields or filters are wrong.
            UnsafePrompt: The prompt may not be used.
        """
        found = await self.visible(call, request.view_id)
        changes = {name: value for name in EDITABLE if (value := getattr(request, name)) is not UNSET}
        if not changes:
            raise InvalidRequest("Give at least one field to change: " + ", ".join(EDITABLE) + ".")
        if "group_by" in changes:
            changes["group_by"] = changes["group_by"] or []
        if "filters" in changes:
            changes["filters"] = _given(changes["filters"])
        if "continuous" in changes:
            changes["continuous"] = bool(changes["continuous"])
        view = msgspec.structs.replace(found.content, **changes)
        self._check(view)
        batch = WriteBatch(put_documents=[self._views.make(view.id, Bound(found.bounds, view), self._clock.now())])
        batch.require_documents = [(self._views.kind, view.id)]
        if any(getattr(view, name) != getattr(found.content, name) for name in _CHOOSING):
            batch.delete_documents = await self._partitions.names(found)
        try:
            await self._store.commit(document_scope(found.bounds), batch)
        except DocumentGone as error:
            raise NotFound(f"Summary view {view.id} not found.") from error
        return view

    async def delete(self, call: Call, view_id: str) -> None:
        """Delete a view with its results; nothing happens if there is none that the caller may see."""
        self._check_enabled()
        bounds = call.caller.bounds
        found = await self._views.get(bounds, view_id, self._clock.now())
        if found is not None:
            names = [(self._views.kind, view_id), *await self._partitions.names(found)]
            await self._store.commit(document_scope(bounds), WriteBatch(delete_documents=names))

    async def visible(self, call: Call, view_id: str) -> BoundView:
        """The view of that id, with its bounds.

        Raises:
            NotFound: There is none that the caller may see.
        """
        self._check_enabled()
        found = await self._views.get(call.caller.bounds, view_id, self._clock.now())
        if found is None:
            raise NotFound(f"Summary view {view_id} not found.")
        return found

    async def find(self, tenant: str, view_id: str) -> BoundView | None:
        """The view of that id, for background work."""
        return await self._views.get(Scope(tenant=tenant), view_id, self._clock.now())

    async def continuous(self, tenant: str) -> list[str]:
        """Ids of the tenant's views that are to be computed periodically."""
        found = await self._views.list_all(Scope(tenant=tenant), self._clock.now())
        return [item.content.id for item in found if item.content.continuous]

    # -- partitions ------------------------------------------------------------------------------------

    async def run_partition(self, call: Call, request: RunPartition) -> SummaryViewPartitionResult:
        """Summarise one group now, and store the result.

        Raises:
            NotFound: There is no such view.
            InvalidRequest: The keys of the group are not the fields of `group_by`.
            ModelUnavailable: The language model does not answer, and there is no earlier summary.
        """
        found = await self.visible(call, request.view_id)
        view = found.content
        if set(request.group) != set(view.group_by):
            wanted = ", ".join(view.group_by) or "none"
            raise InvalidRequest(f"The keys of group must be the view's group_by fields: {wanted}.")
        return await self._partitions.run(found, tuple(request.group[name] for name in view.group_by))

    async def list_partitions(self, call: Call, request: ListPartitions) -> list[SummaryViewPartitionResult]:
        """The stored results whose group has the given values, by group.

        Raises:
            NotFound: There is no such view.
        """
        found = await self.visible(call, request.view_id)
        asked = {name: getattr(request, name) for name in GROUP_FIELDS}
        wanted = {name: value for name, value in asked.items() if value is not None}
        return [result for result in await self._partitions.list_all(found) if wanted.items() <= result.group.items()]

    async def compute(self, found: BoundView) -> int:
        """Bring all results of a view up to date; see `ViewPartitions.compute`."""
        return await self._partitions.compute(found)

    async def _check_room(self, bounds: Scope) -> None:
        most = self._settings.max_summary_views
        everything = Scope(tenant=bounds.tenant)
        limits = [(everything, most)] if bounds == everything else [(everything, most), (bounds, max(1, most // 10))]
        for scope, limit in limits:
            if most > 0 and limit <= len(await self._views.list_all(scope, self._clock.now())):
                whose = "tenant" if scope == everything else "caller"
                raise LimitReached(f"This {whose} already has the maximum of {limit} summary views; delete some.")

    def _check(self, view: SummaryView) -> None:
        check_fields(view.group_by, view.filters)
        compile_view_filters(view.filters)
        if view.prompt and (problems := prompt_problems(view.prompt, ("prompt",), self._prompts)):
            raise UnsafePrompt(problems)

    def _check_enabled(self) -> None:
        require_long_term_memory(self._settings)


def _given(filters: Mapping[str, Any] | None) -> dict[str, Any]:
    """The filters without those that restrict nothing."""
    return {name: value for name, value in (filters or {}).items() if value is not None}
