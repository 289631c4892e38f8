"""Running summaries are made again where a turn that they cover was edited or deleted, and only there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from memhost.errors import ModelUnavailable
from memhost.host import Host
from memhost.models import Scope
from memhost.sessions.summary_renewal import KIND
from memhost.testing.clock import FakeClock
from memhost.testing.models import Asked
from tests.core.jobs.test_jobs import work
from tests.core.sessions.test_session_summaries import get, host_with_model, ids, put, said
from tests.support import scripted
from tests.support.hosts import run
from tests.support.scripted import Script

STORES = pytest.mark.parametrize("store", ["memory", "sqlite"])
INDEXED = {"INDEX_ALL_MESSAGES": "true"}


def lines(asked: Asked) -> str:
    """A summary that says which lines it was made of."""
    return "lines " + " ".join(dict.fromkeys(re.findall(r"line (\d+|edited)", asked.prompt)))


@pytest.fixture
def script() -> Script:
    found = scripted.reset()
    found.rule = lines
    return found


async def worked(host: Host) -> None:
    """Run what is due a second later: times of writes rise by themselves."""
    assert isinstance(host.clock, FakeClock)
    host.clock.advance(1)
    await work(host)


async def marks(host: Host) -> int:
    return len(await host.store.list_documents(Scope(), KIND, host.clock.now()))


ALL = "lines 000 001 002 003 004 005 006 007"


@STORES
async def test_a_summary_leaves_out_a_deleted_turn(store: str, tmp_path: Path, script: Script) -> None:
    async with host_with_model(tmp_path, store, **INDEXED) as host:
        assert (await put(host, said(*range(10)))).context == ALL
        await run(host, "delete_memories", memory_ids=["m1"])
        assert await marks(host) == 1
        await worked(host)
        view = await get(host)
        assert (view.context, ids(view), await marks(host)) == (ALL.replace(" 001", ""), ["m8", "m9"], 0)
        again = await put(host, said(*range(10)))  # who sends all of it again brings nothing back
        assert (again.context, ids(again)) == (view.context, ["m8", "m9"])


async def test_a_summary_leaves_out_the_former_text_of_an_edited_turn(tmp_path: Path, script: Script) -> None:
    async with host_with_model(tmp_path, **INDEXED) as host:
        await put(host, said(*range(10)))
        edited = {"role": "user", "content": "line edited", "id": "m1"}
        await run(host, "change_session", session_id="s", messages=[edited])
        await worked(host)
        view = await get(host)
        assert (view.context, ids(view)) == (ALL.replace(" 001", ""), ["m8", "m9", "m1"])


async def test_a_client_that_read_the_former_summary_does_not_bring_it_back(tmp_path: Path, script: Script) -> None:
    async with host_with_model(tmp_path, **INDEXED) as host:
        first = await put(host, said(*range(10)))
        await run(host, "delete_memories", memory_ids=["m1"])
        await worked(host)
        view = await put(host, said(8, 9, 10), context=first.context)
        assert view.context == ALL.replace(" 001", "")


async def test_a_summary_of_nothing_is_none(tmp_path: Path, script: Script) -> None:
    async with host_with_model(tmp_path, **INDEXED) as host:
        await put(host, said(*range(10)))
        await run(host, "delete_memories", memory_ids=[f"m{number}" for number in range(8)])
        await worked(host)
        view = await get(host)
        assert (view.context or None, ids(view)) == (None, ["m8", "m9"])


async def test_other_turns_and_memories_leave_it_as_it_is(tmp_path: Path, script: Script) -> None:
    async with host_with_model(tmp_path, **INDEXED) as host:
        await put(host, said(*range(10)))
        await run(host, "put_session", session_id="t", messages=said(1, 2, ids=False))
        await run(host, "create_memories", memories=[{"id": "own", "text": "A memory.", "session_id": "s"}])
        found = await run(host, "search_memories", session_id={"eq": "t"}, limit=10)
        calls = len(script.calls)
        await run(host, "delete_memories", memory_ids=["m9", "own", *(hit.id for hit in found.memories)])
        assert await marks(host) == 0
        await worked(host)
        assert ((await get(host)).context, len(script.calls)) == (ALL, calls)


async def test_white_space_leaves_it_as_it_is(tmp_path: Path, script: Script) -> None:
    async with host_with_model(tmp_path, **INDEXED) as host:
        view = await put(host, said(*range(10)))
        last = said(9)[0]
        await put(host, [*said(8), {**last, "content": last["content"] + " "}], context=view.context)
        assert await marks(host) == 0


async def test_a_context_of_the_client_is_left_alone(tmp_path: Path, script: Script) -> None:
    async with host_with_model(tmp_path, **INDEXED) as host:
        await put(host, said(*range(10)))
        await run(host, "delete_memories", memory_ids=["m1"])
        await put(host, said(8, 9), context="my own")
        await worked(host)
        assert (await get(host)).context == "my own"


async def test_a_summary_of_turns_that_are_not_kept_stays(tmp_path: Path, script: Script) -> None:
    async with host_with_model(tmp_path) as host:
        await put(host, said(*range(10)))
        edited = {"role": "user", "content": "line edited", "id": "m1"}
        await run(host, "change_session", session_id="s", messages=[edited])
        await worked(host)
        assert ((await get(host)).context, await marks(host)) == (ALL, 0)


async def test_a_model_that_is_away_leaves_the_mark(tmp_path: Path, script: Script) -> None:
    async with host_with_model(tmp_path, **INDEXED) as host:
        await put(host, said(*range(10)))
        await run(host, "delete_memories", memory_ids=["m1"])
        script.rule = lambda _asked: ModelUnavailable("away")
        await worked(host)
        assert ((await get(host)).context, await marks(host)) == (ALL, 1)
