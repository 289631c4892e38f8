"""The suite of strategies fails for strategies that are wrong in one way."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any, ClassVar

import pytest

from memhost import Memory
from memhost.errors import MemhostError
from memhost.specs import StrategySpec
from memhost.testing.strategy import StrategyConformance
from tests.support.extractors import ActionItems
from tests.support.kits import outcomes

SEEN: list[str] = []


class Good(ActionItems):
    """Notes who promised what."""

    name = "kit-example"


class SendsOthers(Good):
    """What all users said goes to the model."""

    seen: ClassVar[list[dict[str, Any]]] = []

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        self.seen.extend(messages)
        return await super().extract(list(self.seen))


class SendsOthersFromItsModule(Good):
    """The same, kept in a global."""

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        SEEN.extend(message["content"] for message in messages)
        return await super().extract([{"role": "user", "content": "\n".join(SEEN)}])


class EmbedsOthers(Good):
    """What the last user said is embedded with what this one says."""

    last = ""

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        await self.embed(self.last + messages[0]["content"])
        self.last = messages[0]["content"]
        return await super().extract(messages)


class RemembersOthers(Good):
    """What the last user said is in the memories of the next."""

    last = ""

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        found = await super().extract(messages)
        before, self.last = self.last, messages[0]["content"]
        return [Memory(content=memory.content, metadata={"before": before}) for memory in found]


class SendsTheLast(Good):
    """Only the last message is read."""

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        return await super().extract(messages[-1:])


class SendsTheFirst(Good):
    """Only the first message is read."""

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        return await super().extract(messages[:1])


class KeepsDrafts(Good):
    """Memories of earlier runs are returned again."""

    def __init__(self, settings: Any = None) -> None:
        super().__init__(settings)
        self.kept: list[Memory] = []

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        self.kept += await super().extract(messages)
        return list(self.kept)


class OnlyOnce(Good):
    """Who was served once gets nothing any more."""

    served = False

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        found = [] if self.served else await super().extract(messages)
        self.served = True
        return found


class Blocks(Good):
    """Holds the loop."""

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        time.sleep(0.3)  # noqa: ASYNC251 - that is what is wrong
        return await super().extract(messages)


class BigMetadata(Good):
    """100 KB of metadata."""

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        return [
            Memory(content=found.content, metadata={"x": "y" * 100_000}) for found in await super().extract(messages)
        ]


class Logs(Good):
    """Logs the conversation."""

    level: ClassVar[int] = logging.INFO

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        logging.getLogger("acme").log(
            self.level, "extracting", extra={"conversation": json.dumps(messages, default=str)}
        )
        return await super().extract(messages)


class LogsAtDebug(Logs):
    """The same, where it is hardly seen."""

    level = logging.DEBUG


class Prints(Good):
    """Prints the conversation."""

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        print(messages)
        return await super().extract(messages)


class AsksNothing(Good):
    """Asks with no messages."""

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        await self.llm.complete(messages=[])
        return await super().extract(messages)


class AsksEmptily(Good):
    """Asks with an empty message."""

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        await self.llm.complete(messages=[{"role": "user", "content": " "}])
        return await super().extract(messages)


class NamesNoRole(Good):
    """Asks with a message of nobody."""

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        await self.llm.complete(messages=[{"content": "Hello."}])
        return await super().extract(messages)


class NeverAsks(Good):
    """Says that it needs a model, and asks none."""

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        return [Memory(content=message["content"]) for message in messages]


class SwallowsOutages(Good):
    """An outage of the model looks as if nothing had been said."""

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        try:
            return await super().extract(messages)
        except MemhostError:
            return []


class NamesOtherMessages(Good):
    """Its sources were not given."""

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        return [Memory(content=found.content, source_ids=["z"]) for found in await super().extract(messages)]


class SaysNothing(Good):
    """Its memories are empty."""

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        return [Memory(content=" ") for _ in await super().extract(messages)]


class ChangesMessages(Good):
    """Its texts differ from run to run."""

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        return [
            Memory(content=f"{found.content} {time.perf_counter_ns()}") for found in await super().extract(messages)
        ]


def suite_of(extractor: type[ActionItems]) -> type:
    class Suite(StrategyConformance):
        answer = '[{"owner": "Ann", "task": "book the boat"}]'

        @pytest.fixture
        def spec(self) -> StrategySpec:
            return extractor.spec()

    return Suite


MUTANTS = {
    SendsOthers: "test_what_others_said_is_in_no_question_and_no_memory",
    SendsOthersFromItsModule: "test_what_others_said_is_in_no_question_and_no_memory",
    EmbedsOthers: "test_what_others_said_is_in_no_question_and_no_memory",
    RemembersOthers: "test_what_others_said_is_in_no_question_and_no_memory",
    SendsTheLast: "test_every_message_is_read",
    SendsTheFirst: "test_every_message_is_read",
    KeepsDrafts: "test_runs_do_not_add_to_each_other",
    OnlyOnce: "test_runs_do_not_add_to_each_other",
    Blocks: "test_the_event_loop_is_left_free",
    BigMetadata: "test_metadata_stay_small",
    Logs: "test_the_conversation_is_not_logged",
    LogsAtDebug: "test_the_conversation_is_not_logged",
    Prints: "test_the_conversation_is_not_logged",
    AsksNothing: "test_questions_say_something",
    AsksEmptily: "test_questions_say_something",
    NamesNoRole: "test_questions_say_something",
    NeverAsks: "test_questions_say_something",
    SwallowsOutages: "test_messages_wait_while_the_model_is_away",
    NamesOtherMessages: "test_sources_are_messages_that_were_given",
    SaysNothing: "test_drafts_can_be_stored",
    ChangesMessages: "test_same_turns_give_the_same_memories",
}


@pytest.mark.parametrize(("mutant", "test"), MUTANTS.items(), ids=[mutant.__name__ for mutant in MUTANTS])
def test_the_suite_fails_for(mutant: type[ActionItems], test: str, tmp_path: Path) -> None:
    assert outcomes(suite_of(mutant), tmp_path, test).failed == {test}


def test_the_suite_passes_for_the_extractor_that_they_were_made_from(tmp_path: Path) -> None:
    tests = " or ".join(sorted(set(MUTANTS.values())))
    assert outcomes(suite_of(Good), tmp_path, tests).passed == set(MUTANTS.values())


def test_a_strategy_that_leaves_messages_out_says_so(tmp_path: Path) -> None:
    suite = type("Suite", (suite_of(SendsTheLast),), {"reads_all": False})
    assert outcomes(suite, tmp_path, "test_every_message_is_read").skipped == {"test_every_message_is_read"}
