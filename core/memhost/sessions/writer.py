"""Writing sessions: what is new in a write, what is made of it, and one commit of everything."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Container, Sequence, Set
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

import msgspec
from msgspec import UNSET, UnsetType

from memhost.errors import Forbidden, IdTaken, Problem, SessionChanged, VersionMismatch
from memhost.events import (
    MemoriesDeleted,
    MemoriesStored,
    RequestContext,
    SessionIdle,
    SessionUpdated,
    SessionWrite,
)
from memhost.extraction.pipeline.extraction_queue import ExtractionQueue, Staged, edited_turns, rephrased
from memhost.extraction.pipeline.immediate import ImmediateExtraction
from memhost.extraction.pipeline.run_records import names_of_session
from memhost.extraction.pipeline.strategy_choice import StrategyChoice
from memhost.extraction.prompts import UNSAFE
from memhost.jobs.outbox import Outbox, session_name
from memhost.memories import aliases
from memhost.memories.derived.cascade import Cascade
from memhost.memories.derived.kept_turns import keeps_turn
from memhost.memories.derived.support import TURNS, Lost
from memhost.memories.exact_duplicates import Repetitions, find_repetitions
from memhost.memories.records import check_records, index_records, refuse
from memhost.memories.review.waiting import Held, Waiting, tell
from memhost.messages.concurrent_writes import Missed, changes_of, merged_context, merged_data
from memhost.messages.turns import Merged, check_messages, merge_turns, message_of, turn_name
from memhost.models import (
    Job,
    MemoryRecord,
    Message,
    Scope,
    SessionKey,
    StoredMemory,
    StoredSession,
    StrategyConfig,
    TurnMark,
    WorkingMemory,
    WriteBatch,
)
from memhost.models.limits import MIN_TTL_S
from memhost.operations.ams_compat import MISSING_CREATED_AT, Reads, read_at, shown_version
from memhost.operations.limits import DATA_BYTES, too_big
from memhost.operations.table import Call
from memhost.operations.working_memory import PutSession
from memhost.plugins.request_hooks import RequestHooks
from memhost.ports import Clock, Draft, Embedder, Store, Turn
from memhost.sessions.records import (
    Parted,
    changed_turns,
    corrections,
    left_as_they_are,
    merge_records,
    not_promoted,
    part_from_higher,
    rename_turns,
)
from memhost.sessions.speakers import speakers_in
from memhost.sessions.summaries import SessionSummaries, stand_in, trust_of_context
from memhost.settings.schema import MemorySettings
from memhost.storage.paging import scan
from memhost.storekit import to_micros
from memhost.text.conversation import spoken
from memhost.text.speakers import Labels
from memhost.usage.quotas import Amount, Quotas, amounts_of, size_of

_WRITE_TRIES = 20
"""Attempts at a write while other processes write the same session, each after a longer wait; here they take turns."""

_WRITES_KEPT = 64
"""Times of the latest writes that a session keeps, to recognise which of them a client has read."""

_MAX_TTL_S = 100 * 365 * 86_400
"""A hundred years: the furthest deadline kept, in seconds."""


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a write changes beside the session.

    Attributes:
        turns: New and changed turns.
        edited: Ids of messages whose stored turn changed.
        stored: Memories to store.
        made: Ids of the memories that the write makes of turns.
        gone: Memories of the session that repeat a stored one, whose ids will lead to that one.
        held: Memories of the session that wait for a review before they go to long-term memory.
        left: Ids of what the caller would have changed, and may not.
    """

    turns: list[Turn]
    edited: set[str]
    stored: list[StoredMemory]
    made: set[str]
    gone: list[MemoryRecord]
    held: list[Held] = []
    left: list[str] = []


class SessionWriter:
    """Writes sessions, and in the same commit the memories and jobs that follow from a write."""

    def __init__(
        self,
        *,
        store: Store,
        embedder: Embedder,
        extraction: ImmediateExtraction,
        choice: StrategyChoice,
        pending: ExtractionQueue,
        summaries: SessionSummaries,
        cascade: Cascade,
        held: Waiting,
        hooks: RequestHooks,
        outbox: Outbox,
        quotas: Quotas,
        settings: MemorySettings,
        clock: Clock,
    ) -> None:
        self._store = store
        self._quotas = quotas
        self._cascade = cascade
        self._held = held
        self._embedder = embedder
        self._extraction = extraction
        self._choice = choice
        self._pending = pending
        self._summaries = summaries
        self._hooks = hooks
        self._outbox = outbox
        self._settings = settings
        self._clock = clock
        self.reads = Reads()
        self._locks: WeakValueDictionary[SessionKey, asyncio.Lock] = WeakValueDictionary()

    async def put(self, call: Call, request: PutSession, read: StoredSession | None = None) -> StoredSession:
        """Store the session as a whole; its new turns and memories are searchable when this returns.

        Args:
            call: Who writes.
            request: The session.
            read: The session as it was read just now, which spares the writer to read it again.

        Raises:
            InvalidRequest: A message is blank.
            ValidationFailed: Times, tags or memories are wrong.
            Forbidden: The session lies outside the caller's bounds.
            SessionChanged: It is not at the version that the request expects.
            QuotaExceeded: The owner may keep no more; nothing was stored.
        """
        key = SessionKey(
            call.caller.bounds.tenant,
            request.namespace or "",
            request.user_id or "",
            request.session_id,
        )
        if not call.caller.bounds.covers(key):
            raise Forbidden("This credential may not write sessions of that namespace or user.")
        self._check(call, key, request, self._clock.now())
        shown = self.reads.take(key, request.last_accessed)
        lock = self._locks.setdefault(key, asyncio.Lock())
        taken: set[str] = set()
        async with lock:
            for attempt in range(_WRITE_TRIES):
                now = self._clock.now()
                try:
                    before = read or await self._store.get_session(call.caller.bounds, key, now)
                    session = await self._write(call, key, request, before, shown, now, taken)
                except VersionMismatch:
                    self._quotas.not_stored(key.tenant, [(key.namespace, key.user)])
                    read = None
                    await asyncio.sleep(0.002 * attempt)
                except IdTaken as error:
                    new = {item.id for item in request.memories if item.id in error.ids and item.id not in taken}
                    if not new:
                        raise
                    self._quotas.not_stored(key.tenant, [(key.namespace, key.user)])
                    taken |= new
                else:
                    if taken:
                        call.notices.append((IdTaken.code, not_promoted(taken)))
                    return session
        raise VersionMismatch(f"Session {key.session} is being changed by other writers too often; try again.")

    def _check(self, call: Call, key: SessionKey, request: PutSession, now: datetime) -> None:
        problems = check_messages(
            request.messages,
            now,
            max_future_s=self._settings.max_future_timestamp_s,
            require_times=self._settings.require_message_timestamps,
        )
        problems += check_records(request.memories, [item.id for item in request.memories])
        problems += too_big(request.data, DATA_BYTES, ("data",))  # which a change may have added to
        if isinstance(request.ttl_seconds, int) and request.ttl_seconds < MIN_TTL_S:
            sentence = (
                "ttl_seconds must be at least 1; send null for a session that does not expire, or delete the session "
                "to end it now."
            )
            problems.append(Problem(where=("ttl_seconds",), kind="greater_than", message=sentence))
        strategy = request.long_term_memory_strategy
        if not isinstance(strategy, UnsetType):
            wanted = StrategyConfig(strategy=strategy.strategy, config=strategy.config)
            found = self._choice.problems(key, wanted)
            problems += [problem for problem in found if problem.kind in ("enum", UNSAFE)]
            call.notices += [("notice", _no_extraction(problem)) for problem in found if problem not in problems]
        refuse(problems)
        if any(isinstance(message.created_at, UnsetType) for message in request.messages):
            call.notices.append(("deprecation", MISSING_CREATED_AT))

    async def delete(self, bounds: Scope, key: SessionKey, *, with_memories: bool = False) -> None:
        """Delete a session, the records of its extraction, and the jobs that its silence would have started.

        `with_memories`: also the memories of its turns, and what was made from them alone.
        """
        batch = WriteBatch(delete_session=key, cancel_jobs=self._outbox.ids("session_idle", session_name(key)))
        batch.delete_documents = names_of_session(key)
        if with_memories:
            now = self._clock.now()
            batch.delete_memories = await self._forget_turns(key, now)
            batch.add_jobs = self._outbox.memory_jobs(
                "memories_deleted", MemoriesDeleted, batch.delete_memories, tenant=key.tenant, now=now
            )
        await self._store.commit(bounds, batch)
        self._outbox.committed(batch.add_jobs)

    async def _forget_turns(self, key: SessionKey, now: datetime) -> list[str]:
        """Carry the deletion of all turns of a session on; return the ids of their memories, which go next."""
        scope = Scope(tenant=key.tenant, namespaces=(key.namespace,), users=(key.user,), sessions=(key.session,))
        turns = [memory async for memory in scan(self._store, scope, [TURNS]) if keeps_turn(memory.record)]
        session = await self._store.get_session(scope, key, now)
        names = {message_of(name) for name in session.turns} if session is not None else set()
        await self._cascade.deleted(key.tenant, turns, now, {key: names} if names else None)
        return [memory.record.id for memory in turns]

    async def _write(
        self,
        call: Call,
        key: SessionKey,
        request: PutSession,
        before: StoredSession | None,
        shown: datetime | None,
        now: datetime,
        taken: Set[str],
    ) -> StoredSession:
        # 1. Check: the version that the request expects, and a time of this write after that of the one before.
        _check_version(request, before)
        now = _later(now, before)
        missed = Missed(before, read_at(request, before, shown), now)
        if request.keep_older:
            request = _with_older(request, before)
        # 2. Stand in: messages that a summary has folded away are put back in the place of that summary.
        given, summary, before = stand_in(request, before)
        # 3. Merge: what the client sends with what others have written since it read.
        merged = merge_turns(given, before, now, missed, call.caller.channel)
        content = _content(request, before, now)
        content.messages = merged.messages
        content.data = merged_data(request.data, before, missed)
        content.context = merged_context(summary, before, missed)
        content.context_trust = trust_of_context(content.context, before, call.caller.channel)
        # 4. Memories: those of the session, and which of them go to long-term memory.
        promoted, repeated, left = await self._memories(call, request, content, before, missed, key, now, taken)
        # 5. Hook: plugins may change the content, or refuse it.
        context = _context(call, now)
        write = await self._hooks.before_session_write(SessionWrite(session=key, content=content), context)
        session, edited = _session(request, before, key, write.content, merged, now)
        turns = _turns_of(session, merged.turns)
        # 6. Stage: documents and jobs of turns that wait for a language model.
        waiting = await self._stage(request, before, session, turns, now)
        # 7. Extract: memories that need no model.
        speakers = speakers_in(session, turns)
        drafts = await self._extract(session, turns, speakers.labels, now)
        # 8. Hook: plugins may change or drop memories.
        offered = [*repeated.fresh, *repeated.completed.values(), *(record for record, _ in drafts)]
        records = await self._hooks.before_memories_stored(offered, context) if offered else []
        # 9. Index: terms and vectors.
        await self._admit(before, session, turns, [each for each in records if each.id not in repeated.completed])
        records, more = repeated.parted(records)
        parted = await self._held_back(call, session, records, repeated.completed)
        records = parted.records
        told = {record.id: draft for record, draft in drafts}
        indexed = await index_records(records, self._embedder, [told.get(each.id) for each in records], in_request=True)
        others = await changed_turns(self._store, key, merged.retimed, speakers.found, self._embedder, now)
        # 10. Commit: everything at once, or nothing.
        changed = Changed(
            turns=turns,
            edited=_reworded(before, session, turns) if edited else set(),
            stored=[*indexed, *more, *others],
            made=set(told),
            gone=[record for record in promoted if record.id in repeated.stays],
            held=parted.held,
            left=[*merged.kept, *left, *parted.left],
        )
        await self._commit(call, session, changed, repeated, waiting, now)
        return session

    async def _memories(
        self,
        call: Call,
        request: PutSession,
        content: WorkingMemory,
        before: StoredSession | None,
        missed: Missed,
        key: SessionKey,
        now: datetime,
        taken: Set[str],
    ) -> tuple[list[MemoryRecord], Repetitions, list[str]]:
        """Put the session's memories into the content; return those for long-term memory, what they repeat, and ids.

        The ids are those of memories that stay, because who stored them is trusted more than the caller.
        Memories with ids that another owner uses (`taken`) stay in the session alone.
        """
        records = merge_records(
            request.memories,
            before,
            key,
            content.long_term_memory_strategy,
            now,
            missed,
            promote=self._settings.long_term_memory,
            channel=call.caller.channel,
            taken=taken,
        )
        content.memories = records.kept
        promoted = await corrections(self._store, call.caller.bounds, records)
        return promoted, await find_repetitions(self._store, call.caller.bounds, promoted, now), records.left

    async def _admit(
        self, before: StoredSession | None, session: StoredSession, turns: list[Turn], records: Sequence[MemoryRecord]
    ) -> None:
        """Check the quotas of the owner.

        Raises:
            QuotaExceeded: The owner may keep no more.
        """
        if not self._quotas.active:
            return
        key, former = session.key, before.content if before is not None else None
        size = sum(size_of(turn.message) for turn in turns)
        size += size_of([session.content.data, session.content.context])
        size -= size_of([former.data, former.context]) if former is not None else 0
        added, owner = amounts_of(records), (key.namespace, key.user)
        own = Amount(sessions=int(before is None), bytes=max(0, size))
        await self._quotas.admit(key.tenant, {**added, owner: added.get(owner, Amount()) + own})

    async def _held_back(
        self, call: Call, session: StoredSession, records: list[MemoryRecord], stored: Container[str]
    ) -> Parted:
        """Part what may be stored from what waits for a review, or may not take the place of what is there."""
        kept, held = await self._held.part(session.key.tenant, records, stored)
        mine = [each for each in kept if each.id not in stored]
        bounds, channel = call.caller.bounds, call.caller.channel
        found = await part_from_higher(self._store, self._held, bounds, session.key, mine, channel)
        found.held[:0] = held
        found.records[:0] = [each for each in kept if each.id in stored]
        waiting = {each.record.id for each in found.held}
        for record in session.content.memories:
            if record.id in waiting and record.persisted_at == session.content.updated_at:  # as of this write
                record.persisted_at = None
        return found

    async def _stage(
        self,
        request: PutSession,
        before: StoredSession | None,
        session: StoredSession,
        turns: list[Turn],
        now: datetime,
    ) -> Staged:
        """Return what the commit must hold so that a language model reads the turns, and folds a long session."""
        waiting = Staged()
        if self._settings.long_term_memory:
            waiting = await self._pending.stage(before, session, turns, now, at_once=request.flush)
        return msgspec.structs.replace(waiting, jobs=[*waiting.jobs, *self._summaries.jobs(session, request, now)])

    async def _extract(
        self, session: StoredSession, turns: list[Turn], labels: Labels, now: datetime
    ) -> list[tuple[MemoryRecord, Draft]]:
        """Return the memories of strategies that need no model, each with its draft."""
        if not self._settings.long_term_memory:
            return []
        return [*await self._extraction.extract(session, turns, labels, now)]

    async def _commit(
        self,
        call: Call,
        session: StoredSession,
        changed: Changed,
        repeated: Repetitions,
        waiting: Staged,
        now: datetime,
    ) -> None:
        """Commit the session with its memories, documents and jobs, and tell the job runner.

        A turn whose message id is the id of another session's memory gets an id of its own, and the commit is repeated.
        """
        guarded = set(changed.made)
        while True:
            batch = WriteBatch(
                put_memories=changed.stored,
                guarded_ids=frozenset(guarded),
                put_session=session,
                expect_version=session.version,
                access=repeated.access(now),
                put_documents=[
                    *waiting.put_documents,
                    *aliases.documents(session.key.tenant, changed.gone, repeated.stays, now),
                ],
                delete_documents=waiting.delete_documents,
            )
            batch.add_jobs = [*self._jobs(session, changed.turns, batch, now), *waiting.jobs]
            staged = await self._held.stage(batch, session.key.tenant, changed.held, now)
            await self._outdate(call, batch, session.key, changed, now)
            try:
                result = await self._store.commit(call.caller.bounds, batch)
            except IdTaken as taken:
                rename_turns(taken, changed.stored, guarded, session.key)
                continue
            self._outbox.committed(batch.add_jobs)
            self._held.committed(staged)
            session.version = result.session_version
            tell(call, staged)
            if changed.left:
                call.notices.append(("less_trusted", left_as_they_are(changed.left, call.caller.channel)))
            return

    async def _outdate(self, call: Call, batch: WriteBatch, key: SessionKey, changed: Changed, now: datetime) -> None:
        """Add to the batch what becomes of memories that were made from the former contents of edited turns."""
        within = call.caller.bounds.narrow(namespace=key.namespace, user=key.user)
        lost = Lost(key=key, ids=frozenset(changed.edited), within=within)
        turns = [memory.record for memory in changed.stored if not changed.edited.isdisjoint(memory.record.source_ids)]
        await self._cascade.turns_edited(batch, lost, self._made, turns, now)

    def _jobs(self, session: StoredSession, turns: list[Turn], batch: WriteBatch, now: datetime) -> list[Job]:
        key = session.key
        version = session.version + 1
        ids = tuple(turn.message.id for turn in turns)
        jobs = self._outbox.jobs(
            "session_updated",
            SessionUpdated(session=key, version=version, message_ids=ids),
            tenant=key.tenant,
            now=now,
        )
        jobs += self._outbox.jobs(
            "session_idle",
            SessionIdle(session=key, version=version),
            tenant=key.tenant,
            now=now,
            delay_s=self._settings.session_idle_s,
            key=session_name(key),
        )
        stored = [memory.record.id for memory in batch.put_memories]
        return jobs + self._outbox.memory_jobs("memories_stored", MemoriesStored, stored, tenant=key.tenant, now=now)

    def _made(self, strategy: str) -> bool:
        """Tell whether the write itself makes the memories of a strategy.

        Memories of other strategies are removed once the turn has been read again.
        """
        return self._choice.immediate(strategy) is not None


def _with_older(request: PutSession, before: StoredSession | None) -> PutSession:
    """The request with the stored messages before its first one in front; as it is if that one is not stored."""
    stored = before.content.messages if before is not None else []
    first = request.messages[0].id if request.messages else None
    older = next((stored[:place] for place, message in enumerate(stored) if message.id == first), [])
    # They are handed on as they are stored, as a change of the session does: there may be thousands.
    return msgspec.structs.replace(request, messages=[*older, *request.messages]) if older else request


def _check_version(request: PutSession, before: StoredSession | None) -> None:
    version = shown_version(before)
    if request.if_version is not None and request.if_version != version:
        raise SessionChanged(
            f"Session {request.session_id} is at version {version}, not {request.if_version}: read the session again "
            "and repeat the change."
        )


def _later(now: datetime, before: StoredSession | None) -> datetime:
    """Return the time of a write. Times of writes rise strictly, so that one tells what was stored before it."""
    if before is not None and before.content.updated_at >= now:
        return before.content.updated_at + timedelta(microseconds=1)
    return now


def _context(call: Call, now: datetime) -> RequestContext:
    return RequestContext(scope=call.caller.bounds, subject=call.caller.subject, request_id=call.request_id, now=now)


def _session(
    request: PutSession,
    before: StoredSession | None,
    key: SessionKey,
    content: WorkingMemory,
    merged: Merged,
    now: datetime,
) -> tuple[StoredSession, dict[str, bytes]]:
    """Return the session to store with its deadline and changes, and the former fingerprints of edited turns."""
    drop_outdated_parts(content.messages)
    session = _following(before, key, content, merged.marks, now)
    _set_expiry(session, request.ttl_seconds, before, now)
    edited = edited_turns(before, session, merged.turns)
    session.changes = changes_of(before, session.content, edited, to_micros(now))
    return session, edited


def _no_extraction(problem: Problem) -> str:
    where = ".".join(str(part) for part in problem.where)
    return f"memhost cannot extract memories from this session: {where}: {problem.message}."


def _content(request: PutSession, before: StoredSession | None, now: datetime) -> WorkingMemory:
    """Return the fields of a session other than messages, memories, data and context."""
    strategy = request.long_term_memory_strategy
    return WorkingMemory(
        tokens=request.tokens,
        long_term_memory_strategy=StrategyConfig()
        if isinstance(strategy, UnsetType)
        else StrategyConfig(strategy=strategy.strategy, config=strategy.config),
        last_accessed=now if isinstance(request.last_accessed, UnsetType) else request.last_accessed,
        created_at=_created(request, before, now),
        updated_at=now,
    )


def _following(
    before: StoredSession | None, key: SessionKey, content: WorkingMemory, marks: dict[str, TurnMark], now: datetime
) -> StoredSession:
    """The session after a write that left it with this content, and brought turns with these marks."""
    if before is None:
        return StoredSession(key=key, content=content, turns=marks, writes=[to_micros(now)], next_position=len(marks))
    return StoredSession(
        key=key,
        content=content,
        version=before.version,
        turns={**before.turns, **marks},
        writes=[*before.writes, to_micros(now)][-_WRITES_KEPT:],
        next_position=before.next_position + sum(1 for name in marks if name not in before.turns),
        summarized_from=before.summarized_from,
    )


def _created(request: PutSession, before: StoredSession | None, now: datetime) -> datetime:
    if not isinstance(request.created_at, UnsetType):
        return request.created_at
    return before.content.created_at if before is not None else now


def drop_outdated_parts(messages: Sequence[Message]) -> None:
    """Where a hook has changed the text of a message, the parts that it was sent in must not tell the old one."""
    for message in messages:
        if message.parts is not UNSET and spoken(message, message.parts or "") != message.content:
            message.parts = UNSET


def _reworded(before: StoredSession | None, session: StoredSession, turns: Sequence[Turn]) -> set[str]:
    """Ids of messages that say something else than before."""
    names = rephrased(before, session, turns)
    return {turn.message.id for turn in turns if turn_name(turn.message.id, turn.occurrence) in names}


def _set_expiry(
    session: StoredSession, ttl: int | UnsetType | None, before: StoredSession | None, now: datetime
) -> None:
    """An absent TTL keeps value and deadline, null makes the session persistent, a number restarts the clock."""
    if isinstance(ttl, UnsetType):
        session.content.ttl_seconds = before.content.ttl_seconds if before else None
        session.expires_at = before.expires_at if before else None
        return
    session.content.ttl_seconds = ttl
    session.expires_at = None if ttl is None else now + timedelta(seconds=min(ttl, _MAX_TTL_S))


def _turns_of(session: StoredSession, turns: Sequence[Turn]) -> list[Turn]:
    """The turns with the messages that will be stored, which a hook may have changed or left out."""
    names = {turn.message.id for turn in turns}
    left: dict[str, deque[Message]] = {}
    for message in session.content.messages if names else ():
        if message.id not in names:
            continue
        left.setdefault(message.id, deque()).append(message)
    found = []
    for turn in turns:
        waiting = left.get(turn.message.id)
        if waiting:
            message = waiting.popleft() if turn.occurrence == 1 else waiting.pop()
            found.append(Turn(message=message, position=turn.position, occurrence=turn.occurrence))
    return found
