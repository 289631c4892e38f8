"""Calling foreign hooks, so that one that raises anything, hangs or blocks harms only its own plugin."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

import msgspec

from memhost.errors import PluginFailure
from memhost.hooks import EventOptions

logger = logging.getLogger(__name__)

T = TypeVar("T")

_GRACE_S = 1.0
"""Time that a cancelled hook may take to end, seconds; after that it is abandoned."""


class EventHook(msgspec.Struct, frozen=True, kw_only=True):
    """One plugin's implementation of an event hook."""

    hook: str
    plugin: str
    distribution: str
    version: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]
    options: EventOptions

    @property
    def origin(self) -> str:
        """`entry-point (distribution version)`."""
        return f"{self.plugin} ({self.distribution} {self.version})"

    @property
    def fields(self) -> dict[str, str]:
        """Who it is, as fields of a log line."""
        return {
            "hook": self.hook,
            "plugin": self.plugin,
            "distribution": self.distribution,
            "version": self.version,
        }

    async def __call__(self, **arguments: Any) -> Any:
        """Call the implementation with those of the arguments that it takes.

        Raises:
            PluginFailure: It raises what would end more than itself: `SystemExit`, or a cancellation that nobody asked.
        """
        RUNNING.set(self)
        try:
            return await self.function(**{name: arguments[name] for name in self.arguments})
        except (Exception, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # what a plugin raises ends no more than the plugin's own part
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            raise PluginFailure(f"The plugin {self.origin} raised {type(error).__name__} in {self.hook}.") from error

    async def within(self, limit_s: float, /, **arguments: Any) -> Any:
        """Call it in a task of its own, for so many seconds at most.

        Raises:
            TimeoutError: It took longer. It is cancelled, and left behind if it does not end then.
        """
        task = asyncio.create_task(self(**arguments), name=f"{self.hook} of {self.plugin}")
        try:
            await asyncio.wait((task,), timeout=limit_s)
            if task.done():
                return task.result()
        finally:
            if not task.done():
                await self._cut_off(task)
        raise TimeoutError

    async def _cut_off(self, task: asyncio.Task[Any]) -> None:
        task.cancel()
        await asyncio.wait((task,), timeout=_GRACE_S)
        if not task.done():
            logger.error("hook.left_behind", extra={"fields": self.fields})
        task.add_done_callback(_take)


RUNNING: ContextVar[EventHook | None] = ContextVar("memhost_running_hook", default=None)
"""The event hook that the current task, or the task that started it, was made for."""


def _take(task: asyncio.Task[Any]) -> None:
    """Retrieve the exception of a task that nobody awaits any more."""
    if not task.cancelled():
        task.exception()


def in_time(limit_s: float, function: Callable[[], T]) -> T:
    """Call the function in a separate thread, which is abandoned if it takes longer; return its result.

    Raises:
        TimeoutError: It took longer.
        BaseException: What it raises.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - it is raised where the caller waits
            errors.append(error)

    thread = threading.Thread(target=call, daemon=True, name="memhost-registration")
    thread.start()
    thread.join(limit_s)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError
    return results[0]
