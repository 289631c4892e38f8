"""Blocking of the event loop is attributed to the code that runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, cast

import pytest

from memhost.plugins import PluginManager
from memhost.plugins import loop_watchdog as loop_watch
from memhost.plugins.loop_watchdog import LoopWatch, _operation

Calls = Callable[[Callable[[], Any]], Any]


class Plugins:
    """Knows one plugin."""

    def origin_of(self, module: str) -> str | None:
        return "green" if module.partition(".")[0] == "memhost_green" else None


def code(module: str, name: str) -> Calls:
    """A function of that module and name that calls what it is given."""
    space: dict[str, Any] = {"__name__": module}
    exec(f"def {name}(inner, name='put_session', self=None): return inner()", space)
    return cast("Calls", space[name])


def stack(*calls: Calls) -> FrameType:
    """The innermost frame of these calls, the outermost first."""

    def call(at: int) -> FrameType:
        if at == len(calls) - 1:
            return cast("FrameType", calls[at](lambda: sys._getframe(1)))
        return cast("FrameType", calls[at](lambda: call(at + 1)))

    return call(0)


EXECUTE = code("memhost.host.host", "execute")
SERVER = code("memhost.memories.records", "content_hash")
REST = code("memhost_green.handlers", "_run")
LIBRARY = code("json", "dumps")


@pytest.mark.parametrize(
    ("calls", "plugin", "where"),
    [
        ((REST, EXECUTE, SERVER), None, "content_hash"),
        ((REST, EXECUTE, SERVER, LIBRARY), None, "content_hash"),
        ((REST,), "green", "_run"),
        ((REST, LIBRARY, LIBRARY), "green", "_run"),
        ((EXECUTE, SERVER, REST, LIBRARY), "green", "_run"),
        ((EXECUTE, REST, SERVER), None, "content_hash"),
    ],
)
def test_the_innermost_code_that_is_no_librarys_decides(
    calls: tuple[Calls, ...], plugin: str | None, where: str
) -> None:
    watch = LoopWatch(cast("PluginManager", Plugins()), cast("Any", None), 1.0)
    _, row, frame = watch._culprit(stack(*calls))
    assert cast("str | None", row) == plugin
    assert frame is not None
    assert frame.f_code.co_name == where


def test_the_operation_is_named() -> None:
    assert _operation(stack(REST, EXECUTE, SERVER, LIBRARY)) == "put_session"
    assert _operation(stack(REST, SERVER)) == ""
    assert _operation(None) == ""


def test_a_hook_is_named_only_where_the_plugins_code_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    calling = code("memhost.plugins.calling", "call")
    monkeypatch.setattr(loop_watch, "_CALL", calling.__code__)
    watch = LoopWatch(cast("PluginManager", Plugins()), cast("Any", None), 1.0)
    hook: Any = object()

    def called(inner: Callable[[], Any]) -> Any:
        return calling(inner, self=hook)  # type: ignore[call-arg]

    assert watch._culprit(stack(called, REST, LIBRARY))[0] is hook
    assert watch._culprit(stack(called, REST, SERVER))[0] is None
