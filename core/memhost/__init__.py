"""memhost: a memory server for AI agents in which everything is a plugin.

Plugin authors import from here (`hookimpl`, `event_options`), from `memhost.specs` (what registration hooks
return), `memhost.ports` (the interfaces to implement), `memhost.models`, `memhost.events` and `memhost.errors`.
Nothing heavy is imported.
"""

from memhost.hooks import event_options, hookimpl, hookspec
from memhost.version import PLUGIN_API_VERSION, __version__

__all__ = ["PLUGIN_API_VERSION", "__version__", "event_options", "hookimpl", "hookspec"]
