"""Every hook has an in-house user, a test named after it, and a section in the documentation."""

from __future__ import annotations

import ast
import inspect
from functools import cache
from pathlib import Path

import pytest

from memhost import hookspecs
from memhost.plugins import PluginManager
from tests.support.fakes import with_bundled

ROOT = Path(__file__).parents[1]
HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("memhost_"))


@cache
def bundled() -> frozenset[str]:
    """Hooks that plugins of memhost itself implement, as the plugin manager sees them."""
    rows = PluginManager.load(entry_points=with_bundled()).rows
    return frozenset(hook for row in rows if row.distribution == "memhost" for hook in row.hooks)


@cache
def in_examples() -> frozenset[str]:
    """Hooks that the packages in `examples/` implement."""
    return frozenset(
        node.name
        for path in (ROOT / "examples").glob("*/src/**/*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and any("hookimpl" in ast.unparse(each) for each in node.decorator_list)
    )


@cache
def named() -> dict[str, int]:
    """Names of the tests of hooks, and how many assertions each makes."""
    return {
        node.name: sum(isinstance(each, ast.Assert) or "until(" in ast.unparse(each) for each in ast.walk(node))
        for path in (ROOT / "tests" / "core" / "hooks").glob("test_*_hooks.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }


@pytest.mark.parametrize("hook", HOOKS)
def test_hook_has_user_test_and_section(hook: str) -> None:
    assert hook in bundled() | in_examples(), "nothing of memhost implements it"
    assert named().get(f"test_{hook.removeprefix('memhost_')}"), "it has no test that is named after it"
    page = ROOT / "docs" / "reference" / "hooks" / f"{hook}.md"
    assert page.read_text().startswith(f"# `{hook}`\n")
    assert f"(hooks/{page.name})" in (ROOT / "docs" / "reference" / "README.md").read_text()


def test_every_spec_says_since_when() -> None:
    assert not [hook for hook in HOOKS if "Since " not in (inspect.getdoc(getattr(hookspecs, hook)) or "")]
