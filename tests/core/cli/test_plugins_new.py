"""`memhost plugins new`: every kind gives a package that loads and passes its own tests unchanged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from memhost.cli import cli
from memhost.cli.plugins.plugins_new import KINDS, write_package

NAME, MODULE = "acme-thing", "acme_thing"


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the package without installing it: its sources are on the path, and so is its metadata."""
    info = folder / "src" / f"{MODULE}-0.1.0.dist-info"
    if not info.exists():
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 0.1.0\n")
        lines = (folder / "pyproject.toml").read_text().partition("[project.entry-points.memhost]\n")[2]
        target = lines.partition("\n")[0].partition(" = ")[2].strip('"')
        (info / "entry_points.txt").write_text(f"[memhost]\n{NAME} = {target}\n")
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder / "src"),
        "PYTEST_ADDOPTS": "",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "kind",
    ["hook", pytest.param("strategy", marks=pytest.mark.full("a run of pytest; the kind hook shows the same way"))],
)  # `tools/check_wheel.py` installs and tests all kinds
def test_package_passes_its_tests_and_is_listed(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / NAME
    write_package(kind, NAME, folder)
    listed = run(folder, "memhost", "plugins", "list", "--json", "--strict")
    assert listed.returncode == 0, listed.stdout + listed.stderr
    (row,) = [row for row in json.loads(listed.stdout)["plugins"] if row["name"] == NAME]
    assert (row["status"], row["distribution"], row["version"]) == ("ok", NAME, "0.1.0")
    tested = run(folder, "pytest", "-q", "-W", "error", "-p", "no:cacheprovider")
    assert tested.returncode == 0, tested.stdout[-3000:] + tested.stderr[-1000:]


@pytest.mark.parametrize("kind", KINDS)
def test_package_is_well_kept(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / NAME
    write_package(kind, NAME, folder)
    ruff = [sys.executable, "-m", "ruff"]
    for command in (
        ["check", "--isolated", "--select", "E,F,W,B,UP", "--line-length", "120", "--target-version", "py311"],
    ):
        done = subprocess.run([*ruff, *command, str(folder)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_command_says_what_to_do_next(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["plugins", "new", "hook", "acme-notes", "--dir", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "pip install -e" in result.output
    again = CliRunner().invoke(cli, ["plugins", "new", "hook", "acme-notes", "--dir", str(tmp_path)])
    assert again.exit_code != 0
    assert "not empty" in again.output
    wrong = CliRunner().invoke(cli, ["plugins", "new", "hook", "Acme Notes", "--dir", str(tmp_path)])
    assert wrong.exit_code != 0
    assert "lower case" in wrong.output


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("class", "word of Python"),
        ("async", "word of Python"),
        ("json", "standard library"),
        ("email", "standard library"),
        ("memhost", "a package of memhost"),
        ("memhost-rest", "a package of memhost"),
        ("click", "installed here"),
        ("redis", "installed here"),
    ],
)
def test_names_that_no_package_can_have_are_refused(name: str, told: str, tmp_path: Path) -> None:
    refused = CliRunner().invoke(cli, ["plugins", "new", "hook", name, "--dir", str(tmp_path)])
    assert (refused.exit_code, told in refused.output) == (2, True), refused.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["classes", "json-notes", "my-memhost", "memhost-acme", "match", "type", "acme-class"])
def test_names_like_them_are_fine(name: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["plugins", "new", "hook", name, "--dir", str(tmp_path)])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("kind", "name"),
    [("store", "sqlite"), ("strategy", "discrete"), ("auth", "none"), ("interface", "rest"), ("runner", "inline")],
)
def test_names_that_a_plugin_of_that_kind_has_are_refused(kind: str, name: str, tmp_path: Path) -> None:
    refused = CliRunner().invoke(cli, ["plugins", "new", kind, name, "--dir", str(tmp_path)])
    assert (refused.exit_code, f"is an installed {kind}" in refused.output) == (2, True), refused.output
    assert list(tmp_path.iterdir()) == []


def test_names_of_other_kinds_are_free(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["plugins", "new", "store", "discrete", "--dir", str(tmp_path)])
    assert done.exit_code == 0, done.output
