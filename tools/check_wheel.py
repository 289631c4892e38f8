"""Builds the wheel, installs it into an empty environment, and uses the command that it gives.

Needs the package index. Exits non-zero with a sentence when something is wrong. Versions are the locked ones, unless
NEWEST is set.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

from tools.lock import constrained

ROOT = Path(__file__).resolve().parent.parent
LARGEST_WHEEL_MB = 12.0
EXPECTED_TOP = {"memhost"} | {folder.name for folder in ROOT.glob("plugins/*/memhost_*")}


def main() -> None:
    """Build, look inside, install, run."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(Path(folder))
        look_inside(wheel)
        use(wheel, Path(folder))


def build(folder: Path) -> Path:
    """The wheel of this tree."""
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder))
    run(sys.executable, "-m", "pip", "wheel", *options, str(ROOT))
    return next(folder.glob("*.whl"))


def look_inside(wheel: Path) -> None:
    """Check the size and what stands at the top level."""
    size = wheel.stat().st_size / 1e6
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/", 1)[0] for name in names if ".dist-info/" not in name}
    if top != EXPECTED_TOP:
        sys.exit(f"The wheel's top level is {sorted(top)}, expected {sorted(EXPECTED_TOP)}.")
    if size > LARGEST_WHEEL_MB:
        sys.exit(f"The wheel has {size:.1f} MB, more than {LARGEST_WHEEL_MB} MB.")
    print(f"wheel: {size:.1f} MB, {len(names)} files")


def use(wheel: Path, folder: Path) -> None:
    """Install the wheel alone and let its command list the plugins and play the demo."""
    environment = folder / "env"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel))
    command = str(environment / "bin" / "memhost")
    print(run(command, "version").strip())
    rows = json.loads(run(command, "plugins", "list", "--json", "--strict"))
    found = rows["plugins"] if isinstance(rows, dict) else rows
    if {row["status"] for row in found} != {"ok"}:
        sys.exit(f"Plugins of the wheel are not all ok: {found}")
    run(str(python), "-m", "memhost", "demo", "--json")
    print(f"installed wheel: {len(found)} plugins ok, demo played")
    extend(python, command, folder)


def extend(python: Path, command: str, folder: Path) -> None:
    """Generate a plugin of each kind, install it for real, run its tests, and see that it is listed."""
    kinds = ("strategy", "store", "model", "auth", "runner", "interface", "hook")
    run(str(python), "-m", "pip", "install", "--quiet", "httpx", "pytest", "pytest-asyncio")
    for kind in kinds:
        package = folder / f"acme-{kind}"
        run(command, "plugins", "new", kind, package.name, "--dir", str(folder))
        run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(package))
        run(
            str(python),
            "-m",
            "pytest",
            "-q",
            "--rootdir",
            str(package),
            "-c",
            str(package / "pyproject.toml"),
            str(package),
        )
        print(f"generated {kind}: installed, its tests pass")
    rows = json.loads(run(command, "plugins", "list", "--json", "--strict"))["plugins"]
    missing = {f"acme-{kind}" for kind in kinds} - {row["name"] for row in rows}
    if missing:
        sys.exit(f"Generated plugins are not listed: {sorted(missing)}.")


def run(*command: str) -> str:
    """The output of a command; its failure ends the check."""
    given = {**os.environ, **constrained()}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tempfile.gettempdir(), env=given)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
