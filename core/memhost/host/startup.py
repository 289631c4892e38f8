"""The first steps of every process: read the configuration, load the plugins, read their settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memhost.host.maintenance import core_tasks
from memhost.host.operations import core_operations
from memhost.host.selection import leave_out_incomplete
from memhost.plugins import PluginManager
from memhost.settings import Configuration, load_configuration, peek


def load_plugins(**options: Any) -> PluginManager:
    """Load plugins beside the host's own operations and maintenance tasks, whose names are taken.

    Args:
        options: Arguments of `PluginManager.load`.
    """
    tasks = [task.name for task in core_tasks()]
    return PluginManager.load(taken=core_operations().names(), taken_tasks=tasks, **options)


def load(
    *,
    options: Mapping[str, Any] | None = None,
    config_file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    env_file: Path | None = Path(".env"),
) -> tuple[Configuration, PluginManager]:
    """The whole configuration, and the plugins that it names.

    If a plugin is disabled or failed, sections of the file that no plugin declares are warnings.

    Raises:
        ConfigurationError: With every problem found.
    """
    values = dict(os.environ if environ is None else environ)
    sources: dict[str, Any] = {
        "options": options,
        "environ": values,
        "env_file": env_file,
        "config_file": config_file,
    }
    plugins = load_plugins(
        disabled=peek("server.plugins_disabled", **sources), start_s=peek("server.plugin_start_s", **sources)
    )
    configuration = load_configuration(
        **sources,
        sections=plugins.sections(),
        lenient=any(row.status != "ok" for row in plugins.rows),
    )
    leave_out_incomplete(configuration, plugins)
    return configuration, plugins
