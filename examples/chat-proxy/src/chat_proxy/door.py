"""The routes: chat completions with memory, everything else passed on as it is."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

import httpx
from litestar import Litestar, Request, Response, post, route
from litestar.response import Stream

from chat_proxy import ChatProxySettings
from chat_proxy.conversation import Owner, StreamedAnswer, answer_in, owner_of, question_of, turn_of, with_memories
from chat_proxy.memory import ChatMemory
from memhost.credentials import credentials_of
from memhost.errors import Forbidden, MemhostError
from memhost.models import Caller
from memhost.specs import Mount

if TYPE_CHECKING:
    from memhost.ports import Host

logger = logging.getLogger(__name__)

AnyRequest = Request[Any, Any, Any]

NOT_SENT = {"host", "content-length", "connection", "accept-encoding", "transfer-encoding", "cookie", "x-api-key", "te"}
NOT_RETURNED = {
    "content-length",
    "content-encoding",
    "connection",
    "transfer-encoding",
    "keep-alive",
    "set-cookie",
    "date",
    "server",
}
STATUSES = {"unauthorized": 401, "forbidden": 403, "rate_limited": 429}


class Door:
    """Answers requests; made by `build_mount`."""

    def __init__(self, host: Host, settings: ChatProxySettings) -> None:
        self._host = host
        self._settings = settings
        self._client: httpx.AsyncClient | None = None

    @asynccontextmanager
    async def lifespan(self, _app: Litestar) -> AsyncIterator[None]:
        """Keep connections to the provider while the application lives."""
        timeout = httpx.Timeout(self._settings.timeout_s, connect=10.0)
        async with httpx.AsyncClient(timeout=timeout) as self._client:
            yield

    async def chat(self, request: AnyRequest) -> Response[Any]:
        """A chat completion, with memory."""
        try:
            caller = await self._caller(request)
        except MemhostError as error:
            return _refusal(STATUSES.get(error.code, 503 if error.retryable else 500), error.code, error.message)
        body = await request.body()
        memory = ChatMemory(self._host, self._settings, caller, uuid4().hex)
        try:
            asked = json.loads(body)
            messages = asked["messages"] if all(isinstance(each, dict) for each in asked["messages"]) else []
        except (ValueError, LookupError, TypeError):  # the provider says what is wrong with it
            return await self._pass_on(request, "/chat/completions", body)
        user = self._user(request, asked, caller)
        if not user or not messages:
            return await self._pass_on(request, "/chat/completions", body, {"x-memhost-memory": "off"})
        owner = owner_of(messages, user, request.headers)
        if remembered := await memory.recall(owner, question_of(messages)):
            body = json.dumps({**asked, "messages": with_memories(messages, remembered)}).encode()
        return await self._ask(request, body, messages, owner, memory)

    async def other(self, request: AnyRequest) -> Response[Any]:
        """Anything else that the provider offers."""
        try:
            await self._caller(request)
        except MemhostError as error:
            return _refusal(STATUSES.get(error.code, 503 if error.retryable else 500), error.code, error.message)
        path = request.path_params["rest"]
        if ".." in path.split("/"):
            return _refusal(404, "not_found", "There is no such path.")
        return await self._pass_on(request, path, await request.body())

    async def _caller(self, request: AnyRequest) -> Caller:
        """Who calls. Where Authorization is meant for the provider, memhost's token is in X-API-Key."""
        headers = dict(reversed(list(request.scope["headers"])))
        if self._settings.api_key is None:
            headers.pop(b"authorization", None)
        caller = await self._host.authenticate(credentials_of(headers, request.client.host if request.client else ""))
        if not self._host.allows(caller, "read"):
            raise Forbidden("This credential lacks the read permission.")
        return caller

    def _user(self, request: AnyRequest, asked: Mapping[str, Any], caller: Caller) -> str:
        named = request.headers.get("x-memhost-user") or asked.get("user")
        if not named and caller.bounds.users:
            return caller.bounds.users[0] if len(caller.bounds.users) == 1 else ""
        return str(named or self._settings.default_user)

    async def _ask(
        self, request: AnyRequest, body: bytes, messages: list[dict[str, Any]], owner: Owner, memory: ChatMemory
    ) -> Response[Any]:
        answer = await self._send(request, "/chat/completions", body)
        if isinstance(answer, Response):
            return answer
        if _is_stream(answer):

            async def relayed() -> AsyncIterator[bytes]:
                streamed, kept = StreamedAnswer(), False
                async for chunk in _chunks(answer):
                    streamed.feed(chunk)
                    if streamed.complete and not kept:  # before the client sees the end, for it may hang up then
                        kept = True
                        await memory.keep(owner, turn_of(messages, streamed.text, owner))
                    yield chunk

            return Stream(relayed(), status_code=answer.status_code, headers=_told(answer, memory, owner))
        content = await _whole(answer)
        if isinstance(content, Response):
            return content
        if answer.status_code == 200:
            await memory.keep(owner, turn_of(messages, answer_in(content), owner))
        return Response(content, status_code=answer.status_code, headers=_told(answer, memory, owner))

    async def _pass_on(
        self, request: AnyRequest, path: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> Response[Any]:
        answer = await self._send(request, path, body)
        if isinstance(answer, Response):
            return answer
        shown = {**_returned(answer), **(headers or {})}
        if _is_stream(answer):
            return Stream(_chunks(answer), status_code=answer.status_code, headers=shown)
        content = await _whole(answer)
        if isinstance(content, Response):
            return content
        return Response(content, status_code=answer.status_code, headers=shown)

    async def _send(self, request: AnyRequest, path: str, body: bytes) -> httpx.Response | Response[Any]:
        """The provider's answer, its body unread; or what to say when there is none."""
        assert self._client is not None
        headers = {
            name: value
            for name, value in request.headers.items()
            if name not in NOT_SENT and not name.startswith("x-memhost-")
        }
        headers["accept-encoding"] = "identity"
        if self._settings.api_key is not None:
            headers["authorization"] = f"Bearer {self._settings.api_key}"
        # joined as text: a path that looks like an address must not lead the key anywhere else
        url = httpx.URL(f"{self._settings.upstream.rstrip('/')}/{quote(path.lstrip('/'))}")
        asked = self._client.build_request(
            request.method, url, params=request.url.query or None, content=body or None, headers=headers
        )
        try:
            return await self._client.send(asked, stream=True)
        except httpx.TimeoutException:
            return _refusal(504, "upstream_timeout", "The provider behind the proxy did not answer in time.")
        except httpx.HTTPError as error:
            logger.warning(
                "chat_proxy.upstream_failed", extra={"fields": {"error": f"{type(error).__name__}: {error}"}}
            )
            return _refusal(502, "upstream_unreachable", "The provider behind the proxy cannot be reached.")


def _is_stream(answer: httpx.Response) -> bool:
    return answer.headers.get("content-type", "").startswith("text/event-stream")


async def _chunks(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_bytes():
            yield chunk
    finally:
        await answer.aclose()


async def _whole(answer: httpx.Response) -> bytes | Response[Any]:
    try:
        return await answer.aread()
    except httpx.HTTPError:
        return _refusal(502, "upstream_broke_off", "The provider behind the proxy broke off its answer.")
    finally:
        await answer.aclose()


def _returned(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in NOT_RETURNED}


def _told(answer: httpx.Response, memory: ChatMemory, owner: Owner) -> dict[str, str]:
    session = owner.session if owner.session.isascii() and owner.session.isprintable() else ""
    told = {"x-memhost-memory": "; ".join(memory.told) or "nothing", "x-memhost-session": session}
    return {**_returned(answer), **told}


def _refusal(status: int, code: str, sentence: str) -> Response[Any]:
    """An error in the form of OpenAI's, so that clients show the sentence."""
    error = {"message": sentence, "type": "memhost_error", "param": None, "code": code}
    return Response({"error": error}, status_code=status, media_type="application/json")


def build_mount(host: Host, settings: ChatProxySettings) -> Mount:
    """The routes below `settings.path`."""
    door = Door(host, settings)

    @post(f"{settings.path}/chat/completions", status_code=200)
    async def chat_completions(request: AnyRequest) -> Response[Any]:
        return await door.chat(request)

    @route(f"{settings.path}/{{rest:path}}", http_method=["GET", "POST", "DELETE"], status_code=200)
    async def anything_else(request: AnyRequest) -> Response[Any]:
        return await door.other(request)

    return Mount(handlers=[chat_completions, anything_else], lifespan=[door.lifespan])
