"""Summary views: what they are, and the summaries of their groups (contract/rest.md section 8 and 11.10)."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from memhost.errors import Forbidden, InvalidRequest, NotFound
from memhost.models import Condition, Document, MemoryRecord, Op, Scope, WriteBatch, new_id
from memhost.operations.responses import SummaryView, SummaryViewPartitionResult
from memhost.operations.table import Call
from memhost.operations.views import CreateSummaryView, ListPartitions, RunPartition
from memhost.ports import Clock, Store
from memhost.services.bound_documents import Bound, BoundDocuments, document_scope, make_document
from memhost.services.guards import require_long_term_memory
from memhost.services.paging import scan
from memhost.services.records import derived_id
from memhost.services.summaries import Newest, Summarizer
from memhost.services.view_filters import GROUP_FIELDS, check_fields, compile_view_filters
from memhost.settings.schema import MemorySettings

EMPTY = "no_matching_memories"

_LONGEST_WINDOW_DAYS = 365_000
_PUTS_A_COMMIT = 200

BoundView = Bound[SummaryView]
Group = tuple[str, ...]


class ViewService:
    """The rules of summary views.

    A view sees what its maker could see; who may see less than that does not see the view, nor its results.
    """

    def __init__(self, store: Store, summarizer: Summarizer, settings: MemorySettings, clock: Clock) -> None:
        self._store = store
        self._summarizer = summarizer
        self._settings = settings
        self._clock = clock
        self._views = BoundDocuments(store, "view", SummaryView)

    # -- views -----------------------------------------------------------------------------------------

    async def create(self, call: Call, request: CreateSummaryView) -> SummaryView:
        """Store a view.

        Raises:
            InvalidRequest: The source is not there yet, or fields or filters are wrong.
            Forbidden: The caller's bounds hold nothing.
        """
        self._check_enabled()
        if request.source != "long_term":
            raise InvalidRequest("Only source 'long_term' can be summarised.")
        filters = {name: value for name, value in (request.filters or {}).items() if value is not None}
        check_fields(request.group_by or [], filters)
        compile_view_filters(filters)
        bounds = call.caller.bounds
        if () in (bounds.namespaces, bounds.users, bounds.sessions):
            raise Forbidden("This credential reaches no memories that a view could summarise.")
        view = SummaryView(
            id=new_id(),
            name=request.name,
            group_by=request.group_by or [],
            filters=filters,
            time_window_days=request.time_window_days,
            continuous=bool(request.continuous),
            prompt=request.prompt,
            model_name=request.model_name,
        )
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

    async def delete(self, call: Call, view_id: str) -> None:
        """Delete a view with its results; nothing happens if there is none that the caller may see."""
        self._check_enabled()
        bounds = call.caller.bounds
        found = await self._views.get(bounds, view_id, self._clock.now())
        if found is not None:
            partitions = await self._partitions(found)
            names = [(self._views.kind, view_id), *((document.kind, document.id) for document in partitions)]
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
        """
        found = await self.visible(call, request.view_id)
        view = found.content
        if set(request.group) != set(view.group_by):
            wanted = ", ".join(view.group_by) or "none"
            raise InvalidRequest(f"The keys of group must be the view's group_by fields: {wanted}.")
        now = self._clock.now()
        group = tuple(request.group[name] for name in view.group_by)
        newest = Newest(self._summarizer.limit)
        if all(group):  # records that lack a field belong to no group
            fields = [Condition(name, Op.ANY, (request.group[name],)) for name in view.group_by]
            async for memory in scan(self._store, found.bounds, [*_conditions(view, now), *fields]):
                newest.add(memory.record)
        result = await self._summarize(view, group, newest, now)
        batch = WriteBatch(put_documents=[self._document(found, result)])
        await self._store.commit(document_scope(found.bounds), batch)
        return result

    async def list_partitions(self, call: Call, request: ListPartitions) -> list[SummaryViewPartitionResult]:
        """The stored results whose group has the given values, by group.

        Raises:
            NotFound: There is no such view.
        """
        found = await self.visible(call, request.view_id)
        asked = {name: getattr(request, name) for name in GROUP_FIELDS}
        wanted = {name: value for name, value in asked.items() if value is not None}
        results = [
            msgspec.msgpack.decode(document.body, type=SummaryViewPartitionResult)
            for document in await self._partitions(found)
        ]
        matching = [result for result in results if wanted.items() <= result.group.items()]
        return sorted(matching, key=lambda result: list(result.group.values()))

    async def compute(self, found: BoundView) -> int:
        """Summarise all groups and remove results of groups that are gone; how many groups there are."""
        view, now = found.content, self._clock.now()
        groups: dict[Group, Newest] = {} if view.group_by else {(): Newest(self._summarizer.limit)}
        async for memory in scan(self._store, found.bounds, _conditions(view, now)):
            group = tuple(_value(memory.record, name) for name in view.group_by)
            if all(group):
                groups.setdefault(group, Newest(self._summarizer.limit)).add(memory.record)
        scope = document_scope(found.bounds)
        current: set[str] = set()
        waiting: list[Document] = []
        for group, newest in groups.items():
            document = self._document(found, await self._summarize(view, group, newest, now))
            current.add(document.id)
            waiting.append(document)
            if len(waiting) == _PUTS_A_COMMIT:
                await self._store.commit(scope, WriteBatch(put_documents=waiting))
                waiting = []
        gone = [
            (document.kind, document.id)
            for document in await self._partitions(found)
            if document.id not in current and document.updated_at <= now
        ]
        await self._store.commit(scope, WriteBatch(put_documents=waiting, delete_documents=gone))
        if await self.find(found.bounds.tenant, view.id) is None:  # deleted meanwhile: nothing may stay behind
            names = [(document.kind, document.id) for document in await self._partitions(found)]
            await self._store.commit(scope, WriteBatch(delete_documents=names))
        return len(groups)

    async def _summarize(
        self, view: SummaryView, group: Group, newest: Newest, now: datetime
    ) -> SummaryViewPartitionResult:
        names = dict(zip(view.group_by, group, strict=True))
        summary = await self._summarizer.summarize(view, names, newest.in_order(), newest.total) if newest.total else ""
        return SummaryViewPartitionResult(
            view_id=view.id,
            group=names,
            summary=summary,
            memory_count=newest.total,
            empty=newest.total == 0,
            empty_reason=None if newest.total else EMPTY,
            computed_at=now,
        )

    async def _partitions(self, found: BoundView) -> list[Document]:
        return await self._store.list_documents(
            document_scope(found.bounds), _kind_of(found.content.id), self._clock.now()
        )

    def _document(self, found: BoundView, result: SummaryViewPartitionResult) -> Document:
        """The document of a result: one per group, so that a repetition replaces it."""
        name = derived_id(*(part for pair in sorted(result.group.items()) for part in pair))
        body = msgspec.msgpack.encode(result)
        return make_document(_kind_of(result.view_id), name, found.bounds, body, result.computed_at)

    def _check_enabled(self) -> None:
        require_long_term_memory(self._settings)


def _kind_of(view_id: str) -> str:
    """Kind of the results of a view; each view has its own, so that listing one does not read all."""
    return f"partition:{view_id}"


def _conditions(view: SummaryView, now: datetime) -> list[Condition]:
    """What makes a memory part of the view: its filters, its window, and that it holds now."""
    conditions = [
        *compile_view_filters(view.filters),
        Condition("valid_to", Op.NOT_LTE, (now,)),
        Condition("valid_from", Op.NOT_GT, (now,)),
    ]
    if view.time_window_days is not None:
        window = timedelta(days=min(view.time_window_days, _LONGEST_WINDOW_DAYS))
        conditions.append(Condition("created_at", Op.GTE, (now - window,)))
    return conditions


def _value(record: MemoryRecord, name: str) -> str:
    """The plain value of a field to group by; the empty string if the record lacks it."""
    value = getattr(record, name)
    return str(getattr(value, "value", value) or "")
