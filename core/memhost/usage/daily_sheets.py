"""Usage of models as the store keeps it: a sheet per day, namespace, user and process.

Processes never write each other's sheets; the total is the sum of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

import msgspec

from memhost.models import Document, Scope
from memhost.ports import ModelUse, Store

KEPT_DAYS = 400
EMBEDDING = "embedding"
NO_LANGUAGE_MODEL = (EMBEDDING, "reranking")
"""Purposes of requests to other models than language models."""


class Tally(msgspec.Struct, array_like=True):
    """Sums over calls. `unpriced` are those that succeeded at an unknown price; `cost_usd` leaves them out."""

    calls: int = 0
    failures: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0

    @property
    def tokens(self) -> int:
        """Tokens sent and answered."""
        return self.input_tokens + self.output_tokens

    def add(self, other: Tally) -> None:
        """Add what another holds."""
        self.calls += other.calls
        self.failures += other.failures
        self.unpriced += other.unpriced
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cost_usd += other.cost_usd


def tally_of(use: ModelUse) -> Tally:
    """The sums over one call."""
    return Tally(
        calls=1,
        failures=int(use.failed),
        unpriced=int(use.cost_usd is None and not use.failed),
        input_tokens=use.input_tokens,
        output_tokens=use.output_tokens,
        cost_usd=use.cost_usd or 0.0,
    )


class Line(msgspec.Struct, frozen=True, array_like=True):
    """Usage of one model for one purpose."""

    purpose: str
    model: str
    tally: Tally


_DECODER = msgspec.msgpack.Decoder(list[Line])


@dataclass(slots=True, kw_only=True)
class Sheet:
    """Usage by one process on one day (UTC) for one owner."""

    id: str
    day: date
    tenant: str
    namespace: str
    user: str
    lines: dict[tuple[str, str], Tally] = field(default_factory=dict)

    def document(self, now: datetime) -> Document:
        """The sheet as it is stored."""
        lines = [Line(purpose, model, tally) for (purpose, model), tally in self.lines.items()]
        return Document(
            kind=_kind(self.day),
            id=self.id,
            tenant=self.tenant,
            namespace=self.namespace,
            user=self.user,
            body=msgspec.msgpack.encode(lines),
            updated_at=now,
            expires_at=midnight(self.day) + timedelta(days=KEPT_DAYS),
        )


@dataclass(slots=True)
class Spent:
    """Usage that counts for budgets: tokens of language models by namespace, and US dollars of everything."""

    tokens: dict[str, int] = field(default_factory=dict)
    cost_usd: float = 0.0

    def add(self, namespace: str, purpose: str, tally: Tally) -> None:
        """Add the sums of one purpose."""
        if purpose not in NO_LANGUAGE_MODEL:
            self.tokens[namespace] = self.tokens.get(namespace, 0) + tally.tokens
        self.cost_usd += tally.cost_usd


def spent_on(sheets: Iterable[Sheet]) -> Spent:
    """Return the usage of the sheets as it counts for budgets."""
    spent = Spent()
    for sheet in sheets:
        for (purpose, _), tally in sheet.lines.items():
            spent.add(sheet.namespace, purpose, tally)
    return spent


async def read_sheets(store: Store, scope: Scope, day: date, now: datetime) -> list[Sheet]:
    """The sheets of all processes for a day, as far as they lie inside the scope.

    Raises:
        StoreUnavailable: The store does not answer.
    """
    return [
        Sheet(
            id=document.id,
            day=day,
            tenant=document.tenant,
            namespace=document.namespace,
            user=document.user,
            lines={(line.purpose, line.model): line.tally for line in _DECODER.decode(document.body)},
        )
        for document in await store.list_documents(scope, _kind(day), now)
    ]


def day_of(moment: datetime) -> date:
    """The day (UTC) of a time."""
    return moment.astimezone(UTC).date()


def midnight(day: date) -> datetime:
    """The beginning of a day (UTC)."""
    return datetime.combine(day, time(), UTC)


def _kind(day: date) -> str:
    return f"usage:{day.isoformat()}"
