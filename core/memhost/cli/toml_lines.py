"""Changes one line of a TOML file and leaves everything else, comments too, as it is."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

from memhost.cli.failures import CommandError


def write_list(path: Path, table: str, key: str, values: Sequence[str]) -> None:
    """Set `key` of `[table]` to a list of strings; the file and the table are made where they are missing.

    Raises:
        CommandError: The file cannot be read or written, or the key stands in a form that cannot be changed by line.
    """
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        changed = _changed(text, table, key, f"{key} = {json.dumps(list(values))}")
        if tomllib.loads(changed).get(table, {}).get(key) != list(values):
            raise ValueError("the result would differ")
        path.write_text(changed, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path} cannot be changed: {error.strerror}.") from error
    except ValueError as error:
        raise CommandError(f"{path} cannot be changed by this command; set {table}.{key} there by hand.") from error


def _changed(text: str, table: str, key: str, line: str) -> str:
    header = re.search(rf"(?m)^\[{re.escape(table)}\][^\n]*\n?", text)
    if header is None:
        gap = "\n" if text and not text.endswith("\n") else ""
        return f"{text}{gap}{chr(10) if text else ''}[{table}]\n{line}\n"
    following = re.search(r"(?m)^\[", text[header.end() :])
    end = header.end() + following.start() if following else len(text)
    body = text[header.end() : end]
    old = re.compile(rf"(?ms)^{re.escape(key)}\s*=\s*\[.*?\][^\n]*$")
    # A function, since the new line is text and no pattern.
    body = old.sub(lambda _: line, body, count=1) if old.search(body) else f"{line}\n{body}"
    start = text[: header.end()]
    return (start if start.endswith("\n") else f"{start}\n") + body + text[end:]
