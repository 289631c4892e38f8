"""Answers of operations, beside the domain structs."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from memhost.models import HeldMemories, MemoryHit, MemoryRecord, StrategyConfig, Trust
from memhost.operations.requests import ExtractionFlag, MessageContent, Sent
from memhost.ports.host import ComponentHealth as ComponentHealth
from memhost.ports.host import Readiness as Readiness

_Masked = Annotated[int | UnsetType, Meta(description="Secrets that were masked in the request, if there were any.")]

_Held = Annotated[
    HeldMemories | UnsetType,
    Meta(description="Memories of the request that need a review, and so were not stored, if there were any."),
]


class Ack(msgspec.Struct, frozen=True):
    """Done."""

    status: Annotated[str, Meta(description="`ok`.")] = "ok"
    secrets_masked: _Masked = UNSET


class StoredAck(Ack, frozen=True):
    """Done; with what needs a review."""

    held: _Held = UNSET


class DeletionAck(Ack, frozen=True, kw_only=True):
    """Done; on request with the ids that were there, and those of which nothing was left."""

    deleted_ids: Annotated[
        list[str] | UnsetType, Meta(description="Ids of the memories that were deleted, if `report` was set.")
    ] = UNSET
    missing_ids: Annotated[list[str] | UnsetType, Meta(description="Ids that no memory had, if `report` was set.")] = (
        UNSET
    )


class Health(msgspec.Struct, frozen=True):
    """The server is alive."""

    now: Annotated[int, Meta(description="The server's time: milliseconds since 1970.")]


class SessionDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Whose a session is, and its times."""

    session_id: Annotated[str, Meta(description="Id of the session.")]
    namespace: Annotated[str | None, Meta(description="Namespace of the session, if any.")]
    user_id: Annotated[str | None, Meta(description="User of the session, if any.")]
    created_at: Annotated[datetime, Meta(description="When the session was made.")]
    updated_at: Annotated[datetime, Meta(description="When it was last written.")]


class SessionList(msgspec.Struct, frozen=True):
    """A page of sessions."""

    sessions: Annotated[list[str], Meta(description="Ids of the sessions on this page, last updated first.")]
    total: Annotated[int, Meta(description="Number of all sessions that match.")]
    details: Annotated[
        list[SessionDetails] | UnsetType,
        Meta(description="Owners and times, in the order of `sessions`, if the request asked for them."),
    ] = UNSET


class ExtractionState(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the extraction from a session."""

    pending: Annotated[int, Meta(description="Messages that wait to be extracted.")]
    state: Annotated[
        str,
        Meta(
            description="`idle`: nothing waits; `pending`; `waiting`: for the model or a budget, it goes on by itself; "
            "`failed`: given up until the next message or a command; `refused`: the provider declined messages, or "
            "parts of long ones."
        ),
    ]
    last_run_at: Annotated[datetime | None, Meta(description="When extraction last succeeded.")] = None
    last_error: Annotated[str | None, Meta(description="Why it waits, failed or was refused.")] = None
    waiting_since: Annotated[datetime | UnsetType, Meta(description="Since when it is `waiting`.")] = UNSET


class MessageView(msgspec.Struct, kw_only=True):
    """A message as it was sent, and what the server knows of it."""

    role: Annotated[str, Meta(description="Who spoke.")]
    content: MessageContent
    id: Annotated[str, Meta(description="Id of the message in its session.")]
    created_at: Annotated[datetime, Meta(description="When it was said.")]
    persisted_at: Annotated[datetime | None, Meta(description="When the server copied it to long-term memory.")] = None
    discrete_memory_extracted: Annotated[
        ExtractionFlag, Meta(description='`"f"`: it waits to be extracted; `"t"`: it does not.')
    ] = "f"
    trust: Annotated[
        Trust | None,
        Meta(description="How far it is trusted, by who sent it in which role; null: an earlier version stored it."),
    ] = None
    name: Sent = UNSET
    tool_calls: Sent = UNSET
    tool_call_id: Sent = UNSET
    function_call: Sent = UNSET
    refusal: Sent = UNSET
    audio: Sent = UNSET
    annotations: Sent = UNSET

    @property
    def others(self) -> Any:
        """Return what was sent under other names, which the wire shows among these; UNSET if there is none."""
        names = zip(self.__struct_fields__, self.__struct_encode_fields__, strict=True)
        return {key: getattr(self, name) for name, key in names if name.startswith("other_")} or UNSET


class WorkingMemoryView(msgspec.Struct, kw_only=True):
    """A session as clients see it."""

    messages: Annotated[list[MessageView], Meta(description="The messages, in their order.")]
    memories: Annotated[list[MemoryRecord], Meta(description="Memories that the client keeps in the session.")]
    data: Annotated[dict[str, Any] | None, Meta(description="What the session keeps for the client.")]
    context: Annotated[str | None, Meta(description="Running summary of messages that are not here any more.")]
    user_id: Annotated[str | None, Meta(description="User of the session, if any.")]
    tokens: Annotated[int, Meta(description="Counter kept for the client; the server does not read it.")]
    session_id: Annotated[str, Meta(description="Id of the session.")]
    namespace: Annotated[str | None, Meta(description="Namespace of the session, if any.")]
    long_term_memory_strategy: Annotated[
        StrategyConfig, Meta(description="How memories are extracted from the messages.")
    ]
    ttl_seconds: Annotated[
        int | None, Meta(description="Seconds that the session lives after a write; null: it does not expire.")
    ]
    last_accessed: Annotated[
        datetime, Meta(description="When it was last read or written; the fraction is the session's version.")
    ]
    created_at: Annotated[datetime, Meta(description="When the session was made.")]
    updated_at: Annotated[datetime, Meta(description="When it was last written.")]
    context_percentage_total_used: Annotated[
        float | None,
        Meta(description="Share of the window that the messages fill, 0 to 100; null without model and window."),
    ]
    context_percentage_until_summarization: Annotated[
        float | None,
        Meta(
            description="Share of the summarising threshold that they reach, 0 to 100; null without model and window."
        ),
    ]
    extraction: Annotated[
        ExtractionState | UnsetType,
        Meta(description="State of the extraction, where a language model extracts from the session."),
    ] = UNSET
    summarization: Annotated[
        Literal["pending"] | UnsetType, Meta(description="`pending` while older messages wait to be summarised.")
    ] = UNSET
    context_trust: Annotated[
        Trust | UnsetType,
        Meta(
            description="How far the context is trusted: as who wrote it, or as the least trusted of the messages that "
            "it tells of."
        ),
    ] = UNSET
    older_messages: Annotated[
        int | UnsetType,
        Meta(
            description="How many older messages were left out, because the answer would have too many bytes: read "
            "them with `before`, the id of the oldest message here."
        ),
    ] = UNSET
    secrets_masked: _Masked = UNSET
    held: _Held = UNSET


class StoredRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The result for a memory to store."""

    id: Annotated[str, Meta(description="Id of the memory that is there now.")]
    status: Annotated[
        Literal["created", "duplicate", "pending", "refused"],
        Meta(
            description="`created`; `duplicate`: a memory that says the same was there, and stays; `pending`: it waits "
            "for a review, and is no part of searches and contexts until somebody approves it; or `refused`: a review "
            "refused the same text."
        ),
    ]
    memory: Annotated[
        MemoryRecord, Meta(description="The memory that is there now; of one that waits, `review` says why.")
    ]


class StoredRecords(msgspec.Struct, frozen=True, kw_only=True):
    """The results for memories to store."""

    status: Annotated[Literal["ok"], Meta(description="`ok`.")] = "ok"
    results: Annotated[list[StoredRecord], Meta(description="What became of each memory, in their order.")]
    secrets_masked: _Masked = UNSET


class TimeHint(msgspec.Struct, frozen=True, kw_only=True):
    """The time that the query asks about, as bounds for a filter; searches weigh it and filter nothing by it."""

    start: Annotated[datetime | None, Meta(description="From this time on; null if there is no such bound.")]
    end: Annotated[datetime | None, Meta(description="Until before this time; null if there is no such bound.")]
    reading: Annotated[str, Meta(description="The words of the query that were read so.")]


class MemoryHits(msgspec.Struct, frozen=True, kw_only=True):
    """A page of hits."""

    memories: Annotated[list[MemoryHit], Meta(description="The hits on this page, the best first.")]
    total: Annotated[int, Meta(description="Number of all matches.")]
    next_offset: Annotated[int | None, Meta(description="`offset` of the next page; null on the last.")]
    nothing_fits: Annotated[
        bool | UnsetType,
        Meta(
            description="True, where no memory shares a word, a date or meaning with the query: the hits are only the "
            "nearest."
        ),
    ] = UNSET
    trace: Annotated[
        dict[str, float] | UnsetType,
        Meta(
            description="Milliseconds of each phase, if the request asked for them: `filters`, `hooks`, `query`, "
            "`embed`, `candidates`, `rank`, `rerank`, and `total`."
        ),
    ] = UNSET
    time_hint: Annotated[
        TimeHint | UnsetType,
        Meta(description="The time that the query asks about, where it names one."),
    ] = UNSET


class ForgetResult(msgspec.Struct, frozen=True, kw_only=True):
    """Which memories a policy deleted, or would delete."""

    scanned: Annotated[int, Meta(description="Memories examined.")]
    deleted: Annotated[int, Meta(description="Memories deleted; in a dry run: that would be.")]
    deleted_ids: Annotated[list[str], Meta(description="Ids of those memories.")]
    dry_run: Annotated[bool, Meta(description="Whether nothing was deleted.")]


class Join(msgspec.Struct, frozen=True, kw_only=True):
    """Memories that become one."""

    stays: Annotated[str, Meta(description="Id of the memory that stays.")]
    goes: Annotated[list[str], Meta(description="Ids of the memories that go into it.")]
    texts: Annotated[
        list[str], Meta(description="The text of the one that stays, then those of the others, in order.")
    ] = []


class CompactionReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a compaction, or of a dry run, which asks no language model."""

    scanned: Annotated[int, Meta(description="Memories examined.")] = 0
    exact_removed: Annotated[int, Meta(description="Exact repetitions that were removed.")] = 0
    merged: Annotated[int, Meta(description="Memories that went into others that mean the same.")] = 0
    superseded: Annotated[int, Meta(description="Memories that a newer fact replaced.")] = 0
    expired: Annotated[int, Meta(description="Replaced facts that were kept long enough and removed.")] = 0
    llm_calls: Annotated[int, Meta(description="Calls to the language model.")] = 0
    undecided: Annotated[
        int,
        Meta(
            description="Near pairs that only a language model can decide, and that were left; without a model none "
            "are looked for."
        ),
    ] = 0
    unfinished: Annotated[bool, Meta(description="Whether the next pass goes on where this one stopped.")] = False
    remaining: Annotated[int, Meta(description="Memories in the scope afterwards.")] = 0
    turns: Annotated[
        int, Meta(description="Turns of conversations in the scope: they are evidence, and are not examined.")
    ] = 0
    judge: Annotated[bool, Meta(description="Whether a language model is configured that judges near pairs.")] = False
    duration_s: Annotated[float, Meta(description="How long it took, in seconds.")] = 0.0
    dry_run: Annotated[bool, Meta(description="Whether nothing was changed.")] = False
    joins: Annotated[
        list[Join], Meta(description="In a dry run: the memories that would become one, at most 1,000 joins.")
    ] = []


class CompactionAck(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a compaction, or the task that continues it."""

    status: Annotated[str, Meta(description="`ok`, with the number of memories left; or `running`.")]
    task_id: Annotated[str | UnsetType, Meta(description="The task, if the work goes on after the answer.")] = UNSET
    report: Annotated[
        CompactionReport | UnsetType, Meta(description="What was done, if the request asked for it, or in a dry run.")
    ] = UNSET


class RebuildReport(msgspec.Struct, frozen=True, kw_only=True):
    """The beginning of a rebuild: extraction then reads the turns in the background. Or of a dry run."""

    sessions: Annotated[int, Meta(description="Sessions with turns that wait now.")]
    turns: Annotated[int, Meta(description="Turns that wait to be read again.")]
    removed: Annotated[int, Meta(description="Memories of strategies that were moved to the trash.")]
    kept: Annotated[
        int,
        Meta(
            description="Other memories of these sessions that stay: of clients, edited, pinned, or made from turns "
            "that are not kept."
        ),
    ]
    dry_run: Annotated[bool, Meta(description="Nothing was changed.")] = False


class RebuildAck(msgspec.Struct, frozen=True, kw_only=True):
    """The report of a rebuild, or the task that continues it."""

    status: Annotated[Literal["ok", "running"], Meta(description="`ok`; or `running`: the task continues it.")]
    task_id: Annotated[str | UnsetType, Meta(description="The task, if the work goes on after the answer.")] = UNSET
    report: Annotated[RebuildReport | UnsetType, Meta(description="What was done.")] = UNSET


class TrashedMemory(msgspec.Struct, frozen=True, kw_only=True):
    """A memory that the server removed by itself."""

    id: Annotated[str, Meta(description="Id of the memory.")]
    text: Annotated[str, Meta(description="What it says.")]
    namespace: Annotated[str | None, Meta(description="Namespace that it belongs to, if any.")]
    user_id: Annotated[str | None, Meta(description="User who owns it, if any.")]
    session_id: Annotated[str | None, Meta(description="Session that it belongs to, if any.")]
    reason: Annotated[
        str,
        Meta(
            description="Why it was removed: `forgotten`, `repeated`, `merged`, `reworded`, `superseded`, "
            "`unsupported` or `rebuilt`; the description of the operation explains them."
        ),
    ]
    deleted_at: Annotated[datetime, Meta(description="When it was removed.")]
    expires_at: Annotated[datetime | None, Meta(description="When it will be gone for good; null: never.")]


class TrashPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the trash."""

    memories: Annotated[list[TrashedMemory], Meta(description="The removed memories, by id.")]
    next: Annotated[str | None, Meta(description="Value of `after` for the next page; null on the last page.")]


class RestoreResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result for the ids to restore."""

    restored: Annotated[list[str], Meta(description="Ids of memories that are back.")]
    taken: Annotated[list[str], Meta(description="Ids that a living memory has.")]
    missing: Annotated[list[str], Meta(description="Ids without a memory.")]


class SummaryView(msgspec.Struct, frozen=True, kw_only=True):
    """A standing question to long-term memory: which memories to summarise, and by what to group them."""

    id: Annotated[str, Meta(description="Id of the view.")]
    name: Annotated[str | None, Meta(description="Name of the view, for people.")] = None
    source: Annotated[Literal["long_term"], Meta(description="What is summarised: long-term memory.")] = "long_term"
    group_by: Annotated[
        list[str], Meta(description="Fields of memories: each group of equal values is summarised.")
    ] = []
    filters: Annotated[dict[str, Any], Meta(description="Only memories that pass these filters are summarised.")] = {}
    time_window_days: Annotated[
        int | None, Meta(description="Only memories made in the last so many days; null: all.")
    ] = None
    continuous: Annotated[bool, Meta(description="Whether the server computes the view again periodically.")] = False
    prompt: Annotated[str | None, Meta(description="Prompt for the language model; null: the server's.")] = None
    model_name: Annotated[str | None, Meta(description="Language model that summarises; null: the server's.")] = None


class SummaryViewPartitionResult(msgspec.Struct, frozen=True, kw_only=True):
    """The summary of one group of a view."""

    view_id: Annotated[str, Meta(description="Id of the view.")]
    group: Annotated[dict[str, str], Meta(description="Values of the view's `group_by` fields.")]
    summary: Annotated[str, Meta(description="The summary.")]
    memory_count: Annotated[int, Meta(description="Number of all memories that matched and may be told.")]
    trust: Annotated[
        Trust | None, Meta(description="How far it is trusted: as the least trusted of these memories; null: unknown.")
    ] = None
    left_out: Annotated[
        int,
        Meta(
            description="Memories that matched and are not told: what memory prompts hold back, or show as not "
            "verified. A filter of the view for `trust` lets the latter in."
        ),
    ] = 0
    empty: Annotated[bool, Meta(description="Whether no memory matched.")] = False
    empty_reason: Annotated[
        str | None, Meta(description="Why the summary is empty: `no_matching_memories`; null if it is not.")
    ] = None
    computed_at: Annotated[datetime, Meta(description="When the summary was computed.")]
    stale: Annotated[
        bool,
        Meta(description="Whether memories changed since, and the language model failed to summarise them again."),
    ] = False
    last_error: Annotated[str | None, Meta(description="Why it failed.")] = None


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A run in the background. Finished tasks are kept for seven days."""

    id: Annotated[str, Meta(description="Id of the task.")]
    type: Annotated[
        Literal["summary_view_full_run", "compaction", "rebuild"],
        Meta(description="What it does: compute a whole view, compact memories, or have turns read again."),
    ] = "summary_view_full_run"
    status: Annotated[Literal["pending", "running", "success", "failed"], Meta(description="How far the task is.")] = (
        "pending"
    )
    view_id: Annotated[str | None, Meta(description="Id of the view that it computes, if any.")] = None
    created_at: Annotated[datetime, Meta(description="When it was asked for.")]
    started_at: Annotated[datetime | None, Meta(description="When it began.")] = None
    completed_at: Annotated[datetime | None, Meta(description="When it ended.")] = None
    error_message: Annotated[str | None, Meta(description="Why it failed.")] = None
    result: Annotated[dict[str, Any] | None, Meta(description="What it did, once it has ended.")] = None


class TextContent(msgspec.Struct, frozen=True, kw_only=True):
    """Text of a prompt message."""

    type: Annotated[Literal["text"], Meta(description="`text`.")] = "text"
    text: Annotated[str, Meta(description="The text.")]
    annotations: Annotated[None, Meta(description="Always null; clients of MCP expect the field.")] = None
    meta: Annotated[None, Meta(description="Always null; clients of MCP expect the field.")] = msgspec.field(
        default=None, name="_meta"
    )


class PromptMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a prompt."""

    role: Annotated[Literal["system", "user", "assistant"], Meta(description="Who speaks.")]
    content: Annotated[TextContent, Meta(description="What the message says.")]


class HeldBack(msgspec.Struct, frozen=True, kw_only=True):
    """A memory that was found and left out: it reads like an order of somebody else, or nobody said what it says."""

    id: Annotated[str, Meta(description="Id of the memory.")]
    trust: Annotated[Trust, Meta(description="How far it is trusted.")]
    reason: Annotated[
        Literal["instruction", "unsupported", "unconfirmed"],
        Meta(
            description="Why: `instruction`, it reads like an order that the user did not give; `unsupported`, its "
            "names, numbers or dates (`metadata.unsupported`) occur in nothing that was said; `unconfirmed`, only the "
            "assistant said it."
        ),
    ] = "instruction"


class MemoryPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt with the session's messages and the memories found for the query."""

    messages: Annotated[list[PromptMessage], Meta(description="The prompt, ready for a language model.")]
    long_term_memories: Annotated[
        list[MemoryHit] | None, Meta(description="The memories in it; null if none were searched for.")
    ]
    held_back: Annotated[
        list[HeldBack] | UnsetType, Meta(description="Memories that were found and left out, if there are any.")
    ] = UNSET


class PluginRow(msgspec.Struct, frozen=True, kw_only=True):
    """One entry point of the group `memhost`, and what became of it."""

    name: Annotated[str, Meta(description="Name of the entry point.")]
    module: Annotated[str, Meta(description="Module that it names.")]
    distribution: Annotated[str, Meta(description="Package that declares it.")]
    version: Annotated[str, Meta(description="Version of that package.")]
    status: Annotated[
        Literal["ok", "failing", "failed", "disabled"],
        Meta(
            description="`ok`; `failing`: its last three calls or more failed, see `error`; `failed`: not in use, see "
            "`error`; `disabled` by the settings."
        ),
    ]
    hooks: Annotated[tuple[str, ...], Meta(description="Hooks that it implements.")] = ()
    provides: Annotated[tuple[str, ...], Meta(description="Names of the parts that it offers, as a store.")] = ()
    error: Annotated[str | None, Meta(description="Why it failed.")] = None
    notices: Annotated[tuple[str, ...], Meta(description="What its author should change, as hooks that go.")] = ()
    api: Annotated[
        tuple[int, int] | None, Meta(description="Lowest and highest plugin API version that it supports, if it says.")
    ] = None


class PluginSetting(msgspec.Struct, frozen=True, kw_only=True):
    """A setting of a plugin."""

    path: Annotated[str, Meta(description="Name of the setting, with dots.")]
    value: Annotated[Any, Meta(description="Its value; secrets are masked.")]
    source: Annotated[str, Meta(description="Where the value came from: `default`, a file or a variable.")]


class PluginHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Calls and failures of a plugin's event hooks in this process since it started.

    After too many failures in a row (`PLUGIN_SUSPEND_AFTER`) its hooks are left out and its jobs wait, until
    `suspended_until`.
    """

    calls: Annotated[int, Meta(description="Calls of hooks in requests.")] = 0
    failures: Annotated[int, Meta(description="Calls of hooks in requests that failed.")] = 0
    jobs: Annotated[int, Meta(description="Runs of background hooks.")] = 0
    failed_jobs: Annotated[int, Meta(description="Runs of background hooks that failed.")] = 0
    seconds: Annotated[float, Meta(description="Time spent in hooks, in seconds.")] = 0.0
    last_error: Annotated[str | None, Meta(description="What the last failure was.")] = None
    suspended_until: Annotated[
        datetime | None, Meta(description="Until when its hooks are not called; null if they are.")
    ] = None


class PluginReport(msgspec.Struct, frozen=True, kw_only=True):
    """All about one plugin."""

    plugin: Annotated[PluginRow, Meta(description="What was loaded.")]
    settings: Annotated[list[PluginSetting], Meta(description="Its settings.")]
    health: Annotated[PluginHealth, Meta(description="What its event hooks did in this process.")]
    dead_jobs: Annotated[int, Meta(description="Its jobs among the dead letters.")]


class PluginList(msgspec.Struct, frozen=True):
    """All entry points found."""

    plugins: Annotated[list[PluginRow], Meta(description="The plugins, by name.")]


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A background job as operators see it; its payload holds ids, not contents."""

    id: Annotated[str, Meta(description="Id of the job.")]
    event: Annotated[str, Meta(description="What it does: the event that it brings to the plugin.")]
    plugin: Annotated[str, Meta(description="Entry-point name of the plugin that handles it.")]
    distribution: Annotated[
        str | None, Meta(description="Name and version of the plugin's package; null if it is not installed here.")
    ]
    state: Annotated[
        str,
        Meta(description="`pending`; `running`; `waiting`: put off without a failure; or `dead`: given up."),
    ]
    attempts: Annotated[int, Meta(description="How often it was started.")]
    created_at: Annotated[datetime, Meta(description="When it was made.")]
    due_at: Annotated[datetime, Meta(description="It does not start before this time.")]
    last_error: Annotated[str | None, Meta(description="Why it last failed, or what it waits for.")]
    failures: Annotated[int, Meta(description="Attempts that failed.")] = 0
    deaths: Annotated[int, Meta(description="Attempts during which the process died.")] = 0
    waiting_since: Annotated[
        datetime | None, Meta(description="Since when it waits without having failed; null if it does not.")
    ] = None


class WorkerRow(msgspec.Struct, frozen=True, kw_only=True):
    """A living worker process."""

    name: Annotated[str, Meta(description="Its machine and process id.")]
    runner: Annotated[str, Meta(description="The job runner that it uses.")]
    started_at: Annotated[datetime, Meta(description="When it started.")]
    seen_at: Annotated[datetime, Meta(description="When it last reported.")]


class JobList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of jobs, and the worker processes that run jobs beside the servers."""

    jobs: Annotated[list[JobRow], Meta(description="The jobs on this page.")]
    total: Annotated[int, Meta(description="Number of all jobs that match.")]
    workers: Annotated[
        list[WorkerRow], Meta(description="The living worker processes; only for operators of the whole server.")
    ] = []
