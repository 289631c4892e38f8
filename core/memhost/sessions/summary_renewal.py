"""Running summaries that tell of turns which were edited or deleted since: marked, and made again from what is left."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import msgspec

from memhost.events import SessionOverfull
from memhost.extraction.pipeline.log import ExtractionLogs
from memhost.jobs.outbox import Outbox, session_name
from memhost.memories.derived.kept_turns import read_turns
from memhost.messages.windows import window_to_keep
from memhost.models import Document, Message, Scope, SessionKey, StoredSession, Trust, WriteBatch
from memhost.models.trust import by_role, lowest
from memhost.ports import Store
from memhost.sessions.running_summary import RunningSummary

logger = logging.getLogger(__name__)

KIND = "stale_summary"
EVENT = "session_overfull"

_KEPT = timedelta(days=30)


class Renewed(msgspec.Struct, frozen=True, kw_only=True):
    """A summary that was made again, its trust, and the tokens that it took; empty if no turn is left."""

    text: str = ""
    tokens: int = 0
    trust: Trust | None = None


class SummaryMarks:
    """Marks sessions whose running summary covers turns that were edited or deleted.

    Args:
        store: Where the sessions are.
        outbox: Makes the job that makes the summary again.
    """

    def __init__(self, store: Store, outbox: Outbox) -> None:
        self._store = store
        self._outbox = outbox

    async def outdate(self, batch: WriteBatch, key: SessionKey, ids: Collection[str], now: datetime) -> None:
        """Add to a batch that the session's summary has to be made again, if it covers one of these messages."""
        session = await self._store.get_session(Scope(tenant=key.tenant), key, now)
        if session is None or not session.content.context:
            return
        if not any(name in session.turns and session.turns[name].summarized for name in ids):
            return
        batch.put_documents.append(
            Document(
                kind=KIND,
                id=session_name(key),
                tenant=key.tenant,
                namespace=key.namespace,
                user=key.user,
                body=session.content.context.encode("utf-8", "surrogatepass"),
                updated_at=now,
                expires_at=now + _KEPT,
            )
        )
        event = SessionOverfull(session=key, window=window_to_keep(None, None))
        name = f"{session_name(key)}|stale"
        batch.add_jobs += self._outbox.jobs(EVENT, event, tenant=key.tenant, now=now, key=name)


class SummaryRenewal:
    """Makes marked summaries again.

    Args:
        store: Where sessions and turns are.
        summary: Asks the language model.
    """

    def __init__(self, store: Store, summary: RunningSummary) -> None:
        self._store = store
        self._summary = summary
        self._logs = ExtractionLogs(store)

    async def marked(self, session: StoredSession, now: datetime) -> bool:
        """Tell whether the summary that the session has is marked."""
        scope = Scope(tenant=session.key.tenant)
        found = await self._store.get_document(scope, KIND, session_name(session.key), now)
        context = session.content.context or ""
        return found is not None and found.body == context.encode("utf-8", "surrogatepass")

    async def make(self, session: StoredSession, window: int, zone: str, now: datetime) -> Renewed | None:
        """The summary of the turns that it covers and that are left; None if the texts of some are not kept.

        Raises:
            As `RunningSummary.extend`.
        """
        messages = await self._covered(session, now)
        if messages is None:
            fields = {"tenant": session.key.tenant, "session": session.key.session}
            logger.warning("summary.not_renewed", extra={"fields": fields})
            return None
        text, tokens, left = "", 0, messages
        while left:
            made = await self._summary.extend(session.key, text, left, window, zone)
            text, tokens, left = made.text, tokens + made.tokens, left[made.messages :]
        levels = [message.trust or by_role(message.role) for message in messages]
        return Renewed(text=text, tokens=tokens, trust=lowest(levels) if levels else None)

    async def _covered(self, session: StoredSession, now: datetime) -> Sequence[Message] | None:
        """The covered messages that were not deleted, in order; None if one of them is not kept."""
        deleted = set((await self._logs.read(session.key, now)).deleted)
        covered = {name for name, mark in session.turns.items() if mark.summarized} - deleted
        turns = await read_turns(self._store, session.key, covered)
        return [turn.message for turn in turns] if {turn.message.id for turn in turns} >= covered else None


def mark_of(key: SessionKey) -> tuple[str, str]:
    """(kind, id) of the session's mark."""
    return KIND, session_name(key)
