"""Reading documents of many prefixes at once gives the same as one by one, with fewer queries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from memhost.host import Host
from memhost.models import Document, Scope, WriteBatch
from memhost.ports import Store
from memhost.storage.bound_documents import by_prefix
from memhost.testing.clock import FakeClock
from tests.support.hosts import running_host

KIND = "plugin:t"
LIMIT = 4
SCOPE = Scope(tenant="default")


class Counting:
    """A store that counts what it is asked."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.asked = 0

    async def list_documents(self, *args: Any, **options: Any) -> list[Document]:
        self.asked += 1
        return await self._store.list_documents(*args, **options)


async def put(host: Host, clock: FakeClock, ids: Sequence[str]) -> None:
    now = clock.now()
    documents = [
        Document(kind=KIND, id=name, tenant="default", namespace="", user="", body=b"", updated_at=now) for name in ids
    ]
    await host.store.commit(SCOPE, WriteBatch(put_documents=documents))


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize(
    ("ids", "prefixes", "most"),
    [
        ([], ["a|", "b|", "c|"], 1),
        (["a|1", "b|1", "c|1"], ["c|", "a|", "b|", "a|"], 1),
        (["a|1", "a|2", "a|b|1", "a|b|2", "ab|1"], ["a|", "a|b|", "ab|"], 3),
        ([f"{name}|{n}" for name in "abcdef" for n in "12"], ["a|", "f|", "c|", "x|"], 4),
        ([f"a|{n}" for n in range(9)] + ["b|1"], ["b|", "a|"], 2),
        (["é|1", "日|1", "😀|1", "z|1", "\ufffd|1"], ["😀|", "\ufffd|", "日|", "é|", "z|", "Ω|"], 3),
    ],
)
async def test_many_prefixes_answer_as_each_alone(
    store: str, tmp_path: Path, ids: list[str], prefixes: list[str], most: int
) -> None:
    clock = FakeClock()
    async with running_host(tmp_path, store=store, clock=clock, run_jobs=False) as host:
        await put(host, clock, ids)
        counting: Any = Counting(host.store)
        found = await by_prefix(counting, SCOPE, KIND, prefixes, clock.now(), LIMIT)
    assert found.keys() == set(prefixes)
    for prefix, documents in found.items():
        expected = sorted(name for name in ids if name.startswith(prefix))
        told = [document.id for document in documents]
        assert told == expected[: len(told)]
        assert len(told) >= min(LIMIT, len(expected))
    assert counting.asked <= most
