"""The packages in `examples/` pass their own tests, and need no more of memhost than its public names.

Here they run from the source tree. `make examples` builds their wheels and memhost's, installs both into an empty
environment and runs the tests there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Mapping
from pathlib import Path

import pytest
from tools.lock import constrained

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/pyproject.toml"))
PYTEST = ("-m", "pytest", "-q", "-rs", "-W", "error", "-p", "no:cacheprovider")
QUICK = {"pgvector-store": ("-k", "not TestPgvectorStore and not WalkingTheIndex")}
"""What of an example's tests is enough for every day; `make examples` runs all of them."""


def run(*command: str | Path, folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """What the command prints."""
    given = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})}
    done = subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    return done.stdout


@pytest.mark.full(
    "a run of pytest for each example; the hooks' and suites' own tests hold the public names in make test"
)
@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_example_passes_its_tests(folder: Path) -> None:
    path = {"PYTHONPATH": str(folder / "src")}
    report(run(sys.executable, *PYTEST, *QUICK.get(folder.name, ()), folder=folder, environment=path))


def test_a_whole_store_takes_about_400_lines() -> None:
    sources = (ROOT / "examples" / "pgvector-store" / "src").rglob("*.[ps][yq]*")
    written = {path.name: len(path.read_text().splitlines()) for path in sources if path.suffix in {".py", ".sql"}}
    assert "schema.sql" in written
    assert sum(written.values()) <= 410, written


def report(output: str) -> None:
    """Show the end of a run of pytest; a run in which every test was skipped is told as skipped."""
    ending = output.strip().splitlines()[-3:]
    if " passed" not in ending[-1]:
        pytest.skip("; ".join(ending))
    print("\n".join(ending))


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of memhost."""
    if not os.environ.get("EXAMPLES_FROM_WHEELS"):
        pytest.skip("builds and installs wheels, which needs the package index: make examples")
    folder = tmp_path_factory.mktemp("wheels")
    build(ROOT, folder)
    return folder


def build(source: Path, into: Path) -> Path:
    """The wheel of a source tree."""
    into.mkdir(exist_ok=True)
    before = set(into.glob("*.whl"))
    options = ("-q", "--no-deps", "--no-build-isolation", "--wheel-dir")
    run(sys.executable, "-m", "pip", "wheel", *options, into, source, folder=into)
    (wheel,) = set(into.glob("*.whl")) - before
    return wheel


@pytest.mark.full("builds wheels and environments, which needs the package index")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_example_passes_its_tests_from_wheels(folder: Path, wheels: Path, tmp_path: Path) -> None:
    (memhost,) = wheels.glob("memhost-*.whl")
    example = build(folder, tmp_path / "dist")
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    install = (python, "-m", "pip", "install", "-q")
    run(*install, memhost, f"{example}[test]", folder=tmp_path, environment=constrained())
    # only what the tests need: the sources stay behind
    shutil.copytree(folder / "tests", tmp_path / "work" / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(folder / "pyproject.toml", tmp_path / "work")
    bare = {"PYTHONPATH": ""}
    report(run(python, *PYTEST, folder=tmp_path / "work", environment=bare))
    (name,) = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["entry-points"]["memhost"]
    listed = run(python, "-m", "memhost", "plugins", "list", "--json", "--strict", folder=tmp_path, environment=bare)
    assert {row["name"]: row["status"] for row in json.loads(listed)["plugins"]}[name] == "ok"
