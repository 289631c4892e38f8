"""Operating plugins: their status, switching them off, and suspending those that keep failing."""

from __future__ import annotations

import json
import tomllib
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pluggy
import pytest
from click.testing import CliRunner

from memhost import hookimpl, hookspec
from memhost.cli import cli
from memhost.errors import Forbidden, NotFound
from memhost.models import Caller, Scope
from memhost.plugins import PluginManager
from memhost.plugins.discovery import Found, register
from memhost.testing.clock import FakeClock
from tests.support import misbehaving
from tests.support.hosts import run, running_host

FAILURES_IN_A_ROW, SUSPENDED_S = 3, 20.0
LIMITS = {"PLUGIN_SUSPEND_AFTER": str(FAILURES_IN_A_ROW), "PLUGIN_SUSPEND_S": str(SUSPENDED_S)}


@pytest.mark.parametrize("behaviour", ["raises", "hangs", "blocks", "nonsense"])
async def test_plugin_that_keeps_failing_is_suspended_and_comes_back(tmp_path: Path, behaviour: str) -> None:
    clock = FakeClock()
    async with running_host(
        tmp_path, store="memory", extra=[misbehaving.POINT], settings=LIMITS, clock=clock, run_jobs=False
    ) as host:
        misbehaving.BEHAVIOUR["now"] = behaviour
        for _ in range(FAILURES_IN_A_ROW + 2):
            await run(host, "search_memories", text="boat")
        report = await run(host, "get_plugin", name="misbehaving")
        assert (report.health.calls, report.health.failures) == (FAILURES_IN_A_ROW, FAILURES_IN_A_ROW)
        assert report.health.suspended_until is not None
        assert report.health.last_error.startswith("memhost_before_search: ")
        assert report.plugin.api == (1, 1)
        misbehaving.BEHAVIOUR["now"] = "well"
        clock.advance(SUSPENDED_S + 1)
        await run(host, "search_memories", text="boat")
        health = (await run(host, "get_plugin", name="misbehaving")).health
        assert (health.calls, health.suspended_until) == (FAILURES_IN_A_ROW + 1, None)


async def test_what_is_told_of_each_plugin_can_be_written_as_json(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        for row in host.plugins.rows:
            report = await run(host, "get_plugin", name=row.name)
            assert msgspec.json.decode(msgspec.json.encode(report))["plugin"]["name"] == row.name


async def test_settings_are_shown_with_their_sources(tmp_path: Path) -> None:
    async with running_host(tmp_path, settings={"SQLITE_SYNCHRONOUS": "normal"}, run_jobs=False) as host:
        report = await run(host, "get_plugin", name="store-sqlite")
        found = {item.path: (item.value, item.source) for item in report.settings}
        assert found["stores.sqlite.synchronous"] == ("normal", "environment SQLITE_SYNCHRONOUS")
        with pytest.raises(NotFound, match="There is no plugin nobody"):
            await run(host, "get_plugin", name="nobody")
        foreign = Caller(subject="x", roles=frozenset({"admin"}), bounds=Scope(tenant="acme"))
        with pytest.raises(Forbidden):
            await run(host, "get_plugin", foreign, name="store-sqlite")


@pytest.mark.parametrize(
    ("declared", "told"),
    [((1, 3), None), ((2, 3), "update memhost"), ((0, 0), "update the plugin"), ("1", "must be a pair, the lowest")],
    ids=["fits", "newer", "older", "nonsense"],
)
def test_api_range_is_checked(declared: Any, told: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(misbehaving, "MEMHOST_API", declared)
    (row,) = PluginManager.load(entry_points=[misbehaving.POINT]).rows
    assert row.status == ("failed" if told else "ok")
    assert told is None or told in (row.error or "")


def test_deprecated_hooks_are_told_and_work() -> None:
    class Specs:
        @hookspec(warn_on_impl=DeprecationWarning("memhost_old is deprecated since 0.2; use memhost_new"))
        def memhost_old(self) -> None: ...

    plugin = ModuleType("old_plugin")
    plugin.memhost_old = hookimpl(lambda: None)  # type: ignore[attr-defined]
    manager = pluggy.PluginManager("memhost")
    manager.add_hookspecs(Specs)
    item = Found(name="old", module="old_plugin", distribution="old", version="1", plugin=plugin)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        register(manager, item)
    assert item.error is None
    assert item.notices == ["memhost_old is deprecated since 0.2; use memhost_new"]


def test_disable_and_enable_change_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "memhost.toml"
    file.write_text('# mine\n[server]\nport = 9001 # kept\nplugins_disabled = ["auth-jwt"]\n\n[stores.sqlite]\n')
    assert CliRunner().invoke(cli, ["plugins", "disable", "model-litellm"]).exit_code == 0
    assert tomllib.loads(file.read_text())["server"]["plugins_disabled"] == ["auth-jwt", "model-litellm"]
    rows = json.loads(CliRunner().invoke(cli, ["plugins", "list", "--json"]).output)["plugins"]
    assert {row["name"] for row in rows if row["status"] == "disabled"} == {"auth-jwt", "model-litellm"}
    assert CliRunner().invoke(cli, ["plugins", "enable", "auth-jwt"]).exit_code == 0
    assert file.read_text() == (
        '# mine\n[server]\nport = 9001 # kept\nplugins_disabled = ["model-litellm"]\n\n[stores.sqlite]\n'
    )
    wrong = CliRunner().invoke(cli, ["plugins", "disable", "nobody"])
    assert wrong.exit_code != 0
    assert "There is no plugin nobody" in wrong.output


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '[server]\nplugins_disabled = ["auth-jwt"]\n'),
        ("server.port = 1\n", 'server.port = 1\nserver.plugins_disabled = ["auth-jwt"]\n'),
        (
            '[server] # ours\r\nplugins_disabled = [\r\n  "mcp", # not needed\r\n]\r\n\r\n# tail\r\n[jobs]\r\n',
            '[server] # ours\r\nplugins_disabled = [\r\n  "mcp", # not needed\r\n  "auth-jwt",\r\n]\r\n\r\n'
            "# tail\r\n[jobs]\r\n",
        ),
    ],
)
def test_disable_keeps_what_the_user_wrote(before: str, after: str, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_bytes(before.encode())
    given = CliRunner().invoke(cli, ["plugins", "disable", "auth-jwt", "--config", str(file)])
    assert given.exit_code == 0, given.output
    assert file.read_bytes().decode() == after


@pytest.mark.parametrize("text", ["server = 3\n", "[[server]]\n", "[server\n"])
def test_disable_leaves_a_file_alone_that_it_cannot_change(text: str, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text)
    given = CliRunner().invoke(cli, ["plugins", "disable", "auth-jwt", "--config", str(file)])
    assert given.exit_code != 0
    assert "own.toml" in given.output
    assert file.read_text() == text


def test_show_and_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(cli, ["plugins", "show", "store-sqlite", "--data", str(tmp_path), "--json"])
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["plugin"]["provides"] == ["sqlite"]
    assert "is well" in CliRunner().invoke(cli, ["plugins", "check", "store-sqlite"]).output
    assert CliRunner().invoke(cli, ["plugins", "check", "nobody"]).exit_code != 0
