"""Importing lists of memories that memhost did not export."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

import pytest

from memhost.admin import transfer_lists
from memhost.admin.export_import import Exporter, Importer, Tally
from memhost.errors import InvalidRequest
from memhost.host import Host
from memhost.models import Scope
from memhost.testing.clock import FakeClock
from tests.support.hosts import run, running_host

LIST: list[dict[str, Any]] = [
    {"id": "a", "text": "Likes tea", "user_id": "ann", "topics": ["drinks"], "created_at": "2020-01-01T00:00:00Z"},
    {"text": "Likes \u00fcbung", "user_id": "ann", "metadata": {"n": 1}, "event_date": "2021-01-01"},
    {"text": "Likes tea", "user_id": "bob", "score": 0.5, "dist": 0.5},
]


async def take(host: Host, content: bytes, **options: Any) -> Tally:
    importer = Importer(store=host.store, embedder=host.embedder, tenant="default", clock=host.clock, **options)
    for number, line in enumerate(content.splitlines(keepends=True), start=1):
        await importer.feed(number, line)
    return await importer.finish()


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
async def test_lists_are_read_and_twice_is_once(
    *, indent: int | None, wrapped: bool, mark: bytes, tmp_path: Path
) -> None:
    clock = FakeClock()
    content = mark + json.dumps({"memories": LIST} if wrapped else LIST, indent=indent).encode()
    async with running_host(tmp_path, store="memory", clock=clock, run_jobs=False) as host:
        assert (await take(host, content, dry_run=True)).created == 3
        tally = await take(host, content)
        assert (tally.created, tally.problems, tally.complete) == (3, [], True)
        found = await run(host, "search_memories", text="tea", user_id={"eq": "ann"})
        assert (found.memories[0].id, found.memories[0].created_at.year) == ("a", 2020)
        clock.advance(60)
        again = await take(host, content)
        assert (again.created, again.replaced, again.unchanged) == (0, 0, 3)
        assert (await host.store.list_memories(Scope(tenant="default")))[1] == 3


async def test_what_cannot_be_read_is_told_and_the_rest_is_taken(tmp_path: Path) -> None:
    wrong = [{"txt": "x"}, {"text": " "}, "text", {"text": "ok", "topics": ["a,b"]}, {"text": "ok", "user_id": 5}]
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        tally = await take(host, json.dumps([*wrong, LIST[0]]).encode())
        assert (tally.created, [problem.line for problem in tally.problems]) == (1, [1, 2, 3, 4, 5])
        assert "Did you mean text?" in tally.problems[0].message
        assert (await run(host, "get_memory", memory_id="a")).text == "Likes tea"


async def test_an_export_with_a_mark_is_read(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await run(host, "create_memories", memories=[LIST[0]])
        lines = b"".join([line async for line in Exporter(host.store, host.clock).lines(Scope(tenant="default"))])
        await run(host, "delete_memories", memory_ids=["a"])
        tally = await take(host, codecs.BOM_UTF8 + lines)
        assert (tally.created, tally.complete) == (1, True)


@pytest.mark.parametrize(
    "content", [b"hello", b"{}", b'{"memories": 5}', b'{"a": 1}\n{"b": 2}\n', b'[{"text": "x"}', b'"x"', b"5"]
)
async def test_other_files_are_refused_with_what_would_be_read(content: bytes, tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        with pytest.raises(InvalidRequest) as told:
            await take(host, content)
        assert "JSON list of memories" in told.value.message


async def test_a_list_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_lists, "LARGEST", 100)
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        with pytest.raises(InvalidRequest, match="split the file"):
            await take(host, json.dumps(LIST, indent=1).encode())
