"""Plays a conversation on a host of its own: a real store, the default embedder, jobs in process, a scripted model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from memhost import hookimpl
from memhost.host import Host
from memhost.models import Condition, MemoryRecord, Op, Scope
from memhost.ports import LanguageModel
from memhost.specs import LanguageModelSpec, ModelSpec, NoSettings, OpenContext
from memhost.testing.clock import FakeClock
from memhost.testing.models import Asked, Given, ScriptedModel
from tests.acceptance.extraction import protocol
from tests.acceptance.extraction.script import Conversation, Step, Turn, local
from tests.support.hosts import run, running_host

SETTINGS = {
    "LLM": "acceptance",
    "EXTRACTION_DEBOUNCE_SECONDS": "0",
    "ENABLE_TOPIC_EXTRACTION": "false",
    "ENABLE_NER": "false",
    "COMPACTION_EVERY_MINUTES": "0",
}
NAMESPACE = "acceptance"
_POINT = EntryPoint(name="acceptance", value="tests.acceptance.extraction.play", group="memhost")
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MARK = re.compile(r"\{\{(?:context(?::\w+)?|prompt)\}\}")
_ROUNDS = 50
"""Most rounds of background jobs after a step: more never end."""


class _Model(ScriptedModel):
    """The model of the conversation that is played at present."""

    told: protocol.Told

    async def answer(self, asked: Asked) -> Given:
        """What the script says of the prompt."""
        return protocol.answer(asked, self.told)


MODEL = _Model()


@asynccontextmanager
async def _open(_settings: NoSettings, _context: OpenContext) -> AsyncIterator[LanguageModel]:
    yield MODEL


@hookimpl
def memhost_models() -> Sequence[ModelSpec]:
    return [LanguageModelSpec(name="acceptance", summary="Answers as a conversation file says.", open=_open)]


class Played:
    """A conversation after its last step, to be asked.

    Attributes:
        conversation: The script.
        host: The host that holds what was made of it.
        statements: All derived memories, those that hold and those that held, in order of their texts.
        asked: The time at which questions are asked, and for which `now` is meant.
        keys: Keys of the turns, by the ids of their messages.
    """

    def __init__(
        self,
        conversation: Conversation,
        host: Host,
        statements: list[MemoryRecord],
        asked: datetime,
        keys: Mapping[str, str],
    ) -> None:
        self.conversation = conversation
        self.host = host
        self.statements = statements
        self.asked = asked
        self.keys = keys

    def local(self, text: str) -> datetime:
        """A local time of the script."""
        return local(text, self.conversation.zone)

    async def search(self, query: str, as_of: str | None = None) -> list[str]:
        """The texts of the first ten hits."""
        fields: dict[str, Any] = {} if as_of is None else {"as_of": self.local(as_of).isoformat()}
        found = await run(
            self.host,
            "search_memories",
            text=query,
            limit=10,
            user_id={"eq": self.conversation.user},
            timezone=self.conversation.zone,
            recency_boost=False,
            **fields,
        )
        return [hit.text for hit in found.memories]

    async def context(self, query: str | None) -> Any:
        """The context for a question, or that which stands before any question."""
        zone = self.conversation.zone
        return await run(self.host, "get_context", query=query, user_id=self.conversation.user, timezone=zone)


@asynccontextmanager
async def played(conversation: Conversation, folder: Path, store: str = "memory") -> AsyncIterator[Played]:
    """Play all steps on a new store in the folder."""
    stage = _Stage(conversation)
    MODEL.__init__()  # type: ignore[misc]
    MODEL.told = stage.told
    settings = {**SETTINGS, "DEFAULT_STRATEGY": conversation.strategy}
    if any(item.kind == "action" for step in conversation.steps for item in step.items):
        settings["DISCRETE_KINDS"] = "fact,event,instruction,action"
    async with running_host(
        folder, store=store, extra=[_POINT], settings=settings, clock=stage.clock, run_jobs=False
    ) as host:
        for step in conversation.steps:
            await stage.take(host, step)
        asked = stage.end()
        found, total = await host.store.list_memories(
            Scope(tenant="default"), [Condition("extraction_strategy", Op.NONE, ("message",))], limit=1000
        )
        assert len(found) == total
        statements = sorted((memory.record for memory in found), key=lambda record: (record.text, record.id))
        yield Played(conversation, host, statements, asked, stage.keys)


class _Stage:
    """The state of a conversation while it is played."""

    def __init__(self, conversation: Conversation) -> None:
        self._script = conversation
        self._messages: dict[str, list[dict[str, Any]]] = {}
        self._sent: dict[str, dict[str, Any]] = {}
        self.told = protocol.Told(steps=[], texts={}, turns={})
        first = conversation.steps[0]
        self.clock = FakeClock(local(first.sent or first.at, conversation.zone) - timedelta(hours=1))

    async def take(self, host: Host, step: Step) -> None:
        """One step: send what is new, and run all jobs that are due."""
        zone = self._script.zone
        self._move_to(local(step.sent or step.at, zone))
        for turn, moment in zip(step.turns, step.times(zone), strict=True):
            self._add(step.session, turn, await self._text(host, turn.text), moment)
        for key, text in step.edit.items():
            self._sent[key]["content"] = text
            self.told.texts[key] = text
        if step.sent is None:
            self._move_to(max([local(step.at, zone), *step.times(zone)]) + timedelta(minutes=5))
        self.told.steps.append((step, dict(self.told.texts)))
        if step.turns or step.edit:
            await self._send(host, step.session)
        if step.remove:
            await self._remove(host, step.remove)
        await _run_jobs(host, self.clock)

    def end(self) -> datetime:
        """Move on to the time of the questions."""
        wanted = self._script.asked
        self._move_to(local(wanted, self._script.zone) if wanted else self.clock.now() + timedelta(days=1))
        return self.clock.now()

    @property
    def keys(self) -> dict[str, str]:
        """Keys of the turns, by the ids of their messages."""
        return {message["id"]: key for key, message in self._sent.items()}

    async def _text(self, host: Host, text: str) -> str:
        """The text with what memhost gives in place of `{{context}}` and `{{prompt}}`."""
        for mark in dict.fromkeys(_MARK.findall(text)):
            query = _MARK.sub("", text).strip()
            name, _, form = mark.strip("{}").partition(":")
            if name == "context":
                fields = {"query": query, "user_id": self._script.user, "format": form or "markdown"}
                given = (await run(host, "get_context", **fields)).text
            else:
                search = {"user_id": {"eq": self._script.user}}
                found = await run(host, "memory_prompt", query=query, long_term_search=search)
                given = "\n".join(message.content.text for message in found.messages[:-1])
            text = text.replace(mark, given)
        return text

    def _add(self, session: str, turn: Turn, text: str, moment: datetime) -> None:
        message: dict[str, Any] = {
            "id": _message_id(self._script.name, turn.key),
            "role": turn.role,
            "content": text,
            "created_at": moment.isoformat(),
        }
        if turn.name is not None:
            message["name"] = turn.name
        self._messages.setdefault(session, []).append(message)
        self._sent[turn.key] = message
        self.told.texts[turn.key] = text
        self.told.turns[turn.key] = turn

    async def _send(self, host: Host, session: str) -> None:
        await run(
            host,
            "put_session",
            session_id=session,
            user_id=self._script.user,
            namespace=NAMESPACE,
            messages=[dict(message) for message in self._messages[session]],
            data={"timezone": self._script.zone},
            flush=True,
        )

    async def _remove(self, host: Host, keys: Sequence[str]) -> None:
        turns, _ = await host.store.list_memories(
            Scope(tenant="default"), [Condition("extraction_strategy", Op.EQ, ("message",))], limit=1000
        )
        texts = {self.told.texts[key] for key in keys}
        gone = [memory.record.id for memory in turns if any(text in memory.record.text for text in texts)]
        assert len(gone) == len(keys), "each turn is one memory"
        await run(host, "delete_memories", memory_ids=gone)

    def _move_to(self, moment: datetime) -> None:
        self.clock.advance(max(0.0, (moment - self.clock.now()).total_seconds()))


async def _run_jobs(host: Host, clock: FakeClock) -> None:
    """Run background jobs until none is due, also those that wait for some minutes."""
    for _ in range(_ROUNDS):
        jobs = await host.services.dispatcher.claim(20)
        if not jobs:
            return
        for job in jobs:
            await host.services.dispatcher.run(job)
    raise AssertionError("background jobs do not end")


def _message_id(conversation: str, key: str) -> str:
    """An id as servers make them, the same in each run."""
    digest = hashlib.blake2b(f"{conversation}/{key}".encode(), digest_size=16).digest()
    return "01" + "".join(_LETTERS[byte % 32] for byte in digest) + "MSG" + f"{len(key):05d}"
