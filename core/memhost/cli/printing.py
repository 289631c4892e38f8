"""How commands show memories, sessions and tables to people."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

WIDTH_WITHOUT_TERMINAL = 120


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
        width=None if terminal else WIDTH_WITHOUT_TERMINAL,
        soft_wrap=False,
    )


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> None:
    """Print a table on stdout. Cells are text, never markup."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text(printable(cell)) for cell in row))
    console().print(made)


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
