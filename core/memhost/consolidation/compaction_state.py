"""The state that compaction keeps in the store: the progress of the last pass."""

from __future__ import annotations

from datetime import datetime

import msgspec

from memhost.memories.records import derived_id
from memhost.models import Document, Scope, WriteBatch
from memhost.ports import Store

_CURSOR = "compaction-cursor"


class Cursor(msgspec.Struct, kw_only=True):
    """Progress of the comparison of memories in one scope.

    Attributes:
        since: Start of the last complete pass: what was changed later is to be looked at.
        memories: Memories in the scope after it.
        judged: Whether there was a language model to ask.
        begun: Start of the pass that is not complete, None if there is none.
        resume: Creation time of the memory where that pass continues.
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
