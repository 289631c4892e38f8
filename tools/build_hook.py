"""Writes the commit into a wheel that is built from a checkout, for `memhost version`."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import (  # type: ignore[import-not-found, unused-ignore]
    BuildHookInterface,
)


class CommitHook(BuildHookInterface):  # type: ignore[misc, type-arg, unused-ignore]
    """Adds `memhost/commit.txt`; without git, or outside a checkout, nothing."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the file to what is built; an editable install asks git itself."""
        if version == "editable" or not (Path(self.root) / ".git").exists():
            return
        command = ["git", "-C", self.root, "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=+changed"]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        if told.returncode == 0:
            file = Path(tempfile.mkdtemp()) / "commit.txt"
            file.write_text(told.stdout, encoding="ascii")
            build_data["force_include"][str(file)] = "memhost/commit.txt"
