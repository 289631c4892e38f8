"""Whoever writes an id first keeps nobody else's other memories out, on any path."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from memhost.errors import IdTaken, NotFound
from memhost.host import Host
from memhost.models import Caller
from memhost.operations import Call
from tests.core.views.test_views import STORES
from tests.support.hosts import bound_to, run, running_host

ANNE, BERT = bound_to(users=("anne",)), bound_to(users=("bert",))
TAKEN = ("profile-bert", "notes-bert")


async def take(host: Host) -> None:
    memories = [{"id": name, "text": f"anne has {name}", "user_id": "anne"} for name in TAKEN]
    await run(host, "create_memories", ANNE, memories=memories)


async def reads(host: Host, memory_id: str, caller: Caller = BERT) -> str:
    return str((await run(host, "get_memory", caller, memory_id=memory_id)).text)


@STORES
@pytest.mark.parametrize("operation", ["create_memories", "store_memories"])
async def test_the_others_of_a_request_are_stored(store: str, operation: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store) as host:
        await take(host)
        given = [{"id": f"b{number}", "text": f"bert says {number}", "user_id": "bert"} for number in range(9)]
        given[4:4] = [{"id": name, "text": "mine", "user_id": "bert"} for name in TAKEN]
        with pytest.raises(
            IdTaken, match=r"notes-bert, profile-bert\. The other 9 of the request were stored"
        ) as caught:
            await run(host, operation, BERT, memories=given)
        assert caught.value.ids == ("notes-bert", "profile-bert")
        assert [await reads(host, f"b{number}") for number in range(9)] == [f"bert says {n}" for n in range(9)]
        assert await reads(host, TAKEN[0], ANNE) == "anne has profile-bert"
        with pytest.raises(NotFound):
            await reads(host, TAKEN[0])
        with pytest.raises(IdTaken) as caught:
            await run(host, operation, BERT, memories=given[4:6])
        assert "stored" not in str(caught.value)


@STORES
async def test_a_session_is_stored_without_them_in_long_term_memory(store: str, tmp_path: Path) -> None:
    async with running_host(tmp_path, store=store) as host:
        await take(host)
        given = {
            "messages": [{"role": "user", "content": "hi", "id": TAKEN[0]}],
            "memories": [{"id": name, "text": f"bert has {name}"} for name in (*TAKEN, "own")],
        }
        operation = host.operations["put_session"]
        for again in (False, True):
            call = Call(caller=BERT, request_id="test")
            request = msgspec.convert({"session_id": "s", "user_id": "bert", **given}, operation.request)
            view = await host.execute("put_session", call, request)
            assert {item.id: item.persisted_at is not None for item in view.memories} == {
                TAKEN[0]: False,
                TAKEN[1]: False,
                "own": True,
            }
            assert [message.content for message in view.messages] == ["hi"]
            ((_, sentence),) = [notice for notice in call.notices if notice[0] == "id_taken"]
            assert "notes-bert, profile-bert" in sentence
            assert await reads(host, "own") == "bert has own", again
        await run(host, "delete_memories", ANNE, memory_ids=list(TAKEN))
        await run(host, "put_session", BERT, session_id="s", user_id="bert", **given)
        assert await reads(host, TAKEN[1]) == "bert has notes-bert"
