"""Results of summary views: one stored summary per group, recomputed if its memories have changed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from memhost.errors import AnswerUnusable, BudgetExceeded, MemhostError, ModelRefused, ModelUnavailable
from memhost.memories.records import derived_id
from memhost.memories.trust import TRUST, is_held_back, level_of
from memhost.models import Condition, Document, MemoryRecord, Op, Scope, SessionKey, Trust, WriteBatch
from memhost.models.trust import rank
from memhost.operations.responses import SummaryView, SummaryViewPartitionResult
from memhost.ports import Clock, Store
from memhost.storage.bound_documents import Bound, document_scope, make_document
from memhost.storage.paging import scan
from memhost.usage.ledger import payer_within
from memhost.views.filters import compile_view_filters
from memhost.views.summarizer import Gathered, GroupState, Summarizer

EMPTY = "no_matching_memories"

_MAX_WINDOW_DAYS = 365_000
_MOST_WITH_EMPTY = 1_000
"""Results of a view up to which those of groups without memories are stored."""
_PUTS_A_COMMIT = 200
_AT_ONCE = 4
"""Groups that are summarised at the same time; their cost is committed together."""

BoundView = Bound[SummaryView]
Group = tuple[str, ...]


class StoredPartition(SummaryViewPartitionResult, frozen=True, kw_only=True):
    """A result, with what tells whether it is still right, and the parts it was made of (see `summaries.Summary`)."""

    fingerprint: bytes = b""
    parts: dict[str, str] = {}


class ViewPartitions:
    """Computes and keeps the results of views.

    A summary tells of nothing that contexts and prompts leave out or show as not verified; a view with a filter for
    `trust` takes what it names.

    Args:
        store: Where memories and results are.
        summarizer: Makes the texts.
        clock: Tells the time.
        least: Level of trust from which on a memory is read as what is known.
    """

    def __init__(self, store: Store, summarizer: Summarizer, clock: Clock, *, least: Trust) -> None:
        self._least = rank(least)
        self._store = store
        self._summarizer = summarizer
        self._clock = clock

    async def list_all(self, found: BoundView) -> list[SummaryViewPartitionResult]:
        """All stored results of a view, by group."""
        results = [
            msgspec.msgpack.decode(document.body, type=SummaryViewPartitionResult)
            for document in await self._documents(found)
        ]
        return sorted(results, key=lambda result: list(result.group.values()))

    async def names(self, found: BoundView) -> list[tuple[str, str]]:
        """Kinds and ids of the documents of all results."""
        return [(document.kind, document.id) for document in await self._documents(found)]

    async def run(self, found: BoundView, group: Group) -> SummaryViewPartitionResult:
        """Summarise one group now, and store the result. If the model fails an earlier summary stays, marked.

        Raises:
            ModelUnavailable: The model does not answer, and there is no earlier summary.
            BudgetExceeded: The same for a budget that is used up.
            AnswerUnusable: The same for a model that gives no summary.
        """
        now = self._clock.now()
        name = _name(found.content, group)
        scope = document_scope(found.bounds)
        document = await self._store.get_document(scope, kind_of(found.content.id), name, now)
        result, error = await self._renewed(found, group, _decoded(document), now)
        if error is not None and not isinstance(error, ModelRefused) and not result.summary:
            raise error
        if result.memory_count or document is not None or await self._may_keep_empty(found, now):
            await self._store.commit(scope, WriteBatch(put_documents=[_document(found, name, result, now)]))
        return msgspec.convert(result, SummaryViewPartitionResult, from_attributes=True)

    async def compute(self, found: BoundView) -> int:
        """Summarise all changed groups, remove results of groups that are gone; return the number of groups.

        Each summary is stored at once, so that a repetition continues where this run ended.

        Raises:
            ModelUnavailable: The model is away for some groups, which are marked; a repetition tries only these again.
            BudgetExceeded: The same for a budget that is used up.
            AnswerUnusable: The same where the model answers for all of them, but with no summary.
        """
        now = self._clock.now()
        scope = document_scope(found.bounds)
        before = {document.id: document for document in await self._documents(found)}
        groups = await self._groups(found, now)
        waiting: list[Document] = []
        changed: list[tuple[str, Group]] = []
        for group, state in groups.items():
            name = _name(found.content, group)
            old = _decoded(before.get(name))
            if old is not None and old.fingerprint == self._fingerprint(found.content, state):
                waiting.append(_document(found, name, _current(old, state.left_out, now), now))
            else:
                changed.append((name, group))
        for start in range(0, len(waiting), _PUTS_A_COMMIT):
            await self._store.commit(scope, WriteBatch(put_documents=waiting[start : start + _PUTS_A_COMMIT]))
        errors = await self._renew(found, changed, before, groups, now)
        kept = {_name(found.content, group) for group in groups}
        await self._remove_others(found, kept, now)
        if errors:
            raise _of_all(errors, len(groups))
        return len(groups)

    # -- parts -----------------------------------------------------------------------------------------

    async def _may_keep_empty(self, found: BoundView, now: datetime) -> bool:
        """Tell whether a result of a group without memories is stored: a caller may name any number of those."""
        kind, scope = kind_of(found.content.id), document_scope(found.bounds)
        return len(await self._store.list_documents(scope, kind, now, limit=_MOST_WITH_EMPTY)) < _MOST_WITH_EMPTY

    async def _groups(self, found: BoundView, now: datetime) -> dict[Group, GroupState]:
        """All groups that have memories, with their state; a view without fields has one group in any case."""
        view = found.content
        groups: dict[Group, GroupState] = {} if view.group_by else {(): GroupState()}
        left_out: Counter[Group] = Counter()
        async for memory in scan(self._store, found.bounds, _conditions(view, now)):
            group = tuple(value_of(memory.record, name) for name in view.group_by)
            if not all(group):
                continue
            if self._may_tell(view, memory.record):
                groups.setdefault(group, GroupState()).add(memory.record)
            else:
                left_out[group] += 1
        for group, state in groups.items():
            state.left_out = left_out[group]
        return groups

    async def _renew(
        self,
        found: BoundView,
        changed: Sequence[tuple[str, Group]],
        before: Mapping[str, Document],
        groups: Mapping[Group, GroupState],
        now: datetime,
    ) -> list[MemhostError]:
        """Recompute the summaries of these groups; return the failures that may succeed when repeated."""
        errors: list[MemhostError] = []
        away: MemhostError | None = None
        for start in range(0, len(changed), _AT_ONCE):
            part = [(name, group, _decoded(before.get(name))) for name, group in changed[start : start + _AT_ONCE]]
            renewed: Sequence[tuple[StoredPartition, MemhostError | None]]
            if away is not None:  # the others need not be tried as well
                renewed = [(_marked(found, group, old, groups[group].total, away, now), away) for _, group, old in part]
            else:
                renewed = await asyncio.gather(*(self._renewed(found, group, old, now) for _, group, old in part))
            failures = [error for _, error in renewed if error is not None and not isinstance(error, ModelRefused)]
            away = next((error for error in failures if not isinstance(error, AnswerUnusable)), None)
            errors += failures
            documents = [
                _document(found, name, result, now) for (name, _, _), (result, _) in zip(part, renewed, strict=True)
            ]
            await self._store.commit(document_scope(found.bounds), WriteBatch(put_documents=documents))
        return errors

    async def _renewed(
        self, found: BoundView, group: Group, old: StoredPartition | None, now: datetime
    ) -> tuple[StoredPartition, MemhostError | None]:
        """The result for a group as it is now, and why it could not be made, if so."""
        view = found.content
        gathered = Gathered(self._summarizer.limit)
        async for record in self._members(found, group, now):
            if self._may_tell(view, record):
                gathered.add(record, self._summarizer.line(view, record))
            else:
                gathered.state.left_out += 1
        fingerprint, total = self._fingerprint(view, gathered.state), gathered.state.total
        if old is not None and old.fingerprint == fingerprint:
            return _current(old, gathered.state.left_out, now), None
        fresh = msgspec.structs.replace(
            _unsaid(found, group, total, now), trust=gathered.state.trust, left_out=gathered.state.left_out
        )
        if not total:
            return msgspec.structs.replace(fresh, fingerprint=fingerprint), None
        known = old.parts if old is not None else {}
        try:
            made = await self._summarizer.summarize(
                _payer(found, fresh.group), view, fresh.group, gathered.lines(), total, known
            )
        except (ModelUnavailable, BudgetExceeded, AnswerUnusable) as error:
            return _marked(found, group, old, total, error, now), error
        except ModelRefused as error:  # asking again changes nothing, until the memories change
            marked = _marked(found, group, old, total, error, now)
            return msgspec.structs.replace(marked, fingerprint=fingerprint), error
        return msgspec.structs.replace(fresh, summary=made.text, parts=made.parts, fingerprint=fingerprint), None

    def _may_tell(self, view: SummaryView, record: MemoryRecord) -> bool:
        return not is_held_back(record) and (rank(level_of(record)) >= self._least or TRUST in view.filters)

    async def _members(self, found: BoundView, group: Group, now: datetime) -> AsyncIterator[MemoryRecord]:
        if not all(group):  # records that lack a field belong to no group
            return
        view = found.content
        fields = [Condition(name, Op.ANY, (value,)) for name, value in zip(view.group_by, group, strict=True)]
        async for memory in scan(self._store, found.bounds, [*_conditions(view, now), *fields]):
            yield memory.record

    def _fingerprint(self, view: SummaryView, state: GroupState) -> bytes:
        return state.fingerprint(self._summarizer.identity(view))

    async def _remove_others(self, found: BoundView, kept: set[str], now: datetime) -> None:
        """Remove results of groups that are gone, and all if the view was deleted in the meantime."""
        scope = document_scope(found.bounds)
        view_there = await self._store.get_document(Scope(tenant=scope.tenant), "view", found.content.id, now)
        gone = [
            (document.kind, document.id)
            for document in await self._documents(found)
            if view_there is None or (document.id not in kept and document.updated_at <= now)
        ]
        await self._store.commit(scope, WriteBatch(delete_documents=gone))

    async def _documents(self, found: BoundView) -> list[Document]:
        return await self._store.list_documents(
            document_scope(found.bounds), kind_of(found.content.id), self._clock.now()
        )


def _unsaid(found: BoundView, group: Group, total: int, now: datetime) -> StoredPartition:
    """Return the result of a group without a summary."""
    return StoredPartition(
        view_id=found.content.id,
        group=dict(zip(found.content.group_by, group, strict=True)),
        summary="",
        memory_count=total,
        empty=total == 0,
        empty_reason=None if total else EMPTY,
        computed_at=now,
    )


def _marked(
    found: BoundView, group: Group, old: StoredPartition | None, total: int, error: MemhostError, now: datetime
) -> StoredPartition:
    """The earlier result, if there is one, with the reason why there is no newer one."""
    return msgspec.structs.replace(
        old or _unsaid(found, group, total, now),
        memory_count=total,
        empty=False,
        empty_reason=None,
        stale=True,
        last_error=error.message,
    )


def _current(old: StoredPartition, left_out: int, now: datetime) -> StoredPartition:
    """A result that is still right now; one that could not be computed again keeps mark and time of its text."""
    told = msgspec.structs.replace(old, left_out=left_out)
    waits = old.stale and old.last_error is not None
    return told if waits else msgspec.structs.replace(told, stale=False, computed_at=now)


def _decoded(document: Document | None) -> StoredPartition | None:
    return msgspec.msgpack.decode(document.body, type=StoredPartition) if document is not None else None


def _name(view: SummaryView, group: Group) -> str:
    """One document per group, so that a repetition replaces it."""
    pairs = sorted(zip(view.group_by, group, strict=True))
    return derived_id(*(part for pair in pairs for part in pair))


def _document(found: BoundView, name: str, result: StoredPartition, now: datetime) -> Document:
    return make_document(kind_of(result.view_id), name, found.bounds, msgspec.msgpack.encode(result), now)


def kind_of(view_id: str) -> str:
    """Kind of the results of a view; each view has its own, so that listing one does not read all."""
    return f"partition:{view_id}"


def _payer(found: BoundView, group: dict[str, str]) -> SessionKey:
    within = payer_within(found.bounds)
    return msgspec.structs.replace(
        within, namespace=group.get("namespace") or within.namespace, user=group.get("user_id") or within.user
    )


def _conditions(view: SummaryView, now: datetime) -> Sequence[Condition]:
    """Return the conditions of the view: its filters, its window, and that the memory is valid now."""
    conditions = [
        *compile_view_filters(view.filters),
        Condition("valid_to", Op.NOT_LTE, (now,)),
        Condition("valid_from", Op.NOT_GT, (now,)),
    ]
    if view.time_window_days is not None:
        window = timedelta(days=min(view.time_window_days, _MAX_WINDOW_DAYS))
        conditions.append(Condition("created_at", Op.GTE, (now - window,)))
    return conditions


def value_of(record: MemoryRecord, name: str) -> str:
    """The plain value of a field to group by; the empty string if the record lacks it."""
    value = getattr(record, name)
    return str(getattr(value, "value", value) or "")


def _of_all(errors: Sequence[MemhostError], groups: int) -> MemhostError:
    """One error for those of some groups: what is away decides whether to wait, before what failed."""
    first = next((error for error in errors if not isinstance(error, AnswerUnusable)), errors[0])
    told = f"{len(errors)} of {groups} groups could not be summarised: {first.message}"
    if isinstance(first, BudgetExceeded):
        return BudgetExceeded(told, resets_at=first.resets_at)
    return type(first)(told)
