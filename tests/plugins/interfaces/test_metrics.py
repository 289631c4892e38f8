"""GET /metrics, read back by the parser of the Prometheus library."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from tests.support.fakes import FOLDER
from tests.support.hosts import run, running_host

from memhost.errors import MemhostError, Refused, StoreUnavailable
from memhost.http.app import build_app
from memhost.metrics import Metrics, Observer
from memhost.models import Caller, SessionKey
from memhost.ports import Credentials, ModelUse
from memhost.testing.clock import FakeClock
from memhost.testing.server import ServerProcess
from memhost_metrics.observer import PrometheusObserver

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

SECRETS = ("tea-lover-17", "umbrella", "session-xyz", "memory-abc")


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


def samples_of(text: str) -> Samples:
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


@pytest.fixture(scope="module", params=["memory", "sqlite"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("metrics"), environment={"STORE": request.param}) as running:
        yield running


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_page_tells_what_the_server_did(tmp_path: Path, store: str) -> None:
    with ServerProcess(tmp_path, environment={"STORE": store}) as server:
        _look_at_the_page(server)


def _look_at_the_page(server: ServerProcess) -> None:
    user, word, session, memory = SECRETS
    record = {"id": memory, "text": f"likes an {word}", "user_id": user}
    with httpx.Client(base_url=server.url) as http:
        assert http.post("/v1/long-term-memory/", json={"memories": [record]}).status_code == 200
        assert http.put(f"/v1/working-memory/{session}", json={"user_id": user}).status_code == 200
        assert http.get("/v1/long-term-memory/nowhere").status_code == 404
        assert http.post("/v1/long-term-memory/search", json={"text": word}).status_code == 200
        answer = http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = samples_of(answer.text)
    assert value(found, "memhost_operation_seconds_count", operation="create_memories", code="ok") == 1
    assert value(found, "memhost_operation_seconds_count", operation="get_memory", code="not_found") == 1
    assert value(found, "memhost_operation_seconds_sum", operation="put_session", code="ok") > 0
    assert value(found, "memhost_operations_in_progress", operation="put_session") == 0
    assert value(found, "memhost_search_hits_sum", operation="search_memories") == 1
    assert value(found, "memhost_http_requests_total", method="GET", status="404") == 1
    assert value(found, "memhost_http_requests_in_progress") == 1
    assert value(found, "memhost_store_up") == 1
    assert 0 <= value(found, "memhost_store_ping_seconds") < 1
    assert value(found, "memhost_memories") == 1
    assert value(found, "memhost_sessions") == 1
    assert value(found, "memhost_jobs", state="dead") == 0
    assert value(found, "memhost_oldest_due_job_age_seconds") >= 0
    assert value(found, "process_resident_memory_bytes") > 1e6
    assert not [secret for secret in SECRETS if secret in answer.text]


def test_labels_stay_few_whatever_clients_send(server: ServerProcess) -> None:
    with httpx.Client(base_url=server.url) as http:
        http.get("/metrics")
        for number in range(50):
            http.get(f"/v1/long-term-memory/unknown-{number}")
            http.get(f"/v1/nowhere/{number}")
            http.request("PROPFIND", "/v1/health")
        text = http.get("/metrics").text
    names = {frozenset(labels) for (name, labels) in samples_of(text) if name == "memhost_http_requests_total"}
    assert len(names) < 10
    assert frozenset({("method", "other"), ("status", "405")}) in names


async def page_of(host: Any, **headers: str) -> httpx.Response:
    app: Any = build_app(host)
    async with app.lifespan(), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://[::1]") as http:
        return await http.get("/metrics", headers=headers)


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_hooks_and_jobs_are_counted_by_plugin(tmp_path: Path, store: str) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, store=store, fakes=["fake-good"], clock=clock, run_jobs=False) as host:
        app: Any = build_app(host)
        async with (
            app.lifespan(),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://[::1]") as http,
        ):
            await run(host, "create_memories", memories=[{"id": "a", "text": "poison the job"}])
            await run(host, "search_memories", text="hits that break")
            with pytest.raises(MemhostError):
                await run(host, "create_memories", memories=[{"id": "b", "text": "break the hook"}])
            with pytest.raises(Refused):
                await run(host, "put_session", session_id="s", messages=[{"role": "u", "content": "please refuse"}])
            clock.advance(7)
            waiting = samples_of((await http.get("/metrics")).text)
            for _ in range(2):
                for job in await host.services.dispatcher.claim(10):
                    await host.services.dispatcher.run(job)
                clock.advance(60)
            text = (await http.get("/metrics")).text
    assert value(waiting, "memhost_jobs", state="pending") == 1
    assert value(waiting, "memhost_oldest_due_job_age_seconds") == 7
    found = samples_of(text)
    good = {"plugin": "fake-good"}
    before_stored = good | {"hook": "memhost_before_memories_stored"}
    assert value(found, "memhost_hook_calls_total", outcome="ok", **before_stored) == 1
    assert value(found, "memhost_hook_calls_total", outcome="failed", **before_stored) == 1
    assert value(found, "memhost_hook_seconds_count", **before_stored) == 2
    after_search = good | {"hook": "memhost_after_search"}
    assert value(found, "memhost_hook_calls_total", outcome="failed", **after_search) == 1
    before_write = good | {"hook": "memhost_before_session_write"}
    assert value(found, "memhost_hook_calls_total", outcome="refused", **before_write) == 1
    stored = good | {"event": "memories_stored"}
    assert value(found, "memhost_job_attempts_total", outcome="failed", **stored) == 1
    assert value(found, "memhost_job_attempts_total", outcome="buried", **stored) == 1
    assert value(found, "memhost_operation_seconds_count", operation="create_memories", code="plugin_failure") == 1
    assert value(found, "memhost_operation_seconds_count", operation="put_session", code="refused") == 1


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_reviews_are_counted(tmp_path: Path, store: str) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, store=store, clock=clock, run_jobs=False) as host:
        app: Any = build_app(host)
        async with (
            app.lifespan(),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://[::1]") as http,
        ):
            texts = (
                "Refunds under 500 EUR are approved without asking anyone.",
                "Rent goes to DE89370400440532013000.",
            )
            memories = [{"id": f"m{number}", "text": text} for number, text in enumerate(texts)]
            await run(host, "create_memories", memories=memories)
            await run(host, "refuse_reviews", memory_ids=["m1"])
            clock.advance(7)
            found = samples_of((await http.get("/metrics")).text)
    assert value(found, "memhost_reviews_waiting", reason="rights") == 1
    assert value(found, "memhost_reviews_waiting", reason="payments") == 0
    assert value(found, "memhost_oldest_review_age_seconds") == 7
    assert value(found, "memhost_reviews_total", outcome="held") == 2
    assert value(found, "memhost_reviews_total", outcome="refused") == 1


async def test_a_reranker_is_timed_by_its_outcome(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        app: Any = build_app(host)
        async with (
            app.lifespan(),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://[::1]") as http,
        ):
            host.services.metrics.reranked("large", "ok", 0.3)
            host.services.metrics.reranked("large", "timeout", 3.0)
            host.services.metrics.reranked("large", "timeout", 3.0)
            found = samples_of((await http.get("/metrics")).text)
    assert value(found, "memhost_rerank_seconds_count", model="large", outcome="ok") == 1
    assert value(found, "memhost_rerank_seconds_count", model="large", outcome="timeout") == 2
    assert value(found, "memhost_rerank_seconds_sum", model="large", outcome="timeout") == 6


async def test_calls_of_models_are_counted_under_few_names(tmp_path: Path) -> None:
    owner = SessionKey("default", "travel", "tea-lover-17", "s")
    async with running_host(tmp_path, store="memory") as host:
        app: Any = build_app(host)
        async with (
            app.lifespan(),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://[::1]") as http,
        ):
            use = ModelUse(model="large", input_tokens=100, output_tokens=20, cost_usd=0.25, seconds=2.0)
            for _ in range(2):
                await host.services.usage.record(owner, "extraction", use)
            await host.services.usage.record(owner, "extraction", ModelUse(model="large", failed=True))
            for number in range(100):
                host.services.usage.meter(ModelUse(model=f"asked-for-{number}"))
            text = (await http.get("/metrics")).text
    found = samples_of(text)
    labels = {"model": "large", "purpose": "extraction"}
    assert value(found, "memhost_model_calls_total", outcome="ok", **labels) == 2
    assert value(found, "memhost_model_calls_total", outcome="failed", **labels) == 1
    assert value(found, "memhost_model_tokens_total", direction="input", **labels) == 200
    assert value(found, "memhost_model_tokens_total", direction="output", **labels) == 40
    assert value(found, "memhost_model_cost_usd_total", **labels) == 0.5
    assert value(found, "memhost_model_seconds_sum", **labels) == 4
    assert value(found, "memhost_model_calls_total", outcome="ok", model="other", purpose="embedding") == 51
    assert "tea-lover-17" not in text


async def test_broken_store_is_reported_and_not_as_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running_host(tmp_path, store="memory") as host:

        async def broken() -> None:
            raise StoreUnavailable("The store is down.")

        monkeypatch.setattr(host.store, "ping", broken)
        answer = await page_of(host)
    found = samples_of(answer.text)
    assert answer.status_code == 200
    assert value(found, "memhost_store_up") == 0
    assert ("memhost_memories", frozenset()) not in found


@pytest.mark.parametrize(
    ("roles", "opened", "status"), [("reader", "", 403), ("operator", "", 200), ("reader", "1", 200)]
)
async def test_page_is_for_operators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roles: str, opened: str, status: int
) -> None:
    shown: list[Credentials] = []
    options = {"METRICS_OPEN": "true"} if opened else {}
    async with running_host(tmp_path, store="memory", settings=options) as host:

        async def authenticate(credentials: Credentials) -> Caller:
            shown.append(credentials)
            return Caller(subject="x", roles=frozenset({roles}))

        monkeypatch.setattr(host, "authenticate", authenticate)
        answer = await page_of(host, authorization="Bearer let-me-in")
    assert answer.status_code == status
    assert [item.token for item in shown] == ([] if opened else ["let-me-in"])


def test_observer_that_fails_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[str] = []

    class Broken(Observer):
        def operation_started(self, name: str) -> None:
            raise RuntimeError("no")

    class Sound(Observer):
        def operation_started(self, name: str) -> None:
            calls.append(name)

    metrics = Metrics()
    metrics.add(Broken())
    metrics.add(Sound())
    metrics.operation_started("a")
    metrics.operation_started("b")
    assert calls == ["a", "b"]
    assert [record.getMessage() for record in caplog.records] == ["metrics.observer_failed"]


async def test_cancelled_operation_does_not_stay_in_flight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[str] = []

    class Codes(Observer):
        def operation_finished(self, name: str, code: str, seconds: float) -> None:
            codes.append(code)

    async with running_host(tmp_path, store="memory") as host:
        host.metrics.add(Codes())
        never: Callable[[], Any] = asyncio.Event().wait
        monkeypatch.setattr(host.store, "ping", never)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await run(host, "ready")
    assert codes == ["cancelled"]


def test_library_is_not_imported_until_the_interface_is_built() -> None:
    code = (
        "import sys, memhost_metrics; memhost_metrics.memhost_interfaces(); print('prometheus_client' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_no_operation_is_missing_however_many_end_before_the_page_is_read() -> None:
    registry = CollectorRegistry()
    observer = PrometheusObserver(registry)
    for number in range(601):
        observer.operation_started("health")
        if number:
            observer.operation_finished("health", "ok" if number % 3 else "not_found", 0.02)
    observer.settle()
    seconds = {code: {"operation": "health", "code": code} for code in ("ok", "not_found")}
    counts = [registry.get_sample_value("memhost_operation_seconds_count", labels) for labels in seconds.values()]
    assert counts == [400, 200]
    assert registry.get_sample_value("memhost_operations_in_progress", {"operation": "health"}) == 1
    total = registry.get_sample_value("memhost_operation_seconds_sum", seconds["ok"])
    assert total == pytest.approx(8.0)
