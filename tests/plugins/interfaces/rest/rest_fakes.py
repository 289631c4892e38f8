"""A host that answers as the test sets, and records the requests it gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import unquote

import msgspec
from litestar import Litestar
from litestar.testing import TestClient

from memhost.errors import Forbidden, MemhostError, Unauthorized
from memhost.host import Host, core_operations
from memhost.models import Caller
from memhost.operations import Call
from memhost.operations.responses import Ack
from memhost.ports import Credentials
from memhost.settings.schema import ServerSettings, Settings
from memhost_rest.handlers import build_mount


class FakeHost:
    """Stands in for the running host.

    Attributes:
        answers: What an operation answers: a value, an error to raise, or a function of call and request.
        requests: Operations asked for, with their requests.
        credentials: Credentials shown, in order.
        token: If set, the only token let in.
        forbidden: Rights that the caller has not.
    """

    def __init__(self, *, max_body_bytes: int = 1024 * 1024, token: str = "") -> None:
        self.settings = Settings(server=ServerSettings(max_body_bytes=max_body_bytes))
        self.operations = core_operations()
        self.answers: dict[str, Any] = {}
        self.requests: list[tuple[str, Any]] = []
        self.calls: list[Call] = []
        self.credentials: list[Credentials] = []
        self.token = token
        self.forbidden: set[str] = set()

    async def authenticate(self, credentials: Credentials) -> Caller:
        self.credentials.append(credentials)
        if self.token and credentials.token != self.token:
            raise Unauthorized("Send a valid token.", challenge=not credentials.token)
        return Caller(subject="tester", roles=frozenset({"admin"}))

    def check_access(self, caller: Caller, access: str) -> None:
        if access in self.forbidden:
            raise Forbidden("not you")

    async def execute(self, name: str, call: Call, request: msgspec.Struct) -> Any:
        self.requests.append((name, request))
        self.calls.append(call)
        answer = self.answers.get(name, Ack())
        if isinstance(answer, MemhostError | RuntimeError):
            raise answer
        if isinstance(answer, Callable):  # type: ignore[arg-type]
            return answer(call, request)
        return answer

    @property
    def last(self) -> Any:
        return self.requests[-1][1]


def client_for(host: FakeHost) -> TestClient[Litestar]:
    mount = build_mount(cast("Host", host))
    app = Litestar(
        route_handlers=list(mount.handlers),
        exception_handlers=dict(mount.exception_handlers),
        openapi_config=None,
        logging_config=None,
    )
    return TestClient(app, raise_server_exceptions=False)


async def run_raw(
    host: FakeHost,
    verb: str,
    path: str,
    *,
    body: Sequence[bytes] = (),
    headers: Mapping[str, str] | None = None,
    root_path: str = "",
    raw_path: bool = True,
    hang_up: bool = False,
) -> tuple[int | None, dict[bytes, bytes], bytes]:
    """One request straight through ASGI: status (None if nothing was sent), headers, body."""
    sent: list[Any] = []
    pieces = list(body)

    async def receive() -> Any:
        if pieces:
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces) or hang_up}
        return {"type": "http.disconnect"} if hang_up else {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {
        "type": "http",
        "http_version": "1.1",
        "method": verb,
        "scheme": "http",
        "path": unquote(path),
        "root_path": root_path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    if raw_path:
        scope["raw_path"] = path.encode()
    with client_for(host) as client:
        await client.app(scope, receive, send)
    if not sent:
        return None, {}, b""
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(item["body"] for item in sent[1:])
