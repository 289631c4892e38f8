"""Operations of upkeep: forgetting, compaction, background jobs, plugins."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from memhost.models import MemoryRecord, MemoryType, Trust
from memhost.models.limits import Many, Name, VisibleText

TAG = "Long-term memory"


def _or_null(description: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, "anyOf": [schema, {"type": "null"}]}


_POLICY: dict[str, Any] = {
    "properties": {
        "max_age_days": _or_null("Memories made longer ago go.", type="number", minimum=0),
        "max_inactive_days": _or_null(
            "Memories not found or used for longer go. With both limits a memory must exceed both, or `max_age_days` "
            "`hard_age_multiplier` times.",
            type="number",
            minimum=0,
        ),
        "hard_age_multiplier": _or_null("See `max_inactive_days`; absent: 12.", type="number", minimum=0),
        "budget": _or_null(
            "So many of the rest stay for each namespace and user: the best by recency and use.",
            type="integer",
            minimum=0,
        ),
        "memory_type_allowlist": _or_null(
            "Only memories of these types go; absent: of all types.",
            type="array",
            items={"type": "string", "enum": sorted(MemoryType)},
        ),
    },
    "additionalProperties": False,
}


OnlyNamespace = Annotated[
    Name | None, Meta(description="Only memories of this namespace; absent or empty: of all.", examples=["travel"])
]
OnlyUser = Annotated[
    Name | None, Meta(description="Only memories that this user owns; absent or empty: all.", examples=["ana"])
]
OnlySession = Annotated[
    Name | None, Meta(description="Only memories of this session; absent or empty: of all.", examples=["trip-42"])
]


class ForgetMemories(msgspec.Struct, kw_only=True):
    """Which memories to examine, and by which policy to forget them."""

    policy: Annotated[
        dict[str, Any],
        Meta(
            description="What to forget. Unknown keys are refused: what is not understood deletes nothing.",
            examples=[{"max_age_days": 365, "max_inactive_days": 90}],
            extra_json_schema=_POLICY,
        ),
    ]
    namespace: OnlyNamespace = None
    user_id: OnlyUser = None
    session_id: OnlySession = None
    limit: Annotated[int, Meta(ge=0, description="Most memories to examine, the oldest first.", examples=[1000])] = 1000
    dry_run: Annotated[bool, Meta(description="Delete nothing; only say what would be deleted.", examples=[True])] = (
        True
    )
    pinned_ids: Annotated[
        Many[str] | None,
        Meta(description="Memories to keep beside those that are pinned.", examples=[["pref-window-seat"]]),
    ] = None


class CompactMemories(msgspec.Struct, kw_only=True):
    """Which memories to compact."""

    namespace: OnlyNamespace = None
    user_id: OnlyUser = None
    session_id: OnlySession = None
    dry_run: Annotated[
        bool,
        Meta(description="Change nothing and ask no language model; report what would be done.", examples=[True]),
    ] = False
    report: Annotated[bool, Meta(description="Add a report to the answer.", examples=[True])] = False
    wait_s: Annotated[
        Annotated[float, Meta(ge=0, le=300)] | None,
        Meta(
            description="Longest time to wait for the end, in seconds; longer work goes on and the answer names its "
            "task. Absent: wait for the end.",
            examples=[25.0],
        ),
    ] = None


class RebuildMemories(msgspec.Struct, kw_only=True):
    """Whose memories to make again from the turns."""

    namespace: OnlyNamespace = None
    user_id: OnlyUser = None
    session_id: OnlySession = None
    dry_run: Annotated[bool, Meta(description="Change nothing; only say how much would be done.", examples=[True])] = (
        False
    )
    wait_s: Annotated[
        Annotated[float, Meta(ge=0, le=300)] | None,
        Meta(
            description="Longest time to wait until the turns wait for extraction, in seconds; longer work goes on and "
            "the answer names its task. Absent: wait for the end.",
            examples=[25.0],
        ),
    ] = None


class ListTrash(msgspec.Struct, kw_only=True):
    """Which part of the trash to list."""

    namespace: OnlyNamespace = None
    user_id: Annotated[
        str | None, Meta(description="Only memories that this user owned; absent or empty: all.", examples=["ana"])
    ] = None
    session_id: OnlySession = None
    limit: Annotated[int, Meta(ge=1, le=500, description="Most memories to return.", examples=[100])] = 100
    after: Annotated[str, Meta(description="`next` of the previous page; empty for the first page.", examples=[""])] = (
        ""
    )


class RestoreMemories(msgspec.Struct, kw_only=True):
    """The memories to restore."""

    ids: Annotated[Many[str], Meta(description="Ids of the memories.", examples=[["pref-window-seat"]])]


class ListJobs(msgspec.Struct, kw_only=True):
    """Which background jobs to list."""

    state: Annotated[
        Literal["pending", "waiting", "running", "dead"] | None,
        Meta(description="Only jobs in this state; absent: all.", examples=["dead"]),
    ] = None
    limit: Annotated[int, Meta(ge=1, le=500, description="Most jobs to return.", examples=[100])] = 100
    offset: Annotated[int, Meta(ge=0, description="Jobs to skip.", examples=[0])] = 0


class PluginName(msgspec.Struct, kw_only=True):
    """Which plugin."""

    name: Annotated[str, Meta(description="Entry-point name of the plugin.", examples=["interface-rest"])]


class JobId(msgspec.Struct, kw_only=True):
    """Which job."""

    job_id: Annotated[str, Meta(description="Id of the background job.", examples=["01KATV2R8GQ4T1V5S0S1J3X9ZB"])]


ReviewReason = Literal["rights", "identity", "payments", "addresses", "tools", "instruction", "contradicts"]
MemoryId = Annotated[Name, Meta(description="Id of the memory.", examples=["pref-window-seat"])]


class ListReviews(msgspec.Struct, kw_only=True):
    """Which of the waiting memories to list."""

    namespace: OnlyNamespace = None
    user_id: Annotated[
        str | None, Meta(description="Only memories of this user; absent or empty: all.", examples=["ana"])
    ] = None
    session_id: OnlySession = None
    reason: Annotated[
        ReviewReason | None, Meta(description="Only memories that wait for this reason.", examples=["payments"])
    ] = None
    limit: Annotated[int, Meta(ge=1, le=500, description="Most memories to return.", examples=[100])] = 100
    after: Annotated[str, Meta(description="`next` of the previous page; empty for the first page.", examples=[""])] = (
        ""
    )


class GetReview(msgspec.Struct, kw_only=True):
    """The waiting memory to read."""

    memory_id: MemoryId


class ApproveReviews(msgspec.Struct, kw_only=True):
    """The waiting memories to store as facts."""

    memory_ids: Annotated[Many[str], Meta(description="Ids of the memories.", examples=[["pref-window-seat"]])]
    if_hash: Annotated[
        dict[str, Name],
        Meta(
            description="The `hash` of each as it was read, by its id. What has another one by now, or is not named "
            "here, is answered in `changed` and goes on waiting.",
            examples=[{"pref-window-seat": "8a1f0c7be2d94c35a6f7c1b2d3e4f506"}],
        ),
    ] = {}


class CorrectReview(msgspec.Struct, kw_only=True):
    """The waiting memory to store with another text."""

    memory_id: MemoryId
    text: Annotated[VisibleText, Meta(description="What it says instead.", examples=["Ana prefers window seats."])]
    if_hash: Annotated[
        Name | None,
        Meta(
            description="Refuse (`memory_changed`) unless what waits has this `hash`: its topics, owner and metadata "
            "stay as they are.",
            examples=["8a1f0c7be2d94c35a6f7c1b2d3e4f506"],
        ),
    ] = None


class RefuseReviews(msgspec.Struct, kw_only=True):
    """The waiting memories to throw away."""

    memory_ids: Annotated[Many[str], Meta(description="Ids of the memories.", examples=[["pref-window-seat"]])]


class WaitingMemory(msgspec.Struct, frozen=True, kw_only=True):
    """A memory that waits for a review."""

    memory: Annotated[MemoryRecord, Meta(description="The memory as it would be stored; `review` says why it waits.")]
    hash: Annotated[str, Meta(description="Digest of what waits; an approval says by it what was read (`if_hash`).")]
    held_at: Annotated[datetime, Meta(description="Since when it waits.")]
    expires_at: Annotated[datetime | None, Meta(description="When it will count as refused; null: never.")]
    stored_by: Annotated[str, Meta(description="Who stored it, as authentication names them; empty: unknown.")]
    credential: Annotated[str, Meta(description="Id of their credential; empty if it has none.")]
    door: Annotated[str, Meta(description="The interface through which it came; `job` for background work.")]
    operation: Annotated[str, Meta(description="The operation that stored it, or the event of a job.")]


class ReviewPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the memories that wait."""

    memories: Annotated[list[WaitingMemory], Meta(description="The waiting memories, by id.")]
    next: Annotated[str | None, Meta(description="Value of `after` for the next page; null on the last page.")]


class ReviewsDecided(msgspec.Struct, frozen=True, kw_only=True):
    """The result for the ids to decide on."""

    decided: Annotated[list[str], Meta(description="Ids of memories that were approved or refused.")]
    taken: Annotated[list[str], Meta(description="Ids that another owner uses by now; these memories still wait.")] = []
    missing: Annotated[list[str], Meta(description="Ids under which no memory waits.")] = []
    changed: Annotated[
        list[str],
        Meta(description="Ids of memories that do not have the hash of `if_hash`: they still wait; read them again."),
    ] = []
    trust: Annotated[
        Trust | None, Meta(description="How far approved memories are trusted now: as who approved them.")
    ] = None
