"""The tools behind `make repeat` and `make test-pythons`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tools import pythons, repeat

ROOT = Path(__file__).parents[1]
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which Pythons are looked for."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(pythons, "_PLACES", ())
    return tmp_path


def test_a_shim_of_a_version_that_is_not_installed_is_passed_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = program(path / "broken" / f"python{HERE}", "echo 'command not found' >&2; exit 127")
    working = program(path / "working" / f"python{HERE}", f'exec "{sys.executable}" "$@"')
    monkeypatch.setenv("PATH", os.pathsep.join(str(each.parent) for each in (broken, working)))
    assert pythons.found(HERE) == sys.executable
    assert pythons.found("3.99") is None


def test_a_python_that_says_another_version_is_passed_over(path: Path) -> None:
    program(path / "python3.99", f'exec "{sys.executable}" "$@"')
    assert pythons.found("3.99") is None


def test_it_says_what_was_not_run(
    path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    program(path / f"python{HERE}", f'exec "{sys.executable}" "$@"')
    make = program(path / "make", 'echo "$@"')
    monkeypatch.setattr(sys, "argv", ["pythons.py", str(make), "test"])
    assert pythons.main() == 0
    told = capfd.readouterr().out
    assert f"test PYTHON={sys.executable} VENV=build/python-{HERE}" in told
    others = [version for version in pythons.supported() if version != HERE]
    assert f"Python {HERE}: passed" in told
    assert others
    assert all(f"Python {version}: not run, no such Python is here" in told for version in others)


def test_it_fails_where_a_version_fails_and_where_there_is_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["pythons.py", "/bin/false"])
    assert pythons.main() == 1
    program(path / f"python{HERE}", f'exec "{sys.executable}" "$@"')
    assert pythons.main() == 1


def test_runs_are_repeated_in_two_ways_until_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loops: list[subprocess.Popen[bytes]] = []
    started = subprocess.Popen

    def start(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] = started(command, **options)  # type: ignore[call-overload]
        if "while True" in command[-1]:
            loops.append(process)
        return process

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(repeat, "ROOT", tmp_path)
    monkeypatch.setattr(repeat, "LOGS", tmp_path / "logs")
    counted = program(
        tmp_path / "tests", f'echo "$@" >> {tmp_path}/calls; echo all well; test $(wc -l < {tmp_path}/calls) -lt 3'
    )
    monkeypatch.setattr(sys, "argv", ["repeat.py", "9", str(counted), "-q"])
    assert repeat.main() == 1
    assert (tmp_path / "calls").read_text().splitlines() == ["-q", "-q -p randomly", "-q"]
    told = capsys.readouterr().out
    assert "run 1 of 9, beside 2 busy loops: all well" in told
    assert "run 2 of 9, in random order: all well" in told
    assert "run 3 failed with 1; its output is in logs/003.log" in told
    assert len(loops) == 4
    assert all(loop.poll() is not None for loop in loops)
