"""The context that a strategy gets beside the turns it extracts from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import numpy as np

from memhost.extraction.kinds import scope_of, subject_of
from memhost.extraction.pipeline.log import ExtractionLogs
from memhost.memories.derived.kept_turns import read_turns
from memhost.memories.nearest import in_turns, nearest, statements_of
from memhost.memories.records import unique
from memhost.memories.repetition import STALE
from memhost.memories.trust import is_held_back, trusts_of
from memhost.messages.windows import count_tokens, prompt_tokens
from memhost.models import (
    TURN_STRATEGY,
    Condition,
    MemoryRecord,
    Message,
    Op,
    Scope,
    SessionKey,
    StoredSession,
    WorkingMemory,
)
from memhost.ports import Embedder, ExtractionContext, KnownMemory, LaterStrategy, Store, Turn
from memhost.settings import ExtractionSettings
from memhost.text.conversation import readable
from memhost.text.speakers import is_background, labels_of
from memhost.text.temporal.times import find_zone
from memhost.usage.ledger import charged_to

_EARLIER_MESSAGES = 6
_EARLIER_TOKENS = 140
_KNOWN, _KNOWN_TOKENS, _LINE_TOKENS = 10, 250, 13
"""Known memories that a strategy sees, tokens of all of them, and of each beside its text."""
_QUESTIONS = 8
"""Parts of the turns that known memories are sought for, each by itself."""
_LONGEST = 2_000
_ENTITIES = _TOPICS = 12
_ENTITY_SOURCES = 50
"""Newest memories of the user whose entities are offered for resolving references."""

TIMEZONE_KEY = "timezone"
"""Key of a session's `data` that names its zone."""


class ExtractionContexts:
    """Collects contexts from the store."""

    def __init__(self, store: Store, embedder: Embedder, settings: ExtractionSettings) -> None:
        self._store = store
        self._embedder = embedder
        self._settings = settings
        self._logs = ExtractionLogs(store)

    async def make(
        self,
        key: SessionKey,
        session: StoredSession | None,
        turns: Sequence[Turn],
        config: dict[str, Any],
        strategy: LaterStrategy,
        now: datetime,
    ) -> ExtractionContext:
        """The context of one call.

        Args:
            key: Whose session.
            session: The session; None if it is gone.
            turns: The turns to extract from.
            config: The strategy's options.
            strategy: The strategy.
            now: The current time.

        Raises:
            ModelUnavailable: The embedder does not answer.
        """
        names, topics = await self._in_use(key)
        deleted = set((await self._logs.read(key, now)).deleted)
        messages = [each for each in session.content.messages if each.id not in deleted] if session is not None else []
        context = ExtractionContext(
            session=key,
            config=config,
            summary=session.content.context if session is not None else None,
            now=now,
            timezone=self._timezone(session),
            earlier=_earlier(messages, {turn.message.id for turn in turns}),
            entities=names,
            topics=topics,
            messages=messages,
            roles={turn.message.id: turn.message.role for turn in turns},
            trusts=trusts_of(turn.message for turn in turns),
            labels=labels_of(_all(messages, turns), key.user),
            max_topics=self._settings.top_k_topics,
            grounding_strict=self._settings.grounding_strict,
            drop_unsupported=self._settings.unsupported_items == "drop",
        )
        target = strategy.target(context)
        if target is None:
            return msgspec.structs.replace(context, known=await self._known(key, turns, now))
        previous = await self._previous(key, target)
        context = msgspec.structs.replace(context, previous=previous)
        if previous is None or STALE not in previous.metadata:
            return context
        here = {turn.message.id for turn in turns} | {message.id for message in messages}
        missing = [name for name in previous.source_ids if name not in here and name not in deleted]
        gone = [turn.message for turn in await read_turns(self._store, key, missing)]
        return msgspec.structs.replace(context, outdated=True, messages=[*gone, *messages])

    async def _previous(self, key: SessionKey, memory_id: str) -> MemoryRecord | None:
        found = await self._store.get_memories(_owner(key), [memory_id])
        return found[0].record if found else None

    async def _in_use(self, key: SessionKey) -> tuple[list[str], list[str]]:
        """Names and topics of the owner's newest statements."""
        not_turns = Condition("extraction_strategy", Op.NONE, (TURN_STRATEGY,))
        found, _ = await self._store.list_memories(_owner(key), [not_turns], limit=_ENTITY_SOURCES)
        said = [memory.record for memory in found if not is_held_back(memory.record)]
        names = unique([name for record in said for name in record.entities])
        topics = {topic.casefold(): topic for record in reversed(said) for topic in record.topics}
        return names[:_ENTITIES], list(reversed(topics.values()))[:_TOPICS]

    async def _known(self, key: SessionKey, turns: Sequence[Turn], now: datetime) -> list[KnownMemory]:
        """The nearest statements of the owner, of those that held when the turns were said, or later."""
        owner = _owner(key)
        since = min([now, *(turn.message.created_at for turn in turns)])
        _, total = await self._store.list_memories(owner, statements_of(since), limit=1)
        said = _parts([turn.message for turn in turns]) if total else []
        if not said:
            return []
        with charged_to(key):
            vectors = await self._embedder.embed(said)
        legs = [
            await nearest(self._store, owner, text, np.asarray(vector, dtype=np.float32), since, most=_KNOWN)
            for text, vector in zip(said, vectors, strict=True)
        ]
        known: list[KnownMemory] = []
        room = _KNOWN_TOKENS
        for record in [memory.record for memory in in_turns(legs, _KNOWN) if not is_held_back(memory.record)]:
            room -= _LINE_TOKENS + prompt_tokens(record.text)
            if room < 0:
                break
            known.append(
                KnownMemory(
                    id=record.id,
                    text=record.text,
                    said=record.told_at,
                    subject=subject_of(record)[:100],
                    scope=scope_of(record),
                )
            )
        return known

    def _timezone(self, session: StoredSession | None) -> str:
        return zone_of(session.content if session is not None else None, self._settings.default_timezone)


def zone_of(content: WorkingMemory | None, default: str) -> str:
    """The time zone that a session names in its data, if this machine knows it; else the default."""
    named = (content.data or {}).get(TIMEZONE_KEY) if content is not None else None
    return named if isinstance(named, str) and known_zone(named) else default


def _all(messages: Sequence[Message], turns: Sequence[Turn]) -> list[Message]:
    """The messages of the session with those turns, some of which it may hold no more; those are the oldest."""
    held = {message.id for message in messages}
    return [*(turn.message for turn in turns if turn.message.id not in held), *messages]


def known_zone(name: str) -> bool:
    """Tell whether this machine knows the time zone of that name."""
    return find_zone(name) is not None


def _owner(key: SessionKey) -> Scope:
    return Scope(tenant=key.tenant, namespaces=(key.namespace,), users=(key.user,))


def _earlier(messages: Sequence[Message], extracted_now: set[str]) -> list[Message]:
    """The messages just before the first of those, up to a number and a size."""
    first = next((index for index, message in enumerate(messages) if message.id in extracted_now), len(messages))
    kept: list[Message] = []
    tokens = 0
    for message in reversed(messages[:first]):
        tokens += count_tokens(message)
        if len(kept) == _EARLIER_MESSAGES or tokens > _EARLIER_TOKENS:
            break
        kept.append(message)
    return kept[::-1]


def _parts(messages: Sequence[Message]) -> list[str]:
    """Return what the messages say, in at most so many parts as known memories are sought for."""
    texts = [readable(message)[:_LONGEST] for message in messages if not is_background(message)]
    texts = [text for text in texts if text.strip()]
    size = -(-len(texts) // _QUESTIONS)
    return ["\n".join(texts[start : start + size])[:_LONGEST] for start in range(0, len(texts), size or 1)]
