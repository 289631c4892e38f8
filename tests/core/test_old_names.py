"""Old paths of modules and old public names work, with a warning that names the new one."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from memhost._moved import MOVED
from tests.support.hosts import running_host

USED_BEFORE = (
    "memhost.analysis",
    "memhost.app",
    "memhost.conversation",
    "memhost.guard",
    "memhost.speakers",
    "memhost.startup",
    "memhost.services.compaction",
    "memhost.services.memories",
    "memhost.services.readiness",
    "memhost.services.records",
    "memhost.services.sessions",
    "memhost.services.turns",
    "memhost.testing.store_jobs",
)
"""Old paths that bundled plugins, examples and tests of version 0.1 imported."""

RENAMED = {
    "memhost.models.MOST_ACCESSES": "MAX_ACCESSES",
    "memhost.models.limits.LONGEST_TEXT": "MAX_TEXT_LENGTH",
    "memhost.models.limits.MOST_ITEMS": "MAX_ITEMS",
    "memhost.ports.Scrubs": "SecureDelete",
}


def test_every_old_path_gives_the_module_at_its_new_place() -> None:
    code = (
        "import warnings; from importlib import import_module; from memhost._moved import MOVED\n"
        "for old, new in MOVED.items():\n"
        "    with warnings.catch_warnings(record=True) as told:\n"
        "        warnings.simplefilter('always')\n"
        "        assert import_module(old) is import_module(new), old\n"
        "    assert any(new in str(each.message) and each.category is DeprecationWarning for each in told), old\n"
        "print(len(MOVED))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, str(len(MOVED))), done.stderr


def test_the_paths_that_plugins_used_are_in_the_table() -> None:
    assert set(USED_BEFORE) <= set(MOVED)


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_public_name_gives_the_new_one(old: str) -> None:
    module, _, name = old.rpartition(".")
    with pytest.warns(DeprecationWarning, match=RENAMED[old]):
        found = getattr(import_module(module), name)
    assert found is getattr(import_module(module), RENAMED[old])


def test_a_module_that_never_was_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError):
        import_module("memhost.services.nothing")
    with pytest.raises(AttributeError, match="has no attribute 'NOTHING'"):
        getattr(import_module("memhost.models.limits"), "NOTHING")  # noqa: B009 - mypy knows that it is not there


def test_operations_of_core_are_found_at_their_old_name() -> None:
    operations = import_module("memhost.operations")
    with pytest.warns(DeprecationWarning, match=r"memhost\.host\.core_operations"):
        found = operations.core_operations
    assert found is import_module("memhost.host").core_operations


async def test_a_host_has_its_services_under_their_old_names(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory") as opened:
        host: Any = opened
        with pytest.warns(DeprecationWarning, match=r"Host\.services\.memories"):
            assert host.memories is host.services.memories
        with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
            _ = host.nothing
