"""What compaction keeps in the store: whose turn it is, and how far the last pass came."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import msgspec

from memhost.errors import Busy, DocumentGone
from memhost.models import Document, Scope, WriteBatch, new_id
from memhost.ports import Clock, Store
from memhost.services.records import derived_id

_LOCK = "compaction"
_CURSOR = "compaction-cursor"
_LEASE = timedelta(minutes=5)
_TRIES = 20
_PAUSE_S = 0.25


class Cursor(msgspec.Struct, kw_only=True):
    """How far the comparison of memories came in one scope.

    Attributes:
        since: Start of the last complete pass: what was changed later is to be looked at.
        memories: Memories in the scope after it.
        judged: Whether there was a language model to ask.
        begun: Start of the pass that is not complete, None if there is none.
        resume: Creation time of the memory where that pass goes on.
        whole: Whether that pass looks at all memories.
        waits: When the earliest memory was changed that it met without a vector; the next pass starts there.
    """

    since: datetime | None = None
    memories: int = 0
    judged: bool = False
    begun: datetime | None = None
    resume: datetime | None = None
    whole: bool = False
    waits: datetime | None = None


class Turn:
    """The right to compact a tenant, for as long as its document is in the store."""

    def __init__(self, store: Store, tenant: str, clock: Clock) -> None:
        self._store = store
        self._scope = Scope(tenant=tenant)
        self._clock = clock
        self._until = clock.now()
        self._name = (_LOCK, new_id())

    async def take(self) -> bool:
        """Take the turn if nobody else has it.

        Each shows itself first and looks around then, so of two at a time at most one goes on.
        """
        await self._show()
        others = await self._store.list_documents(self._scope, _LOCK, self._clock.now())
        if all((document.kind, document.id) == self._name for document in others):
            return True
        await self.give_back()
        return False

    async def keep(self) -> None:
        """Prolong the turn when half of it is over; called before each change.

        Raises:
            DocumentGone: It was over, and may be somebody else's now.
        """
        if self._until - self._clock.now() < _LEASE / 2:
            await self._show(required=True)

    async def give_back(self) -> None:
        """Let others go on."""
        await self._store.commit(self._scope, WriteBatch(delete_documents=[self._name]))

    async def _show(self, *, required: bool = False) -> None:
        now = self._clock.now()
        kind, document_id = self._name
        document = Document(
            kind=kind, id=document_id, tenant=self._scope.tenant, body=b"", updated_at=now, expires_at=now + _LEASE
        )
        names = [self._name] if required else []
        await self._store.commit(self._scope, WriteBatch(put_documents=[document], require_documents=names))
        self._until = now + _LEASE


@asynccontextmanager
async def turn_of(store: Store, tenant: str, clock: Clock) -> AsyncIterator[Turn]:
    """The right to compact the tenant, over all processes of the store.

    Raises:
        Busy: Somebody else is at it, and does not end within some seconds.
    """
    turn = Turn(store, tenant, clock)
    for _ in range(_TRIES):
        if await turn.take():
            break
        await asyncio.sleep(_PAUSE_S * (0.5 + random.random()))  # noqa: S311 - only so that two do not keep step
    else:
        raise Busy("Memories are being compacted already; try again when that is done.")
    try:
        yield turn
    except DocumentGone as error:
        raise Busy("The compaction took too long, and another has begun; the rest is left to it.") from error
    finally:
        await turn.give_back()


async def read_cursor(store: Store, scope: Scope, now: datetime) -> Cursor:
    """The cursor of the scope; that of the whole tenant if it has none of its own yet."""
    home = Scope(tenant=scope.tenant)
    for name in (_name(scope), _name(home)):
        document = await store.get_document(home, _CURSOR, name, now)
        if document is not None:
            cursor = msgspec.msgpack.decode(document.body, type=Cursor)
            return cursor if name == _name(scope) else Cursor(since=cursor.since, judged=cursor.judged, memories=-1)
    return Cursor()


async def write_cursor(store: Store, scope: Scope, cursor: Cursor, now: datetime) -> None:
    """Keep how far a pass came."""
    document = Document(
        kind=_CURSOR, id=_name(scope), tenant=scope.tenant, body=msgspec.msgpack.encode(cursor), updated_at=now
    )
    await store.commit(Scope(tenant=scope.tenant), WriteBatch(put_documents=[document]))


def _name(scope: Scope) -> str:
    return derived_id(msgspec.json.encode(scope).decode())
