"""Calls an operation as a given caller, in the process or over HTTP, with one outcome: a code and the answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import quote

import httpx
import msgspec

from memhost.errors import MemhostError, Unauthorized
from memhost.host import Host
from memhost.http.app import build_app
from memhost.models import Caller
from memhost.operations import Call
from memhost.testing.callers import token_of
from memhost_rest.routes import ROUTES, route_of


class Outcome(msgspec.Struct, frozen=True):
    """`ok` or the code of the error; the answer, or the error's sentence, as JSON text."""

    code: str
    text: str


Door = Callable[[str, Caller | None, Mapping[str, Any]], Awaitable[Outcome]]
"""`await door(operation, caller, arguments)`; None calls without any credential."""


@asynccontextmanager
async def inside(host: Host) -> AsyncIterator[Door]:
    """Straight to the host, as interfaces call it."""

    async def call(name: str, caller: Caller | None, arguments: Mapping[str, Any]) -> Outcome:
        operation = host.operations[name]
        try:
            if caller is None:
                if operation.access != "open":
                    raise Unauthorized("Send a caller.")
                caller = Caller(subject="anonymous")
            request = msgspec.convert(dict(arguments), operation.request)
            answer = await host.execute(name, Call(caller=caller, request_id="test"), request)
        except MemhostError as error:
            return Outcome(error.code, json.dumps(error.message))
        return Outcome("ok", msgspec.json.encode(answer).decode())

    yield call


@asynccontextmanager
async def rest(host: Host) -> AsyncIterator[Door]:
    """Through the HTTP application, without a socket; the host must have the plugin `memhost.testing.callers`."""
    app = build_app(host)
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=cast("Any", app)), base_url="http://memhost") as client,
    ):
        yield over_http(client, host, lambda caller: {"authorization": f"Bearer {token_of(caller)}"})


def over_http(
    client: httpx.AsyncClient, host_or_names: Host | None, headers_of: Callable[[Caller], Mapping[str, str]]
) -> Door:
    """Calls by the routes of the REST interface."""
    rows = {row.operation: row for row in ROUTES}
    if host_or_names is not None:
        rows |= {each.name: route_of(each) for each in host_or_names.operations if each.name not in rows}

    async def call(name: str, caller: Caller | None, arguments: Mapping[str, Any]) -> Outcome:
        row, left = rows[name], dict(arguments)
        parts = [quote(str(left.pop(part[1:-1])), safe="") if part.startswith("{") else part for part in row.segments]
        in_query = [key for key in left if row.body == "none" or key in row.query]
        query: list[tuple[str, str | int | float | bool | None]] = [
            (key, _plain(item)) for key in in_query for item in _listed(left.pop(key))
        ]
        answer = await client.request(
            row.verb,
            "/" + "/".join(parts),
            params=query,
            json=left if row.body != "none" else None,
            headers=headers_of(caller) if caller is not None else {},
        )
        if answer.status_code < 400:
            return Outcome("ok", answer.text)
        body = answer.json()
        return Outcome(body.get("code", str(answer.status_code)), json.dumps(body["detail"]))

    return call


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def _plain(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)
