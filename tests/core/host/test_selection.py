"""A plugin that the configuration selects by name ends the start if it fails, with a sentence that names it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memhost.errors import ConfigurationError
from memhost.http.app import serving
from memhost.plugins import PluginManager
from memhost.settings import Configuration, load_configuration
from memhost.specs import (
    AuthSpec,
    EmbedderSpec,
    InterfaceSpec,
    LanguageModelSpec,
    Mount,
    RerankerSpec,
    RunnerSpec,
    SettingsSpec,
    StoreSpec,
    StrategySpec,
)
from tests.support.fakes import with_bundled
from tests.support.plugin_factory import make_plugin


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """A setting without a default."""

    value: str


def fails(*_: Any) -> Any:
    raise RuntimeError("cannot work")


@asynccontextmanager
async def five(*_: Any) -> Any:
    yield 5


def loaded(folder: Path, settings: dict[str, str], **hooks: Any) -> tuple[Configuration, PluginManager]:
    plugins = PluginManager.load(entry_points=[*with_bundled(), make_plugin("acme", hooks)])
    assert all(row.status == "ok" for row in plugins.rows)
    environment = {"STORE": "memory", "DATA_DIR": str(folder), **settings}
    return load_configuration(environ=environment, env_file=None, sections=plugins.sections()), plugins


def spec(kind: Any, **more: Any) -> Any:
    return [kind(name="acme", summary="s.", **more)]


PARTS = {
    "STORE": ("memhost_stores", StoreSpec, "open"),
    "EMBEDDER": ("memhost_models", EmbedderSpec, "open"),
    "LLM": ("memhost_models", LanguageModelSpec, "open"),
    "RERANKER": ("memhost_models", RerankerSpec, "open"),
    "AUTH": ("memhost_auth_providers", AuthSpec, "open"),
    "BACKEND": ("memhost_runners", RunnerSpec, "open"),
    "DEFAULT_STRATEGY": ("memhost_strategies", StrategySpec, "build"),
    "INTERFACES": ("memhost_interfaces", InterfaceSpec, "build"),
}


@pytest.mark.parametrize("setting", PARTS)
@pytest.mark.parametrize("broken", ["raises", "type", "required"])
async def test_a_part_that_is_selected_ends_the_start(tmp_path: Path, setting: str, broken: str) -> None:
    hook, kind, part = PARTS[setting]
    does = {"raises": fails, "type": five if part == "open" else lambda *_: 5, "required": fails}[broken]
    more = {"settings": Needs} if broken == "required" else {}
    configuration, plugins = loaded(tmp_path, {setting: "acme"}, **{hook: lambda: spec(kind, **{part: does}, **more)})
    with pytest.raises(ConfigurationError, match=r"acme \(acme-dist 6\.7\.8\)") as raised:
        async with serving(configuration, plugins):
            pass
    words = {"raises": r"RuntimeError: cannot work", "type": r"int", "required": "ACME_VALUE"}[broken]
    assert words in str(raised.value)


@pytest.mark.parametrize("setting", PARTS)
async def test_a_part_that_nobody_selects_ends_nothing(tmp_path: Path, setting: str) -> None:
    hook, kind, part = PARTS[setting]
    configuration, plugins = loaded(tmp_path, {}, **{hook: lambda: spec(kind, **{part: fails}, settings=Needs)})
    async with serving(configuration, plugins, run_jobs=False):
        row = next(row for row in plugins.rows if row.name == "acme")
    left_out = setting in ("DEFAULT_STRATEGY", "INTERFACES")
    assert (row.status, bool(row.error)) == (("failed", True) if left_out else ("ok", False))


async def test_what_is_left_out_offers_nothing_else(tmp_path: Path) -> None:
    async def search(search: Any) -> None:
        raise AssertionError("it is left out")

    configuration, plugins = loaded(
        tmp_path,
        {},
        memhost_interfaces=lambda: spec(InterfaceSpec, build=fails),
        memhost_settings=lambda: [SettingsSpec(name="acme", settings=Needs)],
        memhost_before_search=search,
    )
    async with serving(configuration, plugins, run_jobs=False):
        assert plugins.event_hooks("memhost_before_search") == ()
        assert "acme" not in plugins.interfaces


async def test_an_interface_that_is_not_selected_is_not_built(tmp_path: Path) -> None:
    hooks = {"memhost_interfaces": lambda: spec(InterfaceSpec, build=fails, settings=Needs)}
    configuration, plugins = loaded(tmp_path, {"INTERFACES": "rest"}, **hooks)
    async with serving(configuration, plugins, run_jobs=False):
        assert next(row for row in plugins.rows if row.name == "acme").error is None


async def test_an_interface_that_works_is_mounted(tmp_path: Path) -> None:
    hooks = {"memhost_interfaces": lambda: spec(InterfaceSpec, build=lambda *_: Mount())}
    configuration, plugins = loaded(tmp_path, {}, **hooks)
    async with serving(configuration, plugins, run_jobs=False):
        assert all(row.error is None for row in plugins.rows)
