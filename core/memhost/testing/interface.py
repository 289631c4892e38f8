"""`InterfaceConformance`: what every door to the operations must do, as tests.

    class TestMyDoor(InterfaceConformance):
        plugins = {"acme": "acme_door"}
        interface = "acme"

        def door(self, host, client):
            return MyDoor(host, client)

`door` gives a `Door`: the test's client of the interface, which calls an operation and says what came of it. `client`
is an HTTP client of the application without a socket; `plugins` and `interface` are entry-point name and module of the
plugin, and the name of its spec. Operations that the door does not offer are skipped. Tokens are the names of
`memhost.testing.callers.CALLERS`. `longest_text` is for doors that take only shorter texts of memories than 50,000
characters.

It is for interfaces whose calls are operations, whatever they are called there: REST and MCP both run it. One that does
something else with memory (as a proxy for chats does) has nothing to translate, and is tested by its own promises.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import pytest

from memhost.errors import StoreUnavailable
from memhost.host import core_operations
from memhost.models import Caller, Scope
from memhost.ports import Credentials
from memhost.testing.callers import NamedCallers
from memhost.testing.hosts import running_host

if TYPE_CHECKING:
    import httpx

    from memhost.host import Host


class Outcome(NamedTuple):
    """The result of a call: `ok` and the answer as JSON value, or the code of the error and its sentence.

    `notice` is what the interface says beside an answer, as of arguments that it does not know.
    """

    code: str
    answer: Any
    notice: str = ""


class Door(Protocol):
    """A client of an interface, as a test uses it."""

    def offers(self, operation: str) -> bool:
        """Tell whether the interface has this operation."""
        ...

    async def call(self, operation: str, arguments: Mapping[str, Any], token: str | None) -> Outcome:
        """Call the operation with these arguments, as the caller with that token (None: without credentials)."""
        ...


_VIEW = {
    "name": "v",
    "source": "long_term",
    "group_by": ["user_id"],
    "filters": {},
}
_MESSAGE = {"id": "m1", "role": "user", "content": "I moved to Lisbon.", "created_at": "2026-01-02T03:04:05Z"}
_MEMORY = {"id": "a1", "text": "Ann keeps a blue boat in Kiel", "user_id": "ann", "topics": ["boats"]}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "retry_job": {"job_id": "j"},
    "discard_job": {"job_id": "j"},
    "extract_session": {"session_id": "s", "wait_s": 0},
    "session_extraction": {"session_id": "s"},
    "preview_extraction": {"messages": [{"role": "user", "content": "hi", "created_at": "2026-01-02T03:04:05Z"}]},
    "create_memories": {"memories": [_MEMORY]},
    "store_memories": {"memories": [_MEMORY]},
    "search_memories": {"text": "boat"},
    "get_memory": {"memory_id": "a1"},
    "explain_memory": {"memory_id": "a1"},
    "rebuild_memories": {},
    "edit_memory": {"memory_id": "a1", "text": "changed"},
    "list_memory_versions": {"memory_id": "a1"},
    "get_memory_version": {"memory_id": "a1", "version": 1},
    "compare_memory_versions": {"memory_id": "a1", "version": 1},
    "restore_memory_version": {"memory_id": "a1", "version": 1},
    "redact_memory_version": {"memory_id": "a1", "version": 1},
    "export_user": {"user_id": "ann"},
    "delete_memories": {"memory_ids": ["a1"]},
    "get_context": {"query": "boat", "budget": 500},
    "memory_prompt": {"query": "boat", "long_term_search": {"limit": 5}},
    "forget_memories": {"policy": {}},
    "restore_memories": {"ids": ["a1"]},
    "get_review": {"memory_id": "a1"},
    "approve_reviews": {"memory_ids": ["a1"]},
    "correct_review": {"memory_id": "a1", "text": "changed"},
    "refuse_reviews": {"memory_ids": ["a1"]},
    "validate_prompt": {"prompt": "Note drinks from {message}."},
    "create_summary_view": _VIEW,
    "get_summary_view": {"view_id": "v"},
    "update_summary_view": {"view_id": "v", "name": "w"},
    "delete_summary_view": {"view_id": "v"},
    "run_summary_view": {"view_id": "v"},
    "run_summary_view_partition": {"view_id": "v", "group": {"user_id": "ann"}},
    "list_summary_view_partitions": {"view_id": "v"},
    "get_task": {"task_id": "t"},
    "get_plugin": {"name": "store-memory"},
    "get_session": {"session_id": "s"},
    "put_session": {"session_id": "s", "user_id": "ann", "messages": [_MESSAGE]},
    "change_session": {"session_id": "s", "user_id": "ann", "messages": [_MESSAGE]},
    "delete_session": {"session_id": "s"},
    "delete_user": {"user_id": "ann"},
    "get_profile": {"user_id": "ann"},
}
"""Arguments that each operation accepts; those not named need none."""

CLOSED = sorted(each.name for each in core_operations() if each.access != "open")
OPEN = sorted(each.name for each in core_operations() if each.access == "open")
CHANGING = sorted(each.name for each in core_operations() if each.access in ("write", "delete"))
ADMINISTRATION = sorted(each.name for each in core_operations() if each.access == "admin")


@pytest.mark.asyncio
class InterfaceConformance:
    """Every promise of an interface."""

    plugins: ClassVar[Mapping[str, str]] = {}
    interface: ClassVar[str] = ""
    settings: ClassVar[Mapping[str, str]] = {}
    longest_text: ClassVar[int] = 50_000

    def door(self, host: Host, client: httpx.AsyncClient) -> Door:
        """The test's client of the interface; override it."""
        raise NotImplementedError("give a method `door` that returns a client of your interface")

    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[tuple[Host, Door]]:
        """A host with the interface mounted, and the door."""
        import httpx

        from memhost.http.app import build_app

        given = {"AUTH": "testing", "INTERFACES": self.interface, "AUTH_FAILURES_PER_MINUTE": "0", **self.settings}
        async with running_host(folder, plugins=self.plugins, settings=given) as host:
            app: Any = build_app(host)
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                yield host, self.door(host, client)

    # -- who may ---------------------------------------------------------------------------------------

    @pytest.mark.parametrize("operation", CLOSED)
    async def test_without_credentials_nothing_is_done(self, tmp_path: Path, operation: str) -> None:
        async with self.opened(tmp_path) as (_, door):
            assert (await ask(door, operation, None)).code == "unauthorized"
            assert (await ask(door, operation, "nobody")).code == "unauthorized"

    @pytest.mark.parametrize("operation", OPEN)
    async def test_open_operations_need_no_credentials(self, tmp_path: Path, operation: str) -> None:
        async with self.opened(tmp_path) as (_, door):
            assert (await ask(door, operation, None)).code == "ok"

    @pytest.mark.parametrize("operation", CHANGING)
    async def test_readers_change_nothing(self, tmp_path: Path, operation: str) -> None:
        async with self.opened(tmp_path) as (_, door):
            assert (await ask(door, operation, "reader")).code == "forbidden"

    @pytest.mark.parametrize("operation", ADMINISTRATION)
    async def test_only_administrators_administer(self, tmp_path: Path, operation: str) -> None:
        async with self.opened(tmp_path) as (_, door):
            assert (await ask(door, operation, "ann")).code == "forbidden"

    async def test_users_do_not_see_each_other(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as (_, door):
            await done(door, "create_memories", "ann")
            assert texts(await done(door, "search_memories", "ann")) == [_MEMORY["text"]]
            assert texts(await done(door, "search_memories", "bob")) == []
            assert (await ask(door, "get_memory", "bob")).code == "not_found"

    async def test_tenants_do_not_see_each_other(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as (_, door):
            await done(door, "create_memories", "admin")
            assert texts(await done(door, "search_memories", "elsewhere")) == []
            assert (await ask(door, "get_memory", "elsewhere")).code == "not_found"

    async def test_nobody_writes_for_another(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as (host, door):
            assert (await ask(door, "create_memories", "bob")).code != "ok"
            assert (await host.store.list_memories(Scope()))[1] == 0

    async def test_overlapping_calls_keep_their_callers(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as (_, door):
            await done(door, "create_memories", "ann")
            names = ["ann", "bob", "elsewhere", "admin"] * 5
            found = await asyncio.gather(*(done(door, "search_memories", name) for name in names))
            for name, answer in zip(names, found, strict=True):
                assert len(texts(answer)) == (1 if name in ("ann", "admin") else 0), name

    # -- what is done ----------------------------------------------------------------------------------

    async def test_what_is_written_is_found_at_once(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as (_, door):
            await done(door, "create_memories", "ann")
            (found,) = (await done(door, "search_memories", "ann", text="Where is the boat?"))["memories"]
            assert (found["id"], found["topics"], found["user_id"]) == ("a1", ["boats"], "ann")

    async def test_edits_and_deletions_hold(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as (_, door):
            await done(door, "create_memories", "ann")
            assert (await done(door, "edit_memory", "ann", text="Ann sold her boat"))["text"] == "Ann sold her boat"
            assert (await done(door, "get_memory", "ann"))["text"] == "Ann sold her boat"
            await done(door, "delete_memories", "ann")
            assert (await ask(door, "get_memory", "ann")).code == "not_found"

    async def test_sessions_are_kept_and_their_turns_found(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as (_, door):
            await done(door, "put_session", "ann", data={"mood": "good"})
            read = await done(door, "get_session", "ann", user_id="ann")
            assert (read["messages"][0]["content"], read["data"]) == ("I moved to Lisbon.", {"mood": "good"})
            assert any("Lisbon" in text for text in texts(await done(door, "search_memories", "ann", text="Lisbon")))
            await done(door, "delete_session", "ann", user_id="ann")
            assert (await ask(door, "get_session", "ann", user_id="ann")).code == "not_found"

    @pytest.mark.parametrize(
        "text",
        ["😀 ünïcode שלום", "line\nline\ttab", '"quoted" \\ {x}', "x"],
        ids=["unicode", "lines", "quotes", "long"],
    )
    async def test_texts_come_back_as_they_were(self, tmp_path: Path, text: str) -> None:
        text = text if text != "x" else text * self.longest_text
        async with self.opened(tmp_path) as (_, door):
            await done(door, "create_memories", "ann", memories=[{**_MEMORY, "text": text}])
            assert (await done(door, "get_memory", "ann"))["text"] == text

    async def test_metadata_keep_their_types(self, tmp_path: Path) -> None:
        metadata = {"a": "x", "b": 1, "c": 1.5, "d": True, "e": ["x", "y"]}
        async with self.opened(tmp_path) as (_, door):
            await done(door, "create_memories", "ann", memories=[{**_MEMORY, "metadata": metadata}])
            assert (await done(door, "get_memory", "ann"))["metadata"] == metadata

    async def test_filters_are_filters(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as (_, door):
            await done(door, "create_memories", "ann")
            for topics, expected in (({"any": ["boats"]}, 1), ({"any": ["bikes"]}, 0)):
                found = await done(door, "search_memories", "ann", topics=topics)
                assert len(texts(found)) == expected

    # -- what is refused -------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("operation", "wrong"),
        [
            ("search_memories", {"limit": 0}),
            ("search_memories", {"limit": "many"}),
            ("create_memories", {"memories": "none"}),
            ("create_memories", {"memories": [{"id": "a"}]}),
            ("put_session", {"messages": [{"role": "user"}]}),
        ],
        ids=["bound", "type", "list", "missing", "inner"],
    )
    async def test_wrong_arguments_are_told(self, tmp_path: Path, operation: str, wrong: dict[str, Any]) -> None:
        async with self.opened(tmp_path) as (host, door):
            outcome = await ask(door, operation, "admin", **wrong)
            assert outcome.code in ("invalid_arguments", "invalid_request")
            assert outcome.answer, "say what is wrong"
            assert (await host.store.list_memories(Scope()))[1] == 0

    @pytest.mark.parametrize("operation", ["search_memories", "create_memories", "put_session", "edit_memory"])
    async def test_unknown_arguments_are_told(self, tmp_path: Path, operation: str) -> None:
        async with self.opened(tmp_path) as (_, door):
            await done(door, "create_memories", "admin")
            outcome = await ask(door, operation, "admin", acme_unknown=5)
            told = "an argument that does not exist must not be dropped silently: refuse it, or name it in a notice"
            assert outcome.code in ("ok", "invalid_arguments", "invalid_request")
            assert "acme_unknown" in (outcome.notice if outcome.code == "ok" else str(outcome.answer)), told

    async def test_the_address_of_the_client_is_passed_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with self.opened(tmp_path) as (_, door):
            seen: list[str] = []
            authenticate = NamedCallers.authenticate

            async def noting(provider: NamedCallers, credentials: Credentials) -> Caller:
                seen.append(credentials.peer)
                return await authenticate(provider, credentials)

            monkeypatch.setattr(NamedCallers, "authenticate", noting)
            await ask(door, "search_memories", "nobody")
            await done(door, "search_memories", "ann")
            assert seen, "the interface asks Host.authenticate who calls"
            # The transport without a socket says that its client is 127.0.0.1.
            assert set(seen) == {"127.0.0.1"}, "Credentials.peer is the client's address"

    async def test_what_is_not_there_is_not_found(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as (_, door):
            assert (await ask(door, "get_memory", "admin")).code == "not_found"

    async def test_an_outage_is_an_error_and_no_empty_answer(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with self.opened(tmp_path) as (host, door):

            async def away(*_: Any, **__: Any) -> Any:
                raise StoreUnavailable("The store does not answer.")

            monkeypatch.setattr(host.store, "candidates", away)
            assert (await ask(door, "search_memories", "admin")).code == "store_unavailable"

    async def test_failures_inside_tell_no_secrets(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        async with self.opened(tmp_path) as (host, door):

            async def broken(*_: Any, **__: Any) -> Any:
                raise RuntimeError("password=hunter2")

            monkeypatch.setattr(host.store, "candidates", broken)
            outcome = await ask(door, "search_memories", "admin")
            assert outcome.code == "internal"
            assert "hunter2" not in json.dumps(outcome.answer, default=str)
            monkeypatch.undo()
            await done(door, "search_memories", "admin")


async def ask(door: Door, operation: str, token: str | None, /, **changed: Any) -> Outcome:
    """Return the result of an operation with its usual arguments, some of them changed."""
    if not door.offers(operation):
        pytest.skip(f"the interface does not offer {operation}")
    return await door.call(operation, {**ARGUMENTS.get(operation, {}), **changed}, token)


async def done(door: Door, operation: str, token: str, /, **changed: Any) -> Any:
    """The answer of an operation that must succeed."""
    outcome = await ask(door, operation, token, **changed)
    assert outcome.code == "ok", f"{operation} as {token}: {outcome.code}: {outcome.answer}"
    return outcome.answer


def texts(found: Any) -> list[str]:
    """The texts of what a search found."""
    return [hit["text"] for hit in found["memories"]]
