"""Working memory: reading, listing and deleting sessions; `session_writes` writes them."""

from __future__ import annotations

from datetime import datetime

from memhost.errors import AmbiguousSession, NotFound
from memhost.models import Scope, SessionKey, StoredSession
from memhost.operations.responses import Ack, SessionList, WorkingMemoryView
from memhost.operations.table import Call
from memhost.operations.working_memory import DeleteSession, GetSession, ListSessions, PutSession
from memhost.ports import Clock, Store
from memhost.services.session_writes import SessionWriter
from memhost.services.windows import percentages, truncate, window_of
from memhost.settings.schema import MemorySettings


class SessionService:
    """The rules of working memory (contract/rest.md sections 5 and 11)."""

    def __init__(self, store: Store, writer: SessionWriter, settings: MemorySettings, clock: Clock) -> None:
        self._store = store
        self._writer = writer
        self._settings = settings
        self._clock = clock

    async def list_page(self, call: Call, request: ListSessions) -> SessionList:
        """A page of living sessions inside the caller's bounds."""
        scope = call.caller.bounds.narrow(namespace=request.namespace or None, user=request.user_id or None)
        keys, total = await self._store.list_sessions(
            scope, self._clock.now(), limit=request.limit, offset=request.offset
        )
        return SessionList([key.session for key in keys], total)

    async def get(self, call: Call, request: GetSession) -> WorkingMemoryView:
        """The session, cut to the window asked for; the store is not changed.

        Raises:
            NotFound: No session, or several, answer to the identity.
        """
        session = await self.resolve(
            call.caller.bounds,
            request.session_id,
            request.namespace,
            request.user_id,
            self._clock.now(),
        )
        if session is None:
            raise NotFound(f"Session {request.session_id} not found.")
        return self._view(session, request.model_name, request.context_window_max, request.recent_messages_limit)

    async def resolve(
        self, bounds: Scope, session_id: str, namespace: str | None, user: str | None, now: datetime
    ) -> StoredSession | None:
        """The session of exactly that identity, else the only one that the parts given allow, else None."""
        exact = SessionKey(bounds.tenant, namespace or "", user or "", session_id)
        found = await self._store.get_session(bounds, exact, now)
        if found is not None:
            return found
        scope = bounds.narrow(namespace=namespace or None, user=user or None)
        keys = await self._store.find_sessions(scope, session_id, now)
        return await self._store.get_session(scope, keys[0], now) if len(keys) == 1 else None

    async def put(self, call: Call, request: PutSession) -> WorkingMemoryView:
        """Store the session as a whole; see `SessionWriter.put`."""
        session = await self._writer.put(call, request)
        return self._view(session, request.model_name, request.context_window_max, None)

    async def delete(self, call: Call, request: DeleteSession) -> Ack:
        """Delete the session if there is one; memories made from it stay.

        Raises:
            AmbiguousSession: Several sessions answer to the identity; nothing was deleted.
        """
        now = self._clock.now()
        bounds = call.caller.bounds
        key = SessionKey(bounds.tenant, request.namespace or "", request.user_id or "", request.session_id)
        if await self._store.get_session(bounds, key, now) is None:
            scope = bounds.narrow(namespace=request.namespace or None, user=request.user_id or None)
            keys = await self._store.find_sessions(scope, request.session_id, now)
            if len(keys) > 1:
                raise AmbiguousSession(
                    f"Several sessions are named {request.session_id}; name the namespace and the user."
                )
            if not keys:
                return Ack()
            key = keys[0]
        await self._writer.delete(bounds, key)
        return Ack()

    def _view(
        self,
        session: StoredSession,
        model_name: str | None,
        window_max: int | None,
        newest: int | None,
    ) -> WorkingMemoryView:
        content, key = session.content, session.key
        messages = content.messages
        if newest is not None and newest > 0:
            messages = sorted(messages, key=lambda message: message.created_at)[-newest:]
        window = window_of(model_name, window_max)
        messages = truncate(messages, window)
        used, until = percentages(messages, window, self._settings.summarization_threshold)
        return WorkingMemoryView(
            messages=messages,
            memories=content.memories,
            data=content.data,
            context=content.context,
            user_id=key.user or None,
            tokens=content.tokens,
            session_id=key.session,
            namespace=key.namespace or None,
            long_term_memory_strategy=content.long_term_memory_strategy,
            ttl_seconds=content.ttl_seconds,
            last_accessed=content.last_accessed.replace(microsecond=session.version % 1_000_000),
            created_at=content.created_at,
            updated_at=content.updated_at,
            context_percentage_total_used=used,
            context_percentage_until_summarization=until,
        )
