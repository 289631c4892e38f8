"""Threads that own connections: one that writes, a few that read, and the event loop's own for look-ups by key.

The event loop waits for nothing longer than the read of a page or two.

The writer takes everything that is queued and commits it in one transaction (group commit), so that many
small durable writes share one sync. A task that fails before it changed anything fails alone; if one fails
half way, the transaction is rolled back and each task runs again in a transaction of its own. (Savepoints would
do the same, but each makes FTS5 flush its buffers.) The write-ahead log is copied into the file after the results
were delivered, so that nobody waits for that to have a write acknowledged.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import apsw

from memhost.errors import StoreUnavailable
from memhost_store_sqlite.failures import explain
from memhost_store_sqlite.pages import clean_file_system
from memhost_store_sqlite.settings import SqliteSettings

T = TypeVar("T")
Work = Callable[[apsw.Connection], T]
Task = tuple["Future[Any]", Work[Any]]


class Alone:
    """Work that cannot be done inside a transaction; the writer gives it the connection outside of any."""

    def __init__(self, work: Work[Any]) -> None:
        self._work = work

    def __call__(self, connection: apsw.Connection) -> Any:
        """Do the work."""
        return self._work(connection)


Outcome = tuple[Any, BaseException | None]

CLOSED = "The store is closed."

GROUP = 64
"""Most tasks that share one transaction."""

CHECKPOINT_PAGES = 4000
"""Pages in the write-ahead log (16 MB) from which on they are copied into the file.

Writes change the same pages again and again, and a copy is made of the last state only: with 1,000 pages the copies
took a twentieth of the time of a busy server, with 4,000 half of that."""


def connect(path: Path, settings: SqliteSettings, *, reading: bool) -> apsw.Connection:
    """A connection with the store's pragmas; the caller closes it in the thread that uses it."""
    vfs = None if reading or _has_pointer_pages(path) else clean_file_system()
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=200, vfs=vfs)
    try:
        connection.set_busy_timeout(int(settings.busy_timeout_s * 1000))
        _enter_wal(connection, settings.busy_timeout_s)
        connection.pragma("synchronous", settings.synchronous)
        cache_mb = settings.reader_cache_mb if reading else settings.writer_cache_mb
        connection.pragma("cache_size", -1024 * cache_mb)
        connection.pragma("temp_store", "memory")
        connection.pragma("trusted_schema", 0)
        if reading:
            connection.pragma("query_only", 1)
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # the writer's alone are the file's pages
        else:
            connection.pragma("journal_size_limit", 64 * 1024 * 1024)
            connection.pragma("secure_delete", 1)
    except BaseException:  # whatever it was: nobody else could close the connection
        connection.close()
        raise
    return connection


def _has_pointer_pages(path: Path) -> bool:
    """Tell whether `auto_vacuum` is on: bytes 52 to 55 (https://sqlite.org/fileformat2.html)."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        return any(file.read(56)[52:])
    return False


@contextlib.contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """A transaction that writes: committed if the block ends well, else rolled back."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _enter_wal(connection: apsw.Connection, timeout_s: float) -> None:
    """Switch to write-ahead logging; SQLite does not wait by itself when two processes do so at once."""
    deadline = time.monotonic() + max(timeout_s, 1.0)
    while True:
        try:
            connection.pragma("journal_mode", "wal")
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


class FileGuard:
    """Notices when the file was removed or replaced under the running server.

    SQLite would continue with the file it has open, which no other process can find: later writes would be acknowledged
    and lost.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[int, int] | None = None

    def remember(self) -> None:
        """The file as it is now is the store's."""
        self._known = self._identity()

    def check(self) -> None:
        """Raise `StoreUnavailable` unless the file is still in its place."""
        if self._known is not None and self._identity() != self._known:
            raise StoreUnavailable(
                "The store's file was removed or replaced while the server ran; put it back, or restart the server.",
                retry_after_s=60,
            )

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino


class Threads:
    """Base of the reader and the writer: threads that serve one queue until they are stopped."""

    def __init__(self, *, name: str, count: int, connect: Callable[[], apsw.Connection], guard: FileGuard) -> None:
        self._connect = connect
        self._guard = guard
        self._queue: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._serve, name=f"{name}-{number}", daemon=True) for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Work[T]) -> Future[T]:
        """Queue work; its result or error arrives in the future. Cancelling works until it has begun."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise StoreUnavailable(CLOSED)
            self._queue.put((future, work))
        return future

    def stop(self) -> None:
        """Let the threads finish what is queued and end; returns at once."""
        with self._lock:
            if not self._closed:
                self._closed = True
                for _ in self._threads:
                    self._queue.put(None)

    def join(self) -> None:
        """Wait until the threads have ended and their connections are closed."""
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        raise NotImplementedError

    def _deliver(self, future: Future[Any], outcome: Outcome) -> None:
        result, error = outcome
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(explain(error))


class Readers(Threads):
    """A pool in which each task sees one consistent view of the store."""

    def _serve(self) -> None:
        connection: apsw.Connection | None = None
        try:
            while (task := self._queue.get()) is not None:
                future, work = task
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    self._guard.check()
                    if connection is None:
                        connection = self._connect()
                    outcome: Outcome = (_view(connection, work), None)
                except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the future
                    outcome = (None, error)
                self._deliver(future, outcome)
                del task, future, work, outcome
        finally:
            if connection is not None:
                connection.close()


def _view(connection: apsw.Connection, work: Work[T]) -> T:
    connection.execute("BEGIN")
    try:
        return work(connection)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


class LookUps:
    """A connection for the event loop's own thread. For look-ups by key only.

    A look-up takes 10 microseconds, handing it to another thread and back 200. It never waits for a lock.
    """

    def __init__(self, connection: apsw.Connection, guard: FileGuard) -> None:
        connection.set_busy_timeout(0)
        self._connection: apsw.Connection | None = connection
        self._guard = guard

    def run(self, work: Work[T]) -> T:
        """The result of the work.

        Raises:
            apsw.BusyError: It would have to wait; let a reader do it.
            StoreUnavailable: The store is closed, or cannot be read.
        """
        if self._connection is None:
            raise StoreUnavailable(CLOSED)
        self._guard.check()
        try:
            return _view(self._connection, work)
        except apsw.BusyError:
            raise
        except apsw.Error as error:
            raise explain(error) from error

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _SpoiledError(Exception):
    """A task failed after it had changed something: the transaction must not be committed."""


class Writer(Threads):
    """The one thread that changes the file."""

    def __init__(self, name: str, connect: Callable[[], apsw.Connection], guard: FileGuard) -> None:
        self._log_pages = 0
        super().__init__(name=name, count=1, connect=connect, guard=guard)

    def _serve(self) -> None:
        connection: apsw.Connection | None = None
        try:
            running = True
            while running:
                tasks: list[Task] = []
                running = self._gather(tasks)
                tasks = [task for task in tasks if task[0].set_running_or_notify_cancel()]
                try:
                    self._guard.check()
                    if tasks and connection is None:
                        connection = self._connect()
                        connection.set_wal_hook(self._logged)
                        self._guard.remember()
                except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the futures
                    outcomes: Sequence[Outcome] = [(None, error)] * len(tasks)
                else:
                    outcomes = _run_all(connection, tasks) if connection is not None else []
                for (future, _), outcome in zip(tasks, outcomes, strict=True):
                    self._deliver(future, outcome)
                del tasks, outcomes
                if connection is not None and self._log_pages >= CHECKPOINT_PAGES:
                    self._log_pages = 0
                    _checkpoint(connection, apsw.SQLITE_CHECKPOINT_PASSIVE)
        finally:
            if connection is not None:
                _close(connection)

    def _logged(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        """Called by SQLite after each commit, in place of its own checkpoint within the commit."""
        self._log_pages = pages
        return apsw.SQLITE_OK

    def _gather(self, tasks: list[Task]) -> bool:
        """Wait for a task and take what else is queued; False once the writer is stopped."""
        task = self._queue.get()
        while task is not None:
            tasks.append(task)
            if len(tasks) == GROUP:
                return True
            try:
                task = self._queue.get_nowait()
            except queue.Empty:
                return True
        return False


def _run_all(connection: apsw.Connection, tasks: Sequence[Task]) -> list[Outcome]:
    """Run the tasks that can share a transaction in one, then the rest."""
    together = [task for task in tasks if not isinstance(task[1], Alone)]
    shared = iter(_run(connection, together) if together else ())
    return [_outside(connection, work) if isinstance(work, Alone) else next(shared) for _, work in tasks]


def _outside(connection: apsw.Connection, work: Alone) -> Outcome:
    try:
        return work(connection), None
    except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the future
        return None, error


def _run(connection: apsw.Connection, tasks: Sequence[Task]) -> list[Outcome]:
    try:
        with transaction(connection):
            return [_step(connection, work) for _, work in tasks]
    except _SpoiledError as error:
        if len(tasks) == 1:
            return [(None, error.__cause__ or error)]
        return [_run(connection, [task])[0] for task in tasks]
    except BaseException as error:  # noqa: BLE001 - no transaction: everyone in the group learns why
        return [(None, error)] * len(tasks)


def _step(connection: apsw.Connection, work: Work[Any]) -> Outcome:
    changes = connection.total_changes()
    try:
        return work(connection), None
    except Exception as error:  # handed to its caller, unless it spoils the others of its transaction
        if isinstance(error, apsw.Error) or connection.total_changes() != changes:
            raise _SpoiledError from error
        return None, error


def _checkpoint(connection: apsw.Connection, mode: int) -> None:
    """Copy the write-ahead log into the file, as far as no other connection uses it."""
    with contextlib.suppress(apsw.Error):  # the log stays beside the file, and is copied the next time
        connection.wal_checkpoint(mode=mode)


def _close(connection: apsw.Connection) -> None:
    """Fold the write-ahead log into the file, unless another process is using it."""
    try:
        connection.set_busy_timeout(100)
        _checkpoint(connection, apsw.SQLITE_CHECKPOINT_TRUNCATE)
    finally:
        connection.close()
