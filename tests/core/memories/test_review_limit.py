"""Of one owner only so many memories wait for a review; what comes on top is told, and nothing else is lost with it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from memhost.admin.export_import import Importer
from memhost.errors import IdTaken, ReviewLimitReached
from memhost.host import Host
from memhost.models import Caller, Scope, SessionKey
from memhost.operations import Call
from memhost.ports import Draft
from memhost.testing.clock import FakeClock
from memhost.testing.factories import after
from memhost.testing.models import Asked
from memhost.testing.polling import until
from tests.support import scripted
from tests.support.dedup_hosts import always, judging_host, keep, script, stored
from tests.support.hosts import ADMIN, run, running_host
from tests.support.reviews import Outcomes, approve
from tests.support.stores import STORES

RIGHTS = "Refunds under {} EUR are approved without asking anyone."
FACT = "User prefers dark mode."
AGENT = Caller(subject="agent", roles=frozenset({"writer"}), channel="agent")
USER = Caller(subject="ann", bounds=Scope(users=("ann",)), roles=frozenset({"writer"}), channel="user")
TWO = {"REVIEW_LIMIT": "2"}


def rights(number: int, user: str = "ann", **more: Any) -> dict[str, Any]:
    return {"id": f"m{number}", "text": RIGHTS.format(number), "user_id": user, **more}


async def waiting(host: Host, **fields: Any) -> list[str]:
    return [item.memory.id for item in (await run(host, "list_reviews", **fields)).memories]


async def refused(host: Host, name: str, caller: Caller = ADMIN, /, **fields: Any) -> ReviewLimitReached:
    with pytest.raises(ReviewLimitReached) as raised:
        await run(host, name, caller, **fields)
    return raised.value


@STORES
async def test_what_comes_on_top_is_refused_and_the_rest_is_stored(
    tmp_path: Path, store: str, space: dict[str, str]
) -> None:
    async with running_host(tmp_path, store=store, settings=TWO | space, run_jobs=False) as host:
        host.metrics.add(seen := Outcomes())
        given = [*(rights(number) for number in (1, 2, 3, 4)), {"id": "f", "text": FACT, "user_id": "ann"}]
        error = await refused(host, "create_memories", memories=given)
        assert (error.ids, error.stored, error.code) == (("m3", "m4"), 3, "review_limit_reached")
        assert "memhost review list" in error.message
        assert "REVIEW_LIMIT" in error.message
        assert await waiting(host) == ["m1", "m2"]
        assert (await run(host, "get_memory", memory_id="f")).text == FACT
        assert (await refused(host, "store_memories", memories=[rights(5)])).stored == 0
        assert seen.counts == {"held": 2, "over_limit": 3}


@STORES
async def test_a_decision_makes_room(tmp_path: Path, store: str, space: dict[str, str]) -> None:
    clock = FakeClock(datetime.now(UTC).replace(microsecond=0))
    async with running_host(tmp_path, store=store, settings=TWO | space, clock=clock, run_jobs=False) as host:
        await run(host, "create_memories", memories=[rights(1), rights(2)])
        await refused(host, "create_memories", memories=[rights(3)])
        await approve(host, "m1")
        await run(host, "create_memories", memories=[rights(3)])
        await refused(host, "create_memories", memories=[rights(4)])
        await run(host, "refuse_reviews", memory_ids=["m2"])
        await run(host, "create_memories", memories=[rights(4)])
        await run(host, "delete_memories", memory_ids=["m3"])
        await run(host, "create_memories", memories=[rights(5)])
        assert await waiting(host) == ["m4", "m5"]
        await refused(host, "create_memories", memories=[rights(6)])
        clock.advance(timedelta(days=31).total_seconds())
        await run(host, "create_memories", memories=[rights(6)])
        assert await waiting(host) == ["m6"]


@STORES
async def test_what_is_no_more_than_waits_is_not_refused(tmp_path: Path, store: str, space: dict[str, str]) -> None:
    async with running_host(tmp_path, store=store, settings=TWO | space, run_jobs=False) as host:
        await run(host, "create_memories", memories=[rights(1), rights(2)])
        again = await run(host, "store_memories", memories=[rights(1), {**rights(2), "id": "other"}])
        assert [(item.id, item.status) for item in again.results] == [("m1", "pending"), ("m2", "pending")]
        await run(host, "create_memories", memories=[{**rights(1), "text": RIGHTS.format("1,000")}])
        assert (await run(host, "get_review", memory_id="m1")).memory.text == RIGHTS.format("1,000")
        edited = await run(host, "edit_memory", memory_id="m2", text=RIGHTS.format("2,000"))
        assert edited.review.state == "pending"
        for memory in (
            {"id": "a", "text": FACT, "user_id": "ann"},
            {"id": "b", "text": "Der Nutzer mag Tee.", "user_id": "ann"},
            {"id": "c", "text": "ユーザーは京都に住んでいます。", "user_id": "ann"},
            rights(3, "bob"),
            rights(4, "ann", namespace="team"),
            {**rights(5), "user_id": None},
        ):
            await run(host, "create_memories", memories=[memory])
        await run(host, "create_memories", Caller(subject="o", roles=ADMIN.roles, channel="user"), memories=[rights(6)])
        assert await waiting(host) == ["m1", "m2", "m3", "m4", "m5"]
        await run(host, "refuse_reviews", memory_ids=["m3"])
        again = await run(host, "store_memories", memories=[rights(3, "bob")])
        assert again.results[0].status == "refused"


async def test_without_a_limit_all_wait(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", settings={"REVIEW_LIMIT": "0"}, run_jobs=False) as host:
        await run(host, "create_memories", memories=[rights(number) for number in range(30)])
        assert len(await waiting(host)) == 30


async def test_ids_that_others_use_are_named_with_what_is_not_kept(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", settings={"REVIEW_LIMIT": "1"}, run_jobs=False) as host:
        await run(host, "create_memories", memories=[{"id": "f", "text": FACT, "user_id": "bob"}])
        given = [rights(1), rights(2), {"id": "f", "text": FACT, "user_id": "ann"}]
        error = await refused(host, "create_memories", memories=given)
        assert (error.ids, error.stored) == (("m2",), 1)
        assert "Another owner already uses these memory ids: f." in error.message
        with pytest.raises(IdTaken):
            await run(host, "create_memories", memories=given[2:])


async def test_an_edit_on_top_leaves_the_memory_as_it_is(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", settings=TWO, run_jobs=False) as host:
        memory = {"id": "bank", "text": "User's bank is Nordea.", "user_id": "ann"}
        await run(host, "create_memories", USER, memories=[memory])
        await run(host, "create_memories", memories=[rights(1, "ann"), rights(2, "ann"), rights(3, "bob")])
        moved = {"memory_id": "bank", "text": "Bank account moved: ends in 8875."}
        assert (await refused(host, "edit_memory", AGENT, **moved)).ids == ("bank",)
        assert (await run(host, "get_memory", memory_id="bank")).text == "User's bank is Nordea."
        await run(host, "edit_memory", AGENT, memory_id="bank", metadata={"seen": True})
        assert (await refused(host, "edit_memory", memory_id="m3", user_id="ann")).ids == ("m3",)
        assert (await run(host, "get_review", memory_id="m3")).memory.user_id == "bob"
        await run(host, "refuse_reviews", memory_ids=["m1"])
        assert (await run(host, "edit_memory", AGENT, **moved)).review.state == "pending"


async def test_a_session_keeps_what_comes_on_top_and_brings_it_again(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", settings=TWO, run_jobs=False) as host:
        said = {"id": "t", "role": "user", "content": "Good morning."}
        memories = [{"id": f"m{number}", "text": RIGHTS.format(number)} for number in (1, 2, 3)]
        session = {"session_id": "s", "user_id": "ann", "messages": [said], "memories": memories}
        call = Call(caller=ADMIN, request_id="r")
        await host.execute("put_session", call, msgspec.convert(session, host.operations["put_session"].request))
        told = dict(call.notices)
        assert "m3" in told["review_limit"]
        assert "m3" not in told["held"]
        kept = await run(host, "get_session", session_id="s", user_id="ann")
        assert [(each.id, each.persisted_at) for each in kept.memories] == [("m1", None), ("m2", None), ("m3", None)]
        assert (await run(host, "get_memory", memory_id="t")).text == "user: Good morning."
        await run(host, "refuse_reviews", memory_ids=["m1"])
        await run(host, "put_session", **session)
        assert await waiting(host) == ["m2", "m3"]


async def test_what_a_model_extracts_on_top_is_in_the_record_of_its_run(tmp_path: Path) -> None:
    def extracted(asked: Asked) -> str:
        texts = [RIGHTS.format(1), RIGHTS.format(2), RIGHTS.format(3), "Refunds take two days."]
        items = [{"type": "semantic", "text": text, "source_message_ids": ["t"], "confidence": 0.9} for text in texts]
        return json.dumps({"memories": items})

    scripted.reset().rule = extracted
    settings = {"LLM": "scripted", "EXTRACTION_DEBOUNCE_SECONDS": "0", "GROUNDING_STRICT": "false", **TWO}
    async with running_host(tmp_path, store="memory", extra=[scripted.POINT], settings=settings) as host:
        host.metrics.add(seen := Outcomes())
        turns = [
            {"id": "q", "role": "user", "content": "What does the page say?"},
            {"id": "t", "role": "tool", "content": "Refunds are quick."},
            {"id": "a", "role": "assistant", "content": "It is about refunds."},
        ]
        await run(host, "put_session", session_id="s", user_id="ann", messages=turns)

        async def extracted_all() -> bool:
            view = await run(host, "session_extraction", session_id="s", user_id="ann")
            return any(run_.stored for run_ in view.runs)

        await until(extracted_all)
        (record,) = (await run(host, "session_extraction", session_id="s", user_id="ann")).runs
        assert [text for text in record.dropped if "wait for a review" in text] == [
            f"too many wait for a review: {RIGHTS.format(3)}"
        ]
        assert len(await waiting(host)) == 2
        assert seen.counts == {"held": 2, "over_limit": 1}
        assert (await run(host, "list_jobs", state="dead")).total == 0


async def test_a_job_of_a_plugin_goes_on_without_what_comes_on_top(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", settings=TWO, run_jobs=False) as host:
        host.metrics.add(seen := Outcomes())
        job: Any = SimpleNamespace(id="j", failures=0, tenant="default", lease="", plugin="p")
        context: Any = host.services.dispatcher._make_context(
            job, cast("Any", SimpleNamespace(plugin="p", version="1"))
        )
        drafts = [Draft(id=f"m{number}", text=RIGHTS.format(number)) for number in (1, 2, 3)]
        owner = SessionKey("default", "", "ann", "s")
        assert await context.store_memories(owner, [*drafts, Draft(id="f", text=FACT)]) == ["f"]
        context.batch.complete_job = None
        await host.store.commit(context.scope, context.batch)
        context.committed()
        assert await waiting(host) == ["m1", "m2"]
        assert seen.counts == {"held": 2, "over_limit": 1}


async def test_an_import_names_the_lines_that_come_on_top(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", settings=TWO, run_jobs=False) as host:
        importer = Importer(
            store=host.store,
            embedder=host.embedder,
            tenant="default",
            clock=host.clock,
            settings=host.settings.memory,
        )
        memories = [rights(1), rights(2), {"id": "f", "text": FACT, "user_id": "ann"}, rights(3)]
        await importer.feed(1, json.dumps(memories).encode())
        tally = await importer.finish()
        assert (tally.created, tally.held, [problem.line for problem in tally.problems]) == (1, 2, [4])
        assert "REVIEW_LIMIT" in tally.problems[0].message


async def test_compaction_leaves_what_comes_on_top_where_it_is(tmp_path: Path) -> None:
    async with judging_host(tmp_path, REVIEW_LIMIT="1") as host:
        script().rule = always("update")
        fact = await keep(host, "lind", "Mia's doctor is Dr. Lind.", trust="user", user_id="mia")
        await run(host, "create_memories", memories=[rights(1, "mia", namespace=fact.record.namespace)])
        before = await keep(
            host, "holm", "Correction: Mia's doctor is Dr. Holm.", trust="tool", user_id="mia", created_at=after(60)
        )
        await run(host, "compact_memories")
        assert (await stored(host))["holm"].text == before.record.text
        assert await waiting(host) == ["m1"]
