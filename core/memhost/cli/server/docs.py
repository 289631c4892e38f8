"""`memhost docs`: the documentation, as it is shipped with the package or lies in the checkout."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

import click

import memhost
from memhost.cli.options import json_option, show
from memhost.errors import NotFound

_ROOT_PAGES = ("README.md", "CHANGELOG.md", "SECURITY.md")


@click.command()
@click.argument("name", required=False)
@json_option
def docs(name: str | None, as_json: bool) -> None:
    """Read the documentation offline. NAME is a page; without NAME the command lists the pages."""
    found = pages()
    if name is None:
        titles = {page: title_of(path) for page, path in found.items()}
        if as_json:
            show({"pages": [{"name": page, "title": title} for page, title in titles.items()]})
            return
        width = max(map(len, titles), default=0)
        for page, title in titles.items():
            click.echo(f"{page:<{width}}  {title}")
        return
    text = _page(found, name).read_text(encoding="utf-8")
    if as_json:
        show({"markdown": text})
    elif sys.stdout.isatty():
        click.echo_via_pager(text)
    else:
        click.echo(text, nl=False)


def pages() -> dict[str, Path]:
    """The pages by name, in the order in which they are read.

    Raises:
        NotFound: This installation has none.
    """
    package = Path(memhost.__file__).parent
    for root, folder in ((package / "documentation", "docs"), (package.parents[1], "docs")):
        if (root / folder).is_dir() and (root / "README.md").is_file():
            listed = [root / page for page in _ROOT_PAGES] + sorted((root / folder).rglob("*.md"))
            return {_name(path, root, folder): path for path in listed if path.is_file()}
    raise NotFound("This installation contains no documentation.")


def title_of(path: Path) -> str:
    """The heading of a page."""
    with path.open(encoding="utf-8") as lines:
        return next((line.strip("# \n") for line in lines if line.startswith("# ")), path.stem)


def _name(path: Path, root: Path, folder: str) -> str:
    inside = path.relative_to(root)
    return inside.with_suffix("").as_posix().removeprefix(f"{folder}/")


def _page(found: dict[str, Path], name: str) -> Path:
    wanted = name.removesuffix(".md").removeprefix("docs/").casefold()
    for page, path in found.items():
        if wanted in (page.casefold(), page.rpartition("/")[2].casefold()):
            return path
    close = difflib.get_close_matches(wanted, [page.casefold() for page in found], n=1)
    raise NotFound(f"There is no page {name}." + (f" Did you mean {close[0]}?" if close else " See: memhost docs"))
