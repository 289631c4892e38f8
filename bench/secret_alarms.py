"""False alarms of the detector of secrets: on conversations, on source code, on documentation, and on logs.

    python bench/secret_alarms.py --chats FOLDER [--code FOLDER ...] [--logs FILE ...] [--show 20]

Conversations are JSON files, of which every text of ten letters or more counts; code is read in blocks of 30 lines,
documentation (`*.md`, `*.rst`, `METADATA`) in paragraphs, logs line by line. It prints for each kind how many pieces
there are, how many raise an alarm, and how many megabytes a second are read; `--show` prints what was found, to tell
false alarms from secrets that are really there. Nothing is stored.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import process_time
from typing import Any

from memhost.secrets import find_secrets

_BLOCK = 30
_SHORTEST = 10
_LARGEST = 2_000_000


def texts_in(value: Any) -> Iterator[str]:
    """Every text of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)


def chats(folder: Path) -> Iterator[str]:
    """The texts of the conversations in a folder."""
    for file in sorted(folder.glob("*.json")):
        yield from (text for text in texts_in(json.loads(file.read_text())) if len(text) >= _SHORTEST)


def _read(file: Path) -> str:
    return file.read_text(errors="replace") if file.is_file() and file.stat().st_size < _LARGEST else ""


def code(folders: Iterable[Path]) -> Iterator[str]:
    """The code in folders, in blocks of 30 lines."""
    for folder in folders:
        for kind in ("*.py", "*.js", "*.ts", "*.toml", "*.yml", "*.yaml", "*.sh"):
            for file in sorted(folder.rglob(kind)):
                lines = _read(file).splitlines()
                for start in range(0, len(lines), _BLOCK):
                    yield "\n".join(lines[start : start + _BLOCK])


def prose(folders: Iterable[Path]) -> Iterator[str]:
    """The documentation in folders, in paragraphs."""
    for folder in folders:
        for kind in ("*.md", "*.rst", "METADATA"):
            for file in sorted(folder.rglob(kind)):
                yield from (part for part in _read(file).split("\n\n") if part.strip())


def logs(files: Iterable[Path]) -> Iterator[str]:
    """The lines of log files."""
    for file in files:
        yield from (line for line in _read(file).splitlines() if line.strip())


def measure(name: str, pieces: Iterable[str], shown: int) -> None:
    """Print how many of the pieces raise an alarm."""
    began, total, alarms, letters = process_time(), 0, 0, 0
    for piece in pieces:
        total += 1
        letters += len(piece)
        found = find_secrets(piece)
        alarms += bool(found)
        if found and alarms <= shown:
            for secret in found:
                print(f"  {secret.kind}: {piece[max(0, secret.start - 50) : secret.end + 20]!r}")
    spent = process_time() - began
    share = 100 * alarms / max(1, total)
    print(f"{name}: {alarms} of {total} ({share:.3f} %), {letters / max(spent, 1e-9) / 1e6:.1f} MB/s")


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chats", type=Path)
    parser.add_argument("--code", type=Path, nargs="*", default=[])
    parser.add_argument("--docs", type=Path, nargs="*", default=[])
    parser.add_argument("--logs", type=Path, nargs="*", default=[])
    parser.add_argument("--show", type=int, default=0)
    given = parser.parse_args()
    if given.chats:
        measure("chats", chats(given.chats), given.show)
    measure("code", code(given.code), given.show)
    measure("documentation", prose(given.docs), given.show)
    measure("logs", logs(given.logs), given.show)


if __name__ == "__main__":
    main()
