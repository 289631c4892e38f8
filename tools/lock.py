"""Write `requirements/`: the exact versions that development and CI install, with hashes: `make lock`.

    make lock                  keep what fits the ranges of pyproject.toml, add and drop what they ask for
    make lock ARGS=--upgrade   the newest versions that the ranges allow

Files, each for every Python that memhost supports and for every platform:

- `constraints.txt`: one version of each package that any of the others or an example needs; no hashes, for `pip -c`
- `run.txt`, `test.txt`, `bench.txt`, `mutation.txt`: what `make run`, `make test`, `make bench` and `make mutate`
  install, with hashes

- `audit.txt`, `uv.txt`: programs that `make audit` and `make lock` use, in environments of their own

and `mcp-conformance/package-lock.json` for the npm packages of one test, which needs npm.

pip takes no hash for a source tree, so the tree itself is installed after them, without its dependencies and by the
build backend that is locked as well. The extra `tools` is not locked: its result is committed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterable, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "requirements"
RESOLVER = "uv>=0.9,<1"
PROGRAMS = {"audit": "pip-audit>=2.7,<3", "uv": RESOLVER}
"""Programs that have an environment of their own."""
EXTRAS = {"run": ("mcp",), "test": ("test",), "bench": ("bench",), "mutation": ("mutation",)}
"""Which extras each locked environment has."""
HEADER = "# Made by `make lock` from pyproject.toml; do not edit.\n"
_ADDRESS = re.compile(r"://|^\s*-|\bfile:|@\s|localhost", re.MULTILINE)
_HASH = re.compile(r" \\\n    --hash=sha256:[0-9a-f]{64}")


def main() -> None:
    """Resolve, check, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that the ranges allow")
    parser.add_argument(
        "--moved", action="store_true", help="only tell which installed versions are not the locked ones"
    )
    arguments = parser.parse_args()
    if arguments.moved:
        moved()
        return
    upgrade = ["--upgrade"] if arguments.upgrade else []
    hashed = ["--generate-hashes", *upgrade]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        uv = resolver(work / "env", newest=arguments.upgrade)
        build = written(work / "build.in", [*project()["build-system"]["requires"], "editables"])
        examples = written(work / "examples.in", example_requirements())
        everything = sorted({extra for extras in EXTRAS.values() for extra in extras})
        constraints, ours = FOLDER / "constraints.txt", Path("pyproject.toml")
        compile_lock(uv, constraints, [ours, build, examples], [*upgrade, "--no-annotate", *chosen(everything)])
        for name, extras in EXTRAS.items():
            pinned = ["--constraints", str(constraints), *hashed, *chosen(extras)]
            compile_lock(uv, FOLDER / f"{name}.txt", [ours, build], pinned)
        for name, requirement in PROGRAMS.items():
            compile_lock(uv, FOLDER / f"{name}.txt", [written(work / f"{name}.in", [requirement])], hashed)
    lock_npm(upgrade=bool(upgrade))
    print(f"{FOLDER.name}: {', '.join(sorted(path.name for path in FOLDER.glob('*.txt')))}")


def constrained() -> dict[str, str]:
    """Variables with which pip installs locked versions, also of build backends; none if NEWEST is set."""
    if os.environ.get("NEWEST"):
        return {}
    path = str(FOLDER / "constraints.txt")
    return {"PIP_CONSTRAINT": path, "PIP_BUILD_CONSTRAINT": path}


def moved() -> None:
    """Print what is installed in another version than the one that is locked."""
    pinned: dict[str, set[str]] = {}
    for line in (FOLDER / "constraints.txt").read_text(encoding="utf-8").splitlines():
        name, _, version = line.partition(" ;")[0].partition("==")
        pinned.setdefault(name, set()).add(version)
    for each in sorted(distributions(), key=lambda found: found.metadata["Name"].lower()):
        name = each.metadata["Name"].lower().replace("_", "-")
        if name in pinned and each.version not in pinned[name]:
            print(f"{name}: {each.version}, locked is {' or '.join(sorted(pinned[name]))}")


def project(path: Path = ROOT / "pyproject.toml") -> dict[str, Any]:
    """The tables of a pyproject.toml."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def example_requirements() -> list[str]:
    """What the examples and their tests need beside memhost."""
    found: set[str] = set()
    for path in sorted((ROOT / "examples").glob("*/pyproject.toml")):
        table = project(path)["project"]
        listed = [*table.get("dependencies", ()), *table.get("optional-dependencies", {}).get("test", ())]
        found |= {each for each in listed if not each.startswith("memhost")}
    return sorted(found)


def resolver(home: Path, *, newest: bool) -> Path:
    """The program that resolves, in an environment of its own."""
    venv.create(home, with_pip=True)
    locked = FOLDER / "uv.txt"
    given = [RESOLVER] if newest or not locked.exists() else ["--require-hashes", "--requirement", locked]
    run(home / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *given)
    return home / "bin" / "uv"


def written(path: Path, lines: list[str]) -> Path:
    """The file with these lines."""
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def chosen(extras: Iterable[str]) -> list[str]:
    """Options that choose extras."""
    return [option for extra in extras for option in ("--extra", extra)]


def compile_lock(uv: Path, target: Path, sources: Sequence[Path], more: Sequence[str]) -> None:
    """Resolve pyproject.toml or files of requirements into a file that names no address.

    What is in the file is kept where it still fits, unless `more` says otherwise.
    """
    oldest = project()["project"]["requires-python"].removeprefix(">=")
    options = ["--universal", "--python-version", oldest, "--no-header", "--no-emit-package", "memhost"]
    run(uv, "pip", "compile", "--quiet", *options, *more, "--output-file", target, *sources)
    text = target.read_text(encoding="utf-8").removeprefix(HEADER)
    # Which file of this run asked for a package is of no interest, and its path would differ each time.
    text = re.sub(r"-r \S*/(\w+)\.in", r"\1", text)
    if found := _ADDRESS.search(_HASH.sub("", text)):
        target.unlink()
        sys.exit(f"{target.name} would name an address or an option: {found.group()!r}. Nothing was written.")
    target.write_text(HEADER + text, encoding="utf-8")


def lock_npm(*, upgrade: bool) -> None:
    """Lock the npm packages of `mcp-conformance/package.json`; say so where npm is missing."""
    npm = shutil.which("npm")
    if npm is None:
        print("npm is not installed: the lock of its packages stays as it is.", file=sys.stderr)
        return
    target = FOLDER / "mcp-conformance" / "package-lock.json"
    if upgrade:
        target.unlink(missing_ok=True)
    run(npm, "install", "--package-lock-only", "--silent", "--no-fund", "--no-audit", "--prefix", target.parent)
    lock = json.loads(target.read_text(encoding="utf-8"))
    for package in lock["packages"].values():
        # Where a package comes from is the business of whoever installs it; its hash stays.
        for key in ("resolved", "funding"):
            package.pop(key, None)
    target.write_text(json.dumps(lock, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def run(*command: str | Path) -> None:
    """Run a command; its failure ends the tool."""
    if code := subprocess.run([str(part) for part in command], check=False, cwd=ROOT).returncode:
        sys.exit(code)


if __name__ == "__main__":
    main()
