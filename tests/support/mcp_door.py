"""Calls operations through MCP with the real client over a socket; maps tools to operations."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import msgspec
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from memhost.host import Host
from memhost.http.app import build_app
from memhost.models import Caller
from memhost.testing.callers import token_of
from memhost.testing.polling import until
from tests.support.clients import Outcome

Arguments = dict[str, Any]


def _same(given: Arguments) -> Arguments:
    return given


def _without(*names: str) -> Callable[[Arguments], Arguments]:
    return lambda given: {name: value for name, value in given.items() if name not in names}


def _flat_search(given: Arguments) -> Arguments:
    names: tuple[str, ...] = ("namespace", "user_id")
    owner = {name: given[name]["eq"] for name in names if name in given}
    return {"query": given["text"], **owner}


def _prompt(given: Arguments) -> Arguments:
    filters = {name: given["session"][name] for name in ("namespace", "user_id") if name in given["session"]}
    return {"query": given["query"], "session_id": given["session"]["session_id"], **filters}


def _records(given: Arguments) -> Arguments:
    """The records; those that name no owner without ids, as here they get the only owner that the caller has."""
    return {"memories": [item if "user_id" in item else _without("id")(item) for item in given["memories"]]}


def _append(given: Arguments) -> Arguments:
    return {**_without("data")(given), "messages": [{"role": "user", "content": "And this"}]}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A tool, the operation whose right it needs, and its arguments made of those of a case of the matrix."""

    tool: str
    operation: str
    arguments: Callable[[Arguments], Arguments] = _same
    case: str = ""


ROWS = (
    Row(tool="list_sessions", operation="list_sessions"),
    Row(tool="get_session", operation="get_session"),
    Row(tool="get_working_memory", operation="get_session"),
    Row(tool="set_working_memory", operation="put_session"),
    Row(tool="update_session_data", operation="change_session"),
    Row(tool="append_messages", operation="change_session", arguments=_append),
    Row(tool="delete_session", operation="delete_session"),
    Row(tool="create_long_term_memories", operation="create_memories", arguments=_records),
    Row(tool="store_memory", operation="store_memories", arguments=lambda given: _records(given)["memories"][0]),
    Row(tool="search_long_term_memory", operation="search_memories"),
    Row(tool="search_memory", operation="search_memories", arguments=_flat_search),
    Row(tool="get_context", operation="get_context"),
    Row(tool="memory_prompt", operation="memory_prompt", arguments=_prompt),
    Row(tool="get_long_term_memory", operation="get_memory"),
    Row(tool="edit_long_term_memory", operation="edit_memory"),
    Row(tool="delete_long_term_memories", operation="delete_memories", arguments=_without("report")),
    Row(tool="compact_long_term_memories", operation="compact_memories", arguments=_without("report")),
    Row(tool="get_task", operation="get_task"),
    Row(
        tool="get_summary",
        operation="run_summary_view_partition",
        arguments=lambda given: {"view": given["view_id"], "group": given["group"], "refresh": True},
    ),
    Row(
        tool="get_summary",
        operation="list_summary_view_partitions",
        arguments=lambda given: {"view": given["view_id"], "group": given["group"]},
        case="run_summary_view_partition",
    ),
)

WITHOUT_OPERATION = frozenset({"get_current_datetime"})
"""Tools that touch nothing that is stored."""

WITHOUT_TOOL = frozenset(
    {
        *("health", "ready", "list_plugins", "get_plugin", "list_jobs", "retry_job", "discard_job", "get_usage"),
        *(
            "extract_session",
            "session_extraction",
            "explain_memory",
            "get_profile",
            "rebuild_memories",
            "preview_extraction",
            "forget_memories",
            "list_trash",
            "restore_memories",
        ),
        *("list_reviews", "get_review", "approve_reviews", "correct_review", "refuse_reviews"),
        *("validate_prompt", "create_summary_view", "list_summary_views", "get_summary_view", "update_summary_view"),
        *("delete_summary_view", "run_summary_view", "delete_user"),
        *("list_memory_versions", "get_memory_version", "compare_memory_versions", "restore_memory_version"),
        *("redact_memory_version", "export_user", "list_changes", "verify_store", "check_certificate"),
        *("list_tokens", "create_token", "rotate_token", "revoke_token"),
    }
)
"""Operations that MCP does not offer; those on reviews are for callers whose credential may decide."""


@asynccontextmanager
async def listening(host: Host) -> AsyncIterator[str]:
    """The host behind a real socket; its address."""
    # asyncio sends without delay only where the socket says that it is TCP
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as bound:
        bound.bind(("127.0.0.1", 0))
        config = uvicorn.Config(build_app(host), log_config=None, access_log=False, lifespan="on", ws="none")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve([bound]))
        await until(lambda: _truth(server.started))
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


async def _truth(value: bool) -> bool:
    return value


class McpDoor:
    """Calls tools as any caller, one after the other; the server asks with each request who it is."""

    def __init__(self, url: str, http: httpx2.AsyncClient, client: Client) -> None:
        self._url = url
        self._http = http
        self.client = client

    async def call(self, tool: str, caller: Caller | None, arguments: Mapping[str, Any]) -> Outcome:
        """What became of a call; a tool that the caller is not shown is forbidden."""
        if caller is None:
            return await self._without_credential(tool, arguments)
        self._http.headers["authorization"] = _bearer(caller)
        try:
            answer = await self.client.call_tool(tool, dict(arguments))
        except MCPError as error:
            return Outcome(
                "forbidden" if error.message.startswith("There is no tool") else "failed", json.dumps(error.message)
            )
        if answer.is_error:
            told = answer.structured_content["error"]
            return Outcome(told["code"], json.dumps(told["message"]))
        told = answer.structured_content or [part.model_dump(mode="json") for part in answer.content]
        return Outcome("ok", json.dumps(told))

    async def _without_credential(self, tool: str, arguments: Mapping[str, Any]) -> Outcome:
        params = {"name": tool, "arguments": dict(arguments)}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        del self._http.headers["authorization"]
        answer = await self._http.post(f"{self._url}/mcp", json=body)
        return Outcome(answer.json()["code"], answer.text)


def _bearer(caller: Caller) -> str:
    return f"Bearer {token_of(caller)}"


@asynccontextmanager
async def mcp_door(host: Host, caller: Caller) -> AsyncIterator[McpDoor]:
    """The door to a host, connected as that caller; the host must have the plugin `memhost.testing.callers`."""
    async with (
        listening(host) as url,
        httpx2.AsyncClient(headers={"authorization": _bearer(caller)}, timeout=30) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
    ):
        yield McpDoor(url, http, client)
