"""Write the names of months and the relative words of many languages from the data of dateparser.

dateparser (BSD-3-Clause, https://github.com/scrapinghub/dateparser) carries the names of Unicode's CLDR with additions
of its own. Reading dates with the library itself costs more than a whole search (docs/development.md, "Decisions");
its data as a table costs nothing.

Run it from the project root where dateparser is installed (no part of memhost needs it otherwise)::

    pip install dateparser
    python -m tools.date_words core/memhost/text/temporal/date_names.py
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

LANGUAGES = (
    *("en", "de", "fr", "es", "it", "pt", "nl", "ru", "tr", "ar", "pl", "ro"),
    *("el", "hi", "sv", "da", "nb", "fi", "cs", "uk", "bg", "hu", "he", "id"),
)
RELATIVE = ("nl", "tr", "ar", "ko", "pl", "ro", "el", "hi")
"""Languages whose relative words are not in `calendar_words`, which knows more of its nine than phrases."""
MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_FIXED = re.compile(r"(?:(\d+) (day|week|month|year) ago|in (\d+) (day|week|month|year))\Z")
_COUNTED = re.compile(r"(?:\\1 (day|week|month|year) ago|in \\1 (day|week|month|year))\Z")
_NUMBER = r"(\d++[.,]?\d*+)"
_ROMAN = re.compile(r"[IVX]+\.?\Z")
_HEAD = '''"""Names of months and relative words by language. Written by `python -m tools.date_words`; do not edit.

Source: dateparser {version} (BSD-3-Clause), which takes them from Unicode's CLDR and adds to them.
"""

from __future__ import annotations

'''


def names(info: dict[str, Any]) -> list[str]:
    """Return twelve lines, the names of each month, in lower case."""
    lines = []
    for month in MONTHS:
        kept = (name.lower().strip(".") for name in info.get(month, ()) if not _ROMAN.match(name))
        lines.append(", ".join(dict.fromkeys(name for name in kept if len(name) > 2)))
    return lines


def phrases(info: dict[str, Any]) -> Iterator[str]:
    """Yield lines of a unit, how many of it lie ahead, and the phrases; `#` stands for a number."""
    for key, said in info["relative-type"].items():
        if match := _FIXED.match(key):
            shift = -int(match[1]) if match[1] else int(match[3])
            yield f"{match[2] or match[4]} {shift}: " + ", ".join(dict.fromkeys(said))
    for key, said in info["relative-type-regex"].items():
        if match := _COUNTED.match(key):
            sign = "-#" if match[1] else "#"
            forms = (form.replace(_NUMBER, "#") for form in said if form.count(_NUMBER) == 1)
            yield f"{match[1] or match[2]} {sign}: " + ", ".join(dict.fromkeys(forms))


def page() -> str:
    """Return the module's text."""
    parts = [_HEAD.format(version=version("dateparser")), 'MONTHS = """\n']
    for language in LANGUAGES:
        parts += [f"{language}\n", *(f"{line}\n" for line in names(_info(language)))]
    parts += ['"""\n"""A language and, in the lines below it, the names of each month."""\n\n', 'RELATIVE = """\n']
    for language in RELATIVE:
        parts += [f"{language}\n", *(f"{line}\n" for line in phrases(_info(language)))]
    parts.append('"""\n"""A language and, below it, a unit, how many of it lie ahead (`#`: as said), phrases."""\n')
    return "".join(parts)


def _info(language: str) -> dict[str, Any]:
    found: dict[str, Any] = import_module(f"dateparser.data.date_translation_data.{language}").info
    return found


def main() -> None:
    """Write the file that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    parser.parse_args().target.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
