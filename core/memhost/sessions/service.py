"""Working memory: reading, listing and deleting sessions; `writer` writes them."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any, cast

import msgspec
from msgspec import UNSET, UnsetType, defstruct

from memhost.errors import AmbiguousSession, NotFound, Problem, SeveralFound, ValidationFailed
from memhost.extraction.pipeline.extraction_queue import ExtractionQueue
from memhost.extraction.pipeline.runs import ExtractionRuns
from memhost.messages.windows import newest, newest_fitting, percentages, truncate, window_of
from memhost.models import SENT_FIELDS, Message, Scope, SessionKey, StoredSession
from memhost.operations.ams_compat import with_version
from memhost.operations.responses import Ack, MessageView, SessionDetails, SessionList, WorkingMemoryView
from memhost.operations.table import Call
from memhost.operations.working_memory import DeleteSession, GetSession, ListSessions, PutSession
from memhost.ports import Clock, Store
from memhost.sessions.summaries import SessionSummaries
from memhost.sessions.writer import SessionWriter
from memhost.settings.schema import MemorySettings

_CUT = "{left} older messages were left out because the answer would be too large; read them with before={first}."


class SessionService:
    """Reads, writes, lists and deletes sessions of working memory."""

    def __init__(
        self,
        *,
        store: Store,
        writer: SessionWriter,
        summaries: SessionSummaries,
        pending: ExtractionQueue,
        extraction: ExtractionRuns,
        settings: MemorySettings,
        clock: Clock,
    ) -> None:
        self._store = store
        self._writer = writer
        self._summaries = summaries
        self._pending = pending
        self._extraction = extraction
        self._settings = settings
        self._clock = clock

    async def list_page(self, call: Call, request: ListSessions) -> SessionList:
        """A page of living sessions inside the caller's bounds."""
        scope = call.caller.bounds.narrow(namespace=request.namespace or None, user=request.user_id or None)
        now = self._clock.now()
        keys, total = await self._store.list_sessions(
            scope, now, limit=request.limit, offset=request.offset, updated_after=request.updated_after
        )
        names = [key.session for key in keys]
        details: list[SessionDetails] | UnsetType = UNSET
        if request.details:
            found = [await self._store.get_session(scope, key, now) for key in keys]
            details = [_details(session) for session in found if session is not None]
            names = [item.session_id for item in details]
        return SessionList(sessions=names, total=total, details=details)

    async def get(self, call: Call, request: GetSession) -> WorkingMemoryView:
        """The session, cut to the window asked for; the store is not changed.

        Raises:
            NotFound: No session answers to the identity; as `SeveralFound`, several do.
        """
        session = await self.resolve(
            call.caller.bounds,
            request.session_id,
            request.namespace,
            request.user_id,
            self._clock.now(),
        )
        if session is None:
            raise await self.missing(call.caller.bounds, request.session_id, request.namespace, request.user_id)
        self._writer.reads.note(session, self._clock.now())
        window = window_of(request.model_name, request.context_window_max)
        messages = session.content.messages if request.before is None else _before(session, request.before)
        if request.recent_messages_limit is not None and request.recent_messages_limit > 0:
            messages = newest(messages, request.recent_messages_limit)
        messages = truncate(messages, window)
        shown = self.within_bytes(messages, request.most_bytes)
        view = self._view(session, shown, window)
        if left := len(messages) - len(shown):
            view.older_messages = left
            call.notices.append(("notice", _CUT.format(left=left, first=shown[0].id)))
        return await self._with_extraction(session, view)

    def within_bytes(self, messages: list[Message], most_bytes: int | None = None) -> list[Message]:
        """The newest messages that fit into one answer, and into so many bytes if the request names a number."""
        limits = [most for most in (self._settings.session_answer_bytes, most_bytes) if most]
        return newest_fitting(messages, min(limits)) if limits else messages

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

    async def missing(self, bounds: Scope, session_id: str, namespace: str | None, user: str | None) -> NotFound:
        """The error for a session that `resolve` does not give: there is none, or there are several."""
        scope = bounds.narrow(namespace=namespace or None, user=user or None)
        keys = await self._store.find_sessions(scope, session_id, self._clock.now())
        if len(keys) > 1:
            return SeveralFound(f"Several sessions have the id {session_id}; give namespace and user_id.")
        return NotFound(f"Session {session_id} not found.")

    async def put(self, call: Call, request: PutSession, read: StoredSession | None = None) -> WorkingMemoryView:
        """Store the session as a whole; see `SessionWriter.put`."""
        session = await self._writer.put(call, request, read)
        if not (request.messages or request.memories or request.data):
            self._writer.reads.note(session, self._clock.now())  # created, to be filled by the next write
        session, to_come = await self._summaries.finish(session, request)
        # Clients put the answer in the place of their own copy, and send it back: it holds all that is stored.
        window = window_of(request.model_name, request.context_window_max)
        view = self._view(session, session.content.messages, window)
        if to_come:
            view.summarization = "pending"
        return await self._with_extraction(session, view)

    async def delete(self, call: Call, request: DeleteSession) -> Ack:
        """Delete the session if there is one; memories made from it stay, unless the request says otherwise.

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
                    f"Several sessions have the id {request.session_id}; give namespace and user_id."
                )
            if not keys and not (request.with_memories and bounds.covers(key)):
                return Ack()
            key = keys[0] if keys else key
        await self._writer.delete(bounds, key, with_memories=request.with_memories)
        return Ack()

    async def _with_extraction(self, session: StoredSession, view: WorkingMemoryView) -> WorkingMemoryView:
        """The view with the state of the extraction, where a model extracts from the session."""
        if not self._pending.used_by(session):
            return view
        view.extraction, waiting = await self._extraction.state(session.key)
        view.messages = [
            msgspec.structs.replace(message, discrete_memory_extracted="f" if message.id in waiting else "t")
            for message in view.messages
        ]
        return view

    def _view(self, session: StoredSession, messages: list[Message], window: int | None) -> WorkingMemoryView:
        content, key = session.content, session.key
        used, until = percentages(messages, window, self._settings.summarization_threshold)
        return WorkingMemoryView(
            messages=[_shown(message) for message in messages],
            memories=content.memories,
            data=content.data,
            context=content.context,
            context_trust=content.context_trust or UNSET,
            user_id=key.user or None,
            tokens=content.tokens,
            session_id=key.session,
            namespace=key.namespace or None,
            long_term_memory_strategy=content.long_term_memory_strategy,
            ttl_seconds=content.ttl_seconds,
            last_accessed=with_version(session),
            created_at=content.created_at,
            updated_at=content.updated_at,
            context_percentage_total_used=used,
            context_percentage_until_summarization=until,
        )


def _before(session: StoredSession, message_id: str) -> list[Message]:
    """The messages in front of that one.

    Raises:
        ValidationFailed: There is none of that id.
    """
    for index, message in enumerate(session.content.messages):
        if message.id == message_id:
            return session.content.messages[:index]
    sentence = "The session has no message with this id; omit `before` to start with the newest message."
    raise ValidationFailed([Problem(where=("before",), message=sentence, value=message_id)])


def _shown(message: Message) -> MessageView:
    if message.parts is UNSET and message.others is UNSET:
        return cast("MessageView", message)  # the same fields, and thousands of them
    others = message.others if isinstance(message.others, dict) else {}
    sent = {name: getattr(message, name) for name in SENT_FIELDS if name != "others"}
    return _view_with(tuple(others))(
        role=message.role,
        content=message.content if message.parts is UNSET else message.parts,
        id=message.id,
        created_at=message.created_at,
        persisted_at=message.persisted_at,
        discrete_memory_extracted=message.discrete_memory_extracted,
        trust=message.trust,
        **sent,
        **{f"other_{number}": value for number, value in enumerate(others.values())},
    )


@lru_cache(maxsize=256)
def _view_with(names: tuple[str, ...]) -> type[MessageView]:
    """Return the view of a message that also has these fields, which appear on the wire as they were sent."""
    if not names:
        return MessageView
    renamed = {f"other_{number}": name for number, name in enumerate(names)}
    fields = [(field, Any) for field in renamed]
    made = defstruct("MessageView", fields, bases=(MessageView,), kw_only=True, rename=renamed)
    return cast("type[MessageView]", made)


def _details(session: StoredSession) -> SessionDetails:
    content, key = session.content, session.key
    return SessionDetails(
        session_id=key.session,
        namespace=key.namespace or None,
        user_id=key.user or None,
        created_at=content.created_at,
        updated_at=content.updated_at,
    )
