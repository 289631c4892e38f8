"""`memhost plugins new`: writes a package that installs, passes its tests and is found."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Any

import click

from memhost.cli.failures import CommandError
from memhost.cli.hints import as_run
from memhost.cli.options import json_option, show
from memhost.plugins import PluginManager
from memhost.plugins.registry import Registry
from memhost.text.hints import python
from memhost.version import __version__

KINDS = {
    "strategy": ("An extraction strategy.", "Sessions choose it with `long_term_memory_strategy`; it needs a model."),
    "store": ("A store.", "Choose it with `STORE=$name`."),
    "model": ("An embedder and a language model.", "Choose them with `EMBEDDER=$name` and `LLM=$name`."),
    "reranker": ("A reranker.", "Choose it with `RERANKER=$name`."),
    "auth": ("An authentication provider.", "Choose it with `AUTH=$name`, and give it a key."),
    "runner": ("A job runner.", "Choose it with `BACKEND=$name`."),
    "interface": ("An interface.", "Once installed, it is mounted at `/$name`."),
    "hook": ("Event hooks.", "Once installed, its hooks are called."),
}
"""For each kind of plugin: what it is, and how it is used."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@click.command("new")
@click.argument("kind", type=click.Choice(list(KINDS)))
@click.argument("name")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Parent of the new folder NAME; by default the current folder.",
)
@json_option
def new(kind: str, name: str, folder: Path, as_json: bool) -> None:
    """Write the package of a new plugin: code, settings, tests with the conformance suite, README, CI.

    NAME is the name of the package and of what it offers: lower case, with dashes, such as acme-notes.
    """
    if not _NAME.fullmatch(name):
        raise click.BadParameter(f"{name} must be lower case, with dashes, such as acme-notes.", param_hint="NAME")
    if name in _offered(kind):
        raise click.BadParameter(f"{name} is an installed {kind} already; choose another name.", param_hint="NAME")
    if problem := _taken(name.replace("-", "_")):
        raise click.BadParameter(f"{name} {problem}; choose another name.", param_hint="NAME")
    target = folder / name
    written = write_package(kind, name, target)
    if as_json:
        show({"kind": kind, "name": name, "folder": str(target), "files": written})
        return
    click.echo(f"Wrote {target}: {len(written)} files. Next:")
    interpreter = python()
    click.echo(f"  {interpreter} -m pip install -e '{target}[test]'")
    click.echo(as_run(f"  {interpreter} -m pytest '{target}' && memhost plugins list"))


def _taken(module: str) -> str:
    """Why no package can have the module of that name; empty if one can."""
    if keyword.iskeyword(module):
        return "is a word of Python, so nothing could import it"
    if module in sys.stdlib_module_names:
        return "is a module of Python's standard library"
    if module == "memhost" or (module.startswith("memhost_") and find_spec(module) is not None):
        return "is a package of memhost"
    if find_spec(module) is not None:
        return "is a package that is installed here, which it would hide"
    return ""


def _offered(kind: str) -> set[str]:
    """Names of that kind that installed plugins offer: no other plugin gets them."""
    plugins = PluginManager.load()
    offered: dict[str, list[Registry[Any]]] = {
        "strategy": [plugins.strategies],
        "store": [plugins.stores],
        "model": [plugins.embedders, plugins.language_models],
        "reranker": [plugins.rerankers],
        "auth": [plugins.auth_providers],
        "runner": [plugins.runners],
        "interface": [plugins.interfaces],
    }
    return {name for registry in offered.get(kind, []) for name in registry.names()}


def write_package(kind: str, name: str, target: Path) -> list[str]:
    """Write the package into a folder that must not exist yet or be empty; the paths written, sorted.

    Raises:
        CommandError: There is something in the folder, or it cannot be written.
    """
    module = name.replace("-", "_")
    if target.exists() and any(target.iterdir()):
        raise CommandError(f"{target} is not empty; choose another name or --dir.")
    content = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        ".github/workflows/test.yml": "ci.yml",
        f"src/{module}/__init__.py": f"{kind}.py",
        f"tests/test_{module}.py": f"test_{kind}.py",
    }
    values = _values(kind, name, module)
    try:
        for path, template in content.items():
            _write(target / path, _template(template).substitute(values))
        _write(target / "src" / module / "py.typed", "")
        _write(target / ".gitignore", "__pycache__/\n*.egg-info/\ndist/\n.venv/\n")
    except OSError as error:
        raise CommandError(f"{error.filename} cannot be written: {error.strerror}.") from error
    return sorted(str(path.relative_to(target)) for path in target.rglob("*") if path.is_file())


def _values(kind: str, name: str, module: str) -> dict[str, str]:
    klass = "".join(part.capitalize() for part in name.split("-"))
    summary, use = KINDS[kind]
    major, minor = __version__.split(".")[:2]
    return {
        "kind": kind,
        "name": name,
        "module": module,
        "upper": module.upper(),
        "klass": klass,
        "summary": summary,
        "use": Template(use).substitute(name=name),
        "target": f"{module}:{klass}" if kind == "strategy" else module,
        "lowest": f"{major}.{minor}",
        "highest": f"{major}.{int(minor) + 1}",
    }


def _template(name: str) -> Template:
    return Template((files("memhost.cli.plugins") / "templates" / f"{name}.tmpl").read_text(encoding="utf-8"))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
