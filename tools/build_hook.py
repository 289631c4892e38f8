"""Puts into a wheel the documentation, for `memhost docs`, and the commit that it is of, for `memhost version`."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import (  # type: ignore[import-not-found, unused-ignore]
    BuildHookInterface,
)

DOCUMENTS = ("docs", "README.md", "CHANGELOG.md", "SECURITY.md")


class BuildHook(BuildHookInterface):  # type: ignore[misc, type-arg, unused-ignore]
    """Adds `memhost/documentation`, and in a checkout with git `memhost/commit.txt`."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files to what is built.

        An editable install reads the checkout: a second folder `memhost` beside other packages would be in the way.
        """
        if version == "editable":
            return
        root = Path(self.root)
        added = build_data["force_include"]
        added |= {str(root / name): f"memhost/documentation/{name}" for name in DOCUMENTS}
        if not (root / ".git").exists():
            return
        command = ["git", "-C", self.root, "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=+changed"]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        if told.returncode == 0:
            file = Path(tempfile.mkdtemp()) / "commit.txt"
            file.write_text(told.stdout, encoding="ascii")
            added[str(file)] = "memhost/commit.txt"
