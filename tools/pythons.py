"""Run a make target on every Python that memhost supports and that is on this machine: `make test-pythons`.

An interpreter counts only if it runs and can make environments: a name on the PATH may be a shim of a version that is
not installed. Each has its environment in `build/`. At the end stands which versions were not run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_ASK = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2]); print(sys.executable)"
_PLACES = (
    "~/.pyenv/versions/*/bin",
    "~/.local/share/uv/python/*/bin",
    "/opt/python*/bin",
    "/usr/local/bin",
    "/usr/bin",
)
_LIMIT_S = 20


def main() -> int:
    """Run the command that the arguments give with each Python."""
    command = sys.argv[1:]
    here = {version: path for version in supported() if (path := found(version)) is not None}
    results: dict[str, int] = {}
    for version, path in here.items():
        print(f"Python {version}: {path}", flush=True)
        given = [f"PYTHON={path}", f"VENV=build/python-{version}"]
        results[version] = subprocess.run([*command, *given], cwd=ROOT, check=False).returncode
    for version in supported():
        state = "not run, no such Python is here"
        if version in results:
            state = "passed" if results[version] == 0 else f"failed with {results[version]}"
        print(f"Python {version}: {state}")
    return 1 if not results or any(results.values()) else 0


def supported() -> list[str]:
    """The versions that pyproject.toml names."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lines = tomllib.loads(text)["project"]["classifiers"]
    return [line.rpartition(" ")[2] for line in lines if re.fullmatch(r"Programming Language .* :: 3\.\d+", line)]


def found(version: str) -> str | None:
    """The path of a Python of that version which works, None if there is none."""
    answered = (answer(candidate) for candidate in candidates(version))
    return next((path for known, path in answered if known == version), None)


def candidates(version: str) -> Iterator[str]:
    """Files that may be one, those on the PATH first."""
    folders = [Path(part) for part in os.environ.get("PATH", "").split(os.pathsep) if part]
    for place in _PLACES:
        pattern = Path(place).expanduser()
        folders += sorted(Path(pattern.anchor).glob(str(pattern.relative_to(pattern.anchor))), reverse=True)
    for folder in dict.fromkeys(folders):
        path = folder / f"python{version}"
        if path.is_file() and os.access(path, os.X_OK):
            yield str(path)


def answer(path: str) -> tuple[str, str]:
    """The version that an interpreter says it has, and the file that it really is; empty if it does not run."""
    try:
        done = subprocess.run([path, "-c", _ASK], capture_output=True, text=True, check=False, timeout=_LIMIT_S)
    except (OSError, subprocess.TimeoutExpired):
        return "", ""
    version, _, file = done.stdout.strip().partition("\n")
    return (version, file) if done.returncode == 0 else ("", "")


if __name__ == "__main__":
    sys.exit(main())
