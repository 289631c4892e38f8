"""Pages without the rests of what once stood in them.

`PRAGMA secure_delete` overwrites a cell that is deleted, but when SQLite moves cells to another page of a tree, copies
may stay behind in the space between the pointers of a page and its cells. Nothing reads them, and nothing removes them.
So whatever the writer's connection writes into the file goes through a file system of SQLite's own kind (VFS) that
fills that space with zeros. The format is documented: "B-tree Pages", https://sqlite.org/fileformat2.html#b_tree_pages.
"""

from __future__ import annotations

from functools import cache

import apsw

NAME = "memhost-clean"
_TREES = {2: 12, 5: 12, 10: 8, 13: 8}
"""Length of the header by the first byte of a page that belongs to a tree."""
_FILE_HEADER = 100
_LEAST, _LARGEST = 512, 65536
_FARTHEST = 2**25 * _LEAST
"""In a file up to this size no page of another sort begins with one of those bytes: overflow and free pages begin with
the number of a page, which is below 2**25 there. Pages of pointers, which begin otherwise, exist only in files with
`auto_vacuum`, and those are not written through here (see `connection.connect`)."""


def without_rests(page: bytes, offset: int) -> bytes:
    """Return the page to write at that offset of the file, with zeros in its unused parts.

    Args:
        page: A page; anything else comes back as it is.
        offset: Where it belongs, in bytes.
    """
    size = len(page)
    if not _LEAST <= size <= _LARGEST or size & (size - 1) or offset % size or offset >= _FARTHEST:
        return page
    start = _FILE_HEADER if offset == 0 else 0
    header = _TREES.get(page[start])
    if header is None:
        return page
    first = start + header + 2 * int.from_bytes(page[start + 3 : start + 5], "big")
    last = int.from_bytes(page[start + 5 : start + 7], "big") or _LARGEST
    if not first < last <= size:
        return page
    zeros = bytes(last - first)  # compared as a whole: `strip` looks for each byte by itself, a hundred times as long
    return page if page.startswith(zeros, first) else page[:first] + zeros + page[last:]


class _File(apsw.VFSFile):
    """The file of the database. Once it is so large that a page's number may look like a tree, nothing is changed."""

    def __init__(self, name: str | apsw.URIFilename, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._small = self.xFileSize() < _FARTHEST

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - the name that SQLite gives it
        self._small = self._small and offset < _FARTHEST
        super().xWrite(without_rests(bytes(data), offset) if self._small else data, offset)


class _FileSystem(apsw.VFS):
    def __init__(self) -> None:
        super().__init__(NAME, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        if name is not None and flags[0] & apsw.SQLITE_OPEN_MAIN_DB:
            return _File(name, flags)
        return super().xOpen(name, flags)


@cache
def clean_file_system() -> str:
    """The name of the VFS, which is there from now on."""
    _KEPT.append(_FileSystem())
    return NAME


_KEPT: list[apsw.VFS] = []
"""A VFS lasts as long as its object."""
