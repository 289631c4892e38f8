"""The architecture: allowed imports, and agreement of folders, entry points and packaging."""

from __future__ import annotations

import ast
import json
import re
import sysconfig
import tomllib
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from importlib.metadata import distribution, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tools import architecture
from tools.architecture import CORE_FILES, LAYERS, import_graph, imported_modules, module_of, room

ROOT = Path(__file__).parents[1]
KINDS = ("strategies", "pipelines", "stores", "models", "runners", "auth", "interfaces")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PLUGIN_FOLDERS = sorted(
    folder for kind in KINDS for folder in (ROOT / "plugins" / kind).iterdir() if (folder / "__init__.py").exists()
)


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Modules that the file imports when it runs (not those for type checking only)."""
    return tuple(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    skipped = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_core_has_no_circle_of_imports() -> None:
    order = TopologicalSorter(import_graph())
    order.prepare()  # raises CycleError, which names the circle


def test_a_circle_of_imports_is_found(tmp_path: Path) -> None:
    one, two = tmp_path / "core" / "one.py", tmp_path / "core" / "two.py"
    one.parent.mkdir()
    one.write_text("if TYPE_CHECKING:\n    from two import B\n")
    two.write_text("def late():\n    import one\n")
    known = frozenset({"one", "two"})
    graph = {"one": imported_modules(one, known), "two": imported_modules(two, known)}
    with pytest.raises(CycleError):
        TopologicalSorter(graph).prepare()


def test_core_imports_no_plugin() -> None:
    names = {folder.name for folder in PLUGIN_FOLDERS}
    found = {(path.name, module) for path in CORE_FILES for module in imports(path) if module.split(".")[0] in names}
    assert not found


def public_names() -> frozenset[str]:
    """The public modules, and public names of other modules, as docs/plugins.md lists them."""
    page = (ROOT / "docs" / "plugins.md").read_text()
    section = page.partition("## What is public")[2].partition("\n## ")[0]
    return frozenset(re.findall(r"^\| `(memhost[\w.]*)`", section, re.MULTILINE))


def test_the_public_names_are_there() -> None:
    listed = public_names()
    assert {"memhost", "memhost.specs", "memhost.ports"} <= listed
    for name in listed:
        module, _, attribute = name.rpartition(".")
        assert name == "memhost" or hasattr(import_module(module), attribute) or find_spec(name), name


@pytest.mark.parametrize(
    "folder", [*PLUGIN_FOLDERS, *sorted((ROOT / "examples").iterdir())], ids=lambda path: path.name
)
def test_plugin_uses_public_names_only(folder: Path) -> None:
    others = {other.name for other in PLUGIN_FOLDERS} - {folder.name}
    listed = public_names()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [(alias.name, "") for alias in node.names]
                if isinstance(node, ast.Import)
                else [(node.module or "", alias.name) for alias in node.names]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for module, name in names:
                assert module.split(".")[0] not in others, f"{path.name} imports the plugin {module}"
                if module.split(".")[0] == "memhost":
                    used = f"{module}.{name}".strip(".")
                    assert not name.startswith("_") or name == "__version__", f"{path.name} imports {used}"
                    assert is_public(module, used, listed), f"{path.name} imports {used}, which is not public"


def is_public(module: str, used: str, listed: frozenset[str]) -> bool:
    """Whether a plugin may import that: a listed module or name, or `memhost.testing`, which is public as a whole."""
    if module == "memhost" and used.count(".") == 1:
        return used in listed or not find_spec(used)
    return module in listed or used in listed or module.split(".")[:2] == ["memhost", "testing"]


def test_every_room_of_core_has_its_place() -> None:
    assert {room(module_of(path)) for path in CORE_FILES} - {"memhost"} == {each for line in LAYERS for each in line}


def test_core_is_layered() -> None:
    height = {each: number for number, line in enumerate(LAYERS) for each in line}
    wrong = [
        f"{module} imports {used}"
        for module, found in import_graph().items()
        if module != "memhost"
        for used in sorted(found - {"memhost"})
        if height[room(used)] > height[room(module)]
    ]
    assert not wrong


def test_the_page_of_the_architecture_shows_the_rooms_as_they_are() -> None:
    assert architecture.PAGE.read_text() == architecture.page(), "run: python tools/architecture.py"


def test_the_drawing_of_the_architecture_has_the_subjects_in_their_order() -> None:
    drawing = architecture.PAGE.read_text().partition("```\n")[2].partition("```")[0]
    drawn = drawing.partition("subjects")[2].partition("vocabulary")[0].replace("|", "").replace(">", "").split()
    assert drawn == [name for line in reversed(architecture.GROUPS["Subjects"]) for name in line]


@pytest.mark.parametrize("title", [architecture.WRITE, architecture.SEARCH])
def test_functions_named_on_the_page_of_the_architecture_exist(title: str) -> None:
    """Run `tests/test_architecture.py` after a change of the page: it compares with the functions that run."""
    request, background = architecture.walk(title)
    assert len(request) > 15
    assert background
    gone = [step for step in (*request, *background) if step[1] not in architecture.functions_of(ROOT / step[0])]
    assert not gone


def test_entry_points_are_the_folders() -> None:
    declared = PROJECT["project"]["entry-points"]["memhost"]
    assert sorted(declared.values()) == [folder.name for folder in sorted(PLUGIN_FOLDERS, key=lambda f: f.name)]
    installed = {point.name: point.value for point in entry_points(group="memhost") if point.dist is not None}
    assert {name: installed.get(name) for name in declared} == declared, "run: pip install -e ."


def test_folder_lists_of_the_packaging_agree() -> None:
    folders = ["core", *(f"plugins/{kind}" for kind in KINDS)]
    tool = PROJECT["tool"]
    assert sorted(tool["hatch"]["build"]["dev-mode-dirs"]) == sorted(folders)
    assert sorted(tool["hatch"]["build"]["targets"]["wheel"]["sources"]) == sorted(folders)
    assert sorted(tool["ruff"]["src"]) == sorted(folders)
    assert sorted(tool["mypy"]["mypy_path"]) == sorted(f"$MYPY_CONFIG_FILE_DIR/{folder}" for folder in folders)


def test_plugin_kinds_are_namespaces_and_packages_are_typed() -> None:
    assert not list((ROOT / "plugins").glob("__init__.py"))
    assert not list((ROOT / "plugins").glob("*/__init__.py"))
    for folder in [*PLUGIN_FOLDERS, ROOT / "core" / "memhost"]:
        assert (folder / "py.typed").exists(), folder


def test_every_dependency_is_bounded_on_both_sides() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    shipped = [
        *PROJECT["project"]["dependencies"],
        *(each for name in ("redis", "litellm", "mcp", "jwt", "minilm", "multilingual") for each in extras[name]),
    ]
    for requirement in shipped:
        assert ">=" in requirement, requirement
        assert "<" in requirement, requirement


@pytest.mark.parametrize(("folder", "most"), [("core", 600), ("plugins", 600), ("bench", 600), ("tools", 600)])
def test_modules_stay_readable(folder: str, most: int) -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in (ROOT / folder).rglob("*.py")
        if (count := len(path.read_text().splitlines())) > most
    }
    assert not long


@pytest.mark.parametrize("folder", ["core", "plugins", "bench", "tools", "tests"])
def test_functions_stay_readable(folder: str) -> None:
    long = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": count
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (count := (node.end_lineno or 0) - node.lineno + 1) > 60
    }
    assert not long


def test_an_editable_install_puts_nothing_beside_other_packages() -> None:
    told = distribution("memhost").read_text("direct_url.json") or "{}"
    if json.loads(told).get("dir_info", {}).get("editable"):
        assert not (Path(sysconfig.get_path("purelib")) / "memhost").exists(), "run: make test, or pip install -e ."


@pytest.mark.parametrize("folder", ["core", "plugins"])
def test_constructors_take_collaborators_by_name(folder: str) -> None:
    many = {
        f"{path.relative_to(ROOT)}:{node.lineno}": len(node.args.args) - 1
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name == "__init__" and len(node.args.args) > 5
    }
    assert not many


def test_tests_of_core_lie_in_the_rooms_of_core() -> None:
    rooms = {path.name for path in (ROOT / "core" / "memhost").iterdir() if path.is_dir()} | {"hooks"}
    assert {path.name for path in (ROOT / "tests" / "core").iterdir() if path.is_dir()} - {"__pycache__"} <= rooms


def test_structs_of_operations_have_evaluated_annotations() -> None:
    """The package's docstring says why: postponed ones are evaluated at each walk through the types."""
    late = {
        path.name
        for path in (ROOT / "core" / "memhost" / "operations").glob("*.py")
        if "(msgspec.Struct" in path.read_text() and "from __future__ import annotations" in path.read_text()
    }
    assert late == {"schema.py"}  # it makes schemas of structs, and its own are not sent


def test_folders_of_core_stay_small() -> None:
    folders = {path.parent for path in CORE_FILES}
    counts = {str(folder.relative_to(ROOT)): len(list(folder.glob("*.py"))) for folder in folders}
    assert {folder: count for folder, count in counts.items() if count > 16} == {}
