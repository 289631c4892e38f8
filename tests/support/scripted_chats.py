"""Conversations whose model says what a test wants noted, on a host in the test process with a clock of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from memhost.host import Host
from memhost.models import Condition, MemoryRecord, Op, Scope
from memhost.testing.clock import FakeClock
from memhost.testing.models import Asked, ScriptedModel
from tests.support.extractions import known_to
from tests.support.hosts import run, running_host

POINT = EntryPoint(name="scripted", value="memhost.testing.models", group="memhost")
START = datetime(2026, 3, 1, 10, tzinfo=UTC)


class Chats:
    """Sends turns and lets them be extracted, a day after those before."""

    def __init__(self, host: Host, clock: FakeClock) -> None:
        self.host = host
        self.clock = clock
        self._turns: dict[tuple[str, str], list[dict[str, Any]]] = {}

    @property
    def model(self) -> ScriptedModel:
        """The model."""
        model = self.host.llm
        assert isinstance(model, ScriptedModel)
        return model

    async def tell(
        self,
        *turns: tuple[str, str] | tuple[str, str, str],
        items: list[dict[str, Any]],
        user: str = "mia",
        session: str = "s",
        namespace: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """Send turns (role, text, and the speaker's name if there is one), of which the model notes items.

        A turn without a text says what the items say that it is the source of.

        The items name turns by their numbers from 1, in `lines`; `replaces`, `same` and `adds` have the text of a known
        memory, which counts if the prompt shows it.
        """
        self.clock.advance(86_400)
        kept = self._turns.setdefault((user, session), [])
        for place, (role, text, *name) in enumerate(turns):
            text = text or " ".join(item["text"] for item in items if place + 1 in item["lines"])
            at = self.clock.now().replace(minute=place)
            message = {
                "id": f"{user}-{session}-{len(kept)}",
                "role": role,
                "content": text,
                "created_at": at.isoformat(),
            }
            kept.append({**message, **({"name": name[0]} if name else {})})
        self.clock.advance(3_600)
        self.model.rule = lambda asked: _answer(asked, items)
        strategy = {"long_term_memory_strategy": {"strategy": "discrete", "config": config}} if config else {}
        owner = {"user_id": user, **({"namespace": namespace} if namespace else {})}
        await run(self.host, "put_session", session_id=session, messages=kept, flush=True, **owner, **strategy)
        await self.work()

    async def work(self) -> None:
        """Run all jobs that are due."""
        for _ in range(50):
            jobs = await self.host.services.dispatcher.claim(20)
            if not jobs:
                return
            for job in jobs:
                await self.host.services.dispatcher.run(job)
        raise AssertionError("background jobs do not end")

    async def statements(self) -> dict[str, MemoryRecord]:
        """What was made of the turns, by text."""
        derived = [Condition("extraction_strategy", Op.NONE, ("message",))]
        found, _ = await self.host.store.list_memories(Scope(), derived, limit=1_000)
        return {memory.record.text: memory.record for memory in found}

    async def profile(self, user: str = "mia", **fields: Any) -> Any:
        """The profile of a user."""
        return await run(self.host, "get_profile", user_id=user, **fields)

    async def context(self, user: str | None = "mia", **fields: Any) -> Any:
        """What a context shows whatever is asked."""
        return await run(self.host, "get_context", **({"user_id": user} if user else {}), **fields)


@asynccontextmanager
async def chats(folder: Path, settings: Mapping[str, str] | None = None) -> AsyncIterator[Chats]:
    """Chats on a new host."""
    clock = FakeClock(START)
    given = {"LLM": "scripted", "EXTRACTION_DEBOUNCE_SECONDS": "0", "ENABLE_TOPIC_EXTRACTION": "false"}
    given |= {"ENABLE_NER": "false", "COMPACTION_EVERY_MINUTES": "0", **(settings or {})}
    store = given.pop("STORE", "memory")
    async with running_host(folder, store=store, extra=[POINT], settings=given, clock=clock, run_jobs=False) as host:
        yield Chats(host, clock)


def _answer(asked: Asked, items: list[dict[str, Any]]) -> str:
    if asked.purpose not in ("extraction", "repair"):
        return '{"verdicts": []}'
    known = known_to(asked)
    return json.dumps({"memories": [_item(item, known) for item in items]})


def _item(item: Mapping[str, Any], known: Mapping[str, int]) -> dict[str, Any]:
    raw: dict[str, Any] = {"type": "semantic", "known": "new", "confidence": 0.9, **item}
    for relation in ("replaces", "same", "adds"):
        if (target := raw.pop(relation, None)) is not None:
            raw["known"] = f"{relation} {known[target]}"
    return raw
