"""Message accounting: whatever happens, each message is extracted, declined or waiting; never lost, never paid twice.

A stateful property test: sessions are written, rewritten, cut, deleted and expire, while the provider fails, answers
nonsense, declines, and the process dies before or after a commit, or messages are rewritten during a call. Deaths are
exceptions that no boundary of the server catches, raised around the store's commit: what is left in the store is
what a killed process leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from memhost.errors import ModelRefused, ModelUnavailable
from memhost.extraction.pipeline.answer_journal import AnswerJournal
from memhost.host import Host
from memhost.models import JobState, Message, Scope, SessionKey, WriteBatch
from memhost.ports import Completion, Turn
from memhost.testing.clock import FakeClock
from memhost.testing.models import Asked, Given
from tests.support import scripted
from tests.support.hosts import run, running_host

SESSIONS = ("a", "b")
DECLINED = "unspeakable"
WORD = re.compile(r"fact\d+x\d+")
SETTINGS = {"LLM": "scripted", "JOB_BACKOFF_S": "1,1,1", "COMPACT_SEMANTIC_DUPLICATES": "false"}


class Death(BaseException):
    """The process is killed here."""


class Bench:
    """A host on a store, its provider, and what was written and paid for so far."""

    def __init__(self, host: Host, clock: FakeClock) -> None:
        self.host = host
        self.clock = clock
        self._commit = host.store.commit
        host.store.commit = self.commit  # type: ignore[method-assign]
        self.user = ""

    def start(self, user: str) -> None:
        """Begin anew, with a user of its own."""
        self.user = user
        self.sent: dict[str, list[dict[str, Any]]] = {name: [] for name in SESSIONS}
        self.versions: dict[tuple[str, str], str] = {}
        self.paid: dict[str, int] = {}
        self.faults: list[Exception | str] = []
        self.death: str | None = None
        self.numbers = 0
        self.during: Any = None
        script = scripted.reset()
        script.rule = self.answer
        script.before_answer = self.before_answer

    # -- the provider ------------------------------------------------------------------------------------

    async def before_answer(self, _asked: Asked) -> None:
        """What happens while the model thinks."""
        if self.during is not None:
            work, self.during = self.during, None
            await work()

    def answer(self, asked: Asked) -> Given:
        """One memory per message to extract; a fault if one is planned."""
        text = asked.prompt
        lines = text[text.rfind("<messages>") : text.rfind("</messages>")]
        if self.faults:
            fault = self.faults.pop()
            if not isinstance(fault, str):
                return fault
            return fault
        if DECLINED in lines:
            return ModelRefused("The provider declines this.")
        items = []
        for line in lines.splitlines()[1:]:
            with contextlib.suppress(ValueError):
                message = json.loads(line)
                for word in WORD.findall(message["text"]):
                    self.paid[word] = self.paid.get(word, 0) + 1
                    items.append({"text": f"User said {word}.", "lines": [message["n"]]})
        return json.dumps({"memories": items})

    # -- the store ---------------------------------------------------------------------------------------

    async def commit(self, scope: Scope, batch: WriteBatch) -> Any:
        """Commit, and die before or after if the batch is the planned one: that of an extraction."""
        planned = self.death if batch.require_documents else None
        if planned == "before":
            self.death = None
            raise Death
        result = await self._commit(scope, batch)
        if planned == "after":
            self.death = None
            raise Death
        return result

    # -- what clients do ---------------------------------------------------------------------------------

    async def say(self, session: str, count: int, *, declined: bool = False, **fields: Any) -> None:
        """Add messages to a session."""
        for _ in range(count):
            self.numbers += 1
            text = f"fact{self.numbers}x0" + (f" {DECLINED}" if declined else "")
            self.sent[session].append({"id": f"{self.user}{session}{self.numbers}", "role": "user", "content": text})
        await self.put(session, **fields)

    async def rewrite(self, session: str, place: int) -> None:
        """Change a message that the session holds."""
        if self.sent[session]:
            message = self.sent[session][place % len(self.sent[session])]
            number, version = WORD.findall(message["content"])[0][4:].split("x")
            message["content"] = f"fact{number}x{int(version) + 1}"
            await self.put(session)

    async def cut(self, session: str) -> None:
        """Keep only the last message."""
        self.sent[session] = self.sent[session][-1:]
        await self.put(session)

    async def delete(self, session: str) -> None:
        """Delete the session."""
        await run(self.host, "delete_session", session_id=session, user_id=self.user)
        self.sent[session] = []

    async def put(self, session: str, **fields: Any) -> None:
        """Write the session as it is known here."""
        await run(
            self.host, "put_session", session_id=session, user_id=self.user, messages=self.sent[session], **fields
        )
        for message in self.sent[session]:
            self.versions[session, message["id"]] = message["content"]

    # -- what the server does ----------------------------------------------------------------------------

    async def work(self) -> None:
        """Let time pass, and run the jobs that are due; a death leaves its job to others."""
        self.clock.advance(45)
        for job in await self.host.services.dispatcher.claim(10):
            try:
                await self.host.services.dispatcher.run(job)
            except Death:
                self.clock.advance(60)  # the lease of the dead runs out

    async def finish(self) -> None:
        """Without further faults, everything comes to its end."""
        self.faults, self.death, self.during = [], None, None
        for _ in range(12):
            await self.work()
            dead = await self.host.store.list_jobs(Scope(), JobState.DEAD)
            for job in dead[0]:
                await self.host.store.revive_job(Scope(), job.id, self.clock.now())
            if not dead[1] and not (await self.host.store.list_jobs(Scope(), JobState.PENDING))[1]:
                break

    async def account(self) -> None:
        """Each message, as it was last written, is extracted or declined; each version was paid for once at most."""
        memories, _ = await self.host.store.list_memories(Scope(users=(self.user,)), limit=1000)
        found = [memory.record for memory in memories if memory.record.extraction_strategy == "discrete"]
        extracted = {word for record in found for word in WORD.findall(record.text)}
        for record in found:
            numbers = {word[4:].partition("x")[0] for word in WORD.findall(record.text)}
            sources = {source.removeprefix(self.user)[1:] for source in record.extracted_from or []}
            assert numbers == sources, f"{record.text} has the evidence {record.extracted_from}"
        for (session, message_id), content in self.versions.items():
            word = WORD.findall(content)[0]
            if DECLINED in content:
                assert word not in extracted
            else:
                assert word in extracted, f"message {message_id} of session {session} is lost"
        assert [word for word, times in self.paid.items() if times > 1] == []
        for session in SESSIONS:
            state, waiting = await self.host.services.extraction.runs.state(
                SessionKey("default", "", self.user, session)
            )
            assert (state.pending, waiting) == (0, frozenset())


class Accounting(RuleBasedStateMachine):
    """Everything that may happen, in any order."""

    loop: asyncio.AbstractEventLoop
    bench: Bench
    examples = 0

    @initialize()
    def start(self) -> None:
        Accounting.examples += 1
        self.bench.start(f"u{Accounting.examples}")

    def do(self, work: Any) -> None:
        self.loop.run_until_complete(work)

    @rule(session=st.sampled_from(SESSIONS), count=st.integers(1, 3), declined=st.booleans())
    def say(self, session: str, count: int, declined: bool) -> None:
        self.do(self.bench.say(session, count, declined=declined and count == 1))

    @rule(session=st.sampled_from(SESSIONS))
    def say_what_expires(self, session: str) -> None:
        self.do(self.bench.say(session, 1, ttl_seconds=10))

    @rule(session=st.sampled_from(SESSIONS), place=st.integers(0, 5))
    def rewrite(self, session: str, place: int) -> None:
        self.do(self.bench.rewrite(session, place))

    @rule(session=st.sampled_from(SESSIONS), how=st.sampled_from(["cut", "delete"]))
    def leave(self, session: str, how: str) -> None:
        self.do(self.bench.cut(session) if how == "cut" else self.bench.delete(session))

    @rule(fault=st.sampled_from(["down", "prose", "empty"]), times=st.integers(1, 3))
    def plan_fault(self, fault: str, times: int) -> None:
        made: Exception | str = ModelUnavailable("The provider does not answer.")
        if fault != "down":
            made = {"prose": "I would rather talk about the weather.", "empty": ""}[fault]
        self.bench.faults += [made] * times

    @rule(when=st.sampled_from(["before", "after"]))
    def plan_death(self, when: str) -> None:
        self.bench.death = when

    @rule(session=st.sampled_from(SESSIONS), how=st.sampled_from(["say", "rewrite", "delete"]))
    def plan_write_during_the_call(self, session: str, how: str) -> None:
        bench = self.bench
        works = {
            "say": lambda: bench.say(session, 1),
            "rewrite": lambda: bench.rewrite(session, 0),
            "delete": lambda: bench.delete(session),
        }
        bench.during = works[how]

    @rule()
    def work(self) -> None:
        self.do(self.bench.work())

    def teardown(self) -> None:
        self.do(self.bench.finish())
        self.do(self.bench.account())


@pytest.mark.parametrize(
    ("store", "examples"),
    [
        ("memory", 20),
        pytest.param("memory", 60, marks=pytest.mark.full("three times the walks of the case above")),
        pytest.param(
            "sqlite", 20, marks=pytest.mark.full("the accounts are the service's; the stores' suite holds writes")
        ),
        pytest.param(
            "redis", 6, marks=pytest.mark.full("the accounts are the service's; the stores' suite holds writes")
        ),
    ],
)
def test_no_message_is_lost_or_paid_twice(
    request: pytest.FixtureRequest, tmp_path: Path, store: str, examples: int
) -> None:
    loop, clock = asyncio.new_event_loop(), FakeClock(datetime.now(UTC))  # Redis expires keys by its own clock
    space = request.getfixturevalue("redis_part").environment() if store == "redis" else {}
    context = running_host(
        tmp_path, store=store, extra=[scripted.POINT], settings={**SETTINGS, **space}, clock=clock, run_jobs=False
    )
    bench = Bench(loop.run_until_complete(context.__aenter__()), clock)
    machine = type("Machine", (Accounting,), {"loop": loop, "bench": bench})
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=25,
                deadline=None,
                database=None,
                phases=(Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        loop.run_until_complete(context.__aexit__(None, None, None))
        loop.close()


@contextlib.asynccontextmanager
async def bench_on(folder: Path, **more: str) -> AsyncIterator[Bench]:
    """A bench for one story of one user."""
    clock = FakeClock(datetime.now(UTC))
    async with running_host(
        folder, store="memory", extra=[scripted.POINT], settings={**SETTINGS, **more}, clock=clock, run_jobs=False
    ) as host:
        bench = Bench(host, clock)
        bench.start("ann")
        yield bench


async def test_what_an_expired_session_left_waiting_does_not_undo_what_was_said_since(tmp_path: Path) -> None:
    async with bench_on(tmp_path) as bench:
        await bench.say("a", 1, ttl_seconds=10)
        bench.faults = [ModelUnavailable("The provider does not answer.")]
        await bench.rewrite("a", 0)
        await bench.say("a", 1, declined=True)
        await bench.work()
        await bench.rewrite("a", 0)
        await bench.finish()
        await bench.account()


async def test_an_answer_about_all_is_not_taken_for_one_about_a_half(tmp_path: Path) -> None:
    async with bench_on(tmp_path) as bench:
        bench.faults = ["I would rather talk about the weather."]
        await bench.say("a", 2)
        bench.death = "before"
        await bench.say("a", 1, declined=True)
        await bench.work()
        await bench.finish()
        await bench.account()


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_what_was_paid_for_before_a_turn_changed_keeps_its_evidence(tmp_path: Path, place: int) -> None:
    async with bench_on(tmp_path) as bench:
        await bench.say("a", 3)
        bench.death = "before"
        await bench.work()
        await bench.rewrite("a", place)
        await bench.finish()
        await bench.account()


@pytest.mark.parametrize("place", [0, 1])
async def test_parts_of_long_turns_keep_their_answers_when_a_turn_changed(tmp_path: Path, place: int) -> None:
    async with bench_on(tmp_path, EXTRACTION_MAX_TOKENS="1000") as bench:
        for number in (1, 2):
            bench.numbers = number
            text = f"fact{number}x0. " + f"Number {number} goes on about the weather of that day. " * 120
            bench.sent["a"].append({"id": f"anna{number}", "role": "user", "content": text})
            await bench.put("a")
        bench.death = "before"
        await bench.work()
        await bench.rewrite("a", place)
        await bench.finish()
        await bench.account()


async def test_an_answer_about_a_part_is_for_no_other_part(tmp_path: Path) -> None:
    async with bench_on(tmp_path) as bench:
        journal = AnswerJournal(bench.host.store, bench.clock, SessionKey("default", "", "ann", "a"))
        first, other = (
            [Turn(message=Message(role="user", content=text, id="m", created_at=bench.clock.now()), position=0)]
            for text in ("Tea.", "Rain.")
        )
        journal.begin("discrete/1", ["a"], whole=False)
        await journal.part(0, first).write([Completion(text="{}", model="m", input_tokens=1, output_tokens=1)])
        await journal.read()
        parts = ((0, first), (1, first), (0, other))  # as another EXTRACTION_MAX_TOKENS cuts them
        assert [len(journal.part(number, turns).kept.answers) for number, turns in parts] == [1, 0, 0]
