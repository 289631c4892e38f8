"""Extraction inside the write: strategies that need no model turn new messages into memories at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from memhost.extraction.pipeline.strategy_choice import VERBATIM, StrategyChoice
from memhost.memories import trust
from memhost.memories.records import derived_id, record_from_draft
from memhost.models import MemoryRecord, SessionKey, StoredSession
from memhost.ports import Draft, ExtractionContext, Strategy, Turn
from memhost.text.speakers import Labels


class ImmediateExtraction:
    """Runs the strategies of a session that need no model."""

    def __init__(self, choice: StrategyChoice, *, index_messages: bool) -> None:
        self._choice = choice
        self._index_messages = index_messages

    async def extract(
        self, session: StoredSession, turns: Sequence[Turn], labels: Labels, now: datetime
    ) -> list[tuple[MemoryRecord, Draft]]:
        """Memories of the turns, by the immediate strategies; marks the turns as kept.

        Args:
            session: The session with these turns.
            turns: Its new and changed turns.
            labels: Words in front of its messages that are names of speakers.
            now: Time of the write.
        """
        found: list[tuple[MemoryRecord, Draft]] = []
        for turn in turns:
            if not turn.message.content:  # calls and pictures alone: nothing is there to be read
                turn.message.discrete_memory_extracted = "t"
        turns = [turn for turn in turns if turn.message.content]
        if not turns:
            return found
        wanted = self._choice.effective(session.key, session.content.long_term_memory_strategy)
        for strategy in self._immediate(wanted.strategy, session.content.long_term_memory_strategy.strategy):
            context = ExtractionContext(
                session=session.key,
                config=wanted.config if strategy.name == wanted.strategy else {},
                summary=session.content.context,
                now=now,
                roles={turn.message.id: turn.message.role for turn in turns},
                trusts=trust.trusts_of(turn.message for turn in turns),
                labels=labels,
            )
            extractor = f"{strategy.name}/{strategy.version}"
            for draft in await strategy.extract(turns, context):
                memory_id = draft.id or draft_id(session.key, extractor, draft)
                record = record_from_draft(draft, session.key, memory_id, extractor, now, turns)
                trust.label(record, draft.source_ids, context.trusts)
                found.append((record, draft))
        self._mark(session, turns, found, now)
        return found

    def _immediate(self, name: str, asked: str) -> list[Strategy]:
        names = [VERBATIM] if self._index_messages else []
        if name not in names and (name != VERBATIM or asked == VERBATIM):
            names.append(name)
        found = [self._choice.immediate(name) for name in names]
        return [strategy for strategy in found if strategy is not None]

    def _mark(
        self,
        session: StoredSession,
        turns: Sequence[Turn],
        found: Sequence[tuple[MemoryRecord, Draft]],
        now: datetime,
    ) -> None:
        """Kept turns say so; a turn counts as extracted unless a strategy that needs a model will still read it."""
        kept = {source for _, draft in found for source in draft.source_ids}
        later = self._choice.with_model(session.key, session.content.long_term_memory_strategy) is not None
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
