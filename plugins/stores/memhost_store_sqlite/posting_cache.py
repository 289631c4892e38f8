"""Posting lists of searches in many memories, kept in the process: the words of one query are those of another.

A list holds row numbers, and what is written later has higher ones: a list that was read once is brought up to date by
what was added. Where something in the scope was deleted or replaced, its lists are read again; the numbers of memories
tell.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import apsw
import numpy as np

from memhost.storekit import Phrase
from memhost_store_sqlite.codec import Ids
from memhost_store_sqlite.scopes import Reach

LARGE = 5000
"""Memories in a scope from which on lists are kept."""
_ADDED = 5000
"""Row numbers given since a list was read, up to which it is brought up to date."""
_LIMIT_BYTES = 24 * 1024 * 1024

ReadPosting = Callable[[Phrase, int], Ids]
"""Reads the row numbers above the given one of the memories that hold a phrase, ascending, to a limit."""


@dataclass(slots=True)
class _Scope:
    """Lists of one scope, of a view with so many memories up to that row number."""

    documents: int
    newest: int
    lists: dict[Phrase, tuple[int, Ids]] = field(default_factory=dict)
    size: int = 0


class PostingCache:
    """Shared by the reading threads.

    Args:
        limit_bytes: Most that the lists may take; 0 keeps none.
    """

    def __init__(self, limit_bytes: int = _LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._scopes: OrderedDict[tuple[int, ...], _Scope] = OrderedDict()

    def view(self, connection: apsw.Connection, reach: Reach) -> PostingView | None:
        """The lists of a scope in the reader's view; None if none are kept of it, or only those of a later view."""
        if not self._limit or reach.documents < LARGE:
            return None
        newest = int(connection.execute("SELECT coalesce(max(rid), 0) FROM memories").get)
        with self._lock:
            kept = self._scopes.get(reach.tokens)
            before = None if kept is None else (kept.documents, kept.newest)
        if before is not None and before[1] > newest:
            return None
        if before is None or not _only_added(connection, reach, before, newest):
            kept = _Scope(reach.documents, newest)
        with self._lock:
            assert kept is not None
            kept.documents, kept.newest = reach.documents, newest
            self._scopes[reach.tokens] = kept
            self._scopes.move_to_end(reach.tokens)
        return PostingView(self, kept, newest)

    def _keep(self, scope: _Scope, phrase: Phrase, newest: int, rids: Ids) -> None:
        with self._lock:
            former = scope.lists.get(phrase)
            if former is not None and former[0] > newest:
                return
            scope.size += rids.nbytes - (0 if former is None else former[1].nbytes)
            scope.lists[phrase] = (newest, rids)
            size = sum(each.size for each in self._scopes.values())
            while size > self._limit and self._scopes:
                size -= self._scopes.popitem(last=False)[1].size


def _only_added(connection: apsw.Connection, reach: Reach, before: tuple[int, int], newest: int) -> bool:
    """Tell whether nothing in reach is gone since a view with so many memories up to a row number."""
    documents, last = before
    if newest == last:
        return documents == reach.documents
    if newest - last > _ADDED:
        return False
    where, bindings = reach.where()
    column = where.replace("m.", "+m.", 1)  # by row number, not by the index of the scope
    added = connection.execute(f"SELECT count(*) FROM memories m WHERE m.rid > ? AND {column}", [last, *bindings]).get  # noqa: S608
    return documents + int(added) == reach.documents


@dataclass(frozen=True, slots=True)
class PostingView:
    """The lists of one scope for one call."""

    cache: PostingCache
    scope: _Scope
    newest: int

    def rids(self, phrase: Phrase, limit: int, read: ReadPosting) -> Ids:
        """The row numbers of the memories that hold a phrase, ascending, at most `limit`."""
        last, rids = self.scope.lists.get(phrase, (-1, np.empty(0, dtype=np.int64)))
        if last > self.newest:
            return read(phrase, -1)
        if last < self.newest and len(rids) < limit:
            rids = np.concatenate((rids, read(phrase, last)))[:limit]
        if last < self.newest:
            self.cache._keep(self.scope, phrase, self.newest, rids)
        return rids
