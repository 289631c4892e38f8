"""Discovery, validation and listing of plugins."""

from memhost.plugins.calling import RUNNING, EventHook
from memhost.plugins.manager import SECTIONS, START_S, PluginManager
from memhost.plugins.registry import Registered, Registry

__all__ = ["RUNNING", "SECTIONS", "START_S", "EventHook", "PluginManager", "Registered", "Registry"]
