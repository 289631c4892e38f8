"""Records of extraction runs: what was asked, answered, stored and dropped; who sees them, and when they go."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from memhost.errors import NotFound
from memhost.extraction.pipeline.run_records import KEPT_RUNS, KIND, RunRecords, naming, record_of
from memhost.host import Host
from memhost.models import Scope, SessionKey, WriteBatch
from memhost.testing.clock import FakeClock
from memhost.usage.model_calls import Exchange
from tests.support.extractions import derived, host_with_model, item, noting, said, settled
from tests.support.hosts import bound_to, run, running_host
from tests.support.model_server import ModelServer, content_filter, failure

STORES = pytest.mark.parametrize("storage", ["memory", "sqlite", "redis"], indirect=True)
SECRET = "sk-proj-abcdefghijklmnopqrstuvwx0123456789ABCD"


@pytest.fixture
def storage(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings that choose a store."""
    space = request.getfixturevalue("redis_part").environment() if request.param == "redis" else {}
    return {"STORE": request.param, **space}


@asynccontextmanager
async def opened(models: ModelServer, folder: Path, **options: Any) -> AsyncIterator[Host]:
    settings = {"STORE": "memory", **options.pop("settings", {})}
    async with host_with_model(models, folder, settings=settings, **options) as host:
        yield host


async def put(host: Host, *texts: str, session: str = "s", **fields: Any) -> None:
    await run(host, "put_session", session_id=session, user_id="ana", messages=said(*texts), **fields)
    await settled(host, session, user_id="ana")


async def shown(host: Host, session: str = "s", **fields: Any) -> Any:
    return await run(host, "session_extraction", session_id=session, user_id="ana", **fields)


async def documents(host: Host) -> int:
    return len(await host.store.list_documents(Scope(), KIND, host.clock.now()))


@STORES
async def test_a_run_shows_what_was_asked_answered_stored_and_dropped(
    models: ModelServer, tmp_path: Path, storage: dict[str, str]
) -> None:
    models.answer(
        noting(
            {"I live in Oslo.": [item("User lives in Oslo.", "m1"), item("User may like fish.", "m1", confidence=0.1)]}
        )
    )
    async with opened(models, tmp_path, settings=storage) as host:
        await put(host, "Hello!", "I live in Oslo.")
        view = await shown(host)
        (memory,) = await derived(host)
        (first,) = view.runs
        assert (view.state, view.pending, view.strategy, view.last_error) == ("done", 0, "discrete", None)
        assert (first.strategy, first.turns, first.stored) == ("discrete/1", ["m0", "m1"], [memory.id])
        (call,) = first.calls
        assert "I live in Oslo." in call.asked
        assert "User lives in Oslo." in call.answered
        assert (call.purpose, call.model) == ("extraction", "openai/test-model")
        assert first.input_tokens == call.input_tokens > 0
        assert [sentence for sentence in first.dropped if "User may like fish." in sentence]
        await put(host, "Hello!", "I live in Oslo.", "Bye.")
        assert [run.turns for run in (await shown(host)).runs] == [["m2"], ["m0", "m1"]]
        assert [run.turns for run in (await shown(host, limit=1)).runs] == [["m2"]]


async def test_a_repetition_and_a_withdrawal_are_shown(models: ModelServer, tmp_path: Path) -> None:
    texts = ("I live in Oslo.", "Oslo, yes.")
    models.answer(noting({text: [item("User lives in Oslo.", f"m{index}")] for index, text in enumerate(texts)}))
    async with opened(models, tmp_path) as host:
        await put(host, texts[0])
        (memory,) = await derived(host)
        await put(host, *texts)
        assert (await shown(host)).runs[0].repeated == [memory.id]
        models.answer(noting({}))
        await put(host, "Never mind.", "Wrong chat.")
        assert (await shown(host)).runs[0].withdrawn == [memory.id]


async def test_answers_that_cannot_be_read_are_shown_with_the_reason(models: ModelServer, tmp_path: Path) -> None:
    models.script("no JSON", "still none")
    models.answer(noting({"I run.": [item("User runs.", "m0")]}))
    async with opened(models, tmp_path) as host:
        await put(host, "I run.")
        newest, oldest = (await shown(host)).runs
        assert [call.answered for call in oldest.calls] == ["no JSON", "still none"]
        assert oldest.error is not None
        assert (newest.error, len(newest.stored)) == (None, 1)


async def test_what_the_provider_declines_is_shown(models: ModelServer, tmp_path: Path) -> None:
    models.answer(lambda _call: content_filter())
    async with opened(models, tmp_path) as host:
        await put(host, "Something.")
        view = await shown(host)
        assert view.state == "refused"
        assert view.runs[0].error is not None
        assert view.last_error is not None


async def test_a_model_that_is_away_leaves_a_state_and_no_records(models: ModelServer, tmp_path: Path) -> None:
    models.answer(lambda _call: failure(500))
    async with opened(models, tmp_path, run_jobs=False) as host:
        await run(host, "put_session", session_id="s", user_id="ana", messages=said("I run."))
        assert (await shown(host)).state == "pending"
        with pytest.raises(Exception, match="model"):
            await run(host, "extract_session", session_id="s", user_id="ana")
        view = await shown(host)
        assert (view.state, view.pending, view.runs) == ("waiting", 1, [])
        assert view.last_error


async def test_secrets_are_masked_whatever_the_policy_is(models: ModelServer, tmp_path: Path) -> None:
    models.answer(noting({"My key": [item(f"User's key is {SECRET}.", "m0")]}))
    async with opened(models, tmp_path, settings={"SECRET_POLICY": "keep"}) as host:
        await put(host, f"My key is {SECRET} and I like tea.")
        (first,) = (await shown(host)).runs
        assert SECRET not in first.calls[0].asked + first.calls[0].answered
        assert "I like tea" in first.calls[0].asked


async def test_long_texts_are_cut(models: ModelServer, tmp_path: Path) -> None:
    models.answer(noting({}))
    async with opened(models, tmp_path, settings={"EXTRACTION_MAX_TOKENS": "100000"}) as host:
        await put(host, "word " * 30_000 + "at the end")
        (first,) = (await shown(host)).runs
        assert len(first.calls[0].asked) < 31_000
        assert "at the end" in first.calls[0].asked


async def test_a_session_keeps_so_many_runs(models: ModelServer, tmp_path: Path) -> None:
    models.answer(noting({}))
    async with opened(models, tmp_path, run_jobs=False) as host:
        for number in range(KEPT_RUNS + 2):
            messages = [{"id": f"n{number}", "role": "user", "content": f"Number {number}."}]
            await run(host, "change_session", session_id="s", user_id="ana", messages=messages)
            await run(host, "extract_session", session_id="s", user_id="ana")
        runs = (await shown(host, limit=50)).runs
        assert [each.turns for each in runs] == [[f"n{number}"] for number in range(KEPT_RUNS + 1, 1, -1)]


async def test_none_are_kept_where_that_is_set(models: ModelServer, tmp_path: Path) -> None:
    models.answer(noting({"I run.": [item("User runs.", "m0")]}))
    async with opened(models, tmp_path, settings={"EXTRACTION_RUNS_KEEP_DAYS": "0"}) as host:
        await put(host, "I run.")
        view = await shown(host)
        assert (view.state, view.keep_days, view.runs, await documents(host)) == ("done", 0.0, [], 0)


async def test_they_expire(models: ModelServer, tmp_path: Path) -> None:
    clock = FakeClock(datetime(2026, 3, 3, tzinfo=UTC))
    models.answer(noting({}))
    async with opened(models, tmp_path, clock=clock, run_jobs=False) as host:
        await run(host, "put_session", session_id="s", user_id="ana", messages=said("I run."))
        await run(host, "extract_session", session_id="s", user_id="ana")
        clock.advance(timedelta(days=6).total_seconds())
        assert len((await shown(host)).runs) == 1
        clock.advance(timedelta(days=2).total_seconds())
        assert (await shown(host)).runs == []


async def test_they_go_with_the_session_and_with_the_user(models: ModelServer, tmp_path: Path) -> None:
    models.answer(noting({}))
    async with opened(models, tmp_path) as host:
        for session in ("s", "t"):
            await put(host, "I run.", session=session)
        await run(host, "delete_session", session_id="s", user_id="ana")
        assert await documents(host) == 1
        with pytest.raises(NotFound):
            await shown(host)
        receipt = await run(host, "delete_user", user_id="ana")
        assert receipt.counts["extraction_runs"] == 1
        assert await documents(host) == 0


async def test_they_go_with_a_memory_that_they_hold_and_others_stay(models: ModelServer, tmp_path: Path) -> None:
    models.answer(
        noting({"I live in Oslo.": [item("User lives in Oslo.", "a0")], "I run.": [item("User runs.", "b0")]})
    )
    async with opened(models, tmp_path) as host:
        for name, text in (("a", "I live in Oslo."), ("b", "I run.")):
            messages = said(text, prefix=name)
            await run(host, "put_session", session_id=name, user_id="ana", messages=messages)
            await settled(host, name, user_id="ana")
        assert await documents(host) == 2
        other = {"id": "own", "text": "A memory of another.", "user_id": "bob"}
        await run(host, "create_memories", memories=[other])
        await run(host, "delete_memories", memory_ids=["own"])
        assert await documents(host) == 2
        await run(host, "delete_memories", memory_ids=["a0"])
        assert (await shown(host, "a")).runs == []
        assert len((await shown(host, "b")).runs) == 1
        (runs,) = await derived(host)
        await run(host, "delete_memories", memory_ids=[runs.id])
        assert await documents(host) == 0


async def test_others_do_not_see_them(models: ModelServer, tmp_path: Path) -> None:
    models.answer(noting({}))
    async with opened(models, tmp_path) as host:
        await put(host, "I run.")
        for caller in (bound_to(users=("bob",)), bound_to(sessions=("t",)), bound_to(namespaces=("work",))):
            with pytest.raises(NotFound):
                await run(host, "session_extraction", caller, session_id="s", user_id="ana")
            with pytest.raises(NotFound):
                await run(host, "session_extraction", caller, session_id="s")
        assert len((await run(host, "session_extraction", bound_to(users=("ana",)), session_id="s")).runs) == 1
        assert (await run(host, "search_memories", text="You read new messages", limit=5)).total <= 1


async def test_a_session_that_no_strategy_reads_is_off(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await run(host, "put_session", session_id="s", user_id="ana", messages=said("I run."))
        view = await shown(host)
        assert (view.state, view.pending, view.runs) == ("off", 0, [])


async def test_records_that_hold_a_text_are_found_as_prompts_have_it(tmp_path: Path) -> None:
    key = SessionKey("default", "", "ana", "s")
    quoted = 'Ana said "no"\nand left.'
    asked = [
        Exchange(purpose="extraction", messages=[{"role": "user", "content": f'{{"text": {json.dumps(quoted)}}}'}])
    ]
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        now = host.clock.now()
        records = RunRecords(host.store, 7)
        (held,) = records.document(key, 0, record_of("discrete/1", ["m1"], asked, now), now)
        (other,) = records.document(key, 1, record_of("discrete/1", ["m2"], [], now), now)
        await host.store.commit(Scope(), WriteBatch(put_documents=[held, other]))
        assert await naming(host.store, Scope(), ["x"], [quoted], now) == [(KIND, held.id)]
        many = [f"text {number}" for number in range(101)]
        assert await naming(host.store, Scope(), ["x"], many[:100], now) == []
        assert await naming(host.store, Scope(), ["x"], many, now) == [(KIND, held.id), (KIND, other.id)]
