"""memhost: a memory server for AI agents in which everything is a plugin.

Plugin authors import from here (`hookimpl`, `event_options`, `Memory`, `MemoryExtractor`), from `memhost.specs` (what
registration hooks return), `memhost.ports` (the interfaces to implement), `memhost.models`, `memhost.events` and
`memhost.errors`. Nothing heavy is imported.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from memhost import _moved
from memhost.version import API_VERSION, __version__

if TYPE_CHECKING:
    from memhost.extractor import Memory, MemoryExtractor
    from memhost.hooks import event_options, hookimpl, hookspec

_moved.install()

_LATER = {
    "Memory": "memhost.extractor",
    "MemoryExtractor": "memhost.extractor",
    "event_options": "memhost.hooks",
    "hookimpl": "memhost.hooks",
    "hookspec": "memhost.hooks",
}

__all__ = [
    "API_VERSION",
    "Memory",
    "MemoryExtractor",
    "__version__",
    "event_options",
    "hookimpl",
    "hookspec",
]


def __getattr__(name: str) -> Any:
    """Names that are imported when they are first used."""
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'memhost' has no attribute {name!r}")
