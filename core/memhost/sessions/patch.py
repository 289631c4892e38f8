"""Changing parts of a session, without sending the rest of it back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec import UnsetType

from memhost.errors import AmbiguousSession, SessionChanged, SeveralFound
from memhost.messages.turns import fingerprint_of
from memhost.models import MemoryRecord, StoredSession
from memhost.operations.ams_compat import shown_version
from memhost.operations.requests import MessageInput, SessionRecordInput, StrategyInput
from memhost.operations.responses import WorkingMemoryView
from memhost.operations.table import Call
from memhost.operations.working_memory import ChangeSession, PutSession
from memhost.ports import Clock
from memhost.sessions.service import SessionService

T = TypeVar("T", MessageInput, SessionRecordInput)

_TRIES = 20


class SessionChanges:
    """Reads, changes and writes a session; another write in between makes it begin again."""

    def __init__(self, sessions: SessionService, clock: Clock) -> None:
        self._sessions = sessions
        self._clock = clock

    async def change(self, call: Call, request: ChangeSession) -> WorkingMemoryView:
        """Apply a change; the session is created if there is none.

        Raises:
            AmbiguousSession: Several sessions answer to the identity.
            SessionChanged: It is not at the version that the request names, or others write it all the time.
            Also what writing a session raises.
        """
        for attempt in range(_TRIES):
            before = await self._sessions.resolve(
                call.caller.bounds, request.session_id, request.namespace, request.user_id, self._clock.now()
            )
            if before is None:
                await self._check_absent(call, request)
            write = _created(request) if before is None else _changed(request, before)
            try:
                return await self._sessions.put(call, write, before)
            except SessionChanged:
                if request.if_version is not None:
                    raise
                await asyncio.sleep(0.002 * attempt)
        raise SessionChanged(f"Session {request.session_id} is being changed by other writers too often; try again.")

    async def _check_absent(self, call: Call, request: ChangeSession) -> None:
        error = await self._sessions.missing(call.caller.bounds, request.session_id, request.namespace, request.user_id)
        if isinstance(error, SeveralFound):
            raise AmbiguousSession(error.message)


def _created(request: ChangeSession) -> PutSession:
    strategy = request.long_term_memory_strategy
    return PutSession(
        **_target(request),
        messages=request.messages,
        memories=request.memories,
        data=request.data,
        context=None if isinstance(request.context, UnsetType) else request.context,
        long_term_memory_strategy=strategy,
        ttl_seconds=request.ttl_seconds,
        if_version=request.if_version or 0,
    )


def _changed(request: ChangeSession, before: StoredSession) -> PutSession:
    content = before.content
    target = {**_target(request), "namespace": before.key.namespace or None, "user_id": before.key.user or None}
    strategy = request.long_term_memory_strategy
    if isinstance(strategy, UnsetType):
        kept = content.long_term_memory_strategy
        strategy = StrategyInput(strategy=kept.strategy, config=kept.config)
    data = content.data if request.data is None else request.data
    if request.merge_data and request.data is not None:
        data = {**(content.data or {}), **request.data}
    lasts = request.ttl_seconds
    if isinstance(lasts, UnsetType) and content.ttl_seconds is not None:
        lasts = content.ttl_seconds  # what is used lives on
    return PutSession(
        **target,
        # Messages that stay are handed on as they are stored: there may be thousands.
        messages=_joined(content.messages, _recognised(before, request.messages), lambda message: message),
        memories=_joined(content.memories, request.memories, _record_given_back),
        data=data,
        context=content.context if isinstance(request.context, UnsetType) else request.context,
        tokens=content.tokens,
        long_term_memory_strategy=strategy,
        ttl_seconds=lasts,
        updated_at=content.updated_at,
        if_version=shown_version(before) if request.if_version is None else request.if_version,
    )


def _target(request: ChangeSession) -> dict[str, Any]:
    return {
        "session_id": request.session_id,
        "user_id": request.user_id,
        "namespace": request.namespace,
        "model_name": request.model_name,
        "context_window_max": request.context_window_max,
    }


def _recognised(before: StoredSession, given: list[MessageInput]) -> list[MessageInput]:
    """The messages, with their ids where the session holds them already: role, content and the client's time agree."""
    held = {message.id for message in before.content.messages} | before.turns.keys()
    named = {item.id for item in given if isinstance(item.id, str)}
    times = {item.created_at for item in given if item.id not in held}
    waiting: dict[tuple[bytes, Any], deque[str]] = {}
    for message in before.content.messages:
        if message.created_at in times and message.id not in named:
            waiting.setdefault((fingerprint_of(message), message.created_at), deque()).append(message.id)
    found = []
    for item in given:
        ids = waiting.get((fingerprint_of(item), item.created_at)) if waiting and item.id not in held else None
        found.append(msgspec.structs.replace(item, id=ids.popleft()) if ids else item)
    return found


def _joined(stored: list[Any], given: list[T], back: Callable[[Any], T]) -> list[T]:
    """Return the stored items as a client would send them, with the given ones in place of those with the same id."""
    new: dict[Any, T] = {item.id: item for item in given if isinstance(item.id, str)}
    kept: list[T] = [new.pop(item.id) if item.id in new else back(item) for item in stored]
    kept.extend(item for item in given if not isinstance(item.id, str) or item.id in new)
    return kept


def _record_given_back(item: MemoryRecord) -> SessionRecordInput:
    return msgspec.convert(item, SessionRecordInput, from_attributes=True)
