"""Language of the code: docstrings say what a function returns or does, in active sentences.

"What came of a call" and "Whether the store answers" name a thing and leave the reader to find the verb; "Return the
result of a call" and "Tell whether the store answers" are read once. Folders are listed as they are finished, so that
the rule holds where it was applied and the rest of the repository can follow.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FINISHED = (
    "core/memhost",
    "plugins/auth",
    "plugins/interfaces",
    "plugins/models",
    "plugins/pipelines",
    "plugins/runners",
    "plugins/stores",
    "plugins/strategies",
)
"""Folders in which all docstrings and comments follow the rule. Add a folder once it does; none leaves the list."""

NOUN_PHRASE = re.compile(r"(What|Whether|How)\b")

WORST = re.compile(r"\b(has not the right|anew|(is|are) told of)\b")
"""Phrases that a reader stumbles over; "lacks the permission", "again" and "is logged" or "receives" are meant."""


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each docstring, those of attributes among them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value.strip()


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each comment."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def faults(source: str) -> list[str]:
    """Docstrings and comments against the rule, each with its line."""
    found = [f"{line}: {text[:60]}" for line, text in docstrings(source) if NOUN_PHRASE.match(text)]
    for line, text in (*docstrings(source), *comments(source)):
        found += [f"{line}: ... {match[0]} ..." for match in WORST.finditer(" ".join(text.split()))]
    return found


@pytest.mark.parametrize("folder", FINISHED)
def test_docstrings_and_comments_are_plain(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    assert {str(path.relative_to(ROOT)): told for path in files if (told := faults(path.read_text()))} == {}


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ('def f():\n    """Whether it is."""\n', 1),
        ('A = 1\n"""How many."""\n', 1),
        ('def f():\n    """Tell whether it is."""\n', 0),
        ('def f():\n    """Write the file anew, which the plugin\n    is told of."""\n', 2),
        ("# this is done anew\n", 1),
        ("indexed_anew = 1  # again\n", 0),
    ],
)
def test_faults_are_found(source: str, count: int) -> None:
    assert len(faults(source)) == count
