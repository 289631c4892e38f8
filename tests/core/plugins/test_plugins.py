"""Discovery: one broken plugin never stops the host, and every row says what happened."""

from __future__ import annotations

import logging
import random
from typing import Any

import pytest

from memhost.host import core_operations
from memhost.operations import Nothing, Operation
from memhost.operations.responses import Ack, PluginRow
from memhost.plugins import PluginManager
from tests.support import plugin_factory
from tests.support.fakes import FOLDER, with_bundled


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


def row(manager: PluginManager, name: str) -> PluginRow:
    return next(row for row in manager.rows if row.name == name)


def test_bundled_plugins_are_all_ok() -> None:
    manager = PluginManager.load(entry_points=with_bundled())
    assert {row.status for row in manager.rows} == {"ok"}
    assert "sqlite" in manager.stores
    assert "verbatim" in manager.strategies
    assert "static" in manager.embedders


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fake-import-error", ["import failed", "a_module_that_is_not_installed"]),
        ("fake-exit", ["import failed", "SystemExit"]),
        ("fake-bad-hook", ["unknown hook memhost_no_such_hook", "memhost_stores"]),
        ("fake-bad-spec", ["memhost_stores must return StoreSpec", "str"]),
        ("fake-raising", ["registration failed on purpose"]),
        ("fake-sync-event", ["memhost_session_updated", "async def"]),
        ("fake-clash", ["sqlite", "fake-clash 0.0.6", "memhost"]),
    ],
)
def test_broken_plugin_fails_alone(name: str, words: list[str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        manager = PluginManager.load(entry_points=with_bundled(name, "fake-good"))
    broken = row(manager, name)
    assert broken.status == "failed"
    for word in words:
        assert word in (broken.error or "")
    assert row(manager, "fake-good").status == "ok"
    assert manager.stores.names() == ["memory", "redis", "sqlite"]
    logged = [record for record in caplog.records if getattr(record, "fields", {}).get("plugin") == name]
    assert logged[0].fields["distribution"] == broken.distribution  # type: ignore[attr-defined]
    assert logged[0].fields["version"] == broken.version  # type: ignore[attr-defined]


def test_bundled_plugin_keeps_a_name_that_another_claims() -> None:
    manager = PluginManager.load(entry_points=with_bundled("fake-clash"))
    entry = manager.stores.get("sqlite")
    assert entry is not None
    assert entry.distribution == "memhost"


def test_two_foreign_plugins_with_one_name_both_fail_and_name_each_other() -> None:
    manager = PluginManager.load(entry_points=with_bundled("fake-twin-a", "fake-twin-b"))
    for name in ("fake-twin-a", "fake-twin-b"):
        error = row(manager, name).error or ""
        assert "fake-twin-a 0.1.0" in error
        assert "fake-twin-b 0.2.0" in error
    assert "twin" not in manager.strategies
    assert "fake-twin-a" in manager.explain_missing(manager.strategies, "twin")


def test_equal_entry_point_names_name_both_distributions() -> None:
    points = with_bundled("fake-twin-a", "fake-twin-b")
    twin_a, twin_b = points[-2:]
    renamed = type(twin_b)(name=twin_a.name, value=twin_b.value, group=twin_b.group)
    vars(renamed).update(dist=twin_b.dist)
    manager = PluginManager.load(entry_points=[*points[:-1], renamed])
    errors = [row.error or "" for row in manager.rows if row.name == twin_a.name]
    assert len(errors) == 2
    assert all("fake-twin-a 0.1.0" in error and "fake-twin-b 0.2.0" in error for error in errors)


def test_disabled_plugin_is_not_imported() -> None:
    manager = PluginManager.load(entry_points=with_bundled("fake-exit"), disabled=["fake-exit"])
    assert row(manager, "fake-exit").status == "disabled"
    assert row(manager, "fake-exit").error is None


def test_order_of_the_environment_does_not_matter() -> None:
    points = with_bundled("fake-good", "fake-twin-a", "fake-clash", "fake-raising")
    expected = PluginManager.load(entry_points=points)
    for seed in range(5):
        random.Random(seed).shuffle(points)
        shuffled = PluginManager.load(entry_points=points)
        assert shuffled.rows == expected.rows
        assert [hook.plugin for hook in shuffled.event_hooks("memhost_before_search")] == [
            hook.plugin for hook in expected.event_hooks("memhost_before_search")
        ]


def test_missing_spec_says_what_is_installed() -> None:
    manager = PluginManager.load()
    message = manager.explain_missing(manager.stores, "oracle")
    assert "oracle" in message
    assert "sqlite" in message


def test_settings_of_a_plugin_become_a_section() -> None:
    manager = PluginManager.load(entry_points=with_bundled("fake-good"))
    assert ("plugins", "good") in manager.sections()
    assert ("stores", "sqlite") in manager.sections()


def test_the_name_of_an_operation_of_core_makes_the_plugin_fail() -> None:
    async def nothing(host: Any, call: Any, request: Nothing) -> Ack:
        return Ack()

    def offering(name: str) -> list[Operation]:
        row = Operation(
            name=name, request=Nothing, response=Ack, handler=nothing, summary="x", access="admin", tag="Acme"
        )
        return [row]

    points = [
        plugin_factory.make_plugin("takes", {"memhost_operations": lambda: offering("put_session")}),
        plugin_factory.make_plugin("adds", {"memhost_operations": lambda: offering("acme_put")}),
    ]
    manager = PluginManager.load(entry_points=points, taken=core_operations().names())
    assert row(manager, "adds").error is None
    assert "the operation 'put_session', but the host has one of that name" in (row(manager, "takes").error or "")
    assert manager.operations.names() == ["acme_put"]
