"""Writes the table of rooms into `docs/architecture.md`, from the code.

    python tools/architecture.py

A room is a folder or module of `core/memhost`. `GROUPS` is the order of the rooms; `tests/test_layout.py` checks the
imports against it. The subject of a room is the first sentence of its docstring; the rooms it uses are its imports.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
CORE = ROOT / "core" / "memhost"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- rooms: written by `python tools/architecture.py`; a test compares -->", "<!-- end of rooms -->"

GROUPS: dict[str, tuple[tuple[str, ...], ...]] = {
    "Groundwork": (
        ("version", "_moved", "cancelling", "hooks"),
        ("models",),
        ("text",),
        ("errors",),
        ("secrets",),
        ("metrics", "logs", "settings", "redis_urls", "reading", "integrity"),
        ("ports", "ranking"),
        ("credentials", "storekit"),
    ),
    "Plugins and the vocabulary of operations": (
        ("events",),
        ("specs",),
        ("extractor", "extraction"),
        ("operations",),
        ("hookspecs",),
        ("plugins",),
    ),
    "Subjects": (
        ("storage",),
        ("usage",),
        ("jobs",),
        ("memories",),
        ("history",),
        ("profile",),
        ("messages",),
        ("consolidation",),
        ("admin",),
        ("extraction.pipeline",),
        ("sessions",),
        ("search",),
        ("context",),
        ("views",),
    ),
    "Host": (("host",), ("http",)),
    "Tests of plugins, and the command line": (
        ("testing",),
        ("evaluation",),
        ("cli",),
        ("commands", "worker", "__main__"),
    ),
}
"""The rooms of core, lowest first: a room imports from those above it in this list, and inside its own line."""

LAYERS = tuple(line for lines in GROUPS.values() for line in lines)
CORE_FILES = tuple(sorted(CORE.rglob("*.py")))


def module_of(path: Path) -> str:
    """Name of a module of core: `memhost.models` for its `__init__`."""
    parts = path.relative_to(CORE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path, known: frozenset[str]) -> set[str]:
    """The modules among the known ones that a file imports, wherever the import stands: also for types, or late."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & known
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & known
            found |= submodules or {node.module}
    return found


@cache
def import_graph() -> dict[str, set[str]]:
    """Each module of core with the other modules of core that it imports."""
    known = frozenset(map(module_of, CORE_FILES))
    return {module_of(path): imported_modules(path, known) - {module_of(path)} for path in CORE_FILES}


def room(module: str) -> str:
    """The room that a module of core lies in: `memhost.models.limits` lies in `models`."""
    name = module.removeprefix("memhost.")
    return next((each for line in LAYERS for each in line if "." in each and name.startswith(each)), name.split(".")[0])


def subject(name: str) -> str:
    """The first sentence of a room's docstring.

    Raises:
        ValueError: It has none.
    """
    place = CORE.joinpath(*name.split("."))
    path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    documented = ast.get_docstring(ast.parse(path.read_text()))
    if not documented:
        raise ValueError(f"{path} has no docstring")
    return " ".join(documented.partition("\n\n")[0].split()).partition(". ")[0].rstrip(".:").replace("|", "\\|")


def used_rooms(name: str) -> list[str]:
    """The other rooms that a room imports, highest first."""
    used = {room(each) for module, found in import_graph().items() if room(module) == name for each in found}
    order = [each for line in LAYERS for each in line]
    return sorted(used - {name, "memhost"}, key=order.index, reverse=True)


def rows() -> Iterator[str]:
    """The table, highest room first."""
    yield "| room | subject | uses |"
    yield "|---|---|---|"
    for group, lines in reversed(GROUPS.items()):
        yield f"| **{group}** | | |"
        for name in (each for line in reversed(lines) for each in line if not each.startswith("_")):
            yield f"| `{name}` | {subject(name)} | {', '.join(used_rooms(name)) or '-'} |"


def page() -> str:
    """The page as it should be."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return "\n".join([before + BEGIN, "", *rows(), "", END + after])


def walk(title: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the functions that a section names, as path and name: of the request, and in the background."""
    section = PAGE.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    request, _, background = section.partition("**In the background**")
    return _named(request), _named(background)


def _named(text: str) -> list[tuple[str, str]]:
    lines = re.findall(r"(?m)^ +- `([\w/]+\.py)`: (`.*`)$", text)
    return [(path, name) for path, names in lines for name in re.findall(r"`([\w.]+)`", names)]


def functions_of(path: Path) -> frozenset[str]:
    """Functions of a file by their qualified names."""
    return frozenset(_functions(ast.parse(path.read_text()), ""))


def _functions(parent: ast.AST, prefix: str) -> Iterator[str]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield prefix + node.name


WRITE, SEARCH, EXTRACTION = "A write, from the socket to the store", "A search", "An extraction with a model"
"""Titles of the sections that walk through the code."""


if __name__ == "__main__":
    PAGE.write_text(page())
