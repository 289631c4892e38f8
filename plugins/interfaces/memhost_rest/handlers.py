"""The REST application: one ASGI handler that leads each request to its operation.

Order of checks: route (404, 405), credentials (401), role (403), size (413), JSON syntax and fields (422), then the
operation. So nothing of the body is kept, or even looked at, for a stranger. The name of an operation that does not
exist is told to callers with credentials only, since the answer lists names near it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from litestar import Response, asgi
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.types import HTTPScope, Receive, Scope, Send

from memhost.credentials import credentials_of
from memhost.errors import (
    ConfigurationError,
    MemhostError,
    Problem,
    Unauthorized,
    ValidationFailed,
)
from memhost.http.statuses import status_of
from memhost.logs import REQUEST_ID, log, log_refusal
from memhost.models import Caller
from memhost.operations import Call, Operation
from memhost.operations.ams_compat import IGNORED_PARAMETERS, TEXT_CLIENTS
from memhost_rest import errors
from memhost_rest.asgi_io import (
    Answer,
    ClientGoneError,
    encode,
    header_text,
    method_not_allowed,
    raw_path,
    read_body,
    refusal,
    refuse_socket,
    request_id_of,
    send_answer,
    with_texts,
)
from memhost_rest.body import not_utf8, parse_body, parse_query
from memhost_rest.by_name import named_operation
from memhost_rest.decoding import DecodingError, RequestDecoder
from memhost_rest.documents import Documents
from memhost_rest.openapi import build_document
from memhost_rest.routes import PREFIX, ROUTES, Route, Router, is_strict, route_of

if TYPE_CHECKING:
    from memhost.ports import Host
    from memhost.specs import Mount

_log = logging.getLogger(__name__)
_access_log = logging.getLogger("memhost_rest.access")

_QUIET = ("health", "ready")
_WAIT = (503, 504)
"""Statuses of refusals that are the server's own fault."""
_ANONYMOUS = Caller(subject="anonymous")
_NOTICE_HEADERS: Mapping[str, bytes] = {"deprecation": b"x-deprecation-warning"}


class Endpoint:
    """An operation behind a route."""

    __slots__ = ("bare", "decoder", "operation", "parameters", "route", "strict")

    def __init__(self, route: Route, operation: Operation, *, strict: bool) -> None:
        self.route = route
        self.parameters = route.parameters
        self.operation = operation
        self.bare = not operation.request.__struct_fields__ and route.body != "required"
        self.strict = strict or route.strict or is_strict(operation)
        self.decoder = RequestDecoder(
            operation.request,
            path=route.parameters,
            query=route.query_of(operation.request),
            body=route.body,
            blank_is_absent=route.blank_is_absent,
            extras=IGNORED_PARAMETERS.get(operation.name, ()),
        )


class RequestLog:
    """The facts about a request while it is answered, for the access log."""

    __slots__ = ("code", "endpoint", "headers", "id", "started", "subject")

    def __init__(self, scope: HTTPScope) -> None:
        self.started = perf_counter()
        self.headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))  # type: ignore[call-overload]
        self.id = request_id_of(self.headers.get(b"x-request-id"))
        self.endpoint: Endpoint | None = None
        self.subject = ""
        self.code = ""


class RestApp:
    """ASGI application of everything under `/v1`: the given routes, and every operation by its name.

    It has a router and a response of its own. Litestar mounts it and answers the pages beside it. Routes and handlers
    of Litestar would not do here:

    - Its router takes the decoded path apart, so that an id with an encoded slash (`a%2Fb`) is not found, and a fixed
      word hides a parameter for every verb: `GET /v1/long-term-memory/search`, which reads the memory of that id,
      would be a 405. Clients of Agent Memory Server rely on both.
    - Its request, handler and response take 15 us (a request without a body) to 45 us (one with a body) more. That is
      below 1 % of storing a session of 20 messages (7 ms) or of a search (5 ms), but 20 % of a light one such as
      `GET /v1/health` (75 us), where 5 % is the bar.
    """

    def __init__(self, host: Host, routes: Sequence[Route] = ROUTES) -> None:
        self._host = host
        self._limit = host.settings.server.max_body_bytes
        strict = host.settings.server.strict_requests
        operations = {operation.name: operation for operation in host.operations}
        served = (*routes, *map(route_of, host.operations))
        self._router = Router(
            [(route, Endpoint(route, _operation(operations, route), strict=strict)) for route in served]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a client that goes away ends it without an answer."""
        if scope["type"] != ScopeType.HTTP:
            await refuse_socket(send)
            return
        await self._serve(scope, receive, send)

    async def _serve(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        request_log = RequestLog(scope)
        REQUEST_ID.set(request_log.id)
        try:
            answer = await self._answer(request_log, scope, receive)
            await send_answer(send, answer, request_log.id)
        except (ClientGoneError, OSError):
            _log_access(request_log, scope["method"], 499)
            return
        _log_access(request_log, scope["method"], answer.status)

    async def _answer(self, request_log: RequestLog, scope: HTTPScope, receive: Receive) -> Answer:
        try:
            path = raw_path(scope, PREFIX)
            match = self._router.find(scope["method"], path)
            if match.target is None:
                if match.allow:
                    return method_not_allowed(match.allow)
                return await self._not_found(request_log, path, scope)
            request_log.endpoint = match.target
            answer = await self._run(request_log, match.target, match.values, scope, receive)
            if answer.status == 404 and match.allow:
                return method_not_allowed(match.allow)
            return answer
        except DecodingError as error:
            request_log.code = "invalid_arguments"
            return refusal(422, errors.items(error.problems), code=request_log.code, request_id=request_log.id)
        except MemhostError as error:
            return _refused(request_log, error)
        except ClientGoneError:
            raise
        except Exception:  # noqa: BLE001 - the one boundary that turns the unexpected into an answer
            request_log.code = "internal"
            _log.exception("request.failed")
            return refusal(500, errors.SERVER_ERROR, code="internal", request_id=request_log.id)

    async def _not_found(self, request_log: RequestLog, path: str, scope: HTTPScope) -> Answer:
        name = named_operation(path)
        if name is None:
            return refusal(404, "Not Found")
        await self._authenticate(request_log, scope)  # the names near it are not for strangers
        return _refused(request_log, self._host.operations.unknown(name, "GET /openapi.json lists them."))

    async def _authenticate(self, request_log: RequestLog, scope: HTTPScope) -> Caller:
        peer = scope["client"]
        caller = await self._host.authenticate(credentials_of(request_log.headers, peer[0] if peer else ""))
        request_log.subject = caller.subject
        return caller

    async def _run(
        self,
        request_log: RequestLog,
        endpoint: Endpoint,
        values: tuple[str, ...],
        scope: HTTPScope,
        receive: Receive,
    ) -> Answer:
        route, operation = endpoint.route, endpoint.operation
        caller = _ANONYMOUS
        if operation.access != "open":
            caller = await self._authenticate(request_log, scope)
            self._host.check_access(caller, operation.access)
        body = None
        if route.body != "none" or endpoint.strict:
            raw = await read_body(receive, request_log.headers.get(b"content-length"), self._limit)
            content_type = request_log.headers.get(b"content-type", b"").decode("latin-1")
            body = parse_body(raw, content_type, strict=endpoint.strict)
            if route.rewrite is not None and isinstance(body, dict):
                body = route.rewrite(body)
        query_string = scope["query_string"]
        if endpoint.bare and body is None and not query_string:
            request, ignored = operation.request(), list[Problem]()
        else:
            path = _path_values(endpoint.parameters, values)
            query = parse_query(query_string)
            request, ignored = endpoint.decoder.read(path, query, body, strict=endpoint.strict)
        call = Call(caller=caller, request_id=request_log.id, door="rest")
        if ignored:
            call.notices.append(("ignored", errors.ignored(ignored)))
        try:
            result = await self._host.execute(operation.name, call, request)
            if request_log.headers.get(b"user-agent", b"").startswith(TEXT_CLIENTS):
                result = with_texts(result)
            status = route.status(result) if route.status is not None else 200
            answer = Answer(status, encode(result))
        except MemhostError as error:
            answer = _refused(request_log, error)
        answer.headers.extend(_notices(call.notices))
        return answer


def _operation(operations: Mapping[str, Operation], route: Route) -> Operation:
    try:
        return operations[route.operation]
    except KeyError:
        raise ConfigurationError(
            f"The REST route {route.verb} {route.path} calls {route.operation}, which is no operation."
        ) from None


def _path_values(names: tuple[str, ...], values: tuple[str, ...]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for name, raw in zip(names, values, strict=True):
        try:
            found[name] = unquote_to_bytes(raw.encode("latin-1")).decode()
        except UnicodeDecodeError:
            problems.append(not_utf8("path", name))
    if problems:
        raise DecodingError(problems)
    return found


def _refused(request_log: RequestLog, error: MemhostError) -> Answer:
    status = status_of(error)
    request_log.code = error.code
    detail: Any = errors.detail_of(error, status)
    if isinstance(error, ValidationFailed) and request_log.endpoint is not None:
        detail = errors.items(error.problems, request_log.endpoint.decoder.source)
    answer = refusal(status, detail, code=error.code, request_id=request_log.id)
    if isinstance(error, Unauthorized) and error.challenge:
        answer.headers.append((b"www-authenticate", b"Bearer"))
    if error.retry_after_s:
        answer.headers.append((b"retry-after", str(error.retry_after_s).encode("ascii")))
    return answer


def _notices(notices: Sequence[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    found = []
    for kind, sentence in notices:
        header = _NOTICE_HEADERS.get(kind)
        text = sentence if header is not None else f"{kind}: {sentence}"
        found.append((header or b"x-memhost-notice", header_text(text)))
    return found


def _log_access(request_log: RequestLog, method: str, status: int) -> None:
    endpoint = request_log.endpoint
    operation = endpoint.operation.name if endpoint is not None else ""
    level = logging.DEBUG if operation in _QUIET and status == 200 else logging.INFO
    if status == 200 and not _access_log.isEnabledFor(level):
        return
    fields = {
        "method": method,
        "route": endpoint.route.path if endpoint is not None else "",
        "operation": operation,
        "status": status,
        "duration_ms": round((perf_counter() - request_log.started) * 1000, 2),
        "subject": request_log.subject,
    }
    if 400 <= status < 500 or status in _WAIT:
        log_refusal(_access_log, level, "request.done", code=request_log.code or str(status), **fields)
    else:
        log(_access_log, level, "request.done", **fields, code=request_log.code)


def application_error(_request: Any, error: Exception) -> Response[bytes]:
    """Exception handler of the whole application: errors have the same form where no route was."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:
        answer = refusal(404, "Not Found")
    elif status == 405:
        given = getattr(error, "headers", None) or {}
        answer = method_not_allowed(part.strip() for part in given.get("allow", "").split(","))
    elif status >= 500:
        _log.error("request.failed", exc_info=error)
        answer = refusal(status, errors.SERVER_ERROR)
    else:
        answer = refusal(status, getattr(error, "detail", ""))
    return Response(
        answer.body,
        status_code=status,
        media_type="application/json",
        headers={name.decode("ascii"): value.decode("ascii") for name, value in answer.headers},
    )


def build_mount(host: Host) -> Mount:
    """The handlers of this interface: everything under `/v1`, the schema, and its pages."""
    from memhost.specs import Mount

    documents = Documents(lambda: build_document(ROUTES, host.operations))
    app = RestApp(host)

    async def rest(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return Mount(
        handlers=[
            asgi(PREFIX, is_mount=True, copy_scope=False)(rest),
            *documents.handlers(),
        ],
        exception_handlers={HTTPException: application_error, 500: application_error},
        direct={PREFIX: app},
    )
