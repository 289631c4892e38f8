"""Calls event hooks inside a request: one plugin at a time, within a time limit, isolated from each other."""

from __future__ import annotations

import asyncio
import copy
import logging
from time import perf_counter
from typing import Any, TypeVar

from memhost.errors import PluginFailure, Refused
from memhost.events import RequestContext, SearchRequest, SessionWrite
from memhost.metrics import HookOutcome, Metrics
from memhost.models import MemoryHit, MemoryRecord
from memhost.plugins import EventHook, PluginManager

logger = logging.getLogger(__name__)

T = TypeVar("T")


class RequestHooks:
    """The four event hooks that can change or refuse a request."""

    def __init__(self, plugins: PluginManager, timeout_s: float, metrics: Metrics | None = None) -> None:
        self._plugins = plugins
        self._metrics = metrics or Metrics()
        self._timeout_s = timeout_s

    async def before_session_write(self, write: SessionWrite, context: RequestContext) -> SessionWrite:
        """What to write to the session, after all plugins saw it; its identity stays."""
        for hook in self._plugins.event_hooks("memhost_before_session_write"):
            changed = await self._call(hook, SessionWrite, write=write, context=context)
            if changed is not None:
                write = SessionWrite(session=write.session, content=changed.content)
        return write

    async def before_memories_stored(self, memories: list[MemoryRecord], context: RequestContext) -> list[MemoryRecord]:
        """Which of the memories to store, as changed by plugins; ids and owners stay, none is added."""
        for hook in self._plugins.event_hooks("memhost_before_memories_stored"):
            changed = await self._call(hook, list, memories=memories, context=context)
            if changed is not None:
                owners = {record.id: _owner(record) for record in memories}
                memories = [record for record in changed if owners.get(record.id) == _owner(record)]
        return memories

    async def before_search(self, search: SearchRequest, context: RequestContext) -> SearchRequest:
        """The search to run; scope and mode stay."""
        for hook in self._plugins.event_hooks("memhost_before_search"):
            changed = await self._call(hook, SearchRequest, search=search, context=context)
            if changed is not None:
                search = SearchRequest(scope=search.scope, text=changed.text, mode=search.mode, limit=changed.limit)
        return search

    async def after_search(
        self, hits: list[MemoryHit], search: SearchRequest, context: RequestContext
    ) -> list[MemoryHit]:
        """The hits to answer with; none is added."""
        for hook in self._plugins.event_hooks("memhost_after_search"):
            changed = await self._call(hook, list, hits=hits, search=search, context=context)
            if changed is not None:
                known = {hit.id for hit in hits}
                hits = [hit for hit in changed if hit.id in known]
        return hits

    async def _call(self, hook: EventHook, wanted: type[T], **arguments: Any) -> T | None:
        """The hook's answer, or None if it has none or failed and may be skipped."""
        started = perf_counter()
        outcome: HookOutcome = "failed"
        try:
            async with asyncio.timeout(hook.options.timeout_s or self._timeout_s):
                # A copy each, so that a hook that fails half-way has changed nothing.
                answer = await hook(**copy.deepcopy(arguments))
            if answer is not None and not isinstance(answer, wanted):
                raise TypeError(f"returned {type(answer).__name__} instead of {wanted.__name__}")
            outcome = "ok"
        except Refused as refusal:
            outcome = "refused"
            raise Refused(f"{refusal.message} (plugin {hook.origin})") from refusal
        except Exception as error:  # noqa: BLE001 - a foreign hook may fail in any way; its policy decides
            outcome = "timeout" if isinstance(error, TimeoutError) else "failed"
            self._failed(hook, error)
            return None
        finally:
            self._metrics.hook_called(hook.hook, hook.plugin, outcome, perf_counter() - started)
        return answer

    def _failed(self, hook: EventHook, error: Exception) -> None:
        reason = "took too long" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
        fields = {
            "hook": hook.hook,
            "plugin": hook.plugin,
            "distribution": hook.distribution,
            "version": hook.version,
            "policy": hook.options.on_failure,
            "error": reason,
        }
        logger.error("hook.failed", extra={"fields": fields})
        if hook.options.on_failure == "refuse":
            raise PluginFailure(
                f"The plugin {hook.origin} failed in {hook.hook} and its policy is to refuse: {reason}. "
                "Repair, update or disable it."
            ) from error


def _owner(record: MemoryRecord) -> tuple[str | None, str | None, str | None]:
    return record.namespace, record.user_id, record.session_id
