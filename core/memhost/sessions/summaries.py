"""Summaries of long sessions: what left a session because its context tells of it, and the runs that make it so.

A write that leaves a session longer than its share of the window commits a job together with the messages. The same run
is tried at once while the request waits, so that the answer holds the summary where the model is quick enough. The
first to come does it; the other finds nothing to do.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

import msgspec

from memhost.errors import BudgetExceeded, MemhostError, ModelUnavailable, VersionMismatch
from memhost.events import SessionOverfull
from memhost.extraction.pipeline.contexts import zone_of
from memhost.jobs.outbox import Outbox, session_name
from memhost.messages.tokens import token_counter
from memhost.messages.turns import fingerprint_of, turn_name
from memhost.messages.windows import count_tokens, window_to_keep
from memhost.models import Job, Message, Scope, SessionKey, StoredSession, Trust, TurnMark, WorkingMemory, WriteBatch
from memhost.models.trust import by_role, lowest, of_memory
from memhost.operations.requests import MessageInput
from memhost.operations.working_memory import PutSession
from memhost.ports import Clock, Store
from memhost.sessions.running_summary import RunningSummary
from memhost.sessions.summary_renewal import EVENT, Renewed, SummaryRenewal, mark_of
from memhost.settings.schema import MemorySettings
from memhost.storekit import to_micros
from memhost.text.conversation import readable, whole_from

logger = logging.getLogger(__name__)

_KEPT_SHARE = 0.4
"""Share of the window that the newest messages may keep."""

_WRITE_TRIES = 20
_WRITES_KEPT = 64
_CONTEXTS_KEPT = 16
_REST_S = 15.0
"""When the model does not answer do not wait for summaries for so long, seconds; jobs make them."""


class SessionSummaries:
    """Keeps sessions within their context windows by summarising their older messages."""

    def __init__(
        self,
        *,
        store: Store,
        summary: RunningSummary,
        outbox: Outbox,
        settings: MemorySettings,
        clock: Clock,
        zone: str = "UTC",
    ) -> None:
        self._store = store
        self._zone = zone
        self._summary = summary
        self._renewal = SummaryRenewal(store, summary)
        self._outbox = outbox
        self._settings = settings
        self._clock = clock
        self._turns: WeakValueDictionary[SessionKey, asyncio.Lock] = WeakValueDictionary()
        self._runs: set[asyncio.Task[StoredSession | None]] = set()
        self._rest_until: datetime | None = None

    # -- in the write ----------------------------------------------------------------------------------

    def jobs(self, session: StoredSession, request: PutSession, now: datetime) -> list[Job]:
        """The job to commit with a write, if it leaves the session longer than it may be."""
        window = window_to_keep(request.model_name, request.context_window_max)
        if not self._due(session.content, window):
            return []
        # The request itself tries first; the job is there in case that it fails or dies.
        delay_s = self._settings.summarization_wait_seconds + 1.0 if self._waits(request) else 0.0
        return self._jobs(session.key, window, now, delay_s)

    async def finish(self, session: StoredSession, request: PutSession) -> tuple[StoredSession, bool]:
        """The session as it is after summarising, and whether that is still to come. Call it after the commit."""
        window = window_to_keep(request.model_name, request.context_window_max)
        if not self._due(session.content, window):
            return session, False
        if not self._waits(request):
            return session, True
        run = asyncio.create_task(self._quietly(session.key, window))
        self._runs.add(run)
        run.add_done_callback(self._runs.discard)
        await asyncio.wait({run}, timeout=self._settings.summarization_wait_seconds)
        if not run.done():  # it goes on, and the next reader finds the summary
            return session, True
        found = run.result()
        return (session, True) if found is None else (found, False)

    async def aclose(self) -> None:
        """End the runs without a waiting caller; their jobs are in the store."""
        for run in self._runs:
            run.cancel()
        await asyncio.gather(*self._runs, return_exceptions=True)

    def _waits(self, request: PutSession) -> bool:
        resting = self._rest_until is not None and self._clock.now() < self._rest_until
        return request.wait_summary and self._settings.summarization_wait_seconds > 0 and not resting

    async def _quietly(self, key: SessionKey, window: int) -> StoredSession | None:
        """The summarised session, None if that failed: a write never fails for its summary."""
        try:
            return await self._run(key, window)
        except MemhostError as error:
            if isinstance(error, ModelUnavailable):
                self._rest_until = self._clock.now() + timedelta(seconds=_REST_S)
            logger.warning("summary.postponed", extra={"fields": {"code": error.code, "error": error.message}})
            return None

    def _due(self, content: WorkingMemory, window: int) -> bool:
        """Tell whether messages and context exceed the threshold, and there are messages to summarise."""
        if not (self._summary.available and self._settings.summarize and self._outbox.wants(EVENT)):
            return False
        return self._overfull(content, window) and bool(_older(content.messages, window))

    def _overfull(self, content: WorkingMemory, window: int) -> bool:
        limit = int(self._settings.summarization_threshold * window)
        letters = sum(len(message.role) + 2 + len(readable(message)) for message in content.messages)
        if 4 * (letters + len(content.context or "")) <= limit:  # a token is at least one of at most 4 bytes a letter
            return False
        return _size(content) > limit

    def _jobs(self, key: SessionKey, window: int, now: datetime, delay_s: float) -> list[Job]:
        event = SessionOverfull(session=key, window=window)
        return self._outbox.jobs(EVENT, event, tenant=key.tenant, now=now, delay_s=delay_s, key=session_name(key))

    # -- in the background -----------------------------------------------------------------------------

    async def summarize(self, key: SessionKey, window: int) -> bool:
        """Bring a session below its threshold; return whether anything was done.

        Where a budget is used up, a job for its renewal is left. Whatever fails, no message leaves the session without
        a summary that tells of it.

        Raises:
            ModelUnavailable: The model does not answer.
            ModelRefused: The provider declines the content.
            AnswerUnusable: The model answers with no summary.
        """
        try:
            renewed = await self._renew(key, window)
            before = await self._session(key)
            if before is None or not self._due(before.content, window):
                return renewed
            return await self._run(key, window) is not None
        except BudgetExceeded as error:
            now = self._clock.now()
            jobs = self._jobs(key, window, now, max(0.0, (error.resets_at - now).total_seconds()))
            await self._store.commit(Scope(tenant=key.tenant), WriteBatch(add_jobs=jobs))
            self._outbox.committed(jobs)
            return False

    async def _renew(self, key: SessionKey, window: int) -> bool:
        """Make a summary again that covers turns which were edited or deleted since; return whether it changed."""
        async with self._turns.setdefault(key, asyncio.Lock()):
            session = await self._session(key)
            if session is None or not (self._summary.available and self._settings.summarize):
                return False
            if not await self._renewal.marked(session, self._clock.now()):
                return False
            zone = zone_of(session.content, self._zone)
            made = await self._renewal.make(session, window, zone, self._clock.now())
            if made is None:
                batch = WriteBatch(delete_documents=[mark_of(key)])
                await self._store.commit(Scope(tenant=key.tenant), batch)
                return False
            return await self._swap_renewed(key, session.content.context or "", made)

    async def _swap_renewed(self, key: SessionKey, base: str, made: Renewed) -> bool:
        for attempt in range(_WRITE_TRIES):
            session = await self._session(key)
            if session is None or (session.content.context or "") != base:
                return False
            changed = _rewritten(
                session,
                self._clock.now(),
                messages=session.content.messages,
                summarized_from=[*session.summarized_from, _digest(base)][-_CONTEXTS_KEPT:],
                context=made.text,
                context_trust=made.trust,
                tokens=session.content.tokens + made.tokens,
            )
            batch = WriteBatch(put_session=changed, expect_version=session.version, delete_documents=[mark_of(key)])
            try:
                await self._store.commit(Scope(tenant=key.tenant), batch)
            except VersionMismatch:
                await asyncio.sleep(0.002 * attempt)
                continue
            logger.info("summary.renewed", extra={"fields": {"tenant": key.tenant, "session": key.session}})
            return True
        raise VersionMismatch(f"Session {key.session} is being changed by other writers too often.")

    async def _run(self, key: SessionKey, window: int) -> StoredSession | None:
        """Summarise chunk by chunk until only the newest messages are left; each is stored as it is done."""
        async with self._turns.setdefault(key, asyncio.Lock()):
            session = await self._session(key)
            if session is None or not self._overfull(session.content, window):
                return session
            while session is not None and (older := _older(session.content.messages, window)):
                base = session.content.context or ""
                zone = zone_of(session.content, self._zone)
                made = await self._summary.extend(key, base, older, window, zone)
                self._rest_until = None  # the model answers
                session = await self._swap(key, base, older[: made.messages], made.text, made.tokens, window)
            return session

    async def _swap(
        self, key: SessionKey, base: str, done: Sequence[Message], summary: str, tokens: int, window: int
    ) -> StoredSession | None:
        """Replace the summarised messages by the summary, in the session's present form.

        If the context was replaced in the meantime nothing is stored.
        """
        for attempt in range(_WRITE_TRIES):
            session = await self._session(key)
            if session is None or (session.content.context or "") != base:
                return session
            changed = _summarized(session, done, summary, tokens, self._clock.now())
            batch = WriteBatch(put_session=changed, expect_version=session.version)
            if not _older(changed.content.messages, window):
                batch.cancel_jobs = self._outbox.ids(EVENT, session_name(key))
            try:
                result = await self._store.commit(Scope(tenant=key.tenant), batch)
            except VersionMismatch:
                await asyncio.sleep(0.002 * attempt)
                continue
            changed.version = result.session_version
            fields = {"messages": len(done), "left": len(changed.content.messages), "tokens": tokens}
            logger.info("session.summarized", extra={"fields": fields})
            return changed
        raise VersionMismatch(f"Session {key.session} is being changed by other writers too often.")

    async def _session(self, key: SessionKey) -> StoredSession | None:
        return await self._store.get_session(Scope(tenant=key.tenant), key, self._clock.now())


# -- what the summary replaces ----------------------------------------------------------------------------------


def stand_in(
    request: PutSession, before: StoredSession | None
) -> tuple[Sequence[MessageInput], str | None, StoredSession | None]:
    """Separate a write's own messages from those that the session's summary already covers.

    A client that sends its whole history again does not bring these back: they are left out, and the summary stays
    also if the client does not send it. A client that sends a context of its own, or neither a context nor any
    of these messages, gives the summary up: then they are messages like all others.

    Returns:
        The messages and the context to store, and the session before, with the marks that hold from now on.
    """
    marks = {name: mark for name, mark in before.turns.items() if mark.summarized} if before is not None else {}
    if before is None or not marks:
        return request.messages, request.context, before
    given = request.context or ""
    known = given == before.content.context or (given and _digest(given) in before.summarized_from)
    if known or not given:
        left = [message for message in request.messages if not _is_marked(message, marks)]
        if beginning := _beginning(request.messages, marks, before):
            left = request.messages[beginning:]
        if known or len(left) < len(request.messages):
            return left, before.content.context, before
    turns = {name: msgspec.structs.replace(mark, summarized=False) for name, mark in before.turns.items()}
    return request.messages, request.context, msgspec.structs.replace(before, turns=turns, summarized_from=[])


def trust_of_context(context: str | None, before: StoredSession | None, channel: Trust | None) -> Trust | None:
    """Tell how far the context of a session is trusted after a write: as before, if it stays, else as its writer.

    Args:
        context: The context as it will be.
        before: The session before.
        channel: What bounds the writer (`Caller.channel`), None if nothing does.
    """
    if not context:
        return None
    if before is not None and before.content.context == context:
        return before.content.context_trust
    return of_memory(channel)


def _beginning(given: Sequence[MessageInput], marks: dict[str, TurnMark], before: StoredSession) -> int:
    """Return how many messages at the beginning are the summarised ones under new ids; else 0.

    Only all of them, in order, followed by all that the session holds, are taken for it: single messages may well
    repeat what was said before.
    """
    held = {message.id for message in before.content.messages}
    if len(given) < len(marks) + len(held) or any(message.id in held for message in given[: len(marks)]):
        return 0
    whole = [mark.fingerprint for mark in sorted(marks.values(), key=lambda mark: mark.position)]
    whole += [fingerprint_of(message) for message in before.content.messages]
    same = [fingerprint_of(message) for message in given[: len(whole)]] == whole
    return len(marks) if same else 0


def _is_marked(message: MessageInput, marks: dict[str, TurnMark]) -> bool:
    mark = marks.get(message.id) if isinstance(message.id, str) else None
    return mark is not None and mark.fingerprint == fingerprint_of(message)


def _summarized(
    session: StoredSession, done: Sequence[Message], summary: str, tokens: int, now: datetime
) -> StoredSession:
    """The session with the summary in the place of those of the messages that it still holds unchanged."""
    waiting = Counter((message.id, fingerprint_of(message)) for message in done)
    turns, left = dict(session.turns), []
    seen: Counter[str] = Counter()
    for message in session.content.messages:
        seen[message.id] += 1
        same = (message.id, fingerprint_of(message))
        if not waiting[same]:
            left.append(message)
            continue
        waiting[same] -= 1
        name = turn_name(message.id, seen[message.id])
        if name in turns:
            turns[name] = msgspec.structs.replace(turns[name], summarized=True)
    before = [session.content.context_trust or "agent"] if session.content.context else []
    earlier = list(session.summarized_from)
    if session.content.context:
        earlier.append(_digest(session.content.context))
    return _rewritten(
        session,
        now,
        turns=turns,
        summarized_from=earlier[-_CONTEXTS_KEPT:],
        messages=left,
        context=summary,
        context_trust=lowest((*before, *(message.trust or by_role(message.role) for message in done))),
        tokens=session.content.tokens + tokens,
    )


def _rewritten(
    session: StoredSession,
    now: datetime,
    *,
    messages: list[Message],
    turns: dict[str, TurnMark] | None = None,
    summarized_from: list[bytes] | None = None,
    context: str | None = None,
    context_trust: Trust | None = None,
    tokens: int | None = None,
) -> StoredSession:
    """The session as one further write of it, made by the server: its times rise as with clients' writes."""
    before = session.content
    now = max(now, before.updated_at + timedelta(microseconds=1))
    content = msgspec.structs.replace(
        before,
        messages=messages,
        context=before.context if context is None else context,
        context_trust=before.context_trust if context is None else context_trust,
        tokens=before.tokens if tokens is None else tokens,
        updated_at=now,
    )
    return msgspec.structs.replace(
        session,
        content=content,
        turns=session.turns if turns is None else turns,
        summarized_from=session.summarized_from if summarized_from is None else summarized_from,
        writes=[*session.writes, to_micros(now)][-_WRITES_KEPT:],
    )


def _older(messages: Sequence[Message], window: int) -> Sequence[Message]:
    """The older messages, which go to the summary.

    The newest that fit into `_KEPT_SHARE` of the window stay, at least one. A call and its results go together, or stay
    together.
    """
    room = int(_KEPT_SHARE * window)
    first = len(messages)
    while first > 0:
        room -= count_tokens(messages[first - 1])
        if room < 0:
            break
        first -= 1
    return messages[: whole_from(messages, min(first, len(messages) - 1))] if messages else ()


def _size(content: WorkingMemory) -> int:
    context = token_counter()(content.context) if content.context else 0
    return context + sum(count_tokens(message) for message in content.messages)


def _digest(context: str) -> bytes:
    return hashlib.blake2b(context.encode("utf-8", "surrogatepass"), digest_size=8).digest()
