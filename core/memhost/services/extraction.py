"""Extraction inside the write: strategies that need no model turn new messages into memories at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from memhost.models import MemoryRecord, SessionKey, StoredSession
from memhost.ports import Draft, ExtractionContext, Strategy, Turn
from memhost.services.records import derived_id, record_from_draft

VERBATIM = "verbatim"
"""Strategy that keeps each turn as it is: evidence from which everything else can be derived again."""

KNOWN_STRATEGIES = ("discrete", "summary", "preferences", "custom")
"""Strategies that clients of Agent Memory Server name; accepted also where no plugin offers them."""


class ImmediateExtraction:
    """Chooses the strategies of a session and runs those that need no model."""

    def __init__(self, strategies: Mapping[str, Strategy], *, index_messages: bool) -> None:
        self._strategies = strategies
        self._index_messages = index_messages

    def known_names(self) -> str:
        """The strategy names that a session may set, for messages."""
        return ", ".join(f"'{name}'" for name in sorted({*KNOWN_STRATEGIES, *self._strategies}))

    def knows(self, name: str) -> bool:
        """Whether a session may set this strategy."""
        return name in KNOWN_STRATEGIES or name in self._strategies

    async def extract(
        self, session: StoredSession, turns: Sequence[Turn], now: datetime
    ) -> list[tuple[MemoryRecord, Draft]]:
        """Memories of the turns, by the immediate strategies; marks the turns as kept."""
        found: list[tuple[MemoryRecord, Draft]] = []
        if not turns:
            return found
        wanted = session.content.long_term_memory_strategy
        for strategy in self._immediate(wanted.strategy):
            context = ExtractionContext(
                session=session.key,
                config=wanted.config if strategy.name == wanted.strategy else {},
                summary=session.content.context,
                now=now,
            )
            extractor = f"{strategy.name}/{strategy.version}"
            for draft in await strategy.extract(turns, context):
                memory_id = draft.id or draft_id(session.key, extractor, draft)
                found.append((record_from_draft(draft, session.key, memory_id, extractor, now), draft))
        self._mark(wanted.strategy, turns, found, now)
        return found

    def _immediate(self, name: str) -> list[Strategy]:
        names = [VERBATIM] if self._index_messages else []
        if name not in names:
            names.append(name)
        chosen = [self._strategies[name] for name in names if name in self._strategies]
        return [strategy for strategy in chosen if strategy.immediate]

    def _mark(
        self,
        name: str,
        turns: Sequence[Turn],
        found: Sequence[tuple[MemoryRecord, Draft]],
        now: datetime,
    ) -> None:
        """Kept turns say so; a turn counts as extracted unless a strategy that needs a model will still read it."""
        kept = {source for _, draft in found for source in draft.source_ids}
        later = name in self._strategies and not self._strategies[name].immediate
        for turn in turns:
            if turn.message.id in kept:
                turn.message.persisted_at = now
                turn.message.discrete_memory_extracted = "f" if later else "t"


def draft_id(owner: SessionKey, extractor: str, draft: Draft) -> str:
    """An id for a draft without one: the same for the same session, extractor, sources and text."""
    return derived_id(
        owner.tenant,
        owner.namespace,
        owner.user,
        owner.session,
        extractor,
        *draft.source_ids,
        str(draft.position),
        draft.text,
    )
