"""The plugins that a configuration selects, and those that cannot be used with it."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import Any

from memhost import hookspecs
from memhost.plugins import PluginManager, Registry
from memhost.settings import Configuration

_ALWAYS_READ = {"strategies": "strategies", "interfaces": "interfaces", "settings_sections": "plugins"}
"""Kinds of parts whose settings are read although nobody selects them, with their sections."""


def store_name(configuration: Configuration, plugins: PluginManager) -> str:
    """The store asked for; `auto` is one whose deciding setting is set (`StoreSpec.chosen_by`), else sqlite."""
    specs = [entry.spec for entry in plugins.stores]
    chosen = (
        spec.name for spec in specs if spec.chosen_by and configuration.is_set(f"stores.{spec.name}.{spec.chosen_by}")
    )
    return automatic(configuration.settings.server.store, next(chosen, "sqlite"))


def model_entry(registry: Registry[Any], name: str) -> tuple[Any, str]:
    """The model plugin of that name, or that knows models by their providers' names, with that name; or None."""
    entry = registry.get(name)
    if entry is not None:
        return entry, ""
    return next((item for item in registry if item.spec.any_model), None), name


def in_use(configuration: Configuration, plugins: PluginManager) -> dict[str, list[str]]:
    """Return the uses of each plugin with this configuration, by the plugin's name."""
    server = configuration.settings.server
    chosen = [
        ("store", plugins.stores.get(store_name(configuration, plugins))),
        ("embedder", model_entry(plugins.embedders, server.embedder)[0]),
        ("language model", None if server.llm == "none" else model_entry(plugins.language_models, server.llm)[0]),
        ("reranker", None if server.reranker == "none" else model_entry(plugins.rerankers, server.reranker)[0]),
        ("runner", plugins.runners.get(automatic(server.runner, "inline"))),
        *(("auth", plugins.auth_providers.get(name)) for name in server.auth.split(",")),
        *(("interface", plugins.interfaces.get(name)) for name in server.interfaces or plugins.interfaces.names()),
        *(("strategy", entry) for entry in plugins.strategies if server.llm != "none" or not entry.spec.needs_model),
    ]
    found: dict[str, list[str]] = {}
    for use, entry in chosen:
        if entry is not None and use not in found.setdefault(entry.plugin, []):
            found[entry.plugin].append(use)
    for row in plugins.rows:
        if row.status == "ok" and any(iscoroutinefunction(getattr(hookspecs, name, None)) for name in row.hooks):
            found.setdefault(row.name, []).append("hooks")
    return found


def automatic(name: str, default: str) -> str:
    """Return the plugin that `auto` selects."""
    return default if name == "auto" else name


def chosen(configuration: Configuration, plugins: PluginManager) -> dict[str, str]:
    """Return the setting that selects each plugin by name; plugins that are used unasked are left out."""
    server, memory = configuration.settings.server, configuration.settings.memory
    found = [
        ("STORE", plugins.stores.get(store_name(configuration, plugins))),
        ("EMBEDDER", model_entry(plugins.embedders, server.embedder)[0]),
        ("LLM", None if server.llm == "none" else model_entry(plugins.language_models, server.llm)[0]),
        ("RERANKER", None if server.reranker == "none" else model_entry(plugins.rerankers, server.reranker)[0]),
        ("BACKEND", plugins.runners.get(automatic(server.runner, "inline"))),
        *(("AUTH", plugins.auth_providers.get(name)) for name in server.auth.split(",")),
        *(("INTERFACES", plugins.interfaces.get(name)) for name in server.interfaces),
        ("DEFAULT_STRATEGY", plugins.strategies.get(memory.default_strategy)),
    ]
    return {entry.plugin: setting for setting, entry in reversed(found) if entry is not None}


def leave_out_incomplete(configuration: Configuration, plugins: PluginManager) -> None:
    """Go on without foreign plugins that lack a required setting; those that are selected end the start later."""
    selected = chosen(configuration, plugins)
    interfaces = configuration.settings.server.interfaces or plugins.interfaces.names()
    for attribute, section in _ALWAYS_READ.items():
        for entry in getattr(plugins, attribute):
            missing = configuration.missing(section, entry.spec.name)
            unused = attribute == "interfaces" and entry.spec.name not in interfaces
            if missing and not unused and entry.plugin not in selected and not plugins.is_bundled(entry.plugin):
                plugins.leave_out(entry.plugin, " ".join(missing).rstrip("."))
