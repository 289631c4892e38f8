"""Error messages of opening a store when the cause is outside memhost."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import apsw
import pytest
from redis import exceptions

from memhost_store_redis import failures as redis_failures
from memhost_store_sqlite import failures as sqlite_failures

Usage = namedtuple("Usage", "total used free")  # as shutil gives it


@pytest.mark.parametrize(("free", "told"), [(0, "disk is full"), (4096, "disk is full"), (10**9, "check the disk")])
def test_an_io_error_on_a_full_disk_says_full(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, told: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**10, 0, free))
    error = sqlite_failures.explain_opening(apsw.IOError("disk I/O error"), tmp_path / "memhost.db")
    assert told in str(error)


def test_another_error_on_a_full_disk_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**10, 0, 0))
    error = sqlite_failures.explain_opening(apsw.BusyError("busy"), tmp_path / "memhost.db")
    assert "another process" in str(error)
    gone = sqlite_failures.explain_opening(apsw.IOError("x"), tmp_path / "nowhere" / "memhost.db")
    assert "memhost.db" in str(gone)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("unknown command 'INFO', with args beginning with: ", "renamed or disabled"),
        ("unknown command 'EVALSHA', with args beginning with: 'x' ", "renamed or disabled"),
        ("unknown command 'FT._LIST', with args beginning with: ", "no query engine"),
        ("ERR unknown command `FT.SEARCH`, with args beginning with: `x`, ", "no query engine"),
    ],
)
def test_a_command_that_was_renamed_is_not_a_missing_engine(text: str, told: str) -> None:
    assert told in str(redis_failures.explain_opening(exceptions.ResponseError(text), "h:1", ["p"]))
