"""Output of memories, sessions and tables for people."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

WIDTH_WITHOUT_TERMINAL = 120
_NARROW = 8  # characters that a column needs at least to be read


def console(stream: TextIO | None = None) -> Console:
    """A console for tables; plain text without colours where there is no terminal."""
    from rich.console import Console

    class Quiet(Console):
        """Leaves it to the command line's boundary what a closed pipe means."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    file = sys.stdout if stream is None else stream
    terminal = file.isatty()
    return Quiet(
        file=file,
        highlight=False,
        no_color=bool(os.environ.get("NO_COLOR")) or not terminal,
        width=None if terminal else _columns(),
        soft_wrap=False,
    )


def _columns() -> int:
    """Return the width of output that goes to no terminal: COLUMNS if set, else 120."""
    given = os.environ.get("COLUMNS", "")
    return int(given) if given.isdecimal() and 20 <= int(given) <= 1000 else WIDTH_WITHOUT_TERMINAL


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None, whole: Sequence[str] = ()
) -> None:
    """Print a table on stdout. Cells are text, never markup; columns of `whole` are never broken, so can be copied."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    listed = [[printable(cell) for cell in row] for row in rows]
    least = 0
    for place, column in enumerate(columns):
        width = max((len(row[place]) for row in listed), default=0) if column in whole else None
        made.add_column(column, overflow="fold", no_wrap=column in whole, min_width=width)
        least += _NARROW if width is None else width + 2
    for row in listed:
        made.add_row(*map(Text, row))
    screen = console()
    screen.print(made, width=max(least, screen.width), crop=False)


def progress(description: str, total: int | None) -> tuple[Progress, Any]:
    """A progress bar on stderr, shown only on a terminal; use as context manager, then `advance(task)`."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console(sys.stderr),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    return bar, bar.add_task(description, total=total)


def byte_progress(description: str, total: int) -> tuple[Progress, Any]:
    """A progress bar over bytes; otherwise like `progress`."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=console(sys.stderr),
        disable=not sys.stderr.isatty(),
        transient=True,
    )
    return bar, bar.add_task(description, total=total)


def printable(text: str) -> str:
    """The text without control characters, which could play tricks on a terminal."""
    return "".join(char if char.isprintable() or char in "\n\t" else "�" for char in text)


def shorten(text: str, limit: int = 200) -> str:
    """The text on one line, cut at `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def day(value: str | None) -> str:
    """The date of a time in ISO 8601."""
    return (value or "")[:10]


def minute(value: str | None) -> str:
    """Date and time, to the minute, of a time in ISO 8601."""
    return (value or "")[:16].replace("T", " ")


def score(value: Any) -> str:
    """A score of a hit."""
    return f"{value:.3f}" if isinstance(value, (int, float)) else "-"
