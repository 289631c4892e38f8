"""Makes blocks of vectors in the background, one to a transaction, between which others write."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TypeVar

from memhost.errors import StoreUnavailable
from memhost.logs import log
from memhost_store_sqlite.connection import Readers, Writer
from memhost_store_sqlite.vector_blocks import add_block, owners_behind

_log = logging.getLogger(__name__)

_EVERY = 1024
"""Memories written after which somebody may have enough vectors for another block."""

T = TypeVar("T")


class BlockBuilding:
    """Looks for owners with enough vectors for another block when the file was opened, and after writes."""

    def __init__(self, readers: Readers, writer: Writer) -> None:
        self._readers = readers
        self._writer = writer
        self._lock = threading.Lock()
        self._written = 0
        self._running: Future[None] | None = None

    def written(self, memories: int) -> None:
        """Note that so many memories were written."""
        with self._lock:
            self._written += memories
            if self._written < _EVERY or (self._running is not None and not self._running.done()):
                return
        self.start()

    def start(self) -> Future[None]:
        """Make all blocks that are due; the future is done when they are there. Where it runs already, that one."""
        with self._lock:
            if self._running is not None and not self._running.done():
                return self._running
            self._written, self._running = 0, Future()
            done = self._running
        self._then(done, lambda: self._readers.submit(owners_behind), lambda owners: self._next(done, iter(owners)))
        return done

    def _next(self, done: Future[None], owners: Iterator[int]) -> None:
        owner = next(owners, None)
        if owner is None:
            done.set_result(None)
        else:
            self._build(done, owner, owners)

    def _build(self, done: Future[None], owner: int, owners: Iterator[int]) -> None:
        def built(more: bool) -> None:
            if more:
                self._build(done, owner, owners)
            else:
                self._next(done, owners)

        self._then(done, lambda: self._writer.submit(lambda connection: add_block(connection, owner)), built)

    def _then(self, done: Future[None], begin: Callable[[], Future[T]], go_on: Callable[[T], None]) -> None:
        """Go on with what was begun; where it fails, the next time does what is left."""

        def ended(future: Future[T]) -> None:
            error = future.exception()
            if error is None:
                go_on(future.result())
                return
            if not isinstance(error, StoreUnavailable):
                log(_log, logging.WARNING, "store.blocks_failed", error=str(error))
            done.set_result(None)

        try:
            future = begin()
        except StoreUnavailable:  # the store is being closed
            done.set_result(None)
            return
        future.add_done_callback(ended)
