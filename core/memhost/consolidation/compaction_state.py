"""The state that compaction keeps in the store: the progress of the last pass."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from memhost.memories.records import derived_id
from memhost.models import Condition, Document, Op, Scope, WriteBatch
from memhost.ports import Store
from memhost.storage.paging import count

_CURSOR = "compaction-cursor"
_EXACT = "compaction-texts"
_WHOLE_EVERY = timedelta(days=1)
LEAST_NOTED = 500
"""Memories of a scope whose progress is kept; fewer are looked at in some milliseconds."""
MARGIN = timedelta(minutes=10)
"""Time by which "changed since" looks further back, because clients set `updated_at` by their own clocks."""


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


class ExactCursor(msgspec.Struct, kw_only=True):
    """Progress of the search for repetitions of one text in one scope.

    Attributes:
        since: Start of the last complete pass.
        memories: Memories in the scope at that time.
        recent: Those of them that had changed lately.
        ahead: Those whose last change lies after it, by a client's clock.
        whole: Start of the last pass that looked at all memories.
    """

    since: datetime
    memories: int
    recent: int
    ahead: int
    whole: datetime


class ExactRange(msgspec.Struct, frozen=True, kw_only=True):
    """Memories that a pass looks at.

    Attributes:
        nothing: None of them, because nothing has changed.
        since: Those that changed since then; None: all of them.
        after: The cursor to keep when the pass is complete; None: as it is.
    """

    nothing: bool = False
    since: datetime | None = None
    after: ExactCursor | None


async def exact_range(store: Store, scope: Scope, which: Condition, now: datetime) -> ExactRange:
    """The memories to look at now.

    All are looked at if there are more than the numbers explain, as after an import of memories with an old
    `updated_at`, and once a day, because a client may replace a memory by one with an old `updated_at`.
    """
    document = await store.get_document(Scope(tenant=scope.tenant), _EXACT, _name(scope), now)
    before = msgspec.msgpack.decode(document.body, type=ExactCursor) if document is not None else None
    memories = await count(store, scope, [which])
    if before is None or now - before.whole >= _WHOLE_EVERY:
        return ExactRange(after=await _cursor(store, scope, which, memories, now, whole=now))
    recent = await count(store, scope, [which, _since(before.since - MARGIN)])
    ahead = await count(store, scope, [which, Condition("updated_at", Op.GT, (before.since,))])
    nothing = memories <= before.memories and recent <= before.recent and ahead <= before.ahead
    whole = memories > before.memories + recent
    if nothing and now - before.since < MARGIN:
        return ExactRange(nothing=True, after=None)
    after = await _cursor(store, scope, which, memories, now, whole=now if whole else before.whole)
    return ExactRange(nothing=nothing, since=None if whole else before.since - MARGIN, after=after)


async def _cursor(
    store: Store, scope: Scope, which: Condition, memories: int, now: datetime, *, whole: datetime
) -> ExactCursor:
    recent = await count(store, scope, [which, _since(now - MARGIN)])
    ahead = await count(store, scope, [which, Condition("updated_at", Op.GT, (now,))])
    return ExactCursor(since=now, memories=memories, recent=recent, ahead=ahead, whole=whole)


def _since(moment: datetime) -> Condition:
    return Condition("updated_at", Op.GTE, (moment,))


async def end_exact(store: Store, scope: Scope, done: ExactRange) -> None:
    """Note that a pass is complete; nothing is kept of small scopes, which callers may make up."""
    if done.after is None or done.after.memories < LEAST_NOTED:
        return
    document = Document(
        kind=_EXACT,
        id=_name(scope),
        tenant=scope.tenant,
        body=msgspec.msgpack.encode(done.after),
        updated_at=done.after.since,
    )
    await store.commit(Scope(tenant=scope.tenant), WriteBatch(put_documents=[document]))


def _name(scope: Scope) -> str:
    return derived_id(msgspec.json.encode(scope).decode())
