"""The profile over REST, as a resource of MCP, and on the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from memhost.cli import cli
from memhost.errors import Forbidden, NotFound
from memhost.http.app import build_app
from memhost.models import Caller
from memhost_mcp import McpSettings
from memhost_mcp.catalog import Catalog
from memhost_mcp.tool_context import Defaults, McpRequest
from tests.support.hosts import ADMIN, bound_to
from tests.support.scripted_chats import Chats, chats


async def tell(chat: Chats) -> None:
    """A home that changes, and a rule."""
    rule = {"text": "User wants short answers.", "type": "instruction", "lines": [1], "scope": "mails"}
    rome = {"text": "User lives in Rome.", "subject": "home", "lines": [1]}
    await chat.tell(("user", ""), items=[rome, rule])
    pisa = {"text": "User lives in Pisa.", "subject": "home", "lines": [1], "replaces": "User lives in Rome."}
    await chat.tell(("user", ""), items=[pisa])


async def test_rest_has_a_route(tmp_path: Path) -> None:
    async with chats(tmp_path) as chat:
        await tell(chat)
        app: Any = build_app(chat.host)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            found = (await http.get("/v1/users/mia/profile", params={"limit": 1})).json()
            assert [each["text"] for each in found["facets"][0]["statements"]] == ["User lives in Pisa."]
            assert [each["text"] for each in found["facets"][0]["history"]] == ["User lives in Rome."]
            assert [(each["text"], each["scope"]) for each in found["rules"]] == [
                ("User wants short answers.", "mails")
            ]
            assert (await http.get("/v1/users/mia/profile", params={"namespace": "work"})).json()["total"] == 0
            assert (await http.get("/v1/users/mia/profile", params={"limit": 0})).status_code == 422


async def test_mcp_has_a_resource(tmp_path: Path) -> None:
    async with chats(tmp_path) as chat:
        await tell(chat)
        catalog = Catalog(chat.host, McpSettings())

        async def read(uri: str, caller: Caller = ADMIN, asked: Defaults | None = None) -> str:
            request = McpRequest(caller=caller, request_id="test", asked=asked or Defaults())
            return str((await catalog.read(request, uri)).text)

        assert "User lives in Pisa." in await read("memory://profile/_/mia")
        assert "User lives in Pisa." in await read("memory://profile/_/_", bound_to(users=("mia",)))
        assert "Pisa" not in await read("memory://profile/work/mia")
        with pytest.raises(NotFound):
            await read("memory://profile/_/_")
        with pytest.raises(Forbidden):
            await read("memory://profile/_/mia", bound_to(users=("ben",)))


def test_the_command_line_has_a_command(tmp_path: Path) -> None:
    async def prepare() -> None:
        async with chats(tmp_path / "d", {"STORE": "sqlite"}) as chat:
            await tell(chat)

    asyncio.run(prepare())

    def told(*args: str) -> str:
        result = CliRunner().invoke(cli, ["profile", *args, "--data", str(tmp_path / "d")])
        assert result.exit_code == 0, result.output
        return result.stdout

    text = told("mia")
    assert "rule (mails): User wants short answers." in text
    assert "home: User lives in Pisa. (said 2026-03-03, 1 turn)" in text
    assert "Rome" not in text
    assert "  until 2026-03-03: User lives in Rome." in told("mia", "--history")
    assert "Nothing is known of ben." in told("ben")
    assert json.loads(told("mia", "--json"))["total"] == 1
