"""A store that somebody edits behind the server's back: what is in it, the edit, and what may still be answered."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memhost.errors import NotFound, Tampered
from memhost.host import Host
from memhost.models import Caller, Document, Scope, Verification, WriteBatch
from memhost.ports import KeepsHistory
from tests.support.hosts import bound_to, run, running_host

Edit = Callable[[sqlite3.Connection], Any]

_DAMAGED = ("alice-5", "élise_5", "爱丽丝")
_NEAR = ("alice-4", "alice-9", "alice", "a", "zzz", "алиса-5", "爱丽", "-")


async def fill(host: Host) -> None:
    """Three memories each of alice and bob, one after the other, and a view and a session of each."""
    for user in ("alice", "bob"):
        for number in range(3):
            text = f"{user}token{number} decided something"
            given = {"id": f"{user}-{number}", "text": text, "user_id": user, "topics": [f"topic{number}"]}
            await run(host, "create_memories", memories=[given])
        await run(host, "create_summary_view", bound_to(users=(user,)), source="long_term", name=user)
        await run(host, "put_session", session_id=f"s-{user}", user_id=user, data={"of": f"{user}data"})


@contextmanager
def opened(folder: Path) -> Iterator[sqlite3.Connection]:
    """The file of the store sqlite, whose server is stopped."""
    with closing(sqlite3.connect(folder / "memhost.db")) as connection, connection:
        yield connection


def sql(statement: str) -> Edit:
    """The edit that one statement makes."""
    return lambda connection: connection.execute(statement)


async def verified(host: Host) -> Verification:
    """What a verification of the store alone finds, without the published head."""
    assert isinstance(host.store, KeepsHistory)
    return await host.store.verify()


async def edited(folder: Path, edit: Edit) -> None:
    """A store of which the server was stopped, and that somebody edited then."""
    async with running_host(folder, run_jobs=False) as host:
        await fill(host)
        await run(host, "edit_memory", memory_id="bob-0", text="bobtoken0 decided something first")
        await run(host, "edit_memory", memory_id="bob-0", text="bobtoken0 decided something")
        assert (await verified(host)).findings == []
    with opened(folder) as connection:
        edit(connection)


async def allowed(host: Host, operation: str, caller: Caller, **fields: Any) -> Any:
    """The answer, None if there is nothing to serve."""
    try:
        return await run(host, operation, caller, **fields)
    except (NotFound, Tampered):
        return None


def request_of(host: Host, operation: str, **fields: Any) -> Any:
    """A request of the operation."""
    return msgspec.convert(fields, host.operations[operation].request)


async def put_documents(host: Host, kind: str) -> None:
    """A document each under three ids, of a kind that is read a page at a time."""
    for name in _DAMAGED:
        document = Document(kind=kind, id=f"{name}|x", tenant="default", body=b"any", updated_at=host.clock.now())
        await host.store.commit(Scope(tenant="default"), WriteBatch(put_documents=[document]))


async def check_damage_is_told_of_its_own_ids(host: Host) -> None:
    """Whoever asks for an id beside those of `put_documents`, which are damaged now, learns nothing of these."""
    for name in _NEAR:
        with pytest.raises(NotFound):
            await run(host, "get_memory", memory_id=name)
    for name in _DAMAGED:
        with pytest.raises(Tampered):
            await run(host, "get_memory", memory_id=name)
    assert host.tampered.seen["document"] == {f"{name}|x" for name in _DAMAGED}, "the log and ready tell of all"
