"""A host in a thread of its own, for suites that know no event loop: every way to write, every way to read."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.security.poison.play import Victims, caller_of, outside, verified, victims
from tests.support.hosts import run

from memhost.admin.export_import import Importer
from memhost.errors import MemhostError

TURNS = {
    "user turn": "user",
    "assistant turn": "assistant",
    "tool turn": "tool",
    "web turn": "web_page",
    "system turn": "system",
}
WAYS_TO_WRITE = (
    "memory",
    "memory, trust claimed",
    "session memory",
    "MCP store_memory",
    "import",
    *TURNS,
    "MCP append",
    "session context",
)
WAYS_TO_READ = ("prompt", "context", "search", "MCP search", "view", "session prompt", "session, unfenced")
KNOWN = ", as known"
"""After `prompt` and `context`: without what they set apart as not verified."""

_HITS = 10


class Refused(Exception):
    """The server refused to store it."""


class Stage:
    """The host. Every owner is a user of their own with one session of the same name."""

    def __init__(self, stage: Victims, loop: asyncio.AbstractEventLoop) -> None:
        self._stage = stage
        self._loop = loop
        self._numbers = itertools.count(1)
        self._turns: dict[str, list[dict[str, Any]]] = {}

    def owner(self) -> str:
        """A new owner."""
        return f"victim-{next(self._numbers)}"

    def write(self, way: str, owner: str, text: str, *, topic: str | None = None, tag: str | None = None) -> None:
        """Store a text in one of `WAYS_TO_WRITE`, and let what follows from it happen. `tag` is trust that it claims.

        Raises:
            Refused: The server refused it.
        """
        self._wait(self._write(way, owner, text, topic, tag))

    def read(self, way: str, owner: str, query: str, limit: int = _HITS, *, only_user: bool = False) -> list[str]:
        """What one of `WAYS_TO_READ` gives for a query, in its order."""
        texts: list[str] = self._wait(self._read(way.removesuffix(KNOWN), owner, query, limit, only_user))
        return [verified(text)[0] for text in texts] if way.endswith(KNOWN) else texts

    def stored(self, owner: str) -> list[str]:
        """All that is stored of an owner, as its owner can list it."""
        texts: list[str] = self._wait(self._stored(owner))
        return texts

    def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=120)

    async def _write(self, way: str, owner: str, text: str, topic: str | None, tag: str | None) -> None:
        host = self._stage.host
        number = next(self._numbers)
        record: dict[str, Any] = {
            "id": f"w{number}",
            "text": text,
            "user_id": owner,
            "topics": [topic] if topic else [],
        }
        claimed = {"metadata": {"trust": tag or "user"}}
        record |= claimed if tag or way == "memory, trust claimed" else {}
        own = {"session_id": owner, "user_id": owner}
        user, agent = caller_of(owner), caller_of(owner, "agent")
        try:
            if way.startswith("memory"):
                await run(host, "create_memories", agent, memories=[record])
            elif way == "session memory":
                await run(host, "put_session", agent, **own, messages=[], memories=[record])
            elif way == "import":
                importer = Importer(store=host.store, embedder=host.embedder, tenant="default", clock=host.clock)
                await importer.feed(1, json.dumps({"memories": [record]}).encode())
                if problems := (await importer.finish()).problems:
                    raise Refused(problems)
            elif way == "session context":
                await run(host, "put_session", agent, **own, messages=[], context=text)
            elif way in TURNS:
                turns = self._turns.setdefault(owner, [])
                if TURNS[way] != "user":  # extraction reads others as background of what people say
                    turns.append(_turn(f"q{number}", "user", "What does it say?", len(turns)))
                turns.append(_turn(f"t{number}", TURNS[way], text, len(turns)))
                await run(host, "put_session", user, **own, messages=list(turns))
            else:
                await self._by_mcp(way, owner, record)
        except MemhostError as error:
            raise Refused(str(error)) from error
        await self._stage.settle()

    async def _by_mcp(self, way: str, owner: str, record: dict[str, Any]) -> None:
        if way == "MCP append":
            messages = [{"role": "user", "content": record["text"]}]
            arguments = {"session_id": owner, "user_id": owner, "messages": messages}
            outcome = await self._stage.mcp.call("append_messages", caller_of(owner, "agent"), arguments)
        else:
            arguments = {name: value for name, value in record.items() if name != "id"}
            outcome = await self._stage.mcp.call("store_memory", caller_of(owner, "agent"), arguments)
        if outcome.code != "ok":
            raise Refused(outcome.text)

    async def _read(self, way: str, owner: str, query: str, limit: int, only_user: bool) -> list[str]:
        host, caller, own = self._stage.host, caller_of(owner), {"eq": owner}
        if way == "search":
            fields: dict[str, Any] = _of_users(host) if only_user else {}
            found = await run(host, "search_memories", caller, text=query, user_id=own, limit=limit, **fields)
            return [hit.text for hit in found.memories]
        if way == "MCP search":
            arguments = {"query": query, "user_id": owner, "max_results": limit}
            answer = await self._stage.mcp.call("search_memory", caller, arguments)
            return [str(each["text"]) for each in json.loads(answer.text)["memories"]]
        if way == "context":
            return [(await run(host, "get_context", caller, query=query, user_id=owner)).text]
        if way == "view":
            group = {"user_id": owner}
            return [str((await run(host, "run_summary_view_partition", view_id=self._stage.view, group=group)).summary)]
        if way == "prompt":
            search = {"user_id": own, "limit": limit}
            prompt = await run(host, "memory_prompt", caller, query=query, long_term_search=search)
            return [message.content.text for message in prompt.messages[:-1]]
        session = {"session_id": owner, "user_id": owner}
        prompt = await run(host, "memory_prompt", caller, query=query, session=session)
        texts = [message.content.text for message in prompt.messages[:-1]]
        return texts if way == "session prompt" else [outside(text) for text in texts]

    async def _stored(self, owner: str) -> list[str]:
        host, caller = self._stage.host, caller_of(owner)
        found: list[str] = []
        try:
            session = await run(host, "get_session", caller, session_id=owner, user_id=owner)
            found += [str(message.content) for message in session.messages] + [session.context or ""]
        except MemhostError:
            pass  # the owner has no session
        listed = await run(host, "search_memories", caller, user_id={"eq": owner}, limit=50)
        return [*found, *(hit.text for hit in listed.memories)]


def _turn(name: str, role: str, text: str, number: int) -> dict[str, Any]:
    at = datetime.now(UTC) + timedelta(milliseconds=number)
    return {"id": name, "role": role, "content": text, "created_at": at.isoformat()}


def _of_users(host: Any) -> dict[str, Any]:
    """The filter that lets through what users said."""
    if hasattr(host.operations["search_memories"].request, "trust"):
        return {"trust": {"eq": "user"}}
    return {"metadata": {"trust": {"eq": "user"}}}


@contextmanager
def stage(*, with_model: bool, store: str = "memory") -> Iterator[Stage]:
    """A host that lives while the context is open."""
    started: list[Stage] = []
    ready = threading.Event()
    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        with TemporaryDirectory() as folder:
            async with victims(Path(folder), with_model=with_model, store=store) as opened:
                loop, ended = asyncio.get_running_loop(), asyncio.Event()
                started.append(Stage(opened, loop))
                stop.append((loop, ended))
                ready.set()
                await ended.wait()

    def work() -> None:
        try:
            asyncio.run(serve())
        finally:
            ready.set()

    thread = threading.Thread(target=work, name="stage")
    thread.start()
    ready.wait()
    if not started:
        thread.join()
        raise RuntimeError("the host did not start")
    try:
        yield started[0]
    finally:
        loop, ended = stop[0]
        loop.call_soon_threadsafe(ended.set)
        thread.join()
