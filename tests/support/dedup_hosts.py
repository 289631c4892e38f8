"""Hosts with a scripted judge of similar memories, and new memories for it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from memhost.consolidation.semantic_duplicates import Resolution, SemanticDeduplication
from memhost.host import Host
from memhost.memories.records import content_hash, index_records
from memhost.models import MemoryRecord, Scope, SessionKey, StoredMemory, WriteBatch
from memhost.ports import Clock
from memhost.testing.factories import START, make_record
from memhost.testing.models import Asked
from tests.support import scripted
from tests.support.hosts import running_host
from tests.support.scripted import Rule, Script

ANN = SessionKey(tenant="default", namespace="work", user="ann", session="s1")
SCOPE = Scope(tenant="default")
GREEN, BLACK = "User drinks green tea daily.", "User drinks black tea daily."
QUIET = {"ENABLE_TOPIC_EXTRACTION": "false", "ENABLE_NER": "false"}

Opinion = Callable[[str, str], Mapping[str, Any] | str]
"""What a judge says of an older and a newer text: a verdict, or an entry of the answer."""


@asynccontextmanager
async def judging_host(
    folder: Path, store: str = "memory", *, clock: Clock | None = None, model: bool = True, **settings: str
) -> AsyncIterator[Host]:
    """A host with hashed bags of words as vectors, and (unless `model` is off) the scripted language model."""
    scripted.reset()
    wanted = {**scripted.WITH_EMBEDDER, **QUIET, **(scripted.WITH_MODEL if model else {}), **settings}
    async with running_host(
        folder, store=store, extra=[scripted.POINT], settings=wanted, clock=clock, run_jobs=False
    ) as host:
        yield host


def judge(opinion: Opinion) -> Rule:
    """A rule by which the scripted model judges each pair."""

    def rule(asked: Asked) -> str:
        verdicts = []
        for pair in pairs_of(asked):
            said = opinion(pair["older"]["text"], pair["newer"]["text"])
            entry = {"verdict": said, "text": None} if isinstance(said, str) else dict(said)
            verdicts.append({"pair": pair["pair"], **entry})
        return json.dumps({"verdicts": verdicts})

    return rule


def always(said: Mapping[str, Any] | str) -> Rule:
    """A rule that says the same of each pair."""
    return judge(lambda _older, _newer: said)


def pairs_of(asked: Asked) -> list[dict[str, Any]]:
    """The pairs that the model was shown."""
    return [json.loads(line) for line in asked.prompt.splitlines() if line.startswith('{"pair": ')]


def judged() -> list[int]:
    """Pairs in each call to the judge."""
    return [len(pairs_of(call)) for call in scripted.SCRIPT.of("dedup")]


def script() -> Script:
    """What the models are told and were asked."""
    return scripted.SCRIPT


async def memory(host: Host, memory_id: str, text: str, **fields: Any) -> StoredMemory:
    """A memory of ann's, indexed, not stored."""
    record: MemoryRecord = make_record(
        memory_id, text, **{"session_id": "s1", "updated_at": host.clock.now(), **fields}
    )
    record.memory_hash = content_hash(record)
    (made,) = await index_records([record], host.embedder)
    return made


async def keep(host: Host, memory_id: str, text: str, **fields: Any) -> StoredMemory:
    """A memory of ann's that is stored."""
    made = await memory(host, memory_id, text, **fields)
    await host.store.commit(SCOPE, WriteBatch(put_memories=[made]))
    return made


def deduplication(host: Host) -> SemanticDeduplication:
    return SemanticDeduplication(
        store=host.store, embedder=host.embedder, calls=host.services.model_calls, settings=host.settings.memory
    )


async def write(host: Host, *fresh: StoredMemory) -> Resolution:
    """What extraction does with new memories: resolve, and commit all in one batch."""
    found = await deduplication(host).resolve(ANN, fresh, host.clock.now())
    batch = WriteBatch()
    found.add_to(batch)
    await host.store.commit(SCOPE, batch)
    return found


async def stored(host: Host) -> dict[str, MemoryRecord]:
    """All memories by id, replaced ones too."""
    found, _ = await host.store.list_memories(SCOPE, limit=1000)
    return {each.record.id: each.record for each in found}


async def trashed(host: Host) -> dict[str, tuple[str, str]]:
    """Reason and text of what is in the trash, by id."""
    page = await host.services.trash.page(SCOPE, 500, "")
    assert page.next is None
    return {item.id: (item.reason, item.text) for item in page.memories}


__all__ = [
    "ANN",
    "SCOPE",
    "START",
    "always",
    "deduplication",
    "judge",
    "judged",
    "judging_host",
    "keep",
    "memory",
    "pairs_of",
    "script",
    "stored",
    "trashed",
    "write",
]
