"""The REST and MCP interfaces pass the conformance suite of interfaces."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from memhost.host import Host
from memhost.testing.interface import Door, InterfaceConformance, Outcome
from memhost_rest.routes import ROUTES, Route, route_of


class RestDoor:
    """Calls operations by these routes."""

    def __init__(self, client: httpx.AsyncClient, rows: Iterable[Route] = ROUTES) -> None:
        self._client = client
        self._rows = {row.operation: row for row in rows}

    def offers(self, operation: str) -> bool:
        return operation in self._rows

    async def call(self, operation: str, arguments: Mapping[str, Any], token: str | None) -> Outcome:
        row, left = self._rows[operation], dict(arguments)
        parts = [quote(str(left.pop(part[1:-1])), safe="") if part.startswith("{") else part for part in row.segments]
        query = {key: left.pop(key) for key in list(left) if row.body == "none" or key in row.query}
        answer = await self._client.request(
            row.verb,
            "/" + "/".join(parts),
            params={key: json.dumps(value) if isinstance(value, bool) else value for key, value in query.items()},
            json=left if row.body != "none" else None,
            headers={"authorization": f"Bearer {token}"} if token else {},
        )
        body = answer.json()
        notice = answer.headers.get("x-memhost-notice", "")
        return Outcome("ok", body, notice) if answer.is_success else Outcome(body["code"], body["detail"])


class TestRest(InterfaceConformance):
    interface = "rest"

    def door(self, host: Host, client: httpx.AsyncClient) -> Door:
        return RestDoor(client)


class TestOperationsByName(InterfaceConformance):
    """`POST /v1/operations/{name}`."""

    interface = "rest"

    def door(self, host: Host, client: httpx.AsyncClient) -> Door:
        return RestDoor(client, map(route_of, host.operations))


class McpDoor:
    """Calls operations by the tools that stand for them; without sessions of the protocol, as it allows."""

    TOOLS = {
        "list_sessions": "list_sessions",
        "get_session": "get_working_memory",
        "put_session": "set_working_memory",
        "delete_session": "delete_session",
        "create_memories": "create_long_term_memories",
        "search_memories": "search_long_term_memory",
        "get_memory": "get_long_term_memory",
        "edit_memory": "edit_long_term_memory",
        "delete_memories": "delete_long_term_memories",
        "compact_memories": "compact_long_term_memories",
        "get_task": "get_task",
    }

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    def offers(self, operation: str) -> bool:
        return operation in self.TOOLS

    async def call(self, operation: str, arguments: Mapping[str, Any], token: str | None) -> Outcome:
        params = {"name": self.TOOLS[operation], "arguments": dict(arguments)}
        answer = await self._client.post(
            "/mcp",
            json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params},
            headers={
                "accept": "application/json, text/event-stream",
                **({"authorization": f"Bearer {token}"} if token else {}),
            },
        )
        if not answer.is_success:
            body = answer.json()
            return Outcome(body["code"], body.get("detail"))
        (told,) = (json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith('data: {"jsonrpc"'))
        if "error" in told:  # a tool that the caller is not shown is not there for them
            return Outcome("forbidden", told["error"]["message"])
        result = told["result"]["structuredContent"]
        if told["result"].get("isError"):
            return Outcome(result["error"]["code"], result["error"]["message"])
        return Outcome("ok" if result.get("found", True) else "not_found", result)


class TestMcp(InterfaceConformance):
    interface = "mcp"
    longest_text = 8000

    def door(self, host: Host, client: httpx.AsyncClient) -> Door:
        return McpDoor(client)
