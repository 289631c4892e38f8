"""Search of long-term memory: chooses the mode, pages, reranks by recency, calls hooks, records access."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from memhost.errors import InvalidRequest, Problem, ValidationFailed
from memhost.events import RequestContext, SearchRequest
from memhost.memories.enabled import require_long_term_memory
from memhost.memories.recency import Recency
from memhost.models import Condition, MemoryHit, Op, Scope, StoredMemory
from memhost.operations.limits import DEEPEST_OFFSET, MAX_QUERY_TERMS, fitting
from memhost.operations.requests import TEXT_SCORERS, SearchFields
from memhost.operations.responses import MemoryHits
from memhost.operations.table import Call
from memhost.plugins.request_hooks import RequestHooks
from memhost.ports import Clock, Store
from memhost.search.access_tracking import AccessTracker
from memhost.search.filters import compile_filters
from memhost.search.phases import Phases
from memhost.search.query_rewriting import QueryOptimizer
from memhost.search.retrieval import Found, Mode, Retriever, SearchPlan
from memhost.search.scoring import hit_of
from memhost.search.time_hints import here_of, time_hint
from memhost.settings.schema import MemorySettings
from memhost.text.temporal.asked import Here
from memhost.text.temporal.times import find_zone
from memhost.usage.ledger import charged_to, payer_within

NOTHING_FITS = "No memory shares a word or meaning with the query; the hits are only the nearest."

MAX_RAISED_LIMIT = 1000
"""Hits that a hook may ask for at most, so that `memhost_after_search` chooses among them."""

_OWNER_FIELDS = {"namespace": "namespaces", "user_id": "users", "session_id": "sessions"}


_UNREAD = "The query is long: memhost searched for its {most} rarest words and ignored {unread} others."
_UNQUOTED = "No memory holds the quoted phrase; the hits hold words of it."
_CUT = "The page ends after {count} memories because of the limit of {most} bytes; continue from offset {next}."


class Searched(NamedTuple):
    """The answer to a search, and the memories of its hits by their ids."""

    answer: MemoryHits
    memories: Mapping[str, StoredMemory]


class SearchService:
    """Answers searches: filters, retrieval, ranking, paging and limits of an answer."""

    def __init__(
        self,
        *,
        store: Store,
        retriever: Retriever,
        optimizer: QueryOptimizer,
        hooks: RequestHooks,
        access: AccessTracker,
        settings: MemorySettings,
        clock: Clock,
        zone: str = "UTC",
    ) -> None:
        self._store = store
        self._retriever = retriever
        self._optimizer = optimizer
        self._hooks = hooks
        self._access = access
        self._settings = settings
        self._clock = clock
        self._zone = zone

    async def search(
        self,
        call: Call,
        request: SearchFields,
        *,
        optimize_query: bool = False,
        extra: Sequence[Condition] = (),
        trace: bool = False,
    ) -> MemoryHits:
        """A page of hits, best first; a listing, newest first, if there is no text.

        Args:
            call: The call.
            request: What to search.
            optimize_query: A language model may rewrite the text first, for searches by meaning (`semantic`, or no
                mode); without one the text is used as it is.
            extra: Conditions beside the request's filters.
            trace: Add the milliseconds of each phase.

        Raises:
            LongTermMemoryDisabled: Long-term memory is off.
            InvalidRequest: A distance threshold with a mode that has no distances.
            ValidationFailed: A filter or the scorer is wrong.
        """
        found = await self.with_memories(call, request, optimize_query=optimize_query, extra=extra, trace=trace)
        return found.answer

    async def with_memories(
        self,
        call: Call,
        request: SearchFields,
        *,
        optimize_query: bool = False,
        extra: Sequence[Condition] = (),
        trace: bool = False,
    ) -> Searched:
        """As `search`, and the memories that were found, as the store gave them."""
        require_long_term_memory(self._settings)
        now, phases, mode = self._clock.now(), Phases(), _mode(request)
        moment = request.as_of or now
        with phases("filters"):
            zone = _zone(request) or self._zone
            conditions = (*compile_filters(request, zone), *extra, *_valid_at(moment, past=request.as_of is not None))
            scope, conditions = _into_scope(call.caller.bounds, conditions)
        context = RequestContext(scope=scope, subject=call.caller.subject, request_id=call.request_id, now=now)
        search = SearchRequest(scope=scope, text=(request.text or "").strip(), mode=_named(mode), limit=request.limit)
        with phases("hooks"):
            search = await self._hooks.before_search(search, context)
        search.limit = min(search.limit, max(MAX_RAISED_LIMIT, request.limit))
        recency = Recency(request, now) if _by_recency(request, mode) else None
        first = recency if request.server_side_recency else None
        asked = search
        if optimize_query and search.text and mode in ("semantic", "pipeline") and request.search_mode != "hybrid":
            with phases("query"):
                text = await self._optimizer.optimize(payer_within(scope), search.text, now, zone)
            asked = msgspec.structs.replace(search, text=text)
        here = here_of(now, zone, request.locale)
        found = await self._find(asked, mode, conditions, request, first, phases, here, moment)
        if not found.total and asked.text != search.text and request.distance_threshold is not None:
            found = await self._find(search, mode, conditions, request, first, phases, here, moment)
        hits, end = await self._page(call, request, search, found, None if first else recency, context, phases)
        if request.recency_boost is not False and hits:
            self._access.found(scope.tenant, [hit.id for hit in hits])
        _tell(call, found)
        answer = MemoryHits(
            memories=hits,
            total=found.total,
            next_offset=end if end < found.total else None,
            nothing_fits=UNSET if found.fits else True,
            trace=phases.milliseconds() if trace else UNSET,
            time_hint=time_hint(search.text, here, zone) or UNSET,
        )
        return Searched(answer, {memory.id: memory for memory in found.memories})

    async def _page(
        self,
        call: Call,
        request: SearchFields,
        search: SearchRequest,
        found: Found,
        recency: Recency | None,
        context: RequestContext,
        phases: Phases,
    ) -> tuple[list[MemoryHit], int]:
        """The hits to answer with, and the offset behind them.

        A hook that raised the limit is given so many hits to choose from; the caller gets as many as were asked for.
        """
        raised = search.limit > request.limit
        hits = list(found.hits) if raised else fitting(found.hits, self._settings.answer_bytes)
        cut = len(hits) < len(found.hits)
        end = request.offset + (len(hits) if cut else min(search.limit, request.limit))
        if recency is not None:
            hits = recency.reorder(hits)
        with phases("hooks"):
            hits = await self._hooks.after_search(hits, search, context)
        if raised:
            chosen = hits[: request.limit]
            hits = fitting(chosen, self._settings.answer_bytes)
            if cut := len(hits) < len(chosen):
                end = request.offset + len(hits)
        if cut:
            count = end - request.offset
            call.notices.append(("notice", _CUT.format(count=count, most=self._settings.answer_bytes, next=end)))
        return hits, end

    def used(self, scope: Scope, ids: Sequence[str]) -> None:
        """Count memories as found that were searched for without being counted (`recency_boost` false)."""
        if ids:
            self._access.found(scope.tenant, ids)

    async def _find(
        self,
        search: SearchRequest,
        mode: Mode,
        conditions: tuple[Condition, ...],
        request: SearchFields,
        recency: Recency | None,
        phases: Phases,
        here: Here,
        moment: datetime,
    ) -> Found:
        if search.text and request.offset > DEEPEST_OFFSET:
            raise InvalidRequest(
                f"offset may be at most {DEEPEST_OFFSET:,} in a search with a text: narrow the search with filters, "
                "or list memories by filters without a text."
            )
        if not search.text:
            with phases("candidates"):
                return await self._list(search.scope, conditions, request, search.limit, recency)
        plan = SearchPlan(
            mode=mode,
            text=search.text,
            conditions=conditions,
            limit=search.limit,
            offset=request.offset,
            alpha=None if request.hybrid_alpha is UNSET else request.hybrid_alpha,
            max_distance=request.distance_threshold,
            explain=request.explain,
            recency=recency,
            min_score=request.min_score,
            phases=phases,
            here=here,
            moment=moment,
        )
        with charged_to(payer_within(search.scope)):
            return await self._retriever.find(search.scope, plan)

    async def _list(
        self,
        scope: Scope,
        conditions: tuple[Condition, ...],
        request: SearchFields,
        limit: int,
        recency: Recency | None,
    ) -> Found:
        # A listing has no ranks of its own: "all candidates" of server-side recency is its page.
        memories, total = await self._store.list_memories(scope, conditions, limit=limit, offset=request.offset)
        hits = [hit_of(memory.record, version=memory.version) for memory in memories]
        return Found(recency.reorder(hits) if recency is not None else hits, total, memories=memories)


def _tell(call: Call, found: Found) -> None:
    """Tell the caller what the hits do not show."""
    if found.unread:
        call.notices.append(("notice", _UNREAD.format(most=MAX_QUERY_TERMS, unread=found.unread)))
    if found.unquoted:
        call.notices.append(("notice", _UNQUOTED))
    if found.unranked:
        call.notices.append(("notice", found.unranked))
    if not found.fits:
        call.notices.append(("relevance", NOTHING_FITS))


def _mode(request: SearchFields) -> Mode:
    problems = []
    if request.text_scorer is not UNSET and request.text_scorer not in TEXT_SCORERS:
        problems.append(
            Problem(
                where=("text_scorer",),
                kind="enum",
                message="Input should be " + ", ".join(f"'{name}'" for name in TEXT_SCORERS),
                value=request.text_scorer,
            )
        )
    if problems:
        raise ValidationFailed(problems)
    if isinstance(request.search_mode, UnsetType):
        return "semantic" if request.distance_threshold is not None else "pipeline"
    if request.distance_threshold is not None and request.search_mode != "semantic":
        raise InvalidRequest("distance_threshold is only supported for semantic search mode.")
    if request.search_mode == "hybrid":
        return "pipeline" if isinstance(request.text_scorer, UnsetType) else "weighted"
    return request.search_mode


def _named(mode: Mode) -> str:
    """The mode as plugins know it."""
    return "hybrid" if mode == "weighted" else mode


def _zone(request: SearchFields) -> str | None:
    """The zone that the request names.

    Raises:
        ValidationFailed: There is no such zone.
    """
    name = request.timezone
    if name is not None and find_zone(name) is None:
        message = "is no IANA time zone; one is Europe/Berlin"
        raise ValidationFailed([Problem(where=("timezone",), kind="value_error", message=message, value=name)])
    return name


def _by_recency(request: SearchFields, mode: Mode) -> bool:
    """Recency reranks unless it is switched off; the whole pipeline, which weighs dates itself, only if it is asked.

    Otherwise what was found once would, freshly accessed, push better answers down in the next search.
    """
    if request.recency_boost is None:
        return mode != "pipeline" or bool(request.server_side_recency)
    return request.recency_boost


def _valid_at(moment: datetime, *, past: bool) -> tuple[Condition, ...]:
    """Conditions for what holds at a moment; with `past` also for what was not known or said yet.

    A search of the present does not ask when something was said: clients' clocks may run ahead.
    """
    held = (Condition("held_from", Op.NOT_GT, (moment,)),) if past else ()
    return (
        Condition("valid_to", Op.NOT_LTE, (moment,)),
        Condition("valid_from", Op.NOT_GT, (moment,)),
        *held,
    )


def _into_scope(bounds: Scope, conditions: Sequence[Condition]) -> tuple[Scope, tuple[Condition, ...]]:
    """Moves equalities on owners into the scope, where stores apply them first."""
    left = []
    parts = {"namespaces": bounds.namespaces, "users": bounds.users, "sessions": bounds.sessions}
    for condition in conditions:
        part = _OWNER_FIELDS.get(condition.field)
        if part is None or condition.op is not Op.ANY:
            left.append(condition)
            continue
        values = tuple(str(value) for value in condition.values)
        allowed = parts[part]
        parts[part] = values if allowed is None else tuple(value for value in values if value in allowed)
    return Scope(tenant=bounds.tenant, **parts), tuple(left)
