"""Tells who blocks the event loop while it is blocked, and whose tasks and threads pile up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from types import FrameType
from typing import Any
from weakref import WeakSet

from memhost.operations.responses import PluginRow
from memhost.plugins import RUNNING, EventHook, PluginManager
from memhost.plugins.health import PluginWatch

logger = logging.getLogger(__name__)

MANY = 100
"""Number of a plugin's running tasks or threads that is logged; the next is twice that number."""

_CALL = EventHook.__call__.__code__
_Factory = Callable[..., Any]


class LoopWatch:
    """A thread that looks after the event loop of a host.

    A plugin that blocks the loop cannot be interrupted: while it does, the log says which one it is and where; once the
    call is over, it counts as a failure. A plugin that leaves tasks or threads behind is logged, and not stopped.

    Args:
        plugins: Plugins whose code may block the loop.
        watch: Health of the plugins.
        limit_s: The loop counts as blocked after so many seconds; it is looked at as often.
    """

    def __init__(self, plugins: PluginManager, watch: PluginWatch, limit_s: float) -> None:
        self._plugins = plugins
        self._watch = watch
        self._limit_s = limit_s
        self._tasks: dict[str, WeakSet[asyncio.Task[Any]]] = {}
        self._told: dict[tuple[str, str], int] = {}
        self._stop = threading.Event()
        self._beat = threading.Event()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch the running loop while the block runs."""
        loop, ident = asyncio.get_running_loop(), threading.get_ident()
        before = loop.get_task_factory()
        factory = self._factory(before)
        loop.set_task_factory(factory)
        thread = threading.Thread(target=self._look, args=(loop, ident), daemon=True, name="memhost-loop-watch")
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._beat.set()
            if loop.get_task_factory() is factory:
                loop.set_task_factory(before)
            thread.join(self._limit_s)

    def _factory(self, before: _Factory | None) -> _Factory:
        def make(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **named: Any) -> asyncio.Future[Any]:
            task = asyncio.Task(coro, loop=loop, **named) if before is None else before(loop, coro, **named)
            if (hook := RUNNING.get()) is not None:
                self._tasks.setdefault(hook.plugin, WeakSet()).add(task)
            return task

        return make

    # -- in the thread ---------------------------------------------------------------------------------

    def _look(self, loop: asyncio.AbstractEventLoop, ident: int) -> None:
        while not self._stop.wait(self._limit_s):
            self._beat.clear()
            begun = perf_counter()
            with contextlib.suppress(RuntimeError):  # the loop was closed without leaving the block
                loop.call_soon_threadsafe(self._alive)
            if self._beat.wait(self._limit_s) or self._stop.is_set():
                self._count_threads()
                continue
            self._tell(ident)
            self._beat.wait()
            if not self._stop.is_set():
                fields = {"seconds": round(perf_counter() - begun, 3)}
                logger.warning("loop.runs_again", extra={"fields": fields})

    def _tell(self, ident: int) -> None:
        """Say who blocks the loop."""
        stack = sys._current_frames().get(ident)
        hook, row, frame = self._culprit(stack)
        fields: dict[str, Any] = {"seconds": self._limit_s}
        if operation := _operation(stack):
            fields["operation"] = operation
        if hook is not None:
            fields |= hook.fields
        elif row is not None:
            fields |= {"plugin": row.name, "distribution": row.distribution, "version": row.version}
        if frame is not None:
            code = frame.f_code
            fields["where"] = f"{code.co_name} in {Path(code.co_filename).name}:{frame.f_lineno}"
        if "plugin" not in fields:  # a machine with too much to do, or work of the server's own that is too long
            logger.warning("loop.blocked", extra={"fields": fields})
            return
        self._watch.blocks(fields["plugin"])
        self._watch.note(fields["plugin"], f"blocks the event loop: {fields['where']}")
        logger.error("loop.blocked", extra={"fields": fields})

    def _culprit(self, frame: FrameType | None) -> tuple[EventHook | None, PluginRow | None, FrameType | None]:
        """Whose code runs: the event hook and the plugin, if it is a plugin's, and the frame of that code.

        The innermost frame that is the server's own or a plugin's decides; libraries work for their caller.
        """
        place = frame
        while place is not None and not _is_own(place) and self._owner(place) is None:
            place = place.f_back
        if place is None or _is_own(place):
            return None, None, place or frame
        row, hook, below = self._owner(place), None, place.f_back
        while below is not None:
            if below.f_code is _CALL:
                hook = below.f_locals["self"]
            below = below.f_back
        return hook, row, place

    def _owner(self, frame: FrameType) -> PluginRow | None:
        return self._plugins.origin_of(frame.f_globals.get("__name__", ""))

    def _count_threads(self) -> None:
        if threading.active_count() < MANY:
            return
        counts: dict[str, int] = {}
        for frame in sys._current_frames().values():
            if (row := self._culprit(frame)[1]) is not None:
                counts[row.name] = counts.get(row.name, 0) + 1
        for plugin, count in counts.items():
            self._tell_many(plugin, "threads", count)

    # -- on the loop -----------------------------------------------------------------------------------

    def _alive(self) -> None:
        self._beat.set()
        for plugin, tasks in self._tasks.items():
            self._tell_many(plugin, "tasks", sum(not task.done() for task in tasks))

    def _tell_many(self, plugin: str, what: str, count: int) -> None:
        told = self._told.get((plugin, what), 0)
        if count < MANY:
            self._told.pop((plugin, what), None)
        if count < max(MANY, 2 * told):
            return
        self._told[plugin, what] = count
        row = next(row for row in self._plugins.rows if row.name == plugin)
        fields = {"plugin": plugin, "distribution": row.distribution, "version": row.version, what: count}
        self._watch.note(plugin, f"leaves {what} behind: {count}")
        logger.error("plugin.leaks", extra={"fields": fields})


def _is_own(frame: FrameType) -> bool:
    """Tell whether it is code of the server itself."""
    name: str = frame.f_globals.get("__name__", "")
    return name.split(".", 1)[0] == "memhost"


def _operation(frame: FrameType | None) -> str:
    """The operation that runs, empty if none does."""
    while frame is not None:
        if frame.f_code.co_name == "execute" and frame.f_globals.get("__name__") == "memhost.host.host":
            return str(frame.f_locals.get("name", ""))
        frame = frame.f_back
    return ""
