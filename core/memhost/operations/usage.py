"""The operation that tells what models were used for, and what it cost."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Dimension = Literal["day", "namespace", "user_id", "purpose", "model"]
Count = Annotated[int, Meta(ge=0)]


class GetUsage(msgspec.Struct, kw_only=True):
    """For which days to tell the usage, and by what to tell it apart.

    `from` and `to` name days (UTC) by a time inside them, both included; absent ones are 29 days before `to`, and
    today. With an empty `group_by` there is one row for all.
    """

    from_: datetime | None = msgspec.field(default=None, name="from")
    to: datetime | None = None
    group_by: list[Dimension] = msgspec.field(default_factory=lambda: ["day"])


class UsageTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over calls of models.

    `calls` counts failed ones (`failures`) as well; `cost_usd` is the price of those whose price is known, and
    `unpriced_calls` counts the others.
    """

    calls: Count
    failures: Count
    input_tokens: Count
    output_tokens: Count
    cost_usd: float
    unpriced_calls: Count


class UsageRow(UsageTotals, frozen=True, kw_only=True):
    """The sums of one group; the fields that groups are not made of are null. An absent owner is an empty string."""

    day: date | None = None
    namespace: str | None = None
    user_id: str | None = None
    purpose: str | None = None
    model: str | None = None


class UsageBudget(msgspec.Struct, frozen=True, kw_only=True):
    """A budget of today: `tokens` (sent to and answered by language models) of a namespace, or `cost_usd` of all."""

    kind: Literal["tokens", "cost_usd"]
    namespace: str | None
    limit: float
    used: float
    left: float
    resets_at: datetime


class UsageReport(msgspec.Struct, frozen=True, kw_only=True):
    """What models were used for."""

    from_: date = msgspec.field(name="from")
    to: date
    group_by: list[Dimension]
    rows: list[UsageRow]
    totals: UsageTotals
    budgets: list[UsageBudget]
