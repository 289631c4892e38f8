"""Discovery, validation and listing of plugins."""

from memhost.plugins.manager import SECTIONS, EventHook, PluginManager
from memhost.plugins.registry import Registered, Registry

__all__ = ["SECTIONS", "EventHook", "PluginManager", "Registered", "Registry"]
