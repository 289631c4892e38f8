"""The tutorial, executed line by line. What pip would install is put on the path instead."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.model_server import ModelServer, environment

TEXT = (Path(__file__).parents[1] / "docs" / "tutorial.md").read_text()
ANSWER = [{"owner": "Ann", "task": "book the boat"}]


@pytest.mark.full("starts a dozen processes; test_plugins_new.py and test_docs.py hold its parts in make test")
def test_tutorial_works_as_written(tmp_path: Path, model_server: ModelServer) -> None:
    model_server.answer(ANSWER)
    sources = tmp_path / "acme-notes" / "src"
    variables = {
        **{name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ},
        **environment(model_server, embeddings=False),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(sources),
        "DATA_DIR": str(tmp_path / "data"),
    }
    folder, seen = tmp_path, ""
    for line in "\n".join(re.findall(r"```sh\n(.*?)```", TEXT, re.S)).splitlines():
        if line.startswith("cd "):
            folder = folder / line.removeprefix("cd ")
        elif line.startswith("pip install"):
            install(folder)
        elif line:
            done = subprocess.run(
                line, shell=True, cwd=folder, env=variables, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
            seen += done.stdout
    assert "acme-notes (acme-notes 0.1.0) is well" in seen
    assert "Ann will book the boat" in seen


def test_class_and_entry_point_are_those_of_the_generated_package(tmp_path: Path) -> None:
    from memhost.cli.plugins.plugins_new import write_package

    write_package("strategy", "acme-notes", tmp_path / "p")
    code = (tmp_path / "p" / "src" / "acme_notes" / "__init__.py").read_text()
    project = (tmp_path / "p" / "pyproject.toml").read_text()
    assert "class AcmeNotes(MemoryExtractor):" in code
    assert "class AcmeNotes(MemoryExtractor):" in TEXT
    (table,) = re.findall(r"```toml\n(.*?)```", TEXT, re.S)
    assert table in project


def install(folder: Path) -> None:
    """Put the metadata of the package beside its sources, as an installation does."""
    info = folder / "src" / "acme_notes-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-notes\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[memhost]\nacme-notes = acme_notes:AcmeNotes\n")
