"""Reads JSON that a model wrote: strictly where it can, mended where quotes, commas, names or line ends are wrong."""

from __future__ import annotations

import json
import re
from typing import Any

MAX_LETTERS = 60_000
"""Characters of a value that is mended; the mender may take tens of milliseconds for so many."""

MAX_DEPTH, MAX_BRACKETS = 12, 1_000
"""Brackets inside each other, and brackets in all, of a value that is mended: more of them is no list of memories, and
the mender's time grows with their square."""

_BRACKETS = re.compile(r'\\.|["{}\[\]]', re.DOTALL)
_STRUCTURE = re.compile(r"""[\[{]\s*["'“‘`\[{]|\{\s*\w+\s*:""")
_SWALLOWED = re.compile(
    r"""["']\s?:\s?["'\[{\d]|["']\s?:\s?(?:null|true|false|None)\b|[,{]\s?["']\w+$"""
    r"""|["']\s?(?:=>?|[+：])\s?["'\[{“]|^[^"\s]+"[\s,，]*"[^"]+$"""
)
_SINGLE = re.compile(r"[\[{\s]*'")
_AFTER_COMMA = re.compile(r"""\s*(?:$|[\[\]{}"]|None|True|False|null|true|false|-?\d)""")


_FULL_COLON = re.compile(r"""(?<=["'])\s?：\s?(?=["'\[{\d])""")
_FULL_COMMA = re.compile(r"""(?<=["'}\]])\s?，\s?(?=["'\[{])""")
"""Signs of a Chinese keyboard where JSON wants its own."""


_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*+"?')
_NO_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\[A-Zac-eg-mo-qsv-z]")
_SINGLE_BACKSLASH = re.compile(r"""\\\\|\\(?!["'u])""")


def _joined(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; lists under a key that comes twice are joined."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        before = found.get(key)
        found[key] = [*before, *value] if isinstance(before, list) and isinstance(value, list) else value
    return found


_STRICT = json.JSONDecoder(object_pairs_hook=_joined)
_RAW_LINES = json.JSONDecoder(object_pairs_hook=_joined, strict=False)


def decode_at(text: str, start: int) -> tuple[Any, int] | None:
    """The value that begins there and where it ends, if it is JSON but for raw line ends inside strings."""
    for decoder in (_STRICT, _RAW_LINES):
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        return (value if decoder is _STRICT else _on_one_line(value)), end
    return None


def looks_like_json(text: str) -> bool:
    """Tell whether the text begins as an object or a list does, not as words in brackets do."""
    return _STRUCTURE.match(text) is not None


def mend(text: str) -> Any:
    """Return the value of invalid JSON, an object or a list; None if it is ambiguous or takes too long."""
    if len(text) > MAX_LETTERS or not looks_like_json(text) or not _is_shallow(text):
        return None
    quoted = _quoted_well(
        _STRING.sub(_with_backslashes, _FULL_COMMA.sub(",", _FULL_COLON.sub(":", text.replace('"""', '"'))))
    )
    found = decode_at(quoted, 0)
    if found is not None:
        return found[0] if _is_clean(found[0]) else None
    from json_repair import repair_json  # imported when a model first answers with broken JSON

    try:
        value = _on_one_line(repair_json(quoted, return_objects=True, skip_json_loads=True))
    except (ValueError, RecursionError):
        return None
    return value if _is_clean(value) else None


class Closings:
    """Where each bracket of a text closes, found in one pass.

    Brackets inside double quotes do not count, unless the quotes do not come out even.
    """

    def __init__(self, text: str) -> None:
        self._quoted = _closings(text, heed_quotes=True)
        self._plain = _closings(text, heed_quotes=False)

    def after(self, start: int) -> int | None:
        """The index behind the bracket that closes the one at `start`; None if none does."""
        end = self._quoted.get(start, self._plain.get(start))
        return None if end is None else end + 1


def _closings(text: str, *, heed_quotes: bool) -> dict[int, int]:
    found: dict[int, int] = {}
    opened: list[int] = []
    quoted = False
    for match in _BRACKETS.finditer(text):
        sign = match[0]
        if sign == '"':
            quoted = heed_quotes and bool(opened) and not quoted
        elif sign in "{[" and not quoted:
            opened.append(match.start())
        elif sign in "}]" and opened and not quoted:
            found[opened.pop()] = match.start()
    return found


def _is_shallow(text: str) -> bool:
    depth = brackets = 0
    for sign in text:
        if sign in "{[":
            depth += 1
            brackets += 1
            if depth > MAX_DEPTH or brackets > MAX_BRACKETS:
                return False
        elif sign in "}]":
            depth -= 1
    return True


def _with_backslashes(match: re.Match[str]) -> str:
    r"""A string in which one backslash escapes nothing (`C:\\Users\\new`), with all of them taken literally."""
    return _SINGLE_BACKSLASH.sub(r"\\\\", match[0]) if _NO_ESCAPE.search(match[0]) else match[0]


def _quoted_well(text: str) -> str:
    """The text with its strings in double quotes, and the quotes inside of them escaped.

    A quote begins a string behind `[`, `{`, `,` or `:`, and ends it in front of `:`, `]`, `}` or a comma after which
    the JSON continues; others, and apostrophes, belong to the text.
    """
    mark = "'" if _SINGLE.match(text) else '"'
    parts = text.split(mark)
    out, inside = [parts[0]], ""
    quoted = value = False
    for index, part in enumerate(parts[1:], 1):
        before = parts[index - 1]
        if not quoted and (before.rstrip()[-1:] or "[") in "[{,:":
            quoted, value, inside = True, before.rstrip().endswith(":"), part
        elif quoted and not before.endswith("\\") and _closes(part, parts[index + 1 : index + 3], value=value):
            out += [f'"{inside}"', part]
            quoted = False
        elif quoted:
            escaped = before.endswith("\\")
            inside = (inside[:-1] if escaped else inside) + ("'" if mark == "'" else '\\"') + part
        else:
            out.append(mark + part)
    return "".join(out) + (f'"{inside}' if quoted else "")


def _closes(after: str, behind: list[str], *, value: bool) -> bool:
    """Tell whether a quote ends a string, by the text between it and the next quote, and the text after that one."""
    rest = after.lstrip()
    if not rest:  # another quote stands right behind it: that one ends the string, unless a key begins with it
        return not behind or (after != "" and len(behind) > 1 and behind[1].lstrip().startswith(":"))
    if rest[0] in ":]}":
        return True
    if rest[0] != "," or _AFTER_COMMA.match(rest, 1) is None:
        return False
    # In an object, what follows the value of a key is another key.
    return not value or bool(rest[1:].strip()) or len(behind) < 2 or behind[1].lstrip().startswith(":")


def _is_clean(value: Any) -> bool:
    """Tell whether no string contains keys that follow it, as happens if its end is missing."""
    if isinstance(value, str):
        return _SWALLOWED.search(value) is None
    if isinstance(value, list):
        return all(map(_is_clean, value))
    if isinstance(value, dict):
        return all(map(_is_clean, value)) and all(map(_is_clean, value.values()))
    return True


def _on_one_line(value: Any) -> Any:
    """Strings whose raw line ends only wrap them."""
    if isinstance(value, str):
        if "\n" not in value:
            return value
        paragraphs = value.split("\n\n")
        return "\n\n".join(" ".join(filter(None, map(str.strip, each.split("\n")))) for each in paragraphs)
    if isinstance(value, list):
        return [_on_one_line(each) for each in value]
    if isinstance(value, dict):
        return {key: _on_one_line(each) for key, each in value.items()}
    return value
