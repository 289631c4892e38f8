"""A server that speaks the wire of Agent Memory Server, as it is measured: written to, searched, cleared."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx

from memhost.errors import Unavailable
from memhost.evaluation.sets import Conversation, Turn

HITS = 100
"""Hits that are asked for, the most that Agent Memory Server answers: 1,500 tokens hold fifty turns and more."""
_LOOK_EVERY_S = 0.2
_NO_CONTEXT = (404, 405)


class Hit:
    """A hit: its text, and the turns that it is or was made from."""

    __slots__ = ("text", "turns")

    def __init__(self, text: str, turns: tuple[str, ...]) -> None:
        self.text = text
        self.turns = turns


class AmsServer:
    """Writes conversations as users of one namespace, each turn a message with an id of its own, and searches them.

    Args:
        client: With the server's address, credentials and time limit.
        read: The content of an answer, or the error that it is.
        namespace: Where everything is written.
        mode: The search mode that searches name; None for the server's default. A search by name has no context.
        wait_s: Seconds within which what was written must be found.
    """

    def __init__(
        self,
        *,
        client: httpx.AsyncClient,
        read: Callable[[httpx.Response], Any],
        namespace: str,
        mode: str | None = None,
        wait_s: float = 60.0,
    ) -> None:
        self._client = client
        self._read = read
        self._namespace = namespace
        self._wait_s = wait_s
        self._mode = {"search_mode": mode, "recency_boost": False} if mode else {}
        self._has_context = mode is None
        self._written: list[tuple[str, str]] = []

    @property
    def has_context(self) -> bool:
        """Tell whether the server composes context (`POST /v1/context`), as far as it has been asked."""
        return self._has_context

    async def write(self, owner: str, conversation: Conversation) -> None:
        """Write the sessions of a conversation and wait until the last turn of each is found.

        Raises:
            Unavailable: It is not found in time.
        """
        for number, turns in enumerate(conversation.sessions):
            if not turns:
                continue
            session = f"{owner}.{number}"
            body = {
                "user_id": owner,
                "namespace": self._namespace,
                "memories": [],
                "messages": [
                    {
                        "id": f"{owner}/{turn.id}",
                        "role": turn.role,
                        "content": turn.text,
                        "created_at": turn.at.isoformat(),
                    }
                    for turn in turns
                ],
            }
            await self._call("PUT", f"/v1/working-memory/{quote(session, safe='')}", json=body)
            self._written.append((owner, session))
        await self._until_found(owner, conversation.sessions)

    async def _until_found(self, owner: str, sessions: Sequence[Sequence[Turn]]) -> None:
        turns = next((list(each) for each in reversed(sessions) if each), [])
        if not turns:
            return
        ends = time.monotonic() + self._wait_s
        while not any(turns[-1].id in hit.turns for hit in await self.search(owner, turns[-1].text[:1000])):
            if time.monotonic() > ends:
                raise Unavailable(
                    f"The server did not find the turn {turns[-1].id!r} within {self._wait_s:g} seconds. "
                    "Does it keep messages in long-term memory (INDEX_ALL_MESSAGES_IN_LONG_TERM_MEMORY)? Does its "
                    "worker run? --wait makes the time longer."
                )
            await asyncio.sleep(_LOOK_EVERY_S)

    async def search(self, owner: str, text: str) -> list[Hit]:
        """The hits of a search among what the owner said."""
        body = {
            "text": text,
            "user_id": {"eq": owner},
            "namespace": {"eq": self._namespace},
            "limit": HITS,
            **self._mode,
        }
        found = await self._call("POST", "/v1/long-term-memory/search", json=body)
        return [Hit(str(hit.get("text", "")), _turns(hit, owner)) for hit in found["memories"]]

    async def context(self, owner: str, text: str, budget: int) -> list[tuple[str, ...]] | None:
        """The turns of each item of the composed context of at most `budget` tokens; None if the server has none."""
        if not self._has_context:
            return None
        body = {"query": text, "user_id": owner, "namespace": self._namespace, "budget": budget}
        answer = await self._send("POST", "/v1/context", json=body)
        if answer.status_code in _NO_CONTEXT:
            self._has_context = False
            return None
        return [_turns(item, owner) for item in self._read(answer)["items"]]

    async def clear(self) -> None:
        """Remove everything that was written."""
        for owner, session in self._written:
            parameters = {"user_id": owner, "namespace": self._namespace}
            await self._call("DELETE", f"/v1/working-memory/{quote(session, safe='')}", params=parameters)
        self._written.clear()
        while True:
            body = {"namespace": {"eq": self._namespace}, "limit": HITS}
            found = (await self._call("POST", "/v1/long-term-memory/search", json=body))["memories"]
            ids = [hit["id"] for hit in found]
            if not ids:
                return
            await self._call("DELETE", "/v1/long-term-memory", params={"memory_ids": ids})

    async def _call(self, method: str, path: str, **options: Any) -> Any:
        return self._read(await self._send(method, path, **options))

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        address = self._client.base_url
        try:
            return await self._client.request(method, path, **options)
        except httpx.ReadTimeout as error:
            raise Unavailable(f"The server at {address} did not answer {method} {path} in time.") from error
        except httpx.TransportError as error:
            raise Unavailable(f"No server answers at {address} ({type(error).__name__}).") from error


def _turns(hit: Mapping[str, Any], owner: str) -> tuple[str, ...]:
    """The turns that a hit, or an item of a context, is or was made from, without the owner in front of their ids.

    A message is a memory of its own id on one server and has it among its sources on another.
    """
    names = [hit.get("id"), *(hit.get("ids") or ()), *(hit.get("extracted_from") or ()), *(hit.get("source_ids") or ())]
    names += [each.get("id") for each in hit.get("repeats") or ()]
    prefix = f"{owner}/"
    found = [name[len(prefix) :] for name in names if isinstance(name, str) and name.startswith(prefix)]
    return tuple(dict.fromkeys(found))
