"""Models that are down for hours: work waits and continues by itself, and every status shows it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from msgspec import UNSET

from memhost.cli import cli
from memhost.cli.server import checks
from memhost.errors import ModelRefused, ModelUnavailable, RequestRejected
from memhost.host import Host
from memhost.host.readiness import WaitingWork, span
from memhost.http.app import build_app
from memhost.jobs import WaitingForModels
from memhost.jobs.outbox import Outbox
from memhost.models import Scope
from memhost.operations.responses import ComponentHealth
from memhost.ports import Vocabulary
from memhost.testing.clock import FakeClock
from memhost.testing.models import Asked, Given
from memhost.usage.model_health import ModelHealth, WatchedEmbedder
from tests.core.jobs.test_jobs import work
from tests.support import scripted
from tests.support.extractions import texts_of
from tests.support.hosts import run, running_host
from tests.support.scripted import Script

STORES = pytest.mark.parametrize("store", ["memory", "sqlite"])
DOWN = ModelUnavailable("acme/large is unavailable: Connection error.")
HOUR = 3600.0


@pytest.fixture
def script() -> Script:
    return scripted.reset()


@asynccontextmanager
async def hosted(folder: Path, store: str = "memory", **settings: str) -> AsyncIterator[Host]:
    given = {"LLM": "scripted", "EXTRACTION_DEBOUNCE_SECONDS": "0", "SCHEDULE_EVERY_S": '{"compact-memories": 0}'}
    async with running_host(
        folder, store=store, extra=[scripted.POINT], settings={**given, **settings}, clock=FakeClock(), run_jobs=False
    ) as host:
        yield host


def advance(host: Host, seconds: float) -> None:
    host.clock.advance(seconds)  # type: ignore[attr-defined]


def fresh_ids(asked: Asked) -> list[str]:
    """Ids of the messages that a prompt gives to extract from, by their texts (see `say`)."""
    return [f"m{number}" for text in texts_of(asked) for number in re.findall(r"^I like dish number (\d+)\.$", text)]


def noting(refuse: Callable[[str], Exception | None] = lambda _name: None) -> Callable[[Asked], Given]:
    """A rule: a memory of each message, or the error that one of them gives."""

    def rule(asked: Asked) -> Given:
        names = fresh_ids(asked)
        if found := next((error for name in names if (error := refuse(name)) is not None), None):
            return found
        items = [
            {"type": "semantic", "text": f"User said {name}.", "source_message_ids": [name], "confidence": 0.9}
            for name in names
        ]
        return json.dumps({"memories": items})

    return rule


async def say(host: Host, *numbers: int, session: str = "s") -> None:
    messages = [{"id": f"m{number}", "role": "user", "content": f"I like dish number {number}."} for number in numbers]
    await run(host, "put_session", session_id=session, user_id="ann", messages=messages)


async def extracted(host: Host) -> list[str]:
    found, _ = await host.store.list_memories(Scope(), limit=500)
    return sorted(memory.record.text for memory in found if memory.record.extraction_strategy == "discrete")


async def part(host: Host, name: str) -> ComponentHealth | None:
    readiness = await host.readiness()
    assert readiness.ready, "reads and writes go on"
    return next((each for each in readiness.components if each.name == name), None)


async def test_turns_wait_for_a_model_that_is_taken_away(tmp_path: Path, script: Script) -> None:
    """A server that is started once without its model leaves the waiting turns to the next one with a model."""
    script.rule = noting()
    async with hosted(tmp_path, "sqlite") as host:
        await say(host, 1)
        messages = [{"id": "m2", "role": "user", "content": "I like dish number 2."}]
        strategy = {"strategy": "preferences"}
        await run(host, "put_session", session_id="t", messages=messages, long_term_memory_strategy=strategy)
    async with hosted(tmp_path, "sqlite", LLM="none") as host:
        advance(host, 1)
        await work(host)
        jobs = (await run(host, "list_jobs")).jobs
        assert [(job.state, "set LLM_MODEL" in (job.last_error or "")) for job in jobs] == [("waiting", True)] * 2
        assert script.calls == []
    async with hosted(tmp_path, "sqlite") as host:
        advance(host, HOUR)
        await work(host)
        assert not [job for job in (await run(host, "list_jobs")).jobs if job.event == "extraction_due"]
    assert sorted(name for asked in script.of("extraction") for name in fresh_ids(asked)) == ["m1", "m2"]


@STORES
async def test_what_waits_goes_on_when_the_model_answers_anything(store: str, tmp_path: Path, script: Script) -> None:
    script.rule = lambda _asked: DOWN
    async with hosted(tmp_path, store) as host:
        for session in "abc":
            await say(host, ord(session), session=session)
        for _ in range(6):
            await work(host)
            advance(host, HOUR)
        await work(host)
        await say(host, 1, session="d")
        advance(host, 1)
        script.rule = noting()
        await work(host)
        assert await extracted(host) == ["User said m1."]
        for _ in range(10_000):  # the background task has its turns
            if (await run(host, "list_jobs", state="waiting")).total == 0:
                break
            await asyncio.sleep(0)
        jobs = [row for row in (await run(host, "list_jobs")).jobs if row.event == "extraction_due"]
        assert [(row.state, row.failures) for row in jobs] == [("pending", 0)] * 3
        assert all(0 <= (row.due_at - host.clock.now()).total_seconds() <= 10 for row in jobs)
        advance(host, 10)
        await work(host)
        assert await extracted(host) == ["User said m1.", "User said m97.", "User said m98.", "User said m99."]


async def test_what_waits_for_something_else_goes_on_waiting(tmp_path: Path, script: Script) -> None:
    script.rule = lambda _asked: RequestRejected("The provider rejected the request.")
    async with hosted(tmp_path) as host:
        await say(host, 1)
        await work(host)
        before = [(row.id, row.state, row.due_at) for row in (await run(host, "list_jobs")).jobs]
        assert host.services.model_health.on_answer is not None
        waiting = WaitingForModels(
            store=host.store, tenants=host.services.tenants, outbox=Outbox(host.plugins), clock=host.clock
        )
        assert await waiting.wake() == 0
        assert [(row.id, row.state, row.due_at) for row in (await run(host, "list_jobs")).jobs] == before


def test_a_model_that_goes_on_answering_is_told_of_once() -> None:
    told: list[int] = []
    health = ModelHealth(FakeClock())
    health.on_answer = lambda: told.append(1)
    for outcome in ("ok", "ok", "refused", "away", "away", "ok", "ok"):
        if outcome == "ok":
            health.answered("language_model", "acme/large")
        else:
            error = DOWN if outcome == "away" else ModelRefused("Not this.")
            health.failed("language_model", "acme/large", error)
    assert len(told) == 2, "at the first answer of all, and when it is back"


@pytest.mark.parametrize("settings", [{"DEFAULT_STRATEGY": "verbatim"}, {"EXTRACTION_ENABLED": "false"}])
async def test_turns_do_not_wait_where_no_model_is_wanted(tmp_path: Path, settings: dict[str, str]) -> None:
    async with hosted(tmp_path, "sqlite") as host:
        await say(host, 1)
    async with hosted(tmp_path, "sqlite", LLM="none", **settings) as host:
        advance(host, 1)
        await work(host)
        assert (await run(host, "list_jobs")).jobs == []


@STORES
@pytest.mark.parametrize(
    "error",
    [
        DOWN,
        ModelUnavailable("The provider of acme/large does not accept the key; set ACME_API_KEY to a valid one."),
        ModelUnavailable("No provider is known for the model large; write it as provider/model."),
        ModelUnavailable("The quota of the account for acme/large is used up."),
    ],
    ids=["away", "key", "name", "quota"],
)
async def test_messages_wait_for_as_long_as_it_takes(
    store: str, tmp_path: Path, script: Script, error: Exception
) -> None:
    script.rule = lambda _asked: error
    async with hosted(tmp_path, store, JOB_MAX_TRIES="1") as host:
        began = host.clock.now()
        await say(host, 0)
        for _ in range(10):
            await work(host)
            advance(host, HOUR)
        assert (await run(host, "list_jobs", state="dead")).total == 0
        (job,) = [row for row in (await run(host, "list_jobs")).jobs if row.event == "extraction_due"]
        assert (job.state, job.waiting_since, job.attempts) == ("waiting", began, 0)
        assert str(error) in (job.last_error or "")
        state = (await run(host, "get_session", session_id="s", user_id="ann")).extraction
        assert (state.state, state.pending, state.waiting_since, state.last_error) == ("waiting", 1, began, str(error))
        await say(host, 0, 1)
        script.rule = noting()
        advance(host, HOUR)
        await work(host)
        assert await extracted(host) == ["User said m0.", "User said m1."]
        state = (await run(host, "get_session", session_id="s", user_id="ann")).extraction
        assert (state.state, state.pending, state.waiting_since, state.last_error) == ("idle", 0, UNSET, None)


async def test_a_message_meanwhile_does_not_begin_the_waiting_anew(tmp_path: Path, script: Script) -> None:
    script.rule = lambda _asked: DOWN
    async with hosted(tmp_path) as host:
        began = host.clock.now()
        for number in range(4):
            await say(host, *range(number + 1))
            await work(host)
            advance(host, 60)
        (job,) = [row for row in (await run(host, "list_jobs")).jobs if row.event == "extraction_due"]
        assert (job.state, job.waiting_since) == ("waiting", began)


@STORES
async def test_an_embedder_that_is_away_is_waited_for(store: str, tmp_path: Path, script: Script) -> None:
    script.embedder_down = True
    async with hosted(tmp_path, store, LLM="none", EMBEDDER="remote", JOB_MAX_TRIES="1") as host:
        await run(host, "create_memories", memories=[{"id": "a", "text": "tea", "user_id": "ann"}])
        for _ in range(60):
            await work(host)
            advance(host, HOUR)
        assert (await run(host, "list_jobs", state="dead")).total == 0
        health = await part(host, "embedder")
        assert health is not None
        assert not health.ok
        assert "remote-test is away since 2026-01-01 00:00 UTC" in health.detail
        found = await run(host, "search_memories", text="tea", search_mode="keyword")
        assert found.total == 1
        script.embedder_down = False
        advance(host, HOUR)
        await work(host)
        (memory,) = await host.store.get_memories(Scope(), ["a"])
        assert memory.vector is not None
        health = await part(host, "embedder")
        assert health is not None
        assert (health.ok, health.detail) == (True, "remote-test answers")


async def test_a_message_that_is_declined_is_named(tmp_path: Path, script: Script) -> None:
    script.rule = noting(lambda name: ModelRefused("Not this.") if name == "m2" else None)
    async with hosted(tmp_path) as host:
        await say(host, 0, 1, 2, 3)
        await work(host)
        state = (await run(host, "get_session", session_id="s", user_id="ann")).extraction
        assert (state.state, state.last_error) == ("refused", "Message m2: Not this.")
        assert await extracted(host) == ["User said m0.", "User said m1.", "User said m3."]


async def test_a_message_that_no_request_can_hold_does_not_keep_the_others(tmp_path: Path, script: Script) -> None:
    bad = RequestRejected("The provider of acme/large does not take the request: odd letters.")
    script.rule = noting(lambda name: bad if name == "m1" else None)
    async with hosted(tmp_path, JOB_MAX_TRIES="2") as host:
        await say(host, 0, 1, 2, 3)
        await work(host)
        assert await extracted(host) == ["User said m0.", "User said m2.", "User said m3."]
        advance(host, HOUR)
        await work(host)
        (dead,) = (await run(host, "list_jobs", state="dead")).jobs
        assert "Message m1: " in (dead.last_error or "")
        view = await run(host, "get_session", session_id="s", user_id="ann")
        assert (view.extraction.state, view.extraction.pending) == ("failed", 1)
        assert "Message m1: " in view.extraction.last_error
        script.rule = noting()
        await run(host, "retry_job", job_id=dead.id)
        await work(host)
        assert len(await extracted(host)) == 4


async def test_where_no_request_is_taken_only_some_are_tried(tmp_path: Path, script: Script) -> None:
    script.rule = lambda _asked: RequestRejected("The provider does not take the request: unknown parameter.")
    async with hosted(tmp_path, JOB_MAX_TRIES="1") as host:
        await say(host, *range(64))
        await work(host)
        assert len(script.calls) < 16
        view = await run(host, "get_session", session_id="s", user_id="ann")
        assert (view.extraction.state, view.extraction.pending) == ("failed", 64)


# -- telling ---------------------------------------------------------------------------------------------------


async def test_ready_tells_of_the_model_and_of_what_waits(tmp_path: Path, script: Script) -> None:
    async with hosted(tmp_path) as host:
        health = await part(host, "language_model")
        assert health is not None
        assert (health.ok, health.detail) == (True, "not called by this process yet")
        assert await part(host, "waiting_jobs") is None
        script.rule = lambda _asked: DOWN
        await say(host, 0)
        await say(host, 1, session="t")
        await work(host)
        advance(host, 3 * HOUR + 240)
        health, waits = await part(host, "language_model"), await part(host, "waiting_jobs")
        assert health is not None
        assert waits is not None
        away = "scripted-model is away since 2026-01-01 00:00 UTC (3 h 4 min): acme/large is unavailable"
        assert health.detail.startswith(away)
        assert waits.detail == "2 jobs wait, the oldest since 2026-01-01 00:00 UTC (3 h 4 min): ModelUnavailable"
        assert (health.ok, waits.ok) == (False, False)
        script.rule = noting()
        await work(host)
        health = await part(host, "language_model")
        assert health is not None
        assert (health.ok, health.detail) == (True, "scripted-model answers")
        assert await part(host, "waiting_jobs") is None


async def test_ready_stays_200_and_metrics_tell_how_long(tmp_path: Path, script: Script) -> None:
    script.rule = lambda _asked: DOWN
    async with hosted(tmp_path) as host:
        app: Any = build_app(host)
        async with (
            app.lifespan(),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://[::1]") as http,
        ):
            await say(host, 0)
            await work(host)
            advance(host, 90)
            answer = await http.get("/v1/ready")
            page = (await http.get("/metrics")).text
    assert answer.status_code == 200
    assert {each["name"]: each["ok"] for each in answer.json()["components"]} == {
        "store": True,
        "language_model": False,
        "waiting_jobs": False,
    }
    assert 'memhost_model_away_seconds{kind="language_model"} 90.0' in page
    assert "memhost_oldest_waiting_job_age_seconds 90.0" in page
    assert 'memhost_jobs{state="waiting"} 1.0' in page


def test_what_counts_as_away(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = FakeClock()
    health = ModelHealth(clock)
    assert health.worst("embedder") is None
    health.answered("embedder", "e")
    for error in (ModelRefused("No."), RequestRejected("Odd."), ValueError("x"), KeyboardInterrupt()):
        health.failed("embedder", "e", error)
        worst = health.worst("embedder")
        assert worst is not None
        assert worst[1].away_since is None
    since = clock.now()
    health.failed("embedder", "e", ModelUnavailable("First."))
    clock.advance(60)
    health.failed("embedder", "e", ModelUnavailable("Second."))
    health.failed("embedder", "later", ModelUnavailable("Third."))
    worst = health.worst("embedder")
    assert worst is not None
    assert (worst[0], worst[1].away_since, worst[1].reason) == ("e", since, "Second.")
    assert health.worst("language_model") is None
    clock.advance(1)
    health.answered("embedder", "another")
    worst = health.worst("embedder")
    assert worst is not None
    assert worst[0] == "e", "one that answers does not hide one that is away"
    health.failed("embedder", "e", RequestRejected("It answers again."))
    health.answered("embedder", "later")
    worst = health.worst("embedder")
    assert worst is not None
    assert worst[1].away_since is None
    told = [record.getMessage() for record in caplog.records]
    assert told == ["model.away", "model.away", "model.back", "model.back"]


def test_what_else_an_embedder_can_shows_through() -> None:
    class Knowing(scripted.RemoteEmbedder):
        def knows_any(self, words: Sequence[str]) -> bool:
            return "tea" in words

    watched = WatchedEmbedder(Knowing(), ModelHealth(FakeClock()))
    assert isinstance(watched, Vocabulary)
    assert watched.knows_any(["tea"])
    assert not isinstance(WatchedEmbedder(scripted.RemoteEmbedder(), ModelHealth(FakeClock())), Vocabulary)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (61, "1 min 1 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h"),
        (3660, "1 h 1 min"),
        (90_000, "1 d 1 h"),
        (-5, "0 s"),
    ],
)
def test_spans_have_two_units(seconds: float, told: str) -> None:
    assert span(seconds) == told


def test_one_job_is_one() -> None:
    now = FakeClock().now()
    assert WaitingWork(jobs=1, since=now, kind="Busy").told(now) == (
        "1 job waits, the oldest since 2026-01-01 00:00 UTC (0 s): Busy"
    )
    assert WaitingWork().told(now) == "nothing waits"


# -- doctor ----------------------------------------------------------------------------------------------------


async def test_doctor_tells_of_what_waits_and_tries_the_model(tmp_path: Path, script: Script) -> None:
    script.rule = lambda _asked: DOWN
    async with hosted(tmp_path) as host:
        await say(host, 0)
        await work(host)
        (waits,) = await checks._jobs(host)
        assert waits.state == "warn"
        assert waits.detail.startswith("1 job waits, the oldest since 2026-01-01 00:00 UTC")
        assert str(DOWN) in waits.detail
        assert "doctor --call-model" in waits.fix
        calls = len(script.calls)
        (told,) = await checks._model(host, call=False)
        assert (told.state, len(script.calls)) == ("ok", calls)
        assert "not called" in told.detail
        (told,) = await checks._model(host, call=True)
        assert (told.state, told.detail) == ("fail", str(DOWN))
        script.rule = lambda _asked: "yes"
        (told,) = await checks._model(host, call=True)
        assert told.state == "ok"
        assert told.detail.startswith("scripted-model answers, 10 + 2 tokens")


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("llama3.1:8b", "No provider is known for the model llama3.1:8b"),
        ("openai/gpt-5-mini", "needs a key; set OPENAI_API_KEY"),
        ("claude-sonnet-4-5", "needs a key; set ANTHROPIC_API_KEY"),
        ("gemini/gemini-2.0-flash", "needs a key; set GOOGLE_API_KEY or GEMINI_API_KEY"),
        ("ollama/llama3.1:8b", None),
        ("hosted_vllm/any", None),
        ("bedrock/any", None),
    ],
)
def test_doctor_finds_what_cannot_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, told: str | None
) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    environment = {"MEMHOST_DATA_DIR": str(tmp_path), "PORT": "0", "LLM_MODEL": model}
    result = CliRunner().invoke(cli, ["doctor", "--json"], env=environment)
    (check,) = [each for each in json.loads(result.stdout)["checks"] if each["name"] == "language model"]
    assert check["state"] == ("ok" if told is None else "warn")
    assert (told or "not called") in check["detail"]


def test_the_command_line_lists_what_waits(tmp_path: Path, script: Script) -> None:
    async def wait() -> None:
        async with hosted(tmp_path, "sqlite") as host:
            await say(host, 0)
            await say(host, 1, session="t")
            await work(host)
            await say(host, 1, 2, session="t")

    script.rule = lambda _asked: DOWN
    asyncio.run(wait())
    invoke = CliRunner().invoke
    environment = {"MEMHOST_DATA_DIR": str(tmp_path), "COLUMNS": "250"}
    listed = invoke(cli, ["jobs", "list", "--state", "waiting", "--json"], env=environment)
    (job,) = json.loads(listed.stdout)["jobs"]
    assert (job["state"], job["waiting_since"], job["attempts"]) == ("waiting", "2026-01-01T00:00:00Z", 0)
    lines = invoke(cli, ["jobs", "list"], env=environment).stdout.splitlines()
    told = " ".join(" ".join(lines).split())  # cells are folded where the table is narrow
    assert "waiting since 2026-01-01 00:00" in told
    assert "pending, waited since 2026-01-01 00:00" in told
    assert str(DOWN) in told
