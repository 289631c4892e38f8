"""Tells what was used of models, to those who may know it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

from msgspec import UNSET

from memhost.errors import Forbidden, InvalidRequest
from memhost.models import Scope
from memhost.operations.table import Call
from memhost.operations.usage import (
    Dimension,
    GetUsage,
    ReviewsWaiting,
    UsageBudget,
    UsageQuota,
    UsageReport,
    UsageRow,
    UsageTotals,
)
from memhost.ports import Clock, Store
from memhost.settings.extraction import LlmSettings
from memhost.storage.bound_documents import document_scope
from memhost.usage.daily_sheets import KEPT_DAYS, Sheet, Tally, day_of, read_sheets
from memhost.usage.ledger import UsageLedger
from memhost.usage.quotas import Quotas

_DAYS = 30

Group = tuple[str, ...]


class UsageReports:
    """Reads what all processes have booked."""

    def __init__(
        self,
        *,
        store: Store,
        ledger: UsageLedger,
        quotas: Quotas,
        reviews: Callable[[Scope], Awaitable[ReviewsWaiting]] | None,
        settings: LlmSettings,
        clock: Clock,
    ) -> None:
        """Make it of its parts; `reviews` counts what waits for a review, None where nothing can."""
        self._store = store
        self._quotas = quotas
        self._reviews = reviews
        self._ledger = ledger
        self._settings = settings
        self._clock = clock

    async def report(self, call: Call, request: GetUsage) -> UsageReport:
        """Return the usage inside the caller's bounds, in groups, and what is left of today's budgets.

        Raises:
            InvalidRequest: The days end before they begin, or are more than are kept.
            Forbidden: The caller is bound to sessions, for which usage is not recorded separately.
            StoreUnavailable: The store does not answer.
        """
        bounds = call.caller.bounds
        if bounds.sessions is not None:
            raise Forbidden(
                "A credential that is bound to sessions cannot read usage, which is recorded per namespace and user."
            )
        first, last = self._days(request)
        group_by = list(dict.fromkeys(request.group_by))
        await self._ledger.flush()
        groups: dict[Group, Tally] = {}
        totals = Tally()
        now = self._clock.now()
        for day in _span(first, last):
            for sheet in await read_sheets(self._store, document_scope(bounds), day, now):
                for (purpose, model), tally in sheet.lines.items():
                    groups.setdefault(_group(group_by, sheet, purpose, model), Tally()).add(tally)
                    totals.add(tally)
        return UsageReport(
            from_=first,
            to=last,
            group_by=group_by,
            rows=[_row(group_by, group, groups[group]) for group in sorted(groups)],
            totals=UsageTotals(**_sums(totals)),
            budgets=await self._budgets(call),
            quotas=[
                UsageQuota(of=use.level, name=use.name, what=use.what, limit=use.limit, used=use.used)
                for use in await self._quotas.used(bounds)
            ],
            reviews=UNSET if self._reviews is None else await self._reviews(bounds),
        )

    def _days(self, request: GetUsage) -> tuple[date, date]:
        try:
            last = day_of(request.to or self._clock.now())
            first = day_of(request.from_) if request.from_ is not None else last - timedelta(days=_DAYS - 1)
        except OverflowError as error:
            raise InvalidRequest("The day is out of range; give days between the years 2 and 9998.") from error
        if first > last:
            raise InvalidRequest(f"`to` ({last}) is before `from` ({first}); swap them.")
        if (last - first).days >= KEPT_DAYS:
            raise InvalidRequest(f"Usage is kept for {KEPT_DAYS} days; request at most that many days.")
        return first, last

    async def _budgets(self, call: Call) -> list[UsageBudget]:
        bounds, found = call.caller.bounds, []
        if bounds.users is None:
            spent = (await self._ledger.spent_today(bounds.tenant)).tokens
            for namespace in self._limited(bounds, spent):
                limit, used = self._ledger.token_limit(namespace), spent.get(namespace, 0)
                found.append(self._budget("tokens", namespace, limit, used))
        money = self._settings.llm_daily_cost_limit_usd
        if money and call.caller.runs_server:
            found.append(self._budget("cost_usd", None, money, await self._ledger.cost_today()))
        return found

    def _limited(self, bounds: Scope, spent: dict[str, int]) -> list[str]:
        """The namespaces whose budgets the caller may know: those in bounds that have one and are known."""
        named = {*self._settings.llm_namespace_token_limits, *spent, *(bounds.namespaces or ("",))}
        return sorted(
            namespace
            for namespace in named
            if self._ledger.token_limit(namespace) and (bounds.namespaces is None or namespace in bounds.namespaces)
        )

    def _budget(self, kind: str, namespace: str | None, limit: float, used: float) -> UsageBudget:
        return UsageBudget(
            kind="tokens" if kind == "tokens" else "cost_usd",
            namespace=namespace,
            limit=limit,
            used=used,
            left=max(0.0, limit - used),
            resets_at=self._ledger.resets_at(),
        )


def _span(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _group(group_by: list[Dimension], sheet: Sheet, purpose: str, model: str) -> Group:
    parts = {
        "day": sheet.day.isoformat(),
        "namespace": sheet.namespace,
        "user_id": sheet.user,
        "purpose": purpose,
        "model": model,
    }
    return tuple(parts[dimension] for dimension in group_by)


def _row(group_by: list[Dimension], group: Group, tally: Tally) -> UsageRow:
    parts = dict(zip(group_by, group, strict=True))
    return UsageRow(
        day=date.fromisoformat(parts["day"]) if "day" in parts else None,
        namespace=parts.get("namespace"),
        user_id=parts.get("user_id"),
        purpose=parts.get("purpose"),
        model=parts.get("model"),
        **_sums(tally),
    )


def _sums(tally: Tally) -> dict[str, Any]:
    return {
        "calls": tally.calls,
        "failures": tally.failures,
        "input_tokens": tally.input_tokens,
        "output_tokens": tally.output_tokens,
        "cost_usd": tally.cost_usd,
        "unpriced_calls": tally.unpriced,
    }
