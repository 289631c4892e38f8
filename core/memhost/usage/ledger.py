"""Metering of model calls, and the budgets that stop them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime, timedelta

from memhost.errors import BudgetExceeded, MemhostError
from memhost.metrics import Metrics
from memhost.models import DEFAULT_TENANT, Scope, SessionKey, WriteBatch, new_id
from memhost.models.during import During
from memhost.ports import Clock, Meter, ModelUse, Store
from memhost.settings.extraction import LlmSettings
from memhost.usage.daily_sheets import (
    EMBEDDING,
    Sheet,
    Spent,
    Tally,
    day_of,
    midnight,
    read_sheets,
    spent_on,
    tally_of,
)
from memhost.usage.tenants import Tenants

logger = logging.getLogger(__name__)

_FLUSH_AFTER_S = 0.5
_RETRY_AFTER_S = 10.0
_TRUSTED_FOR = timedelta(seconds=2)
_PUTS_A_COMMIT = 200

_NOBODY = SessionKey(DEFAULT_TENANT, "", "", "")
_payer: ContextVar[SessionKey] = ContextVar("memhost_payer", default=_NOBODY)


def charged_to(owner: SessionKey) -> During[SessionKey]:
    """Embedding requests made inside the block are metered for this owner (the session may be empty)."""
    return During(_payer, owner)


@contextmanager
def charged_to_owners(owners: Iterable[tuple[str | None, str | None]]) -> Iterator[None]:
    """As `charged_to`, for the namespace and the user that all these pairs share; the tenant stays as it is."""
    namespaces, users = set[str](), set[str]()
    for namespace, user in owners:
        namespaces.add(namespace or "")
        users.add(user or "")
    with charged_to(SessionKey(_payer.get().tenant, _only(namespaces), _only(users), "")):
        yield


def payer_within(bounds: Scope) -> SessionKey:
    """Who pays for what is done inside the bounds: their only namespace and their only user, if there is one each."""
    return SessionKey(bounds.tenant, _only(bounds.namespaces or ()), _only(bounds.users or ()), "")


def _only(values: Iterable[str]) -> str:
    found = tuple(values)
    return found[0] if len(found) == 1 else ""


class LateMeter:
    """The meter of models that are opened before the store: it keeps what comes until it is bound."""

    def __init__(self) -> None:
        self._waiting: list[ModelUse] = []
        self._meter: Meter = self._waiting.append

    def __call__(self, use: ModelUse) -> None:
        """Take note of a request."""
        self._meter(use)

    def bind(self, meter: Meter) -> None:
        """Pass on what came so far and comes from now on."""
        self._meter = meter
        waiting, self._waiting = self._waiting, []
        for use in waiting:
            meter(use)


class UsageLedger:
    """Books each call by day (UTC), tenant, namespace, user, purpose and model; enforces the budgets of a day.

    Calls to language models are in the store when `record` returns, requests to embedders half a second later; while
    the store does not answer they wait in memory. Several processes on one store share the budgets: each knows what the
    others have booked two seconds ago. A budget is checked before a call, so only calls that are already under way when
    it is used up can exceed it.

    Args:
        store: Store that keeps the usage.
        tenants: All tenants, since the budget of money is one for everything.
        settings: The budgets.
        clock: Time; days end at midnight UTC.
        metrics: Receive each call.
    """

    def __init__(
        self, *, store: Store, tenants: Tenants, settings: LlmSettings, clock: Clock, metrics: Metrics
    ) -> None:
        self._store = store
        self._tenants = tenants
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._process = new_id()
        self._made = 0
        self._sheets: dict[tuple[date, str, str, str], Sheet] = {}
        self._dirty: set[tuple[date, str, str, str]] = set()
        self._own: dict[tuple[date, str], Spent] = {}
        self._others: dict[str, tuple[date, datetime, Spent]] = {}
        self._flushing = asyncio.Lock()
        self._reading = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._told: dict[object, date] = {}

    # -- budgets ---------------------------------------------------------------------------------------

    async def check(self, owner: SessionKey) -> None:
        """Return if a call to a language model may be made for this owner.

        Raises:
            BudgetExceeded: The tokens of the owner's namespace, or the money of all, are used up for today.
            StoreUnavailable: What was used cannot be read; without that nothing is spent.
        """
        limit = self.token_limit(owner.namespace)
        if limit:
            used = (await self.spent_today(owner.tenant)).tokens.get(owner.namespace, 0)
            if used >= limit:
                whose = f"Namespace {owner.namespace!r}" if owner.namespace else "The empty namespace"
                raise self._exceeded(
                    (owner.tenant, owner.namespace),
                    f"{whose} has used {used:,} of its {limit:,} language model tokens for today "
                    f"({self._token_setting(owner.namespace)})",
                )
        money = self._settings.llm_daily_cost_limit_usd
        if money:
            cost = await self.cost_today()
            if cost >= money:
                raise self._exceeded(
                    "money",
                    f"The server has spent ${cost:.4f} of the ${money:.4f} for models today (LLM_DAILY_COST_LIMIT_USD)",
                )

    def token_limit(self, namespace: str) -> int:
        """Tokens that a namespace may use a day; 0 does not limit it."""
        return self._settings.llm_namespace_token_limits.get(namespace, self._settings.llm_daily_token_limit)

    async def spent_today(self, tenant: str) -> Spent:
        """Return the usage of all processes today for a tenant.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        day = day_of(self._clock.now())
        others, own = await self._used_by_others(tenant, day), self._own.get((day, tenant), Spent())
        tokens = dict(others.tokens)
        for namespace, used in own.tokens.items():
            tokens[namespace] = tokens.get(namespace, 0) + used
        return Spent(tokens, others.cost_usd + own.cost_usd)

    async def cost_today(self) -> float:
        """US dollars that all processes have spent today for all tenants.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        tenants = await self._tenants.known(self._clock.now())
        return sum([(await self.spent_today(tenant)).cost_usd for tenant in tenants])

    def resets_at(self) -> datetime:
        """When the budgets of the next day begin."""
        return midnight(day_of(self._clock.now()) + timedelta(days=1))

    async def _used_by_others(self, tenant: str, day: date) -> Spent:
        async with self._reading:
            now = self._clock.now()
            known = self._others.get(tenant)
            if known is None or known[0] != day or not timedelta() <= now - known[1] < _TRUSTED_FOR:
                sheets = await read_sheets(self._store, Scope(tenant=tenant), day, now)
                spent = spent_on(sheet for sheet in sheets if not sheet.id.startswith(self._process))
                known = self._others[tenant] = (day, now, spent)
            return known[2]

    def _token_setting(self, namespace: str) -> str:
        special = namespace in self._settings.llm_namespace_token_limits
        return "LLM_NAMESPACE_TOKEN_LIMITS" if special else "LLM_DAILY_TOKEN_LIMIT"

    def _exceeded(self, what: object, sentence: str) -> BudgetExceeded:
        resets_at = self.resets_at()
        message = f"{sentence}; calls continue at {resets_at:%Y-%m-%dT%H:%MZ}, or when the limit is raised."
        self._tell_once_a_day(what, "usage.budget_exceeded", message)
        return BudgetExceeded(message, resets_at=resets_at)

    # -- metering --------------------------------------------------------------------------------------

    async def record(self, owner: SessionKey, purpose: str, use: ModelUse) -> None:
        """Book a call; a store that does not answer only delays it."""
        self._book(owner, purpose, use)
        await self._flush_quietly()
        if self._dirty:
            self._flush_soon()

    def meter(self, use: ModelUse) -> None:
        """Book a request to an embedder or reranker, for the owner of `charged_to`; call it on the event loop."""
        self._book(_payer.get(), use.purpose or EMBEDDING, use)
        self._flush_soon()

    async def flush(self) -> None:
        """Write what is not in the store yet.

        Raises:
            StoreUnavailable: The store does not answer; it is tried again with the next call.
        """
        async with self._flushing:
            waiting, self._dirty = self._dirty, set()
            try:
                for tenant in sorted({name[1] for name in waiting}):
                    names = sorted(name for name in waiting if name[1] == tenant)
                    await self._write(tenant, names)
                    waiting.difference_update(names)
            except BaseException:  # also cancelled: what was not written is written the next time
                self._dirty |= waiting
                raise
            self._drop_old()

    async def aclose(self) -> None:
        """Write the rest and stop."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._flush_quietly()

    def _book(self, owner: SessionKey, purpose: str, use: ModelUse) -> None:
        day, namespace, user = day_of(self._clock.now()), _clean(owner.namespace), _clean(owner.user)
        name = (day, owner.tenant, namespace, user)
        sheet = self._sheets.get(name)
        if sheet is None:
            self._made += 1
            sheet = self._sheets[name] = Sheet(
                id=f"{self._process}-{self._made}",
                day=day,
                tenant=owner.tenant,
                namespace=namespace,
                user=user,
            )
        tally = tally_of(use)
        sheet.lines.setdefault((_clean(purpose), _clean(use.model)), Tally()).add(tally)
        self._own.setdefault((day, owner.tenant), Spent()).add(namespace, purpose, tally)
        self._dirty.add(name)
        self._metrics.model_called(
            use.model,
            purpose,
            "failed" if use.failed else "ok",
            use.input_tokens,
            use.output_tokens,
            use.cost_usd,
            use.seconds,
        )
        if tally.unpriced and self._settings.llm_daily_cost_limit_usd:
            self._tell_once_a_day(
                use.model,
                "usage.price_unknown",
                f"The price of {use.model} is unknown, so LLM_DAILY_COST_LIMIT_USD does not cover its calls; also set "
                "LLM_DAILY_TOKEN_LIMIT.",
            )

    async def _write(self, tenant: str, names: list[tuple[date, str, str, str]]) -> None:
        now = self._clock.now()
        await self._tenants.note(tenant, now)
        for start in range(0, len(names), _PUTS_A_COMMIT):
            documents = [self._sheets[name].document(now) for name in names[start : start + _PUTS_A_COMMIT]]
            await self._store.commit(Scope(tenant=tenant), WriteBatch(put_documents=documents))

    def _drop_old(self) -> None:
        """Forget written usage that no budget counts any more; kept a day longer, for clocks that are set back."""
        oldest = day_of(self._clock.now()) - timedelta(days=1)
        for name in [name for name in self._sheets if name[0] < oldest and name not in self._dirty]:
            del self._sheets[name]
        for key in [key for key in self._own if key[0] < oldest]:
            del self._own[key]

    async def _flush_quietly(self) -> bool:
        try:
            await self.flush()
        except MemhostError as error:
            logger.warning("usage.not_written", extra={"fields": {"code": error.code, "error": error.message}})
            return False
        return True

    def _flush_soon(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._flush_later())

    async def _flush_later(self) -> None:
        wait_s = _FLUSH_AFTER_S
        while self._dirty:  # also what came while the last was being written
            await asyncio.sleep(wait_s)
            wait_s = _FLUSH_AFTER_S if await self._flush_quietly() else _RETRY_AFTER_S

    def _tell_once_a_day(self, what: object, event: str, sentence: str) -> None:
        today = day_of(self._clock.now())
        if self._told.get(what) != today:
            self._told[what] = today
            logger.warning(event, extra={"fields": {"error": sentence}})


def _clean(text: str) -> str:
    """The text without what no store can keep."""
    return text.encode("utf-8", "replace").decode()
