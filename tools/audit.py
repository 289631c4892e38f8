"""Look for known vulnerabilities in the packages that are installed: `make audit`.

pip-audit runs in an environment of its own, so that it adds nothing to the one it looks at. Findings that were
looked into and do not concern memhost are in ANSWERED, with the reason; any other makes the exit code 1. Where the
advisory service cannot be reached, or knows none of the packages, nothing is concluded: the exit code is 0, and 1
with --strict.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

LOCKED = Path(__file__).resolve().parent.parent / "requirements" / "audit.txt"
ANSWERED: dict[str, str] = {}
"""Ids of advisories, and why they do not concern memhost."""
_INSTALL_LIMIT_S = 300
_ASK_LIMIT_S = 300


def auditor(home: Path) -> Path | None:
    """The pip-audit of an environment of its own, made if there is none; None if it cannot be installed."""
    tool = home / "bin" / "pip-audit"
    if not tool.exists():
        for command in (
            [sys.executable, "-m", "venv", str(home)],
            [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(LOCKED)],
        ):
            if subprocess.run(command, check=False, capture_output=True, timeout=_INSTALL_LIMIT_S).returncode:
                return None
    return tool


def ask(tool: Path) -> list[dict[str, Any]] | None:
    """What is known about each installed package; None if there was no answer."""
    packages = sysconfig.get_path("purelib")
    command = [str(tool), "--path", packages, "--skip-editable", "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_ASK_LIMIT_S)
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return None
    return found if any("vulns" in package for package in found) else None


def main() -> int:
    """Print the findings."""
    strict = "--strict" in sys.argv
    tool = auditor(Path(sys.prefix) / "audit")
    packages = ask(tool) if tool is not None else None
    if packages is None:
        print("audit: no advisory service answers here, so nothing is known about the packages.")
        return 1 if strict else 0
    known = [package for package in packages if "vulns" in package]
    open_ones = 0
    for package in known:
        for finding in package["vulns"]:
            names = {finding["id"], *finding.get("aliases", ())}
            reason = next((ANSWERED[name] for name in sorted(names) if name in ANSWERED), None)
            open_ones += reason is None
            fixed = ", ".join(finding.get("fix_versions", ())) or "nowhere yet"
            print(f"{package['name']} {package['version']}: {finding['id']}, fixed in {fixed}: {reason or 'OPEN'}")
    print(f"audit: {len(known)} packages looked up, {len(packages) - len(known)} unknown, {open_ones} open findings.")
    return 1 if open_ones else 0


if __name__ == "__main__":
    sys.exit(main())
