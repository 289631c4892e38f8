"""Sections of pages that a benchmark writes itself, so that no figure is copied by hand."""

from __future__ import annotations

from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def with_section(page: str, name: str, text: str) -> str:
    """The page with `text` between the comments `<!-- NAME -->` and `<!-- end of NAME -->`.

    Raises:
        ValueError: The page does not have both comments, once each, in this order.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed or begin in after or end in after:
        raise ValueError(f"The page needs the comments {begin.strip()} and {end}, once each, in this order.")
    return f"{before}{begin}\n{text.strip()}\n\n{end}{after}"


def write_section(name: str, text: str, page: Path = BENCHMARKS) -> None:
    """Put the text into the page's section of that name."""
    page.write_text(with_section(page.read_text(encoding="utf-8"), name, text), encoding="utf-8")
