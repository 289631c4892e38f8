"""The tools that agents use most, with flat arguments and small results."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from memhost.errors import AmbiguousSession, InvalidRequest, NotFound, SeveralFound
from memhost.extraction import find_zone
from memhost.models import (
    SENT_FIELDS,
    EvidenceTurn,
    HeldMemories,
    MemoryHit,
    MemoryType,
    NewerFact,
    OlderFact,
    Repeat,
    Trust,
)
from memhost.models.limits import Metadata
from memhost.operations.ams_compat import version_in
from memhost.operations.requests import DateFilter, MemoryTypeFilter, MessageInput, SessionRecordInput, TagFilter
from memhost.operations.responses import (
    MemoryHits,
    MessageView,
    StoredRecord,
    StoredRecords,
    TimeHint,
    WorkingMemoryView,
)
from memhost.operations.working_memory import ChangeSession, GetSession
from memhost_mcp.tool_context import ToolContext
from memhost_mcp.tools.tool import TEXT_ROOM, Tool, ToolRow, longest_text, result_from

_NOTHING_FITS = "Nothing fits: no memory shares a word or meaning with the query; these are only the nearest."


class Now(msgspec.Struct):
    """The zone to tell the time in as well."""

    timezone: Annotated[str, Meta(description="IANA name, as in Europe/Paris.")] | None = None


class Moment(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A moment, in whole seconds."""

    iso_utc: str
    unix_ts: int
    iso_local: str | None = None
    timezone: str | None = None


async def _now(context: ToolContext, request: Now) -> Moment:
    now = context.host.clock.now().astimezone(UTC).replace(microsecond=0)
    moment = Moment(iso_utc=now.strftime("%Y-%m-%dT%H:%M:%SZ"), unix_ts=int(now.timestamp()))
    if request.timezone:
        zone = find_zone(request.timezone)
        if zone is None:
            raise InvalidRequest(f"timezone: {request.timezone[:64]} is not an IANA time zone such as Europe/Paris.")
        moment.iso_local, moment.timezone = now.astimezone(zone).isoformat(), request.timezone
    return moment


class StoreMemory(SessionRecordInput, kw_only=True):
    """One memory."""

    text: Annotated[
        str, Meta(max_length=8000, description="One statement that is clear without its conversation: names, dates.")
    ]
    memory_type: MemoryType = MemoryType.SEMANTIC
    event_date: Annotated[datetime, Meta(description="When it happened (episodic).")] | None = None
    pinned: Annotated[bool, Meta(description="Never forgotten or merged.")] = False
    metadata: Metadata = {}


async def _store_memory(context: ToolContext, request: StoreMemory) -> StoredRecord:
    owner = context.owner(request.namespace or None, request.user_id or None)
    request.id, request.session_id = request.id or UNSET, request.session_id or None
    request.user_id, request.namespace = owner.user, owner.namespace
    stored: StoredRecords = await context.ask("store_memories", {"memories": [request]})
    return stored.results[0]


class SearchMemory(msgspec.Struct, kw_only=True):
    """A search with flat arguments."""

    query: Annotated[str, Meta(description="Search text in plain words; if empty, the newest memories are listed.")]
    search_mode: Literal["semantic", "keyword", "hybrid"] | UnsetType = UNSET
    topics: list[str] | None = None
    entities: list[str] | None = None
    memory_type: Literal["semantic", "episodic", "message"] | None = None
    user_id: str | None = None
    namespace: str | None = None
    session_id: str | None = None
    max_results: Annotated[int, Meta(ge=1, le=50)] = 10
    offset: Annotated[int, Meta(ge=0)] = 0
    min_relevance: Annotated[float, Meta(ge=0, le=1, description="With search_mode semantic.")] | None = None
    max_text: Annotated[
        Annotated[int, Meta(ge=20)] | None,
        Meta(description="Longer texts are cut to their best passage; read them by id."),
    ] = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    event_after: datetime | None = None
    event_before: datetime | None = None
    timezone: Annotated[
        str | None, Meta(description="IANA zone of the user, in which dates and `yesterday` are meant.")
    ] = None
    optimize_query: bool = False


class FoundMemory(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A memory, as far as a model needs it."""

    id: str
    text: str
    memory_type: str = ""
    trust: Annotated[Trust, Meta(description="Where it comes from; import, tool and external are not verified.")]
    review: Annotated[str | None, Meta(description="What became of its review, if it had one.")] = None
    topics: list[str] = []
    entities: list[str] = []
    created_at: datetime | None = None
    event_date: datetime | None = None
    relevance_score: float | None = None
    cut_from: Annotated[int, Meta(description="Characters of the whole text, if it was cut.")] | None = None
    repeats: Annotated[list[Repeat], Meta(description="Times at which the same was said again, newest first.")] = []
    said_at: Annotated[datetime, Meta(description="When a statement was said.")] | None = None
    evidence: Annotated[
        list[EvidenceTurn] | UnsetType, Meta(description="Turns that say what the statement states, oldest first.")
    ] = UNSET
    superseded: Annotated[NewerFact | UnsetType, Meta(description="What holds now instead of what the turn says.")] = (
        UNSET
    )
    replaces: Annotated[list[OlderFact] | UnsetType, Meta(description="What held before, and until when.")] = UNSET


class MemoriesFound(msgspec.Struct, kw_only=True):
    """A page of a search; `nothing_fits` and `time_hint` as in `MemoryHits`."""

    memories: list[FoundMemory]
    total_found: int
    offset: int
    next_offset: int | UnsetType | None
    has_more: bool
    query: str
    summary: str
    nothing_fits: bool | UnsetType = UNSET
    time_hint: TimeHint | UnsetType = UNSET


def _with_alias(arguments: dict[str, Any]) -> dict[str, Any]:
    if "limit" in arguments and "max_results" not in arguments:
        arguments["max_results"] = arguments.pop("limit")
    return arguments


async def _search_memory(context: ToolContext, request: SearchMemory) -> MemoriesFound:
    owner = context.owner(request.namespace, request.user_id)
    threshold = None if request.min_relevance is None else 1 - request.min_relevance
    fields: dict[str, Any] = {
        "text": request.query,
        "search_mode": request.search_mode,
        "topics": TagFilter(any=request.topics) if request.topics else None,
        "entities": TagFilter(any=request.entities) if request.entities else None,
        "memory_type": MemoryTypeFilter(eq=MemoryType(request.memory_type)) if request.memory_type else None,
        "session_id": TagFilter(eq=request.session_id) if request.session_id else None,
        "created_at": _between(request.created_after, request.created_before),
        "event_date": _between(request.event_after, request.event_before),
        "timezone": request.timezone,
        "distance_threshold": threshold,
        "limit": request.max_results,
        "max_text": longest_text(request.max_text, request.max_results),
        "offset": request.offset,
        "optimize_query": request.optimize_query,
    }
    hits: MemoryHits = await context.ask("search_memories", fields, within=owner)
    found: MemoriesFound = result_from(
        MemoriesFound,
        hits,
        memories=[_shown(hit) for hit in hits.memories],
        total_found=hits.total,
        offset=request.offset,
        next_offset=UNSET if hits.next_offset is None else hits.next_offset,
        has_more=hits.next_offset is not None,
        query=request.query,
        summary=_summed_up(hits),
    )
    return found


def _summed_up(hits: MemoryHits) -> str:
    if not hits.memories:
        return "No memory matches."
    more = "" if hits.next_offset is None else f", more from offset {hits.next_offset}"
    listed = f"{len(hits.memories)} of {hits.total} memories{more}."
    return f"{_NOTHING_FITS} {listed}" if hits.nothing_fits is True else listed


def _between(after: datetime | None, before: datetime | None) -> DateFilter | None:
    return DateFilter(gte=after, lte=before) if after is not None or before is not None else None


def _shown(hit: MemoryHit) -> FoundMemory:
    found: FoundMemory = result_from(
        FoundMemory,
        hit,
        memory_type=hit.memory_type.value,
        trust=hit.trust or "agent",
        review=None if hit.review is None else hit.review.state,
        relevance_score=None if hit.score is None else round(hit.score, 4),
        cut_from=hit.cut_from or None,
        repeats=hit.repeats or [],
    )
    return found


class SessionToRead(GetSession, kw_only=True):
    """Which session to read."""

    recent_messages_limit: Annotated[int, Meta(ge=1)] | None = None


class SessionParts(SessionToRead, kw_only=True):
    """Which session to read, and how much of it."""

    before: Annotated[str, Meta(description="Return only messages before the one with this id.")] | None = None
    include_memories: bool = True
    include_data: bool = True


class ShownSession(msgspec.Struct, kw_only=True):
    """A session, as far as a model needs it."""

    session_id: str
    found: bool
    user_id: str | UnsetType | None = UNSET
    namespace: str | UnsetType | None = UNSET
    context: str | UnsetType = UNSET
    context_trust: Trust | UnsetType = UNSET
    messages: list[dict[str, Any]] = []
    memories: list[FoundMemory] = []
    data: dict[str, Any] | UnsetType = UNSET
    message_count: int = 0
    older_messages: int | UnsetType = UNSET
    memory_count: int = 0
    data_keys: list[str] = []
    updated_at: datetime | UnsetType = UNSET
    expires_at: datetime | UnsetType = UNSET
    strategy: str | UnsetType = UNSET


async def read_session(
    context: ToolContext, wanted: GetSession, most_bytes: int | None = None
) -> WorkingMemoryView | None:
    """Return the session of that identity, with its newest messages in so many bytes; None if there is none.

    Raises:
        AmbiguousSession: There are several.
    """
    owner = context.owner(wanted.namespace, wanted.user_id)
    fields = {name: getattr(wanted, name) for name in GetSession.__struct_fields__}
    most = most_bytes or context.host.settings.memory.answer_bytes or None
    fields |= {"namespace": owner.namespace, "user_id": owner.user, "most_bytes": most}
    try:
        found: WorkingMemoryView = await context.ask("get_session", fields)
    except SeveralFound as error:
        raise AmbiguousSession(error.message) from error
    except NotFound:
        return None
    return found


async def _get_session(context: ToolContext, request: SessionParts) -> ShownSession:
    view = await read_session(context, request, None if request.recent_messages_limit else TEXT_ROOM)
    if view is None:
        return ShownSession(session_id=request.session_id, found=False)
    data = view.data or {}
    lasts = view.ttl_seconds
    return ShownSession(
        session_id=view.session_id,
        found=True,
        user_id=view.user_id or UNSET,
        namespace=view.namespace or UNSET,
        context=view.context or UNSET,
        context_trust=view.context_trust,
        messages=[_said(item) for item in view.messages],
        memories=[
            FoundMemory(
                id=item.id,
                text=item.text,
                memory_type=item.memory_type.value,
                trust=item.trust or "agent",
                event_date=item.event_date,
            )
            for item in (view.memories if request.include_memories else ())
        ],
        data=data if request.include_data else UNSET,
        message_count=len(view.messages),
        older_messages=view.older_messages,
        memory_count=len(view.memories),
        data_keys=sorted(data),
        updated_at=view.updated_at,
        expires_at=UNSET if lasts is None else datetime.fromtimestamp(view.updated_at.timestamp() + lasts, UTC),
        strategy=view.long_term_memory_strategy.strategy,
    )


def _said(message: MessageView) -> dict[str, Any]:
    """A message as it was sent, with its id and time."""
    shown = {name: getattr(message, name) for name in ("id", "role", "trust", "content", "created_at")}
    return shown | {name: value for name in SENT_FIELDS if (value := getattr(message, name)) is not UNSET}


class MessagesToAppend(ChangeSession, kw_only=True):
    """New messages of a session."""

    messages: Annotated[list[MessageInput], Meta(min_length=1)]


class Appended(msgspec.Struct, kw_only=True):
    """Number of messages of the session, and which of them wait for a review."""

    session_id: str
    appended: int
    message_count: int
    version: int
    held: Annotated[
        HeldMemories | UnsetType,
        Meta(description="Messages that no search finds until they are approved."),
    ] = UNSET


def _appended(request: MessagesToAppend, view: WorkingMemoryView) -> Appended:
    return Appended(
        session_id=view.session_id,
        appended=len(request.messages),
        message_count=len(view.messages),
        version=version_in(view.last_accessed),
        held=view.held,
    )


ROWS = (
    ToolRow(
        operation="search_memories",
        name="search_memory",
        description=(
            "Search what is remembered about a person, project or past conversation. Use it before answering questions "
            "on preferences, history or earlier decisions. No hit, or nothing_fits, means that nothing is known, not "
            "that it is false."
        ),
        arguments=SearchMemory,
        run=_search_memory,
        result=MemoriesFound,
        rewrite=_with_alias,
    ),
    ToolRow(
        operation="store_memories",
        name="store_memory",
        description=(
            "Remember one fact, preference, decision or event. Write it so that it can be understood on its own: "
            "no pronouns, absolute dates. Repeating a memory word by word stores it once."
        ),
        arguments=StoreMemory,
        only=(
            "text",
            "memory_type",
            "topics",
            "entities",
            "event_date",
            "session_id",
            "user_id",
            "namespace",
            "pinned",
            "metadata",
            "id",
        ),
        run=_store_memory,
        result=StoredRecord,
    ),
    ToolRow(
        operation="get_session",
        description=(
            "Read a conversation: its newest messages (older ones with before), summary and data. An unknown session "
            "gives found=false."
        ),
        arguments=SessionParts,
        hidden=("model_name", "context_window_max", "most_bytes"),
        run=_get_session,
        result=ShownSession,
    ),
    ToolRow(
        operation="change_session",
        name="append_messages",
        description="Add messages to a conversation, without sending its history again. They become searchable.",
        arguments=MessagesToAppend,
        only=("session_id", "messages", "user_id", "namespace", "model_name"),
        answer=_appended,
        result=Appended,
    ),
)

CLOCK = Tool(
    name="get_current_datetime",
    description="The time now. Use it to turn words like yesterday into dates before storing them.",
    arguments=Now,
    result=Moment,
    run=_now,
    access="open",
)
"""The only tool without an operation: whoever calls REST has a clock."""
