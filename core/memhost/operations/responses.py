"""What operations answer with, beside the domain structs."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from memhost.models import MemoryHit, MemoryRecord, StrategyConfig
from memhost.operations.requests import ExtractionFlag, MessageContent, Sent
from memhost.ports.host import ComponentHealth as ComponentHealth
from memhost.ports.host import Readiness as Readiness


class Ack(msgspec.Struct, frozen=True):
    """Done."""

    status: str = "ok"


class DeletionAck(Ack, frozen=True, kw_only=True):
    """Done; on request with the ids that were there, and those of which nothing was left."""

    deleted_ids: list[str] | UnsetType = UNSET
    missing_ids: list[str] | UnsetType = UNSET


class Health(msgspec.Struct, frozen=True):
    """The server's time in milliseconds since 1970."""

    now: int


class SessionDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Whose a session is, and its times."""

    session_id: str
    namespace: str | None
    user_id: str | None
    created_at: datetime
    updated_at: datetime


class SessionList(msgspec.Struct, frozen=True):
    """Session ids of a page, how many sessions there are, and on request details, in the order of the ids."""

    sessions: list[str]
    total: int
    details: list[SessionDetails] | UnsetType = UNSET


class ExtractionState(msgspec.Struct, frozen=True, kw_only=True):
    """What the extraction of a session stands at.

    `state`: `idle` (nothing waits), `pending`, `waiting` (for the model, or for a budget; it goes on by itself),
    `failed` (given up until the next message or a command), `refused` (the provider declined messages, or parts of
    long ones). `last_error` says why; `waiting_since` is there only while it waits.
    """

    pending: int
    state: str
    last_run_at: datetime | None = None
    last_error: str | None = None
    waiting_since: datetime | UnsetType = UNSET


class MessageView(msgspec.Struct, kw_only=True):
    """A message as it was sent, and what the server knows of it."""

    role: str
    content: MessageContent
    id: str
    created_at: datetime
    persisted_at: datetime | None = None
    discrete_memory_extracted: ExtractionFlag = "f"
    name: Sent = UNSET
    tool_calls: Sent = UNSET
    tool_call_id: Sent = UNSET
    function_call: Sent = UNSET
    refusal: Sent = UNSET
    audio: Sent = UNSET
    annotations: Sent = UNSET

    @property
    def others(self) -> Any:
        """What was sent under other names, which the wire shows among these; UNSET if there is none."""
        names = zip(self.__struct_fields__, self.__struct_encode_fields__, strict=True)
        return {key: getattr(self, name) for name, key in names if name.startswith("other_")} or UNSET


class WorkingMemoryView(msgspec.Struct, kw_only=True):
    """A session as clients see it. The percentages are null unless the request named a model or a window.

    `older_messages` is there where messages were left out because the answer would have had too many bytes: so many
    older ones there are, which are read with `before`, the id of the oldest message that is here.
    """

    messages: list[MessageView]
    memories: list[MemoryRecord]
    data: dict[str, Any] | None
    context: str | None
    user_id: str | None
    tokens: int
    session_id: str
    namespace: str | None
    long_term_memory_strategy: StrategyConfig
    ttl_seconds: int | None
    last_accessed: datetime
    created_at: datetime
    updated_at: datetime
    context_percentage_total_used: float | None
    context_percentage_until_summarization: float | None
    extraction: ExtractionState | UnsetType = UNSET
    summarization: Literal["pending"] | UnsetType = UNSET
    older_messages: int | UnsetType = UNSET


class StoredRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a memory to store: `created`, or a `duplicate` of the `memory` that is there, with its `id`."""

    id: str
    status: Literal["created", "duplicate"]
    memory: MemoryRecord


class StoredRecords(msgspec.Struct, frozen=True, kw_only=True):
    """What became of memories to store, in their order."""

    status: Literal["ok"] = "ok"
    results: list[StoredRecord]


class MemoryHits(msgspec.Struct, frozen=True, kw_only=True):
    """A page of hits, the number of all matches, and the offset of the next page (null on the last).

    `nothing_fits` is there, and true, where no memory shares a word, a date or meaning with the query: the hits
    are only the nearest.
    """

    memories: list[MemoryHit]
    total: int
    next_offset: int | None
    nothing_fits: bool | UnsetType = UNSET


class ForgetResult(msgspec.Struct, frozen=True, kw_only=True):
    """How many memories were examined, and which were deleted (in a dry run: would be)."""

    scanned: int
    deleted: int
    deleted_ids: list[str]
    dry_run: bool


class Join(msgspec.Struct, frozen=True, kw_only=True):
    """Memories that go into one that stays; `texts` are the one of that memory, then those of the others, in order."""

    stays: str
    goes: list[str]
    texts: list[str] = []


class CompactionReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a compaction did, or in a dry run would do without asking a language model.

    Attributes:
        scanned: Memories looked at.
        exact_removed: Word-by-word repetitions that went.
        merged: Memories that went into others that mean the same.
        superseded: Memories that a newer fact replaced.
        expired: Replaced facts that were kept long enough and went.
        llm_calls: Calls to the language model.
        undecided: Near pairs that only a language model can decide, and that were left; without a model none are
            looked for.
        turns: Turns of conversations in the scope: they are evidence, and never looked at.
        judge: Whether a language model is configured that judges near memories.
        unfinished: Whether the next pass has to go on where this one stopped.
        remaining: Memories in the scope afterwards.
        duration_s: How long it took, seconds.
        joins: In a dry run, ids and texts of the memories that would become one, at most 1,000 joins.
    """

    scanned: int = 0
    exact_removed: int = 0
    merged: int = 0
    superseded: int = 0
    expired: int = 0
    llm_calls: int = 0
    undecided: int = 0
    unfinished: bool = False
    remaining: int = 0
    turns: int = 0
    judge: bool = False
    duration_s: float = 0.0
    dry_run: bool = False
    joins: list[Join] = []


class CompactionAck(msgspec.Struct, frozen=True, kw_only=True):
    """How many memories are left; the report if it was asked for; the task if the work goes on after the answer."""

    status: str
    task_id: str | UnsetType = UNSET
    report: CompactionReport | UnsetType = UNSET


class TrashedMemory(msgspec.Struct, frozen=True, kw_only=True):
    """A memory that the server removed by itself. `reason`: see the description of the operation."""

    id: str
    text: str
    namespace: str | None
    user_id: str | None
    session_id: str | None
    reason: str
    deleted_at: datetime
    expires_at: datetime | None


class TrashPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the trash by id, and what to send as `after` for the next one (null on the last)."""

    memories: list[TrashedMemory]
    next: str | None


class RestoreResult(msgspec.Struct, frozen=True, kw_only=True):
    """Ids that are back; ids that a living memory has; ids of which nothing is left."""

    restored: list[str]
    taken: list[str]
    missing: list[str]


class SummaryView(msgspec.Struct, frozen=True, kw_only=True):
    """A standing question to long-term memory: which memories to summarise, and by what to group them."""

    id: str
    name: str | None = None
    source: Literal["long_term"] = "long_term"
    group_by: list[str] = []
    filters: dict[str, Any] = {}
    time_window_days: int | None = None
    continuous: bool = False
    prompt: str | None = None
    model_name: str | None = None


class SummaryViewPartitionResult(msgspec.Struct, frozen=True, kw_only=True):
    """The summary of one group of a view. `memory_count` counts all memories that matched.

    `stale`: they have changed since, but the language model could not summarise them anew; `last_error` says why.
    """

    view_id: str
    group: dict[str, str]
    summary: str
    memory_count: int
    empty: bool = False
    empty_reason: str | None = None
    computed_at: datetime
    stale: bool = False
    last_error: str | None = None


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A run in the background. Finished tasks are kept for seven days."""

    id: str
    type: Literal["summary_view_full_run", "compaction"] = "summary_view_full_run"
    status: Literal["pending", "running", "success", "failed"] = "pending"
    view_id: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error_message: str | None = None
    result: dict[str, Any] | None = None


class TextContent(msgspec.Struct, frozen=True, kw_only=True):
    """Text of a prompt message."""

    type: Literal["text"] = "text"
    text: str
    annotations: None = None
    meta: None = msgspec.field(default=None, name="_meta")


class PromptMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a prompt."""

    role: Literal["system", "user", "assistant"]
    content: TextContent


class HeldBack(msgspec.Struct, frozen=True, kw_only=True):
    """A memory that was found and left out of a prompt: it reads like an order, and not the user gave it.

    Attributes:
        id: The memory.
        trust: Who said it: `assistant`, `tool` or `external`.
    """

    id: str
    trust: str


class MemoryPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt with the session's messages and the memories found for the query.

    `held_back` names the memories that were found and left out; without it there are none.
    """

    messages: list[PromptMessage]
    long_term_memories: list[MemoryHit] | None
    held_back: list[HeldBack] | UnsetType = UNSET


class PluginRow(msgspec.Struct, frozen=True, kw_only=True):
    """One entry point of the group `memhost`, and what became of it."""

    name: str
    module: str
    distribution: str
    version: str
    status: Literal["ok", "failed", "disabled"]
    hooks: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    error: str | None = None
    notices: tuple[str, ...] = ()
    api: tuple[int, int] | None = None


class PluginSetting(msgspec.Struct, frozen=True, kw_only=True):
    """A setting of a plugin, its value (secrets are masked) and where that came from."""

    path: str
    value: Any
    source: str


class PluginHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What a plugin's event hooks did in this process since it started.

    `calls` and `failures` are of hooks in requests, `jobs` and `failed_jobs` of background hooks; `seconds` is the time
    spent in both. After too many failures in a row (`PLUGIN_SUSPEND_AFTER`) its hooks are left out and its jobs wait,
    until `suspended_until`.
    """

    calls: int = 0
    failures: int = 0
    jobs: int = 0
    failed_jobs: int = 0
    seconds: float = 0.0
    last_error: str | None = None
    suspended_until: datetime | None = None


class PluginReport(msgspec.Struct, frozen=True, kw_only=True):
    """All about one plugin."""

    plugin: PluginRow
    settings: list[PluginSetting]
    health: PluginHealth
    dead_jobs: int


class PluginList(msgspec.Struct, frozen=True):
    """All entry points found."""

    plugins: list[PluginRow]


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A background job as operators see it; its payload holds ids, not contents.

    `distribution` is name and version of the package that the plugin came from; null if it is not installed here.
    `attempts` counts how often it was started, `failures` those that failed, `deaths` those during which the process
    died. A job that `waiting_since` some time waits without having failed: `last_error` says what for.
    """

    id: str
    event: str
    plugin: str
    distribution: str | None
    state: str
    attempts: int
    created_at: datetime
    due_at: datetime
    last_error: str | None
    failures: int = 0
    deaths: int = 0
    waiting_since: datetime | None = None


class WorkerRow(msgspec.Struct, frozen=True, kw_only=True):
    """A living worker process: its machine and process id, the runner it uses, and when it reported last."""

    name: str
    runner: str
    started_at: datetime
    seen_at: datetime


class JobList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of jobs, and how many there are; the worker processes that run jobs beside the servers."""

    jobs: list[JobRow]
    total: int
    workers: list[WorkerRow] = []
