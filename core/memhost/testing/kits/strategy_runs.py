"""Conformance of strategies: what one run may know of others, send, log and hold up."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import msgspec
import pytest

from memhost.models import SessionKey
from memhost.models.limits import METADATA_BYTES
from memhost.ports import ExtractionContext, Turn
from memhost.specs import StrategySpec
from memhost.testing.kits.observing import Run, observed

OWNERS = {
    "QUENZELBURG": SessionKey("default", "", "ann", "s1"),
    "OSTROVIANKA": SessionKey("default", "", "bob", "s1"),
    "TERRAWINDLE": SessionKey("elsewhere", "", "ann", "s1"),
    "MIRABOLANTO": SessionKey("default", "work", "ann", "s1"),
}
"""A word that nobody but this owner's conversation holds."""


class RunTests:
    """A strategy is built once and serves everybody: one object, many owners."""

    longest_step_s: ClassVar[float] = 0.2
    """Seconds for which a strategy may hold the event loop at once, on any machine."""
    reads_all: ClassVar[bool] = True
    """False for a strategy whose questions leave out messages that nothing follows from."""
    conversation: ClassVar[tuple[str, ...]]

    def context(self, **given: Any) -> ExtractionContext:
        """Return the data beside the turns that the strategy receives."""
        raise NotImplementedError

    def turns(self, word: str) -> list[Turn]:
        """The conversation, in which each message holds this word and its number."""
        raise NotImplementedError

    def answers(self) -> str:
        """Return the answer of the model."""
        raise NotImplementedError

    async def run(self, strategy: Any, word: str, owner: SessionKey) -> Run:
        """Run a strategy on the conversation of an owner whose word that is."""
        return await observed(strategy, self.turns(word), self.context(session=owner), self.answers())

    async def test_what_others_said_is_in_no_question_and_no_memory(self, spec: StrategySpec) -> None:
        strategy = spec.build(spec.settings())
        for _ in range(2):
            for word, owner in OWNERS.items():
                run = await self.run(strategy, word, owner)
                seen = (run.asked + msgspec.json.encode(run.drafts).decode()).casefold()
                strange = [other for other in OWNERS if other != word and other.casefold() in seen]
                assert not strange, (
                    "a run may know its own conversation alone; keep nothing of it in self, class, module"
                )

    async def test_runs_do_not_add_to_each_other(self, spec: StrategySpec) -> None:
        strategy = spec.build(spec.settings())
        words = list(OWNERS)
        first = await self.run(strategy, words[0], OWNERS[words[0]])
        await self.run(strategy, words[1], OWNERS[words[1]])
        again = await self.run(strategy, words[0], OWNERS[words[0]])
        assert again.drafts == first.drafts, "a run returns its own memories alone"
        assert again.questions == first.questions, "a run asks about its own messages alone"

    async def test_every_message_is_read(self, spec: StrategySpec) -> None:
        if not self.reads_all:
            pytest.skip("its questions leave messages out (reads_all = False)")
        word, owner = next(iter(OWNERS.items()))
        strategy = spec.build(spec.settings())
        run = await self.run(strategy, word, owner)
        if run.questions:
            asked = run.asked.casefold()
            missing = [turn.message.content for turn in self.turns(word) if mark_of(turn) not in asked]
            assert not missing, "the questions leave out messages; if they are to, set reads_all = False"
            return
        last = self.turns(word)[-1]
        talk = msgspec.structs.replace(last.message, id="talk", content="ok")
        small_talk = msgspec.structs.replace(last, message=talk, position=last.position + 1)
        behind = await observed(strategy, [*self.turns(word), small_talk], self.context(session=owner), self.answers())
        found = [draft for draft in behind.drafts if draft.source_ids != ["talk"] and draft.text != "ok"]
        assert len(found) >= len(run.drafts) > 0, "what was said before the last message counts"

    async def test_questions_say_something(self, spec: StrategySpec) -> None:
        word, owner = next(iter(OWNERS.items()))
        run = await self.run(spec.build(spec.settings()), word, owner)
        if spec.needs_model:
            assert run.questions, "the spec says needs_model, and no model was asked"
        for question in run.questions:
            assert question, "a question needs messages"
            for message in question:
                assert message.get("role") in ("system", "user", "assistant", "tool"), "messages have a role"
                assert str(message.get("content") or "").strip(), "messages have content"

    async def test_metadata_stay_small(self, spec: StrategySpec) -> None:
        word, owner = next(iter(OWNERS.items()))
        for draft in (await self.run(spec.build(spec.settings()), word, owner)).drafts:
            size = len(msgspec.json.encode(draft.metadata))
            assert size <= METADATA_BYTES, f"metadata of a memory take at most {METADATA_BYTES} bytes, as for clients"

    async def test_the_conversation_is_not_logged(
        self, spec: StrategySpec, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
    ) -> None:
        word, owner = next(iter(OWNERS.items()))
        with caplog.at_level(logging.DEBUG):
            await self.run(spec.build(spec.settings()), word, owner)
        printed = capsys.readouterr()
        fields = " ".join(str(vars(record)) for record in caplog.records)
        assert word.casefold() not in (caplog.text + fields).casefold(), (
            "logs are read by people whom the conversation does not concern"
        )
        assert word.casefold() not in (printed.out + printed.err).casefold(), "what is printed ends up in logs"

    async def test_the_event_loop_is_left_free(self, spec: StrategySpec) -> None:
        word, owner = next(iter(OWNERS.items()))
        strategy = spec.build(spec.settings())
        # The shortest of several runs: whatever else the machine does holds up one of them, not all.
        longest = [max((await self.run(strategy, word, owner)).steps) for _ in range(4)]
        assert min(longest) < self.longest_step_s, (
            "it holds the event loop, and all requests wait: use asyncio.to_thread"
        )


def mark_of(turn: Turn) -> str:
    """The word and number at the end of a message."""
    return turn.message.content.rsplit(maxsplit=1)[-1].casefold()
