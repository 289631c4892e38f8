"""Commands that hints name, in the form in which they work where they are printed."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path


def as_run(text: str, commands: Iterable[str]) -> str:
    """The text with `memhost COMMAND` as this process was started: `.venv/bin/memhost COMMAND` from a checkout.

    Args:
        text: Sentences that may name commands.
        commands: The commands; `memhost` before any other word is the name of the program.
    """
    name = program()
    if name == "memhost":
        return text
    words = "|".join(map(re.escape, commands))
    return re.sub(rf"(?<![\w/.-])memhost (?=(?:{words})(?![\w-]))", lambda _: f"{name} ", text)


def program() -> str:
    """Return the command that starts memhost again: its name if that finds it, else its path or python."""
    started = Path(sys.argv[0] if sys.argv else "")
    if started.stem == "memhost" and started.is_file():
        found = shutil.which("memhost")
        if found is not None and Path(found).resolve() == started.resolve():
            return "memhost"
        return _short(started)
    if started.name == "__main__.py" and started.parent.name == "memhost":
        return f"{python()} -m memhost"
    return "memhost"


def python() -> str:
    """The interpreter of this process, as it is called from here."""
    return _short(Path(sys.executable))


def install(extra: str) -> str:
    """The command that installs an extra of memhost: its packages by their own names, wherever memhost came from."""
    from importlib.metadata import PackageNotFoundError, requires

    marked = re.compile(rf"""extra\s*==\s*['"]{re.escape(extra)}['"]""")
    try:
        listed = [line.partition(";") for line in requires("memhost") or ()]
    except PackageNotFoundError:
        listed = []
    packages = [name.strip() for name, _, marker in listed if marked.search(marker)]
    wanted = " ".join(f"'{name}'" for name in packages) or f"'memhost[{extra}]'"
    return f"{python()} -m pip install {wanted}"


def _short(path: Path) -> str:
    """The path from the working directory where it lies inside, else the whole; quoted if a shell would break it."""
    whole = path.absolute()
    try:
        here = Path.cwd()
        inside = whole.is_relative_to(here) and whole.parent != here  # a bare name would be sought in PATH
        text = str(whole.relative_to(here)) if inside else str(whole)
    except OSError:
        text = str(whole)
    return f"'{text}'" if re.search(r"[^\w@%+=:,./-]", text) else text
