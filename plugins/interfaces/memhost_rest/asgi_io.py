"""Reading requests from and sending answers to the ASGI server."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import msgspec
from litestar.types import HTTPScope, Receive, Send

from memhost.errors import TooLarge
from memhost.operations.responses import WorkingMemoryView
from memhost.text.conversation import spoken

_DRAIN_FACTOR = 4
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:@/+=-]{1,128}\Z")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
_MAX_HEADER = 1000

Headers = list[tuple[bytes, bytes]]


class ClientGoneError(Exception):
    """The client has gone; nobody waits for the answer."""


class Answer:
    """A response: status, body, and headers beside the standing ones."""

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self,
        status: int,
        body: bytes,
        headers: Iterable[tuple[bytes, bytes]] = (),
        content_type: bytes = b"application/json",
    ) -> None:
        self.status = status
        self.body = body
        self.headers: Headers = list(headers)
        self.content_type = content_type


def encode(value: Any) -> bytes:
    """JSON; aware UTC times end in `Z`."""
    return msgspec.json.encode(value)


def refusal(status: int, detail: Any, **more: Any) -> Answer:
    """An error as `{"detail": ...}`."""
    return Answer(status, msgspec.json.encode({"detail": detail, **more}, enc_hook=str))


def method_not_allowed(allow: Iterable[str]) -> Answer:
    """The answer to a wrong verb on a path that exists; it names the verbs that the path has."""
    verbs = ", ".join(allow)
    answer = refusal(405, f"Method Not Allowed: use {' or '.join(verbs.rsplit(', ', 1))} on this path.")
    answer.headers.append((b"allow", verbs.encode("ascii")))
    return answer


async def refuse_socket(send: Send) -> None:
    """Turn away a WebSocket: this interface has none."""
    await send({"type": "websocket.close", "code": 1000, "reason": "Not Found"})


async def send_answer(send: Send, answer: Answer, request_id: str) -> None:
    """Send the whole response.

    Raises:
        OSError: The connection is gone, and the server says so.
    """
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [
                (b"content-type", answer.content_type),
                (b"content-length", str(len(answer.body)).encode("ascii")),
                (b"x-request-id", request_id.encode("ascii")),
                *answer.headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


async def read_body(receive: Receive, declared: bytes | None, limit: int) -> bytes:
    """The whole body.

    A body that is too large is read to its end if that is not far, so that clients get to see the
    answer.

    Raises:
        TooLarge: It has more than `limit` bytes.
        ClientGoneError: The client went away first.
    """
    size = int(declared) if declared is not None and declared.isdigit() else 0
    if size > limit * _DRAIN_FACTOR:
        raise _too_large(limit)
    chunks: list[bytes] = []
    total = 0
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGoneError
        chunk = message.get("body", b"")
        more = message.get("more_body", False)
        total += len(chunk)
        if total > limit:
            chunks.clear()
            if total > limit * _DRAIN_FACTOR:
                break
        elif chunk:
            chunks.append(chunk)
    if total > limit:
        raise _too_large(limit)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The request body is larger than the {limit} bytes that this server accepts.")


def raw_path(scope: HTTPScope, mount: str) -> str:
    """Return the path as it is on the wire, still percent-encoded, without the prefix of a proxy.

    Args:
        scope: The request.
        mount: Where the handler is mounted; for servers that do not give the raw path.
    """
    raw = scope.get("raw_path")
    if not raw:
        return mount + quote(scope["path"], safe="/:@!$&'()*+,;=~")
    path = raw.partition(b"?")[0].decode("latin-1")
    root = (scope.get("root_path") or "").rstrip("/")
    if root and path.startswith(root + "/"):
        path = path[len(root) :]
    return path


def request_id_of(given: bytes | None) -> str:
    """The client's id for the request if it is fit for logs, else a new one."""
    if given is not None and _REQUEST_ID.match(given):
        return given.decode("ascii")
    return os.urandom(12).hex()


def header_text(text: str) -> bytes:
    """A sentence as a header value: printable ASCII of limited length."""
    return _UNPRINTABLE.sub(" ", text)[:_MAX_HEADER].strip().encode("ascii")


def with_texts(answer: Any) -> Any:
    """The answer, where it is a session with the text of each message in the place of parts or null."""
    if not isinstance(answer, WorkingMemoryView):
        return answer
    messages = [
        each
        if isinstance(each.content, str) and each.content
        else msgspec.structs.replace(each, content=spoken(each, each.content))
        for each in answer.messages
    ]
    return msgspec.structs.replace(answer, messages=messages)
