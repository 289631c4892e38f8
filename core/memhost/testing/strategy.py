"""`StrategyConformance`: what every extraction strategy must do, as tests.

Subclass it, give one fixture, and run it with pytest and pytest-asyncio:

    class TestActionItems(StrategyConformance):
        answer = '[{"owner": "Ann", "task": "book the boat"}]'

        @pytest.fixture
        def spec(self):
            return ActionItems.spec()

`spec` is what `memhost_strategies` returns. `conversation` is one from which memories follow; `answer` is what the
language model says to every question about it (for strategies that need one), such that memories follow.
`config` are options of the session. A strategy whose questions leave out messages sets `reads_all = False`.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from memhost.errors import MemhostError, ModelUnavailable
from memhost.host import Host
from memhost.models import MemoryRecord, Message, SessionKey
from memhost.plugins import PluginManager, Registered
from memhost.ports import Draft, ExtractionContext, Turn
from memhost.specs import StrategySpec
from memhost.testing.callers import CALLERS
from memhost.testing.hosts import call, load_plugins, model_of, running_host
from memhost.testing.kits.observing import observed
from memhost.testing.kits.strategy_runs import RunTests

OWNER = SessionKey("default", "", "ann", "s1")
START = datetime(2026, 3, 1, 9, tzinfo=UTC)
ODD_ANSWERS = (
    "",
    "null",
    "[]",
    "{}",
    "[1, 2",
    '{"memories": 5}',
    '{"memories": [null, 5, {}]}',
    "I would rather not.",
    "\ud800\x00",
    "[" * 2000,
)


def turns_of(texts: Sequence[str], role: str = "user") -> list[Turn]:
    """One turn a text, a minute apart."""
    return [
        Turn(
            message=Message(role=role, content=text, id=f"m{index}", created_at=START + timedelta(minutes=index)),
            position=index,
        )
        for index, text in enumerate(texts)
    ]


@pytest.mark.asyncio
class StrategyConformance(RunTests):
    """Every promise of `memhost.ports.Strategy`, `ModelStrategy` and `BackgroundStrategy`."""

    conversation: ClassVar[tuple[str, ...]] = ("I will book the boat on Friday.", "Bob likes green tea.")
    answer: ClassVar[str] = '{"memories": [{"type": "semantic", "text": "Bob likes green tea.", "confidence": 0.9}]}'
    config: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def spec(self) -> StrategySpec:
        """Return what `memhost_strategies` returns; override it."""
        raise NotImplementedError("give a fixture `spec` that returns your StrategySpec")

    def context(self, **given: Any) -> ExtractionContext:
        """Return the data beside the turns that the strategy receives."""
        fields = {"session": OWNER, "config": dict(self.config), "summary": None, "now": START + timedelta(days=1)}
        return ExtractionContext(**{**fields, **given})

    async def drafts(self, spec: StrategySpec, turns: Sequence[Turn], answer: str | None = None) -> list[Draft]:
        """Return the drafts that the strategy makes of turns, by itself."""
        said = self.answer if answer is None else answer
        return (await observed(spec.build(spec.settings()), turns, self.context(), said)).drafts

    def turns(self, word: str) -> list[Turn]:
        """The conversation, in which each message holds this word and its number."""
        return turns_of([f"{text} {word}-{number}" for number, text in enumerate(self.conversation)])

    def answers(self) -> str:
        """Return the answer of the model."""
        return self.answer

    # -- the spec --------------------------------------------------------------------------------------

    async def test_name_can_be_typed(self, spec: StrategySpec) -> None:
        allowed = set("abcdefghijklmnopqrstuvwxyz0123456789-_")
        assert spec.name, "give the spec a name"
        assert set(spec.name) <= allowed, f"{spec.name!r}: use a-z, 0-9, - and _ only"

    async def test_summary_is_one_line(self, spec: StrategySpec) -> None:
        assert spec.summary.strip(), "say in one line what the strategy does (summary=...)"
        assert "\n" not in spec.summary

    async def test_settings_have_defaults(self, spec: StrategySpec) -> None:
        assert issubclass(spec.settings, msgspec.Struct)
        spec.settings()

    async def test_config_is_a_struct(self, spec: StrategySpec) -> None:
        assert issubclass(spec.config, msgspec.Struct), "config= takes a msgspec struct of the session's options"

    async def test_built_strategy_has_the_name_of_the_spec(self, spec: StrategySpec) -> None:
        assert spec.build(spec.settings()).name == spec.name

    async def test_version_can_be_kept(self, spec: StrategySpec) -> None:
        version = spec.build(spec.settings()).version
        assert isinstance(version, str)
        assert version, "give the strategy a version; memories keep it"
        assert "/" not in version

    async def test_immediate_strategies_need_no_model(self, spec: StrategySpec) -> None:
        strategy: Any = spec.build(spec.settings())
        assert isinstance(strategy.immediate, bool)
        assert not (strategy.immediate and spec.needs_model), "inside a write no model can be called"

    async def test_two_strategies_share_nothing(self, spec: StrategySpec) -> None:
        assert spec.build(spec.settings()) is not spec.build(spec.settings())

    # -- extracting ------------------------------------------------------------------------------------

    async def test_memories_follow_from_the_conversation(self, spec: StrategySpec) -> None:
        drafts = await self.drafts(spec, turns_of(self.conversation))
        assert drafts, "nothing follows: set `conversation` and `answer` so that something does"
        assert all(isinstance(draft, Draft) for draft in drafts)

    async def test_drafts_can_be_stored(self, spec: StrategySpec) -> None:
        for draft in await self.drafts(spec, turns_of(self.conversation)):
            assert draft.text.strip(), "a memory must say something"
            assert all(isinstance(key, str) for key in draft.metadata)
            msgspec.json.encode(draft.metadata)
            assert draft.event_date is None or draft.event_date.tzinfo is not None, "event_date needs a time zone"

    async def test_sources_are_messages_that_were_given(self, spec: StrategySpec) -> None:
        turns = turns_of(self.conversation)
        names = {turn.message.id for turn in turns}
        for draft in await self.drafts(spec, turns):
            assert names.issuperset(draft.source_ids), "source_ids may only name messages that were given"

    async def test_confidence_lies_between_0_and_1(self, spec: StrategySpec) -> None:
        for draft in await self.drafts(spec, turns_of(self.conversation)):
            assert draft.confidence is None or 0 <= draft.confidence <= 1

    async def test_same_turns_give_the_same_memories(self, spec: StrategySpec) -> None:
        first = await self.drafts(spec, turns_of(self.conversation))
        again = await self.drafts(spec, turns_of(self.conversation))
        assert first == again, "a repeated run must not add other memories"

    async def test_messages_are_left_as_they_are(self, spec: StrategySpec) -> None:
        turns = turns_of(self.conversation)
        before = copy.deepcopy(turns)
        await self.drafts(spec, turns)
        assert turns == before, "the messages belong to the session; copy what you change"

    @pytest.mark.parametrize(
        "text",
        ["x", "😀 ünïcode שלום", "a" * 20000, "line\nline\ttab", "{braces} %s $x", "```json\n[]\n```"],
        ids=["short", "unicode", "long", "lines", "formats", "fence"],
    )
    async def test_any_text_can_be_read(self, spec: StrategySpec, text: str) -> None:
        await self.drafts(spec, turns_of([text, *self.conversation]))

    @pytest.mark.parametrize("answer", ODD_ANSWERS, ids=range(len(ODD_ANSWERS)))
    async def test_odd_answers_of_the_model_are_no_crash_of_the_server(self, spec: StrategySpec, answer: str) -> None:
        if not spec.needs_model:
            pytest.skip("it asks no model")
        strategy: Any = spec.build(spec.settings())
        if hasattr(strategy, "parse"):
            await self.drafts(spec, turns_of(self.conversation), answer)
            return
        try:
            await self.drafts(spec, turns_of(self.conversation), answer)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, MemhostError):
            return  # the server repeats the run, and keeps the messages

    # -- in a host -------------------------------------------------------------------------------------

    async def test_memories_are_stored_with_their_extractor(self, spec: StrategySpec, tmp_path: Path) -> None:
        async with self.host(tmp_path, spec) as host:
            await self.say(host, spec)
            found = await self.stored(host, spec)
            assert found, "nothing was stored"
            assert {memory.user_id for memory in found} == {OWNER.user}

    async def test_running_again_stores_nothing_twice(self, spec: StrategySpec, tmp_path: Path) -> None:
        async with self.host(tmp_path, spec) as host:
            await self.say(host, spec)
            once = await self.stored(host, spec)
            await self.say(host, spec)
            assert len(await self.stored(host, spec)) == len(once)

    async def test_other_users_see_nothing_of_it(self, spec: StrategySpec, tmp_path: Path) -> None:
        async with self.host(tmp_path, spec) as host:
            await self.say(host, spec)
            found = await call(host, "search_memories", CALLERS["bob"], limit=100)
            assert found.memories == []

    async def test_messages_wait_while_the_model_is_away(self, spec: StrategySpec, tmp_path: Path) -> None:
        if not spec.needs_model:
            pytest.skip("it asks no model")
        async with self.host(tmp_path, spec) as host:
            model = model_of(host)
            model.rule = lambda _asked: ModelUnavailable("The model is away.")
            with pytest.raises(MemhostError):
                await self.say(host, spec)
            assert await self.stored(host, spec) == []
            model.rule = lambda _asked: self.answer
            await call(host, "extract_session", session_id=OWNER.session, user_id=OWNER.user)
            assert await self.stored(host, spec), "what waited must be extracted once the model is back"

    @asynccontextmanager
    async def host(self, folder: Path, spec: StrategySpec) -> AsyncIterator[Host]:
        """A host that has the strategy, and whose model gives `answer`."""
        async with running_host(folder, plugins=_with(spec)) as host:
            model_of(host).rule = lambda _asked: self.answer
            yield host

    async def say(self, host: Host, spec: StrategySpec) -> None:
        """Have the conversation in a session, and its memories extracted."""
        messages = [
            {
                "id": turn.message.id,
                "role": "user",
                "content": turn.message.content,
                "created_at": "2026-03-01T09:00:00Z",
            }
            for turn in turns_of(self.conversation)
        ]
        await call(
            host,
            "put_session",
            session_id=OWNER.session,
            user_id=OWNER.user,
            messages=messages,
            long_term_memory_strategy={"strategy": spec.name, "config": dict(self.config)},
        )
        strategy: Any = spec.build(spec.settings())
        if not strategy.immediate:
            await call(host, "extract_session", session_id=OWNER.session, user_id=OWNER.user)

    async def stored(self, host: Host, spec: StrategySpec) -> list[MemoryRecord]:
        """The memories that the strategy has stored."""
        found = await call(host, "search_memories", limit=100, recency_boost=False)
        return [memory for memory in found.memories if (memory.extractor or "").startswith(f"{spec.name}/")]


def _with(spec: StrategySpec) -> PluginManager:
    """The installed plugins, and the strategy where none of them offers it."""
    plugins = load_plugins()
    plugins.strategies.add(spec.name, Registered(spec, "tested", "tested", "0"))
    return plugins
