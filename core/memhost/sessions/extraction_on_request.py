"""Extraction as clients ask for it: at once, or only to see what it would give."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from msgspec import UnsetType

from memhost.errors import Forbidden, InvalidRequest, NotFound
from memhost.extraction.pipeline.contexts import ExtractionContexts
from memhost.extraction.pipeline.extractor_calls import ExtractorCalls
from memhost.extraction.pipeline.runs import ExtractionRuns
from memhost.extraction.pipeline.store_drafts import ExtractedMemories, Plan
from memhost.extraction.pipeline.strategy_choice import StrategyChoice
from memhost.memories.enabled import require_long_term_memory
from memhost.memories.records import refuse
from memhost.messages.turns import check_messages, received, refuse_empty
from memhost.messages.windows import sent_tokens
from memhost.models import (
    MemoryRecord,
    Message,
    Scope,
    SessionKey,
    StoredSession,
    StrategyConfig,
    WorkingMemory,
    new_id,
)
from memhost.operations.extraction import (
    ExtractionPreview,
    ExtractSession,
    PlannedChange,
    PreviewExtraction,
    SessionExtraction,
    SessionExtractionView,
)
from memhost.operations.requests import MessageInput
from memhost.operations.responses import ExtractionState
from memhost.operations.table import Call
from memhost.ports import Clock, Completion, LaterStrategy, Turn
from memhost.sessions.service import SessionService
from memhost.settings import Settings

_POLL_S = 0.05


class ExtractionRequests:
    """Starts the extraction of a session, and tries strategies on conversations that are not stored."""

    def __init__(
        self,
        *,
        sessions: SessionService,
        choice: StrategyChoice,
        runs: ExtractionRuns,
        contexts: ExtractionContexts,
        memories: ExtractedMemories,
        asking: ExtractorCalls,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._sessions = sessions
        self._choice = choice
        self.runs = runs
        self._contexts = contexts
        self._memories = memories
        self._asking = asking
        self._settings = settings
        self._clock = clock

    async def extract(self, call: Call, request: ExtractSession) -> ExtractionState:
        """Have the waiting turns of a session extracted, and wait for it.

        Raises:
            NotFound: There is no such session, and nothing of it waits.
            InvalidRequest: No model extracts from this session.
        """
        require_long_term_memory(self._settings.memory)
        bounds = call.caller.bounds
        found = await self._sessions.resolve(
            bounds, request.session_id, request.namespace, request.user_id, self._clock.now()
        )
        key = found.key if found is not None else _key(bounds, request)
        if found is not None:
            self._strategy(key, found.content.long_term_memory_strategy)
        waiting = await self.runs.request(key)
        if found is None and not waiting:
            raise NotFound(f"Session {request.session_id} not found.")
        started = self._clock.now()
        until = asyncio.get_running_loop().time() + request.wait_s
        while True:
            state, _ = await self.runs.state(key)
            done = state.pending == 0 or (state.last_error is not None and await self._tried_since(key, started))
            if done or asyncio.get_running_loop().time() >= until:
                return state
            await asyncio.sleep(_POLL_S)

    async def show(self, call: Call, request: SessionExtraction) -> SessionExtractionView:
        """The state of a session's extraction, and its latest runs.

        Raises:
            NotFound: There is no such session; as `SeveralFound`, there are several.
        """
        bounds = call.caller.bounds
        found = await self._sessions.resolve(
            bounds, request.session_id, request.namespace, request.user_id, self._clock.now()
        )
        if found is None:
            raise await self._sessions.missing(bounds, request.session_id, request.namespace, request.user_id)
        return await self.runs.shown(found, request.limit)

    async def preview(self, call: Call, request: PreviewExtraction) -> ExtractionPreview:
        """Return the memories that the strategy would store from the conversation.

        Raises:
            InvalidRequest: The strategy needs no model or does not exist; a message is blank.
            ModelUnavailable: The model does not answer.
            ModelRefused: The provider declines the content.
            AnswerUnusable: The answer cannot be read.
            BudgetExceeded: A budget is used up.
        """
        require_long_term_memory(self._settings.memory)
        now = self._clock.now()
        key = SessionKey(call.caller.bounds.tenant, request.namespace or "", request.user_id or "", "preview")
        if not call.caller.bounds.narrow(namespace=key.namespace, user=key.user).allows(key.namespace, key.user, None):
            raise Forbidden("This credential does not reach that namespace or user.")
        refuse(check_messages(request.messages, now, max_future_s=float("inf"), require_times=False))
        given = request.long_term_memory_strategy
        strategy, config = self._strategy(key, StrategyConfig(strategy=given.strategy, config=given.config))
        session = _session(key, request, now)
        dropped: list[str] = []
        answers: list[Completion] = []
        memories: list[MemoryRecord] = []
        changes: list[PlannedChange] = []
        for turns in self._pieces(session.content.messages):
            context = await self._contexts.make(key, session, turns, config, strategy, now)
            asked = await self._asking.ask(strategy, turns, context)
            kept, left_out = self._memories.acceptable(asked.parsed.drafts)
            plan = await self._memories.plan(key, strategy, context, turns, kept, now, hooks=False)
            memories += plan.new
            changes += _changes(plan)
            dropped += [*asked.parsed.dropped, *left_out]
            answers += [*asked.answers, *([plan.found.answer] if plan.found.answer is not None else [])]
        costs = [answer.cost_usd for answer in answers]
        return ExtractionPreview(
            strategy=strategy.name,
            memories=memories,
            dropped=dropped,
            changes=changes,
            calls=len(answers),
            input_tokens=sum(answer.input_tokens for answer in answers),
            output_tokens=sum(answer.output_tokens for answer in answers),
            cost_usd=None if None in costs else sum(cost for cost in costs if cost is not None),
        )

    def _strategy(self, key: SessionKey, wanted: StrategyConfig) -> tuple[LaterStrategy, dict[str, object]]:
        found = self._choice.with_model(key, wanted)
        if found is None:
            raise InvalidRequest(self._choice.why_without_model(key, wanted))
        return found

    async def _tried_since(self, key: SessionKey, started: datetime) -> bool:
        tried_at = await self.runs.tried_at(key)
        return tried_at is not None and tried_at >= started

    def _pieces(self, messages: Sequence[Message]) -> list[list[Turn]]:
        pieces: list[list[Turn]] = [[]]
        tokens = 0
        for position, message in enumerate(messages):
            size = sent_tokens(message)
            if pieces[-1] and tokens + size > self._settings.extraction.extraction_max_tokens:
                pieces.append([])
                tokens = 0
            tokens += size
            pieces[-1].append(Turn(message=message, position=position))
        return pieces


def _changes(plan: Plan) -> list[PlannedChange]:
    """Return what a plan does to stored memories."""
    texts = {memory.record.id: memory.record for memory in plan.found.put}
    repeated = [memory.record for memory in plan.repeated.confirmed.values()]
    repeated += [texts[join.stays] for join in plan.found.joins if join.stays not in plan.fresh and join.stays in texts]
    return [
        *(PlannedChange(what="repeats", id=record.id, text=record.text) for record in repeated),
        *(
            PlannedChange(what="replaces", id=name, text=texts[name].text, by=texts[name].superseded_by or "")
            for name in plan.found.superseded
        ),
    ]


def _key(bounds: Scope, request: ExtractSession) -> SessionKey:
    key = SessionKey(bounds.tenant, request.namespace or "", request.user_id or "", request.session_id)
    if not bounds.covers(key):
        raise NotFound(f"Session {request.session_id} not found.")
    return key


def _session(key: SessionKey, request: PreviewExtraction, now: datetime) -> StoredSession:
    content = WorkingMemory(
        messages=[_message(item, number, now) for number, item in enumerate(request.messages)],
        data=request.data,
        context=request.context,
        last_accessed=now,
        created_at=now,
        updated_at=now,
    )
    return StoredSession(key=key, content=content)


def _message(item: MessageInput, number: int, now: datetime) -> Message:
    message_id = item.id if isinstance(item.id, str) else new_id()
    message = received(item, message_id, now if isinstance(item.created_at, UnsetType) else item.created_at)
    refuse_empty(item, message, number)
    return message
