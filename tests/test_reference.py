"""The reference of hooks and ports matches the code, and its examples are plugins that load."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from importlib.metadata import EntryPoint
from inspect import getmodule, getsource
from pathlib import Path

import pytest
from tools import reference

from memhost import ports
from memhost.plugins import PluginManager


def test_pages_are_what_the_tool_writes() -> None:
    wanted = reference.pages()
    there = {path.relative_to(reference.PAGES): path.read_text() for path in reference.PAGES.rglob("*.md")}
    assert sorted(there) == sorted(wanted)
    stale = [str(path) for path, text in wanted.items() if there[path] != text]
    assert not stale, "run: python tools/reference.py"


def test_every_port_has_a_page() -> None:
    protocols = {name for name in ports.__all__ if getattr(getattr(ports, name), "_is_protocol", False)}
    assert protocols == set(reference.PORTS)


@pytest.mark.parametrize(("port", "suite"), [(port, suite) for port, (_, suite) in reference.PORTS.items() if suite])
def test_the_suite_names_the_port_that_it_defines(port: str, suite: str) -> None:
    module, name = suite.split(".")
    kind = getattr(import_module(f"memhost.testing.{module}"), name)
    modules = [found for each in kind.__mro__ if (found := getmodule(each)) and each is not object]
    assert any(re.search(rf"\b{port}\b", _without_imports(getsource(each))) for each in modules), f"test {port} there"


def _without_imports(code: str) -> str:
    tree = ast.parse(code)
    tree.body = [node for node in tree.body if not isinstance(node, (ast.Import, ast.ImportFrom))]
    return ast.unparse(tree)


@pytest.mark.parametrize("hook", reference.HOOKS)
def test_example_is_a_plugin_that_loads(hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(reference.EXAMPLES))
    point = EntryPoint(name="acme", value=hook, group="memhost")
    (row,) = PluginManager.load(entry_points=[point]).rows
    assert row.error is None
    assert hook in row.hooks
    code = (reference.EXAMPLES / f"{hook}.py").read_text().strip()
    assert code in Path(reference.PAGES, "hooks", f"{hook}.md").read_text()
