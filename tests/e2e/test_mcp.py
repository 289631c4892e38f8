"""MCP with the real client: one scenario over all transports and REST, bounds, crossing, and a clean stdout."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from click.testing import CliRunner, Result
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client

from memhost.cli import cli
from memhost.testing.server import ServerProcess
from tests.support import scenario
from tests.support.fakes import FOLDER
from tests.support.oidc import AUDIENCE, Issuer

TOKEN = "token-of-the-mcp-tests-0123456789abcdef"
HANDSHAKE = (
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    },
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("mcp")) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that wants tokens."""
    settings = {"AUTH": "token", "AUTH_TOKENS": TOKEN}
    with ServerProcess(tmp_path_factory.mktemp("guarded"), environment=settings) as running:
        yield running


class Tools:
    """The MCP door: each step is a tool."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self.client.call_tool(name, dict(arguments))
        text: str = answer.content[0].text  # type: ignore[union-attr]
        found: dict[str, Any] = answer.structured_content or json.loads(text)
        if answer.is_error:
            assert set(found["error"]) >= {"code", "message", "retryable", "request_id"}
            assert text == found["error"]["message"]
            raise scenario.Refused(found["error"]["code"])
        assert json.loads(text) == found
        return found


class Rest:
    """The REST door: what stands for each tool."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def call(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        body, memory, session = dict(arguments), "/v1/long-term-memory", "/v1/working-memory"
        if name == "memory_prompt":
            named = {"session_id": body["session_id"], "user_id": body["user_id"]}
            body = {"query": body["query"], "session": named, "long_term_search": {"user_id": {"eq": body["user_id"]}}}
        if name == "delete_long_term_memories":
            answer = await self._http.delete(memory, params={"memory_ids": body["memory_ids"]})
        elif name == "get_long_term_memory":
            answer = await self._http.get(f"{memory}/{body['memory_id']}")
        elif name == "edit_long_term_memory":
            answer = await self._http.patch(f"{memory}/{body.pop('memory_id')}", json=body)
        elif name == "get_working_memory":
            answer = await self._http.get(f"{session}/{body.pop('session_id')}", params=body)
        elif name == "set_working_memory":
            answer = await self._http.put(f"{session}/{body.pop('session_id')}", json=body)
        elif name == "list_sessions":
            answer = await self._http.get(f"{session}/", params={**body, "details": True})
        else:
            paths = {
                "create_long_term_memories": f"{memory}/",
                "search_long_term_memory": f"{memory}/search",
                "memory_prompt": "/v1/memory/prompt",
            }
            answer = await self._http.post(paths[name], json=body)
        if answer.is_error:
            raise scenario.Refused(answer.json()["code"])
        found: dict[str, Any] = answer.json()
        if name == "list_sessions":
            found["sessions"] = found.pop("details")
        return found


@asynccontextmanager
async def over_http(url: str, path: str = "/mcp", **headers: str) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(url + path, http_client=http)) as client,
    ):
        yield client


def command(*options: str, **environment: str) -> StdioServerParameters:
    given = {name: os.environ[name] for name in ("PATH", "HOME", "VIRTUAL_ENV") if name in os.environ}
    return StdioServerParameters(
        command=sys.executable, args=["-m", "memhost", "mcp", *options], env={**given, **environment}
    )


@asynccontextmanager
async def client_of(transport: str, server: ServerProcess, folder: Path) -> AsyncIterator[Client]:
    """A client over a transport; over stdio it has a host of its own."""
    if transport == "streamable-http":
        async with over_http(server.url) as client:
            yield client
        return
    if transport == "sse":
        async with Client(sse_client(server.url + "/sse"), mode="legacy") as client:
            yield client
        return
    options = ["--url", server.url] if transport == "bridge" else ["--data", str(folder)]
    async with Client(command(*options), mode="legacy" if transport == "stdio" else "auto") as client:
        yield client


@pytest.fixture(scope="module")
def told_by_rest(server: ServerProcess) -> list[tuple[str, Any]]:
    async def tell() -> list[tuple[str, Any]]:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
            return await scenario.run(Rest(http), "user-0")

    return asyncio.run(tell())


@pytest.mark.parametrize("transport", ["stdio", "streamable-http", "sse", "bridge"])
async def test_every_transport_tells_the_story_that_rest_tells(
    transport: str, server: ServerProcess, told_by_rest: list[tuple[str, Any]], tmp_path: Path
) -> None:
    number = {"stdio": "1", "streamable-http": "2", "sse": "3", "bridge": "4"}[transport]
    async with client_of(transport, server, tmp_path) as client:
        told = await scenario.run(Tools(client), f"user-{number}")
    expected = json.dumps(told_by_rest).replace("user-0", f"user-{number}")
    assert json.loads(json.dumps(told)) == json.loads(expected)
    codes = {outcome for _, outcome in told if isinstance(outcome, str)}
    assert {"invalid_arguments", "invalid_request", "not_found"} <= codes


async def test_lists_are_small_annotated_and_closed(server: ServerProcess, tmp_path: Path) -> None:
    async with over_http(server.url) as client:
        listed = await client.list_tools()
    text = listed.model_dump_json(by_alias=True, exclude_none=True)
    assert len(text) <= 24 * 1024, len(text)
    assert "enum_class" not in text
    assert '"field"' not in text
    for tool in listed.tools:
        assert tool.annotations is not None
        assert tool.annotations.open_world_hint is False
        assert tool.annotations.read_only_hint is not None
        assert tool.input_schema["additionalProperties"] is False
        assert (tool.output_schema is None) is (tool.name == "memory_prompt")  # its text is there once
    async with Client(command("--data", str(tmp_path), MCP_TOOLS="core")) as client:
        core = await client.list_tools()
    assert {tool.name for tool in core.tools} >= {"store_memory", "search_memory", "get_session"}
    assert len(core.tools) == 6
    assert len(core.model_dump_json(by_alias=True, exclude_none=True)) <= 8 * 1024


def test_stdout_holds_nothing_but_protocol_and_no_write_is_lost(tmp_path: Path) -> None:
    """The host closes stdin right after a write; a plugin that prints while it is loaded does no harm."""
    (tmp_path / "loud.py").write_text(
        "import os\nfrom memhost import hookimpl\n"
        "@hookimpl\nasync def memhost_before_memories_stored(memories):\n"
        "    print('from a plugin', flush=True)\n    os.system('echo from a child')\n"
    )
    info = tmp_path / "loud-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[memhost]\nloud = loud\n")
    call = {"name": "store_memory", "arguments": {"text": "The password of the gate is a secret of Bob"}}
    lines = [*HANDSHAKE, {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}]
    data = str(tmp_path / "data")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "LOG_LEVEL": "DEBUG"}
    done = subprocess.run(
        [sys.executable, "-m", "memhost", "mcp", "--data", data],
        input="".join(json.dumps(line) + "\n" for line in lines),
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["id"] for answer in answers] == [1, 2]
    assert "from a plugin" in done.stderr
    assert "from a child" in done.stderr
    found = subprocess.run(
        [sys.executable, "-m", "memhost", "search", "--data", data, "--json", "gate"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "secret of Bob" in found.stdout


def test_stdio_ends_at_a_signal_and_tells_what_is_wrong_before_the_handshake(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "memhost", "mcp", "--data", str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write(json.dumps(HANDSHAKE[0]) + "\n")
    running.stdin.flush()
    assert json.loads(running.stdout.readline())["result"]["serverInfo"]["name"] == "memhost"
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=20) == 0
    running.communicate()
    wrong = subprocess.run(
        [sys.executable, "-m", "memhost", "mcp", "--data", str(tmp_path)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "MCP_TOOLS": "core,no_such_tool"},
    )
    assert wrong.returncode == 2
    assert wrong.stdout == ""
    assert "no_such_tool" in wrong.stderr


async def test_sessions_of_different_scopes_do_not_cross(server: ServerProcess) -> None:
    """Clients with scopes in path, headers and arguments, all at once."""

    async def one(number: int) -> None:
        name = f"cross-{number}"
        path, headers, fields = "/mcp", {}, {}
        if number % 3 == 0:
            path = f"/{name}/mcp"
        elif number % 3 == 1:
            headers = {"x-memory-namespace": name, "x-memory-user": name}
        else:
            fields = {"namespace": name}
        async with over_http(server.url, path, **headers) as client:
            tools = Tools(client)
            for turn in range(3):
                await tools.call("store_memory", {"text": f"fact {turn} of {name}", **fields})
                await tools.call(
                    "append_messages",
                    {"session_id": "shared", "messages": [{"role": "user", "content": f"I am {name}"}], **fields},
                )
                found = await tools.call("search_memory", {"query": "fact", "max_results": 50, **fields})
                assert {name in hit["text"] for hit in found["memories"]} == {True}
            session = await tools.call("get_session", {"session_id": "shared", **fields})
            assert [item["content"] for item in session["messages"]] == [f"I am {name}"] * 3
            assert session["namespace"] == name

    await asyncio.gather(*(one(number) for number in range(12)))


@pytest.fixture(scope="module")
def hers(guarded: ServerProcess) -> str:
    """A token that reaches one user."""
    options = ["--user", "ann", "--role", "writer", "--data", str(guarded.data_dir)]
    made = CliRunner().invoke(cli, ["token", "create", "--json", *options])
    assert made.exit_code == 0, made.output
    return str(json.loads(made.stdout)["token"])


async def test_a_bound_caller_reaches_nothing_of_others(guarded: ServerProcess, hers: str) -> None:
    async with httpx.AsyncClient(base_url=guarded.url, timeout=30) as http:
        refused = await http.post("/mcp", json={})
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert (await http.get("/.well-known/oauth-protected-resource")).status_code == 404
    async with (
        over_http(guarded.url, authorization=f"Bearer {TOKEN}") as admin,
        over_http(guarded.url, authorization=f"Bearer {hers}") as ann,
    ):
        secret = await Tools(admin).call("store_memory", {"text": "Bob hides gold", "user_id": "bob", "id": "gold"})
        assert secret["status"] == "created"
        tools = Tools(ann)
        own = await tools.call("store_memory", {"text": "Ann likes gold"})
        assert own["memory"]["user_id"] == "ann"
        found = await tools.call("search_memory", {"query": "gold"})
        assert [hit["text"] for hit in found["memories"]] == ["Ann likes gold"]
        for name, arguments, code in (
            ("search_memory", {"query": "gold", "user_id": "bob"}, "forbidden"),
            ("store_memory", {"text": "x", "user_id": "bob"}, "forbidden"),
            ("get_long_term_memory", {"memory_id": "gold"}, "not_found"),
            ("edit_long_term_memory", {"memory_id": "gold", "text": "x"}, "not_found"),
            ("edit_long_term_memory", {"memory_id": own["id"], "user_id": "bob"}, "forbidden"),
        ):
            with pytest.raises(scenario.Refused, match=code):
                await tools.call(name, arguments)
        gone = await tools.call("delete_long_term_memories", {"memory_ids": ["gold"]})
        assert gone["missing"] == ["gold"]
        listed = await tools.call("search_long_term_memory", {"user_id": {"any": ["bob", "ann"]}})
        assert [hit["user_id"] for hit in listed["memories"]] == ["ann"]


def test_strange_hosts_and_origins_are_refused(server: ServerProcess) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    accept = {"accept": "application/json, text/event-stream"}
    with httpx.Client(base_url=server.url) as http:
        for headers, status in (
            ({}, 200),
            ({"origin": "http://localhost:3000"}, 200),
            ({"host": "evil.example.com"}, 403),
            ({"origin": "https://evil.example.com"}, 403),
            ({"host": "10.1.2.3:8000"}, 200),
        ):
            assert http.post("/mcp", json=body, headers={**accept, **headers}).status_code == status, headers
            if status == 403:
                assert http.get("/sse", headers=headers).status_code == 403
        assert http.get("/mcp", headers=accept).status_code == 405
        large = http.post("/mcp", content=b"x" * 5_000_000, headers={**accept, "content-type": "application/json"})
        assert large.status_code == 413


def test_config_and_check(server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def memhost(*args: str) -> Result:
        return CliRunner().invoke(cli, ["mcp", *args])

    printed = json.loads(memhost("config", "vscode", "--url", server.url).stdout)
    assert printed == {"servers": {"memhost": {"type": "http", "url": f"{server.url}/mcp"}}}
    file = tmp_path / "mcp.json"
    file.write_text('{"mcpServers": {"other": {"command": "other"}}, "theme": "dark"}')
    assert memhost("config", "cursor", "--data", "d", "--write", "--file", str(file)).exit_code == 0
    written = json.loads(file.read_text())
    assert written["theme"] == "dark"
    assert set(written["mcpServers"]) == {"other", "memhost"}
    assert written["mcpServers"]["memhost"]["args"] == ["mcp", "--data", str(tmp_path / "d")]
    file.write_text("{ // with comments\n}")
    refused = memhost("config", "cursor", "--write", "--file", str(file))
    assert refused.exit_code == 2
    assert "nothing was changed" in refused.stderr
    report = json.loads(memhost("check", "--url", server.url, "--json").stdout)
    assert report["tools"] == 20
    assert memhost("check", "--url", "http://127.0.0.1:9").exit_code == 3


async def test_operations_of_plugins_are_served_by_rest_and_mcp_alike(tmp_path: Path) -> None:
    plugins, data = tmp_path / "plugins", tmp_path / "data"
    plugins.mkdir()
    data.mkdir()
    for name in ("fake_fixtures.py", "fake_fixtures-0.4.0.dist-info"):
        (plugins / name).symlink_to(FOLDER / name)
    with Issuer() as issuer:
        settings = {"AUTH": "jwt", "OAUTH2_ISSUER_URL": issuer.url, "OAUTH2_AUDIENCE": AUDIENCE}
        settings["PYTHONPATH"] = str(plugins)
        with ServerProcess(data, environment=settings) as server:
            bearer = f"Bearer {issuer.token()}"
            async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
                refused = await http.post("/mcp", json={})
                place = f"{server.url}/.well-known/oauth-protected-resource/mcp"
                assert refused.headers["www-authenticate"] == f'Bearer resource_metadata="{place}"'
                document = (await http.get(place)).json()
                assert document["resource"] == f"{server.url}/mcp"
                assert document["authorization_servers"] == [issuer.url]
                path, headers = "/v1/operations/json_schema_2020_12_tool", {"authorization": bearer}
                by_rest = await http.post(path, json={"name": "Ann"}, headers=headers)
                assert (await http.post(path, json={"name": 5}, headers=headers)).status_code == 422
                assert (await http.post(path, json={})).status_code == 401
                assert path in (await http.get("/openapi.json")).json()["paths"]
            async with over_http(server.url, authorization=bearer) as client:
                tools = Tools(client)
                assert await tools.call("json_schema_2020_12_tool", {"name": "Ann"}) == by_rest.json()
                with pytest.raises(scenario.Refused, match="invalid_arguments"):
                    await tools.call("json_schema_2020_12_tool", {"name": 5})
                own = await tools.call("store_memory", {"text": "mine"})
                assert own["memory"]["user_id"] == "ann"
