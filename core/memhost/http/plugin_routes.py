"""Routes and middleware of foreign plugins: answered, limited, logged and counted as memhost's own, each by itself."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from memhost.errors import MemhostError, PluginFailure, TooLarge
from memhost.hooks import EventOptions
from memhost.http.statuses import status_of
from memhost.logs import REQUEST_ID, describe, log, log_refusal
from memhost.plugins import EventHook, PluginManager, Registered
from memhost.plugins.blame import place_in
from memhost.plugins.health import PluginWatch
from memhost.specs import InterfaceSpec

if TYPE_CHECKING:
    from litestar.types import ASGIApp

logger = logging.getLogger(__name__)
_access_log = logging.getLogger("memhost.http.access")

_FAILURE, _INSIDE = "memhost_failure", "memhost_failure_inside"
"""Where a request notes what failed: a route of a plugin, and what is inside of a plugin's middleware."""
_ID = re.compile(rb"[A-Za-z0-9._:@/+=-]{1,128}\Z")
_CODES = {400: "invalid_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 413: "too_large"}
_UNFORESEEN = "Internal Server Error"

Entry = Registered[InterfaceSpec]


class PluginRoutes:
    """Surrounds the routes of one plugin's interface.

    Args:
        entry: The interface.
        plugins: The plugins.
        watch: Where calls and failures are counted.
        max_body_bytes: Size of a body at most.
    """

    def __init__(self, entry: Entry, plugins: PluginManager, watch: PluginWatch, max_body_bytes: int) -> None:
        self._entry = entry
        self._watch = watch
        self._limit = max_body_bytes
        self._module = next(row.module for row in plugins.rows if row.name == entry.plugin)
        self._fields = {"plugin": entry.plugin, "distribution": entry.distribution, "version": entry.version}

    def __deepcopy__(self, _memo: Any) -> PluginRoutes:
        """Itself: Litestar copies handlers together with what their middleware is bound to."""
        return self

    def around(self, app: ASGIApp) -> ASGIApp:
        """Middleware of the routes."""

        async def answered(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            await self._answer(app, scope, receive, send)

        return answered

    async def _answer(self, app: Any, scope: Any, receive: Any, send: Any) -> None:
        started, status = perf_counter(), 0
        request_id = _id_of(scope)
        mark = REQUEST_ID.set(request_id)

        async def noted(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", ())]
                if all(name.lower() != b"x-request-id" for name, _ in headers):
                    headers.append((b"x-request-id", request_id.encode("ascii")))
                message = {**message, "headers": headers}
            await send(message)

        try:
            await app(scope, _limited(receive, self._limit), noted)
        except (Exception, SystemExit) as error:  # of an ASGI application, whose errors Litestar does not answer
            scope[_FAILURE] = error
            if status:
                raise PluginFailure(f"A route of {self._entry.origin} failed in its answer.") from error
            await answer_error(error, noted, request_id)
        finally:
            self._tell(scope, status, perf_counter() - started)
            REQUEST_ID.reset(mark)

    def error(self, request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        """Exception handler of the routes: the answer has the form of memhost's own errors."""
        request.scope[_FAILURE] = error  # type: ignore[literal-required]
        status, body, headers = _answer_to(error, REQUEST_ID.get())
        return Response(body, status_code=status, media_type="application/json", headers=headers)

    def handlers(self, given: Mapping[int | type[Exception], Any]) -> dict[int | type[Exception], Any]:
        """Exception handlers of the routes: the plugin's own, and that for the rest."""
        return {Exception: self.error, HTTPException: self.error} | {
            key: self._guarded(handler) for key, handler in given.items()
        }

    def _guarded(self, handler: Any) -> Any:
        def handled(request: Request[Any, Any, Any], error: Exception) -> Any:
            try:
                return handler(request, error)
            except Exception as failure:  # noqa: BLE001 - a foreign handler may fail in any way
                return self.error(request, failure)

        return handled

    def _tell(self, scope: Any, status: int, seconds: float) -> None:
        error = scope.pop(_FAILURE, None)
        fault = error is not None and (not isinstance(error, (HTTPException, MemhostError)) or status == 500)
        fields = {**self._fields, "method": scope["method"], "route": _route_of(scope), "status": status}
        if fault:
            told = describe(error, place_in(error, self._module))
            self._watch.broke(self._entry.plugin, f"{scope['method']} {fields['route']}: {told}", seconds)
            logger.error("request.failed", extra={"fields": {**fields, "error": told}}, exc_info=_at_debug(error))
        elif status >= 500:
            self._watch.broke(self._entry.plugin, f"{scope['method']} {fields['route']}: answered {status}", seconds)
        else:
            self._watch.worked(self._entry.plugin, seconds)
        fields["duration_ms"] = round(seconds * 1000, 2)
        if 400 <= status < 500:
            log_refusal(_access_log, logging.INFO, "request.done", code=_code_of(error, status), **fields)
        else:
            code = _code_of(error, status) if status >= 400 else ""
            log(_access_log, logging.INFO, "request.done", **fields, code=code)


class GuardedMiddleware:
    """One plugin's middleware: if it fails, the request is answered with an error and the failure is the plugin's.

    After too many failures in a row the plugin is suspended, and requests pass by its middleware for a while.

    Args:
        app: The application inside.
        around: The plugin's middleware.
        entry: The interface that brings it.
        watch: Counts failures and suspends.
        module: The plugin's module.

    Raises:
        TypeError: What the middleware makes cannot be called.
    """

    def __init__(
        self, app: Any, *, around: Callable[[Any], Any], entry: Entry, watch: PluginWatch, module: str
    ) -> None:
        self._inside = app
        self._watch = watch
        self._module = module
        self._made = around(self._pass)
        if not callable(self._made):
            raise TypeError(f"its middleware must make an ASGI application, not {type(self._made).__name__}")
        self._hook = EventHook(
            hook="middleware",
            plugin=entry.plugin,
            distribution=entry.distribution,
            version=entry.version,
            function=around,
            arguments=(),
            options=EventOptions(),
        )

    async def _pass(self, scope: Any, receive: Any, send: Any) -> None:
        """The application inside; its failures are not the middleware's."""
        try:
            await self._inside(scope, receive, send)
        except Exception as error:
            scope[_INSIDE] = error
            raise

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one ASGI connection."""
        if scope["type"] != "http" or self._watch.suspended(self._hook.plugin):
            await self._inside(scope, receive, send)
            return
        begun = False

        async def noted(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        started = perf_counter()
        try:
            await self._made(scope, receive, noted)
        except (Exception, SystemExit) as error:
            if error is scope.pop(_INSIDE, None):
                raise
            self._failed(error, scope, perf_counter() - started)
            if begun:
                raise PluginFailure(f"The middleware of {self._hook.origin} failed in its answer.") from error
            await answer_error(error, send, _id_of(scope), unforeseen=True)
            return
        if not begun:
            failure = RuntimeError("it sent no answer")
            self._failed(failure, scope, perf_counter() - started)
            await answer_error(failure, send, _id_of(scope), unforeseen=True)
            return
        self._watch.hook_called("middleware", self._hook.plugin, "ok", perf_counter() - started)

    def _failed(self, error: BaseException, scope: Any, seconds: float) -> None:
        told = describe(error, place_in(error, self._module))
        self._watch.hook_called("middleware", self._hook.plugin, "failed", seconds)
        self._watch.failed(self._hook, told)
        fields = {**self._hook.fields, "method": scope["method"], "request_id": _id_of(scope), "error": told}
        logger.error("middleware.failed", extra={"fields": fields}, exc_info=_at_debug(error))


async def answer_error(error: BaseException, send: Any, request_id: str, *, unforeseen: bool = False) -> None:
    """Answer a request that failed, in the form of memhost's own errors."""
    status, body, headers = _answer_to(RuntimeError() if unforeseen else error, request_id)
    given = {"content-type": "application/json", "content-length": str(len(body)), "x-request-id": request_id}
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in {**given, **headers}.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _answer_to(error: BaseException, request_id: str) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of the answer to an error."""
    headers: dict[str, str] = {}
    if isinstance(error, MemhostError):
        status, detail = status_of(error), error.message
        if error.retry_after_s:
            headers["retry-after"] = str(error.retry_after_s)
        if status == 401:
            headers["www-authenticate"] = "Bearer"
    elif isinstance(error, HTTPException):
        status, detail, headers = error.status_code, error.detail, dict(error.headers or {})
    else:
        status, detail = 500, ""
    if status == 500:
        detail = _UNFORESEEN
    content = {"detail": detail, "code": _code_of(error, status), "request_id": request_id}
    return status, msgspec.json.encode(content), headers


def _code_of(error: BaseException | None, status: int) -> str:
    if isinstance(error, MemhostError):
        return error.code
    return _CODES.get(status, MemhostError.code if status >= 500 else "invalid_request")


def _limited(receive: Any, limit: int) -> Any:
    """The parts of a body, as long as it is not too large."""
    size = 0

    async def part() -> Any:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise TooLarge(f"The request body is larger than the {limit} bytes that this server accepts.")
        return message

    return part


def _id_of(scope: Any) -> str:
    """The client's id for the request if it is fit for logs, else a new one that stays."""
    found: str | None = scope.get("memhost_request_id")
    if found is None:
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        found = given.decode("ascii") if _ID.match(given) else secrets.token_hex(12)
        scope["memhost_request_id"] = found
    return found


def _route_of(scope: Any) -> str:
    """The path as it was declared, without what stands in it."""
    return str(scope.get("path_template") or scope.get("root_path") or scope["path"])[:200]


def _at_debug(error: BaseException) -> BaseException | None:
    return error if logging.getLogger().isEnabledFor(logging.DEBUG) else None
