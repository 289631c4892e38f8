"""Calls event hooks inside a request: one plugin at a time, within a time limit, isolated from each other."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from time import perf_counter
from typing import Any, TypeVar, get_args, get_origin

import msgspec

from memhost.errors import PluginFailure, Problem, Refused
from memhost.events import RequestContext, SearchRequest, SessionWrite
from memhost.logs import describe
from memhost.metrics import HookOutcome, Metrics
from memhost.models import MemoryHit, MemoryRecord, Message, Trust
from memhost.models.trust import by_role, lowest, of_turn
from memhost.operations.limits import record_problems, session_problems
from memhost.plugins import EventHook, PluginManager
from memhost.plugins.blame import place_in
from memhost.plugins.health import PluginWatch
from memhost.secrets import Masker
from memhost.secrets.requests import masked_records, masked_value

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R", bound=MemoryRecord)


class RequestHooks:
    """The four event hooks that can change or refuse a request."""

    def __init__(
        self,
        *,
        plugins: PluginManager,
        timeout_s: float,
        watch: PluginWatch,
        settings: Mapping[str, msgspec.Struct],
        metrics: Metrics | None = None,
        masker: Masker | None = None,
    ) -> None:
        self._plugins = plugins
        self._watch = watch
        self._settings = settings
        self._metrics = metrics or Metrics()
        self._masker = masker or Masker()
        self._timeout_s = timeout_s

    async def before_session_write(self, write: SessionWrite, context: RequestContext) -> SessionWrite:
        """Return the data to write to the session after all plugins have seen it; its key stays.

        A plugin may lower how far a message is trusted, never raise it; a message of its own is an agent's at most.
        Secrets in what plugins change are masked, here and in the other hooks.
        """
        for hook in self._plugins.event_hooks("memhost_before_session_write"):
            changed = await self._call(hook, SessionWrite, write=write, context=context)
            if changed is not None:
                changed.content.messages = _bounded(changed.content.messages, write.content.messages)
                there = {record.id: record for record in write.content.memories}
                changed.content.memories = [
                    _no_further(record, there.get(record.id)) for record in changed.content.memories
                ]
                content = await masked_value(changed.content, self._masker)
                write = SessionWrite(session=write.session, content=content)
        return write

    async def before_memories_stored(
        self, memories: list[MemoryRecord], context: RequestContext, *, masked: bool = False
    ) -> list[MemoryRecord]:
        """Which of the memories to store, as changed by plugins; ids and owners stay, none is added.

        A plugin may lower how far a memory is trusted, never raise it. Secrets are masked: those of strategies before
        plugins see them, and those of plugins.

        Args:
            memories: The memories.
            context: Who stores them.
            masked: They are as a request gave them, whose secrets are masked already.
        """
        if not masked:
            memories = await masked_records(memories, self._masker)
        for hook in self._plugins.event_hooks("memhost_before_memories_stored"):
            changed = await self._call(hook, list[MemoryRecord], memories=memories, context=context)
            if changed is not None:
                before = {record.id: record for record in memories}
                kept = [each for each in changed if each.id in before and _owner(before[each.id]) == _owner(each)]
                kept = _once(_no_further(record, before[record.id]) for record in kept)
                memories = await masked_records(kept, self._masker)
        return memories

    async def before_search(self, search: SearchRequest, context: RequestContext) -> SearchRequest:
        """The search to run; scope and mode stay."""
        for hook in self._plugins.event_hooks("memhost_before_search"):
            changed = await self._call(hook, SearchRequest, search=search, context=context)
            if changed is not None:
                text = self._masker.value(changed.text)
                search = SearchRequest(scope=search.scope, text=text, mode=search.mode, limit=changed.limit)
        return search

    async def after_search(
        self, hits: list[MemoryHit], search: SearchRequest, context: RequestContext
    ) -> list[MemoryHit]:
        """The hits to answer with; none is added."""
        for hook in self._plugins.event_hooks("memhost_after_search"):
            changed = await self._call(hook, list[MemoryHit], hits=hits, search=search, context=context)
            if changed is not None:
                known = {hit.id for hit in hits}
                hits = _once(hit for hit in changed if hit.id in known)
                if len(hits) < len(changed):
                    self._watch.tell_once(hook, _double_or_new(len({hit.id for hit in changed}) < len(changed)))
        return hits

    async def _call(self, hook: EventHook, wanted: type[T], *, context: RequestContext, **arguments: Any) -> T | None:
        """The hook's answer, or None if it has none or failed and may be skipped."""
        if self._watch.suspended(hook.plugin):
            self._metrics.hook_called(hook.hook, hook.plugin, "suspended", 0.0)
            self._without(hook, "it is suspended because it kept failing")
            return None
        started = perf_counter()
        outcome: HookOutcome = "failed"
        limit = hook.options.timeout_s or self._timeout_s
        try:
            # A copy each, so that a hook that fails half-way has changed nothing.
            known = msgspec.structs.replace(context, plugin_settings=self._settings.get(hook.plugin))
            given = await hook.within(limit, **copy.deepcopy(arguments), context=known)
            answer = None if given is None else _checked(given, wanted)
            outcome = "ok"
            if self._watch.has_blocked(hook.plugin) or perf_counter() - started > limit:
                # It did not wait for anything, so that nobody could stop it; its answer is good all the same.
                outcome = "timeout"
                self._note(hook, "blocked the whole server")
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
        # not its sentence, which may quote what people said
        place = place_in(error, hook.function.__module__)
        reason = "took too long" if isinstance(error, TimeoutError) else describe(error, place)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("hook.traceback", extra={"fields": hook.fields}, exc_info=error)
        self._note(hook, reason)
        self._without(hook, reason, error)

    def _note(self, hook: EventHook, reason: str) -> None:
        self._watch.failed(hook, reason)
        logger.error(
            "hook.failed", extra={"fields": {**hook.fields, "policy": hook.options.on_failure, "error": reason}}
        )

    def _without(self, hook: EventHook, reason: str, cause: Exception | None = None) -> None:
        """Continue without the hook, if its policy allows that."""
        if hook.options.on_failure == "refuse":
            raise PluginFailure(
                f'The plugin {hook.origin} failed in {hook.hook} and declares on_failure="refuse": {reason}. Fix, '
                "update or disable the plugin."
            ) from cause


def _checked(answer: Any, wanted: type[T]) -> Any:
    """The answer, made of what plugins may give back.

    Raises:
        PluginFailure: It is something else, or a part of it is.
        TypeError: A part of it is nothing that could be stored.
        ValueError: A part of it is larger than clients may store.
    """
    try:
        made = msgspec.convert(msgspec.to_builtins(answer, builtin_types=(datetime,)), wanted)
    except msgspec.ValidationError as error:  # whose sentence may hold a value; its path does not
        what = f"a list of {get_args(wanted)[0].__name__}" if get_origin(wanted) is list else wanted.__name__
        place = str(error).rpartition(" - at ")[2] if " - at " in str(error) else ""
        fault = f"{what}, and what stands at {place} does not fit" if place else f"{what}, not {type(answer).__name__}"
        raise PluginFailure(f"It must return {fault}.") from error
    problems: list[Problem] = []
    if isinstance(made, SessionWrite):
        problems = session_problems(made.content)
    elif wanted == list[MemoryRecord]:
        records: Any = made
        problems = [problem for record in records for problem in record_problems(record)]
    if problems:
        raise ValueError(f"{problems[0].where[-1]}: {problems[0].message}")
    return made


def _once(records: Iterable[R]) -> list[R]:
    """The records, each id once, in their order."""
    return list({record.id: record for record in reversed([*records])}.values())[::-1]


def _double_or_new(doubles: bool) -> str:
    what = "a memory more than once" if doubles else "a memory that it was not given"
    return f"it returned {what}; such hits are left out"


def _no_further(record: MemoryRecord, before: MemoryRecord | None) -> MemoryRecord:
    """The record, trusted no further than before, and a new one as an agent's at most."""
    known = before.trust if before is not None else "agent"
    if record.trust is None or known is None:
        return msgspec.structs.replace(record, trust=known)
    return msgspec.structs.replace(record, trust=lowest((known, record.trust)))


def _bounded(messages: list[Message], before: list[Message]) -> list[Message]:
    """The messages, each trusted no further than before, and new ones as an agent's at most."""
    known: dict[str, Trust] = {}
    for message in before:
        level = message.trust or by_role(message.role)
        known[message.id] = lowest((known.get(message.id, level), level))
    bounds = [known.get(message.id) or of_turn(message.role, "agent") for message in messages]
    return [
        msgspec.structs.replace(message, trust=lowest((bound, message.trust or bound)))
        for message, bound in zip(messages, bounds, strict=True)
    ]


def _owner(record: MemoryRecord) -> tuple[str | None, str | None, str | None]:
    return record.namespace, record.user_id, record.session_id
