"""Plugins made in a test, each a module in a distribution of its own that is not installed."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

from memhost import hookimpl, hookspecs

REGISTRATION = sorted(
    name
    for name, spec in vars(hookspecs).items()
    if name.startswith("memhost_") and not inspect.iscoroutinefunction(spec)
)
EVENTS = sorted(
    name for name, spec in vars(hookspecs).items() if name.startswith("memhost_") and inspect.iscoroutinefunction(spec)
)
IN_REQUESTS = [name for name in EVENTS if "context: RequestContext" in inspect.getsource(getattr(hookspecs, name))]
VERSION = "6.7.8"


class _Made(Distribution):
    def __init__(self, name: str) -> None:
        self._name = name

    def read_text(self, filename: str) -> str | None:
        return f"Name: {self._name}\nVersion: {VERSION}\n" if filename == "METADATA" else None

    def locate_file(self, path: Any) -> Path:
        raise NotImplementedError


def make_plugin(name: str, hooks: dict[str, Callable[..., Any]]) -> EntryPoint:
    """A plugin of that name in the distribution `<name>-dist`, with these implementations by the names of the hooks.

    An implementation takes what the hook gives as keyword arguments.
    """
    module = ModuleType(f"made_{name.replace('-', '_')}")
    for hook, function in hooks.items():
        vars(module)[f"_{hook}"] = function
        exec(_source(hook), vars(module))
        implementation = vars(module)[hook]
        vars(implementation).update(vars(function))  # its options
        setattr(module, hook, hookimpl(implementation))
    sys.modules[module.__name__] = module
    point = EntryPoint(name=name, value=module.__name__, group="memhost")
    vars(point).update(dist=_Made(f"{name}-dist"))
    return point


def _source(hook: str) -> str:
    """A function of the hook's form, as pluggy wants it, that calls what the module holds for it."""
    names = list(inspect.signature(getattr(hookspecs, hook)).parameters)
    given = ", ".join(f"{name}={name}" for name in names)
    if hook in EVENTS:
        return f"async def {hook}({', '.join(names)}):\n    return await _{hook}({given})\n"
    return f"def {hook}():\n    return _{hook}()\n"
