"""Extraction with a language model: waiting turns of a session become long-term memories.

A run works through the waiting turns in pieces. The memories of a piece are committed in one step with the removal of
its turns from those that wait, and only if all of them still wait; until then they continue to wait. So each turn is
extracted, or declined by the provider with a reason, or waiting, whatever fails.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import UNSET

from memhost.errors import (
    BudgetExceeded,
    DocumentGone,
    InvalidRequest,
    MemhostError,
    ModelRefused,
    ModelUnavailable,
    RequestRejected,
)
from memhost.extraction.pipeline.answer_journal import AnswerJournal
from memhost.extraction.pipeline.contexts import ExtractionContexts
from memhost.extraction.pipeline.extraction_queue import ExtractionQueue, Waiting
from memhost.extraction.pipeline.extractor_calls import ExtractorCalls
from memhost.extraction.pipeline.log import ExtractionLog, ExtractionLogs
from memhost.extraction.pipeline.run_records import RunRecords, record_of
from memhost.extraction.pipeline.store_drafts import ExtractedMemories
from memhost.extraction.pipeline.strategy_choice import StrategyChoice
from memhost.jobs.outbox import Outbox, session_name
from memhost.messages.windows import sent_tokens
from memhost.models import Document, Job, JobState, Scope, SessionKey, StoredSession, WriteBatch
from memhost.operations.extraction import ExtractionRun, SessionExtractionView
from memhost.operations.responses import ExtractionState
from memhost.ports import Clock, ExtractionContext, LaterStrategy, Parsed, Store
from memhost.settings import ExtractionSettings
from memhost.usage.model_calls import Exchange, observed

logger = logging.getLogger(__name__)

PAUSE = timedelta(hours=12)
"""Time between two turns after which another conversation begins."""
WORTH_A_CALL = 600
"""Tokens of turns that are about as many as the prompt around them."""

_REJECTED_AT_ONCE = 4
"""Number of rejected messages of a run after which the others are not tried."""

_MOST_JOBS = 500
"""Running jobs of a tenant among which that of a session is looked for."""


class ExtractionRuns:
    """Runs the extraction of sessions in the background."""

    def __init__(
        self,
        *,
        store: Store,
        choice: StrategyChoice,
        pending: ExtractionQueue,
        logs: ExtractionLogs,
        contexts: ExtractionContexts,
        asking: ExtractorCalls,
        memories: ExtractedMemories,
        records: RunRecords,
        outbox: Outbox,
        settings: ExtractionSettings,
        clock: Clock,
    ) -> None:
        self._store = store
        self._records = records
        self._choice = choice
        self._pending = pending
        self._logs = logs
        self._contexts = contexts
        self._asking = asking
        self._memories = memories
        self._outbox = outbox
        self._settings = settings
        self._clock = clock

    async def run(self, key: SessionKey) -> int:
        """Extract from all waiting turns of a session; return the number of memories that were stored.

        Raises:
            ModelUnavailable: The model does not answer; waiting turns continue to wait.
            RequestRejected: The provider rejects some messages, whatever is sent with them; these continue to wait.
            AnswerUnusable: Its answers cannot be read; waiting turns continue to wait.
        """
        stored = 0
        rejected: dict[str, str] = {}
        while waiting := [entry for entry in await self._waiting(key) if entry.document.id not in rejected]:
            piece = await self._begun(key, waiting) or cut(waiting, self._settings.extraction_max_tokens)
            try:
                stored += await self._extract(key, piece, rejected)
            except _Outdated:
                continue
            except BudgetExceeded as error:
                await self._wait(key, error)
                break
            except InvalidRequest as error:
                # The session's options cannot work; asking again would change nothing until they change.
                await self._note(key, "failed", error.message)
                break
            except MemhostError as error:
                await self._note(key, "waiting", error.message)
                raise
        if rejected:
            told = " ".join(rejected.values())
            await self._note(key, "waiting", told)
            raise RequestRejected(told)
        return stored

    async def _waiting(self, key: SessionKey) -> list[Waiting]:
        return await self._pending.list_all(key, self._clock.now())

    async def state(self, key: SessionKey) -> tuple[ExtractionState, frozenset[str]]:
        """Return the state of a session's extraction, and the ids of the messages that wait."""
        now = self._clock.now()
        waiting = await self._pending.list_all(key, now)
        log = await self._logs.read(key, now)
        state = log.state
        if waiting and state in ("idle", "refused"):
            state = "pending"
        elif not waiting and state != "refused":
            state = "idle"
        shown = ExtractionState(
            pending=len(waiting),
            state=state,
            last_run_at=log.last_run_at,
            last_error=log.last_error,
            waiting_since=log.waiting_since if state == "waiting" and log.waiting_since else UNSET,
        )
        return shown, frozenset(entry.item.message.id for entry in waiting)

    async def shown(self, session: StoredSession, limit: int) -> SessionExtractionView:
        """The state of a session's extraction and its latest runs, the newest first."""
        key, now = session.key, self._clock.now()
        state, _ = await self.state(key)
        wanted = session.content.long_term_memory_strategy
        name = state.state
        if state.pending and await self._is_running(key):
            name = "running"
        elif name == "idle":
            name = "done" if self._pending.used_by(session) else "off"
        return SessionExtractionView(
            session_id=key.session,
            namespace=key.namespace or None,
            user_id=key.user or None,
            strategy=self._choice.effective(key, wanted).strategy,
            state=name,
            pending=state.pending,
            last_run_at=state.last_run_at,
            last_error=state.last_error,
            keep_days=self._records.keep_days,
            runs=(await self._records.read(key, now))[:limit],
        )

    async def _is_running(self, key: SessionKey) -> bool:
        names = set(self._outbox.ids("extraction_due", session_name(key)))
        running, _ = await self._store.list_jobs(Scope(tenant=key.tenant), JobState.RUNNING, limit=_MOST_JOBS)
        return any(job.id in names for job in running)

    async def tried_at(self, key: SessionKey) -> datetime | None:
        """When an attempt at this session last failed."""
        return (await self._logs.read(key, self._clock.now())).tried_at

    async def given_up(self, key: SessionKey, reason: str) -> None:
        """The job went to the dead letters; the next message or a command starts it again."""
        await self._note(key, "failed", reason)

    async def request(self, key: SessionKey) -> int:
        """Have the waiting turns of a session extracted, by a job or, without a runner, here; return their number."""
        now = self._clock.now()
        waiting = await self._pending.list_all(key, now)
        if waiting and not self._outbox.attended:
            await self.run(key)
        elif waiting:
            jobs = self._pending.jobs(key, now, now)
            await self._store.commit(Scope(tenant=key.tenant), WriteBatch(add_jobs=jobs))
            self._outbox.committed(jobs)
        return len(waiting)

    # -- a piece ---------------------------------------------------------------------------------------

    async def _extract(self, key: SessionKey, piece: Sequence[Waiting], rejected: dict[str, str]) -> int:
        """Extract from one piece; if the provider declines it, from its halves, so that only the cause is lost.

        Likewise if it does not take the request; the cause then goes into `rejected`, and waits.
        """
        with observed() as exchanges:
            return await self._read(key, piece, rejected, exchanges)

    async def _read(
        self, key: SessionKey, piece: Sequence[Waiting], rejected: dict[str, str], exchanges: list[Exchange]
    ) -> int:
        now = self._clock.now()
        session = await self._store.get_session(Scope(tenant=key.tenant), key, now)
        wanted = session.content.long_term_memory_strategy if session is not None else piece[-1].item.strategy
        chosen = self._choice.with_model(key, wanted)
        if chosen is None:
            if self._choice.lacks_model(key, wanted):
                raise ModelUnavailable(
                    "Messages wait for a language model, but none is configured: set LLM_MODEL, or set "
                    "EXTRACTION_ENABLED=false to extract nothing."
                )
            await self._store.commit(Scope(tenant=key.tenant), _consumed(piece))
            return 0
        strategy, config = chosen
        if strategy.target(ExtractionContext(session=key, config=config, summary=None, now=now)) is None:
            piece = until_pause(piece)
        run = _Run(f"{strategy.name}/{strategy.version}", now, exchanges, shown=session is not None)
        turns = [entry.item.turn for entry in piece]
        context = await self._contexts.make(key, session, turns, config, strategy, now)
        whole = strategy.target(context) is not None
        journal = AnswerJournal(self._store, self._clock, key)
        await journal.read()
        journal.begin(run.strategy, [entry.document.id for entry in piece], whole=whole)
        try:
            asked = await self._asking.ask(strategy, turns, context, journal)
        except (ModelRefused, RequestRejected) as error:
            if len(piece) > 1:
                await journal.forget()
                half = len(piece) // 2
                before = await self._extract(key, piece[:half], rejected)
                return before + await self._extract(key, piece[half:], rejected)
            told = f"Message {piece[0].item.message.id}: {error.message}"
            if isinstance(error, ModelRefused):
                await self._refuse(key, piece[0], told, run, now)
                return 0
            rejected[piece[0].document.id] = told
            if len(rejected) == _REJECTED_AT_ONCE:  # it is hardly the messages: what is configured does not fit
                raise RequestRejected(told) from error
            return 0
        except MemhostError as error:
            await self._failed(key, piece, run, error)
            raise
        while True:
            alive = await self._alive(key, piece)
            parsed = _without(asked.parsed, piece, alive, whole)
            batch = _consumed(alive)
            batch.delete_documents.append(journal.name)
            try:
                return await self._commit(batch, key, alive, strategy, context, parsed, asked.declined, run)
            except DocumentGone:
                continue  # a turn was rewritten since; what the others gave is paid for and stays

    async def _begun(self, key: SessionKey, waiting: Sequence[Waiting]) -> list[Waiting]:
        """The turns about which an earlier attempt has answers that it could not use any more."""
        kept = await AnswerJournal(self._store, self._clock, key).read()
        return [entry for entry in waiting if entry.document.id in kept.documents]

    async def _alive(self, key: SessionKey, piece: Sequence[Waiting]) -> list[Waiting]:
        """The turns of a piece that still wait as they were."""
        left = {entry.document.id for entry in await self._pending.list_all(key, self._clock.now())}
        return [entry for entry in piece if entry.document.id in left]

    async def _commit(
        self,
        batch: WriteBatch,
        key: SessionKey,
        piece: Sequence[Waiting],
        strategy: LaterStrategy,
        context: ExtractionContext,
        parsed: Parsed,
        declined: str,
        run: _Run,
    ) -> int:
        now = self._clock.now()
        turns = [entry.item.turn for entry in piece]
        drafts, left_out = self._memories.acceptable(parsed.drafts)
        staged = await self._memories.stage(batch, key, strategy, context, turns, drafts, now)
        await self._memories.retire(batch, key, piece, now)
        withdrawn: list[str] = []
        if strategy.target(context) is None:
            withdrawn = await self._memories.withdraw(batch, key, piece, now)
        log = await self._logs.read(key, now)
        log.finished([entry.item.message for entry in piece], now)
        if declined:
            log.declined_in_part(declined, now)
        kept = run.record(
            [entry.item.message.id for entry in piece],
            stored=staged.stored,
            repeated=staged.repeated,
            merged=staged.merged,
            superseded=staged.superseded,
            withdrawn=withdrawn,
            dropped=[*parsed.dropped, *left_out, *staged.left_out],
            error=declined or None,
        )
        batch.put_documents += self._recorded(key, log, run, kept, now)
        await self._store.commit(Scope(tenant=key.tenant), batch)
        self._outbox.committed(batch.add_jobs)
        self._memories.committed(staged)
        fields = {
            "tenant": key.tenant,
            "session": key.session,
            "strategy": strategy.name,
            "turns": len(piece),
            "memories": staged.count,
            "dropped": len(parsed.dropped) + len(left_out) + len(staged.left_out),
        }
        logger.info("memories.extracted", extra={"fields": fields})
        return staged.count

    # -- what becomes of it ----------------------------------------------------------------------------

    def _recorded(
        self, key: SessionKey, log: ExtractionLog, run: _Run, record: ExtractionRun, now: datetime
    ) -> list[Document]:
        """The log of the session and, unless the session is gone, the record of its run."""
        found = self._records.document(key, log.runs, record, now) if run.shown else []
        log.runs += len(found)
        return [self._logs.document(key, log, now), *found]

    async def _failed(self, key: SessionKey, piece: Sequence[Waiting], run: _Run, error: MemhostError) -> None:
        """Keep the record of a run that came to nothing, if the model has answered it."""
        if not any(exchange.answer is not None for exchange in run.exchanges):
            return
        now = self._clock.now()
        log = await self._logs.read(key, now)
        record = run.record([entry.item.message.id for entry in piece], error=error.message)
        batch = WriteBatch(put_documents=self._recorded(key, log, run, record, now))
        await self._store.commit(Scope(tenant=key.tenant), batch)

    async def _refuse(self, key: SessionKey, entry: Waiting, reason: str, run: _Run, now: datetime) -> None:
        log = await self._logs.read(key, now)
        log.declined(entry.item.message, reason, now)
        batch = _consumed([entry])
        record = run.record([entry.item.message.id], error=reason)
        batch.put_documents += self._recorded(key, log, run, record, now)
        await self._store.commit(Scope(tenant=key.tenant), batch)
        logger.warning("extraction.refused", extra={"fields": {"tenant": key.tenant, "error": reason}})

    async def _wait(self, key: SessionKey, error: BudgetExceeded) -> None:
        """Come back when the next budget begins."""
        now = self._clock.now()
        jobs = self._pending.jobs(key, now, max(error.resets_at, now))
        await self._note(key, "waiting", error.message, jobs)

    async def _note(self, key: SessionKey, state: str, reason: str, jobs: Sequence[Job] = ()) -> None:
        now = self._clock.now()
        log = await self._logs.read(key, now)
        log.failed(state, reason, now)
        batch = WriteBatch(put_documents=[self._logs.document(key, log, now)], add_jobs=list(jobs))
        await self._store.commit(Scope(tenant=key.tenant), batch)
        self._outbox.committed(jobs)


@dataclass(frozen=True, slots=True)
class _Run:
    """The run that is under way: who asks, since when, and the calls so far. `shown`: its session is there."""

    strategy: str
    began: datetime
    exchanges: Sequence[Exchange]
    shown: bool

    def record(self, turns: Sequence[str], **told: Any) -> ExtractionRun:
        """The record of the run with what `record_of` takes."""
        return record_of(self.strategy, turns, self.exchanges, self.began, **told)


class _Outdated(Exception):
    """The model's answer covers turns that have changed since, and cannot be used in part."""


def _without(parsed: Parsed, piece: Sequence[Waiting], alive: Sequence[Waiting], whole: bool) -> Parsed:
    """Return the answer without items that come from turns which have changed or are gone.

    Raises:
        _Outdated: There are such turns, and the answer counts only as a whole.
    """
    if len(alive) == len(piece):
        return parsed
    if not alive:
        return Parsed()
    if whole:
        raise _Outdated
    names = {entry.item.message.id for entry in alive}
    return msgspec.structs.replace(
        parsed, drafts=[draft for draft in parsed.drafts if names.issuperset(draft.source_ids)]
    )


def cut(waiting: Sequence[Waiting], max_tokens: int) -> list[Waiting]:
    """The first waiting turns that fit into `max_tokens` together; at least one, which may be asked about in parts."""
    piece: list[Waiting] = []
    tokens = 0
    for entry in waiting:
        tokens += sent_tokens(entry.item.message)
        if piece and tokens > max_tokens:
            break
        piece.append(entry)
    return piece


def until_pause(piece: Sequence[Waiting]) -> list[Waiting]:
    """The turns before the first pause of `PAUSE` behind `WORTH_A_CALL` tokens.

    What is said after it may change what was said before, and is asked about with that as known. Fewer tokens are not
    worth a call of their own.
    """
    tokens = 0
    for place, entry in enumerate(piece):
        message = entry.item.message
        if tokens >= WORTH_A_CALL and message.created_at - piece[place - 1].item.message.created_at >= PAUSE:
            return list(piece[:place])
        tokens += sent_tokens(message)
    return list(piece)


def _consumed(piece: Sequence[Waiting]) -> WriteBatch:
    """A batch that takes these turns from those that wait, if they all still do."""
    names = [entry.name for entry in piece]
    return WriteBatch(require_documents=list(names), delete_documents=list(names))
