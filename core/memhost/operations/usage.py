"""The operation that tells what models were used for, and what it cost."""

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

Dimension = Literal["day", "namespace", "user_id", "purpose", "model"]
Count = Annotated[int, Meta(ge=0)]


class GetUsage(msgspec.Struct, kw_only=True):
    """For which days to report the usage, and by what to group it."""

    from_: Annotated[
        datetime | None,
        Meta(
            description="A time inside the first day (UTC); absent: 29 days before the last.",
            examples=["2026-03-01T00:00:00Z"],
        ),
    ] = msgspec.field(default=None, name="from")
    to: Annotated[
        datetime | None,
        Meta(description="A time inside the last day (UTC); absent: today.", examples=["2026-03-31T00:00:00Z"]),
    ] = None
    group_by: Annotated[
        list[Dimension],
        Meta(description="What rows are grouped by; without any there is one row.", examples=[["day"]]),
    ] = msgspec.field(default_factory=lambda: ["day"])


class UsageTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over calls of models."""

    calls: Annotated[Count, Meta(description="Calls, with those that failed.")]
    failures: Annotated[Count, Meta(description="Calls that failed.")]
    input_tokens: Annotated[Count, Meta(description="Tokens sent.")]
    output_tokens: Annotated[Count, Meta(description="Tokens answered.")]
    cost_usd: Annotated[float, Meta(description="Price in US dollars of the calls whose price is known.")]
    unpriced_calls: Annotated[Count, Meta(description="Calls whose price is not known.")]


class UsageRow(UsageTotals, frozen=True, kw_only=True):
    """The sums of one group."""

    day: Annotated[date | None, Meta(description="Day (UTC); null if rows are not grouped by it.")] = None
    namespace: Annotated[
        str | None, Meta(description="Namespace, empty for none; null if rows are not grouped by it.")
    ] = None
    user_id: Annotated[str | None, Meta(description="User, empty for none; null if rows are not grouped by it.")] = None
    purpose: Annotated[str | None, Meta(description="What the calls were for; null if rows are not grouped by it.")] = (
        None
    )
    model: Annotated[str | None, Meta(description="Model; null if rows are not grouped by it.")] = None


class UsageBudget(msgspec.Struct, frozen=True, kw_only=True):
    """A budget of today."""

    kind: Annotated[
        Literal["tokens", "cost_usd"],
        Meta(description="`tokens` sent to and answered by language models, or their price (`cost_usd`)."),
    ]
    namespace: Annotated[str | None, Meta(description="Namespace that it is for; null for the whole server.")]
    limit: Annotated[float, Meta(description="How much may be used in a day.")]
    used: Annotated[float, Meta(description="How much is used.")]
    left: Annotated[float, Meta(description="How much is left.")]
    resets_at: Annotated[datetime, Meta(description="When the next day begins.")]


class UsageQuota(msgspec.Struct, frozen=True, kw_only=True):
    """A quota of what is stored."""

    of: Annotated[Literal["user", "namespace", "tenant"], Meta(description="Whose quota it is.")]
    name: Annotated[str, Meta(description="Name of the user or namespace; empty for the tenant.")]
    what: Annotated[Literal["memories", "sessions", "bytes"], Meta(description="What is counted.")]
    limit: Annotated[Count, Meta(description="How much may be stored.")]
    used: Annotated[Count, Meta(description="How much is stored, as it was last measured.")]


class ReviewsWaiting(msgspec.Struct, frozen=True, kw_only=True):
    """The number of memories that wait for a review."""

    waiting: Annotated[Count, Meta(description="How many wait; at most 10,000 of a tenant are counted.")]
    reasons: Annotated[dict[str, int], Meta(description="How many of them by the first reason for which each waits.")]
    since: Annotated[datetime | None, Meta(description="Since when the oldest waits; null if none does.")]


class UsageReport(msgspec.Struct, frozen=True, kw_only=True):
    """Usage of models."""

    from_: Annotated[date, Meta(description="The first day (UTC).")] = msgspec.field(name="from")
    to: Annotated[date, Meta(description="The last day (UTC).")]
    group_by: Annotated[list[Dimension], Meta(description="What rows are grouped by.")]
    rows: Annotated[list[UsageRow], Meta(description="The groups, sorted.")]
    totals: Annotated[UsageTotals, Meta(description="Sums over all rows.")]
    budgets: Annotated[list[UsageBudget], Meta(description="Budgets of today that the caller may see.")]
    quotas: Annotated[
        list[UsageQuota],
        Meta(description="Quotas of the tenant, or of the one namespace and user that the caller is bound to."),
    ] = []
    reviews: Annotated[
        ReviewsWaiting | UnsetType, Meta(description="What waits for a review; absent without long-term memory.")
    ] = UNSET
