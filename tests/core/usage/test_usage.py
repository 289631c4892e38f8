"""Metering of models: per owner, across processes, within budgets, visible only to those who may see it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memhost.errors import BudgetExceeded, Forbidden, InvalidRequest, ModelUnavailable, StoreUnavailable
from memhost.host import Host
from memhost.metrics import Metrics, Observer
from memhost.models import Caller, Scope, SessionKey
from memhost.ports import LanguageModel, ModelUse
from memhost.settings.extraction import LlmSettings
from memhost.testing.clock import FakeClock
from memhost.testing.polling import until
from memhost.usage.ledger import UsageLedger, charged_to
from memhost.usage.model_calls import ModelCalls
from tests.support.fakes import FOLDER
from tests.support.hosts import ADMIN, run, running_host

STORES = pytest.mark.parametrize("store", ["memory", "sqlite"])
ANA = SessionKey("default", "travel", "ana", "s")
BEN = SessionKey("default", "work", "ben", "s")
ASK = [{"role": "user", "content": "hello"}]
TOKENS, COST = 120, 0.25


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


@asynccontextmanager
async def host_with_model(folder: Path, store: str, clock: FakeClock | None = None, **more: Any) -> AsyncIterator[Host]:
    settings = {"LLM": "fake-llm", **more.pop("settings", {})}
    async with running_host(
        folder, store=store, fakes=["fake-models"], settings=settings, clock=clock, run_jobs=False, **more
    ) as host:
        yield host


def second_process(host: Host, settings: LlmSettings | None = None) -> ModelCalls:
    """What another process on the same store would use."""
    ledger = UsageLedger(
        store=host.store,
        tenants=host.services.tenants,
        settings=settings or host.settings.llm,
        clock=host.clock,
        metrics=Metrics(),
    )
    return ModelCalls(llm=host.llm, settings=host.settings.llm, ledger=ledger)


async def usage(host: Host, *group_by: str, caller: Caller = ADMIN, days: Mapping[str, datetime] | None = None) -> Any:
    return msgspec.to_builtins(await run(host, "get_usage", caller, group_by=list(group_by), **(days or {})))


def rows_by(report: Any, field: str, value: str = "calls") -> dict[str, Any]:
    return {row[field]: row[value] for row in report["rows"]}


@STORES
async def test_calls_are_booked_by_owner_purpose_and_model(store: str, tmp_path: Path) -> None:
    async with host_with_model(tmp_path, store, FakeClock()) as host:
        await host.services.model_calls.complete(ANA, ASK, purpose="extraction")
        await host.services.model_calls.complete(ANA, ASK, purpose="summary", model="large")
        await host.services.model_calls.complete(BEN, ASK, purpose="extraction", model="unpriced")
        with pytest.raises(ModelUnavailable):
            await host.services.model_calls.complete(BEN, [{"role": "user", "content": "fail"}], purpose="dedup")

        assert rows_by(await usage(host, "namespace"), "namespace") == {"travel": 2, "work": 2}
        assert rows_by(await usage(host, "user_id"), "user_id") == {"ana": 2, "ben": 2}
        assert rows_by(await usage(host, "model"), "model") == {"fake-llm": 2, "large": 1, "unpriced": 1}
        report = await usage(host, "purpose", "namespace")
        assert [(row["purpose"], row["namespace"], row["calls"], row["failures"]) for row in report["rows"]] == [
            ("dedup", "work", 1, 1),
            ("extraction", "travel", 1, 0),
            ("extraction", "work", 1, 0),
            ("summary", "travel", 1, 0),
        ]
        assert report["totals"] == {
            "calls": 4,
            "failures": 1,
            "input_tokens": 300,
            "output_tokens": 60,
            "cost_usd": 2 * COST,
            "unpriced_calls": 1,
        }
        (all_,) = (await usage(host))["rows"]
        assert all_["day"] is all_["model"] is None
        assert all_["calls"] == 4


@STORES
async def test_processes_sum_up_and_share_a_budget(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    settings = {"LLM_DAILY_TOKEN_LIMIT": str(3 * TOKENS)}
    async with host_with_model(tmp_path, store, clock, settings=settings) as host:
        other = second_process(host)
        for calls in (host.services.model_calls, other):
            await calls.complete(ANA, ASK, purpose="extraction")
        assert (await usage(host, "day"))["totals"]["calls"] == 2
        clock.advance(3)  # what the others booked is read every two seconds
        await other.complete(ANA, ASK, purpose="extraction")
        clock.advance(3)
        for calls in (host.services.model_calls, other):
            with pytest.raises(BudgetExceeded) as caught:
                await calls.complete(ANA, ASK, purpose="extraction")
            assert caught.value.resets_at == datetime(2026, 1, 2, tzinfo=UTC)
            assert "'travel' has used 360 of its 360" in caught.value.message
            assert "LLM_DAILY_TOKEN_LIMIT" in caught.value.message
            assert "2026-01-02T00:00Z" in caught.value.message
        assert getattr(host.llm, "calls") == 3  # noqa: B009 - the fake's own
        await host.services.model_calls.complete(BEN, ASK, purpose="extraction")  # another namespace has its own
        other_tenant = SessionKey("acme", ANA.namespace, "", "")
        await host.services.model_calls.complete(other_tenant, ASK, purpose="extraction")

        clock.advance(24 * 3600)
        await other.complete(ANA, ASK, purpose="extraction")
        report = await usage(host, "day")
        assert rows_by(report, "day") == {"2026-01-01": 4, "2026-01-02": 1}


@STORES
async def test_budget_of_a_namespace_and_budget_of_money(store: str, tmp_path: Path) -> None:
    clock = FakeClock()
    settings = {
        "LLM_DAILY_TOKEN_LIMIT": str(TOKENS),
        "LLM_NAMESPACE_TOKEN_LIMITS": f'{{"work": {10 * TOKENS}, "free": 0}}',
        "LLM_DAILY_COST_LIMIT_USD": str(4 * COST),
    }
    async with host_with_model(tmp_path, store, clock, settings=settings) as host:
        await host.services.model_calls.complete(ANA, ASK, purpose="view")
        await host.services.model_calls.complete(BEN, ASK, purpose="view")
        await host.services.model_calls.complete(BEN, ASK, purpose="view")
        report = await usage(host, "day")
        assert [(item["kind"], item["namespace"], item["used"], item["left"]) for item in report["budgets"]] == [
            ("tokens", "", 0, TOKENS),
            ("tokens", "travel", TOKENS, 0),
            ("tokens", "work", 2 * TOKENS, 8 * TOKENS),
            ("cost_usd", None, 3 * COST, COST),
        ]
        with pytest.raises(BudgetExceeded, match="'travel'"):
            await host.services.model_calls.complete(ANA, ASK, purpose="view")
        await second_process(host).complete(SessionKey("acme", "free", "", ""), ASK, purpose="view")
        clock.advance(3)
        with pytest.raises(BudgetExceeded, match=r"LLM_DAILY_COST_LIMIT_USD"):
            await host.services.model_calls.complete(SessionKey("default", "free", "", ""), ASK, purpose="view")
        clock.advance(24 * 3600)
        await host.services.model_calls.complete(ANA, ASK, purpose="view")


async def test_nothing_is_spent_while_usage_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"LLM_DAILY_TOKEN_LIMIT": "1000"}
    async with host_with_model(tmp_path, "memory", settings=settings) as host:

        async def broken(*_: Any) -> Any:
            raise StoreUnavailable("The store is down.")

        with monkeypatch.context() as patch:
            patch.setattr(host.store, "list_documents", broken)
            with pytest.raises(StoreUnavailable):
                await host.services.model_calls.complete(ANA, ASK, purpose="extraction")
        assert getattr(host.llm, "calls") == 0  # noqa: B009 - the fake's own


async def test_answer_that_was_paid_for_is_not_lost_when_it_cannot_be_booked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with host_with_model(tmp_path, "sqlite") as host:

        async def broken(*_: Any) -> Any:
            raise StoreUnavailable("The store is down.")

        with monkeypatch.context() as patch:
            patch.setattr(host.store, "commit", broken)
            assert (await host.services.model_calls.complete(ANA, ASK, purpose="extraction")).text == "ok"
            with pytest.raises(StoreUnavailable):
                await usage(host, "day")
    async with host_with_model(tmp_path, "sqlite") as host:  # closing wrote it
        assert (await usage(host, "day"))["totals"]["calls"] == 1


async def test_cancelled_call_is_booked_as_failed(tmp_path: Path) -> None:
    class Silent:
        name = "silent"

        async def complete(self, *_: Any, **__: Any) -> Any:
            await asyncio.Event().wait()

        async def aclose(self) -> None:
            """Nothing to close."""

    async with host_with_model(tmp_path, "memory") as host:
        model: LanguageModel = Silent()
        calls = ModelCalls(llm=model, settings=host.settings.llm, ledger=host.services.usage)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await calls.complete(ANA, ASK, purpose="extraction")
        assert rows_by(await usage(host, "model"), "model", "failures") == {"silent": 1}


@STORES
async def test_embedding_is_booked_to_who_causes_it(store: str, tmp_path: Path) -> None:
    settings = {"EMBEDDER": "fake-embedder", "LLM_DAILY_TOKEN_LIMIT": "1000"}
    async with host_with_model(tmp_path, store, settings=settings) as host:
        memories = [{"id": name, "text": f"likes {name}", "namespace": "travel", "user_id": "ana"} for name in "ab"]
        await run(host, "create_memories", memories=memories)
        await run(host, "put_session", session_id="s", namespace="work", messages=[{"role": "user", "content": "hi"}])
        await run(host, "search_memories", text="likes", namespace={"eq": "travel"}, user_id={"eq": "ben"})
        with charged_to(BEN):
            await host.embedder.embed(["x"])

        async def written() -> bool:
            sheets = await host.store.list_documents(Scope(), f"usage:{datetime.now(UTC):%Y-%m-%d}", host.clock.now())
            return len(sheets) == 5

        await until(written)
        report = await usage(host, "namespace", "user_id", "purpose")
        found = {(row["namespace"], row["user_id"]): row["input_tokens"] for row in report["rows"]}
        assert found == {("", ""): 1, ("travel", "ana"): 2, ("travel", "ben"): 1, ("work", ""): 1, ("work", "ben"): 1}
        assert {row["purpose"] for row in report["rows"]} == {"embedding"}
        assert all(budget["used"] == 0 for budget in report["budgets"])  # tokens are those of language models


@STORES
async def test_model_of_background_hooks_is_metered_and_within_budgets(store: str, tmp_path: Path) -> None:
    settings = {"LLM_DAILY_TOKEN_LIMIT": str(TOKENS), "ENABLE_NER": "false", "ENABLE_TOPIC_EXTRACTION": "false"}
    async with host_with_model(tmp_path, store, FakeClock(), settings=settings) as host:
        for name in ("a", "b"):
            await run(host, "create_memories", memories=[{"id": name, "text": f"ask the model about {name}"}])
        for job in await host.services.dispatcher.claim(10):
            await host.services.dispatcher.run(job)
        assert rows_by(await usage(host, "purpose"), "purpose") == {"opinion": 1}
        (waiting,) = [job for job in (await run(host, "list_jobs")).jobs if job.last_error]
        assert "BudgetExceeded" in waiting.last_error


async def test_observers_are_told_of_each_call(tmp_path: Path) -> None:
    seen: list[tuple[Any, ...]] = []

    class Seen(Observer):
        def model_called(self, *call: Any) -> None:
            seen.append(call)

    async with host_with_model(tmp_path, "memory") as host:
        host.metrics.add(Seen())
        await host.services.model_calls.complete(ANA, ASK, purpose="view")
        await host.services.usage.record(ANA, "view", ModelUse(model="x", failed=True))
    assert [call[:6] for call in seen] == [
        ("fake-llm", "view", "ok", 100, 20, COST),
        ("x", "view", "failed", 0, 0, None),
    ]
    assert seen[0][6] >= 0
    assert seen[1][6] is None


@STORES
async def test_report_stays_inside_the_bounds_of_the_caller(store: str, tmp_path: Path) -> None:
    settings = {"LLM_DAILY_TOKEN_LIMIT": "1000", "LLM_DAILY_COST_LIMIT_USD": "5"}

    def reader(**bounds: Any) -> Caller:
        return Caller(subject="x", bounds=Scope(**bounds), roles=frozenset({"reader"}))

    async with host_with_model(tmp_path, store, settings=settings) as host:
        for owner in (ANA, BEN, SessionKey("default", "work", "ana", ""), SessionKey("acme", "work", "ana", "")):
            await host.services.model_calls.complete(owner, ASK, purpose="extraction")
        found = await usage(host, "namespace", "user_id", caller=reader(namespaces=("work",)))
        assert [(row["namespace"], row["user_id"]) for row in found["rows"]] == [("work", "ana"), ("work", "ben")]
        assert found["totals"]["calls"] == 2
        assert [(item["kind"], item["namespace"]) for item in found["budgets"]] == [("tokens", "work")]
        found = await usage(host, "namespace", "user_id", caller=reader(users=("ana",)))
        assert [(row["namespace"], row["user_id"]) for row in found["rows"]] == [("travel", "ana"), ("work", "ana")]
        assert found["budgets"] == []  # what is left would tell of others
        found = await usage(host, "namespace", caller=reader(tenant="acme"))
        assert rows_by(found, "namespace") == {"work": 1}
        found = await usage(host, "namespace", caller=reader(namespaces=()))
        assert (found["rows"], found["budgets"]) == ([], [])
        with pytest.raises(Forbidden):
            await usage(host, caller=reader(sessions=("s",)))


@STORES
async def test_days_of_a_report(store: str, tmp_path: Path) -> None:
    clock = FakeClock(datetime(2026, 3, 1, 23, 59, tzinfo=UTC))
    async with host_with_model(tmp_path, store, clock) as host:
        for _ in range(3):
            await host.services.model_calls.complete(ANA, ASK, purpose="extraction")
            clock.advance(24 * 3600)
        last = datetime(2026, 3, 3, tzinfo=UTC)
        report = await usage(host, "day", days={"from": last - timedelta(days=1), "to": last})
        assert rows_by(report, "day") == {"2026-03-02": 1, "2026-03-03": 1}
        assert (report["from"], report["to"]) == ("2026-03-02", "2026-03-03")
        report = await usage(host, "day", days={"to": last})
        assert (report["from"], report["totals"]["calls"]) == ("2026-02-02", 3)
        for first in (last + timedelta(days=1), last - timedelta(days=400)):
            with pytest.raises(InvalidRequest):
                await usage(host, "day", days={"from": first, "to": last})
        clock.advance(401 * 24 * 3600)
        assert await host.store.purge_expired(clock.now()) >= 3
