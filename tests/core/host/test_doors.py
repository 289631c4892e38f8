"""Doors: what comes through an interface is trusted no further than the setting says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import post

from memhost import hookimpl
from memhost.errors import ConfigurationError
from memhost.http.app import build_app
from memhost.models import Caller, Trust
from memhost.models.trust import TRUSTS, bounded, of_memory, of_turn, rank
from memhost.operations import Call
from memhost.operations.long_term import CreateMemories
from memhost.operations.requests import RecordInput
from memhost.ports import Host
from memhost.specs import InterfaceSpec, Mount
from tests.support import clients
from tests.support.hosts import ADMIN, run, running_host

MEMORY = {"id": "m", "text": "Invoices go to box 7.", "user_id": "mia"}
TURN = {"id": "t", "role": "user", "content": "Tea is green.", "created_at": "2026-01-02T03:04:05Z"}


def caller(channel: Trust | None) -> Caller:
    return Caller(subject="test", roles=frozenset({"admin"}), channel=channel)


@pytest.mark.parametrize("channel", [None, *TRUSTS])
@pytest.mark.parametrize("bound", [None, *TRUSTS])
def test_a_bound_only_lowers(channel: Trust | None, bound: Trust | None) -> None:
    both = bounded(channel, bound)
    for role in ("user", "assistant", "system", "tool", "crawler"):
        before, after = of_turn(role, channel), of_turn(role, both)
        assert rank(after) == min(rank(before), rank(bound or "operator"))
    assert rank(of_memory(both)) == min(rank(of_memory(channel)), rank(bound or "operator"))


@pytest.mark.parametrize("door", ["rest", "mcp", "python"])
@pytest.mark.parametrize("channel", [None, "user", "external"])
async def test_callers_of_a_door_write_as_it_says(tmp_path: Path, door: str, channel: Trust | None) -> None:
    bounds: dict[str, Trust] = {"mcp": "tool", "rest": "user"}
    settings = {"INTERFACE_TRUST": json.dumps(bounds)}
    wanted = bounded(channel, bounds.get(door))
    async with running_host(tmp_path, store="memory", settings=settings) as whole:
        host = whole.through(door) if door != "python" else whole
        await run(host, "create_memories", caller(channel), memories=[MEMORY])
        await run(host, "put_session", caller(channel), session_id="s", user_id="mia", messages=[TURN])
        assert (await run(whole, "get_memory", memory_id="m")).trust == of_memory(wanted)
        assert (await run(whole, "get_memory", memory_id="t")).trust == of_turn("user", wanted)


async def test_the_door_of_a_call_counts_where_the_host_has_none_and_no_call_claims_another(tmp_path: Path) -> None:
    settings = {"INTERFACE_TRUST": json.dumps({"mcp": "tool"})}
    async with running_host(tmp_path, store="memory", settings=settings) as host:
        for view, door, level in ((host, "mcp", "tool"), (host.through("mcp"), "rest", "tool"), (host, "x", "agent")):
            call = Call(caller=ADMIN, request_id="test", door=door)
            memory = RecordInput(id=door, text=f"{door} is a door.", user_id="mia")
            await view.execute("create_memories", call, CreateMemories(memories=[memory]))
            assert (await run(host, "get_memory", memory_id=door)).trust == level


@hookimpl
def memhost_interfaces() -> Sequence[InterfaceSpec]:
    """Offer an interface that stores a memory, and does not say through which door its calls come."""

    def build(host: Host, _settings: Any) -> Mount:
        @post("/acme")
        async def tell() -> dict[str, str]:
            memory = RecordInput(id="m", text="Invoices go to box 7.", user_id="mia")
            call = Call(caller=ADMIN, request_id="acme")
            await host.execute("create_memories", call, CreateMemories(memories=[memory]))
            return {}

        return Mount(handlers=[tell])

    return [InterfaceSpec(name="acme", summary="A bot.", build=build)]


async def test_an_interface_of_a_plugin_is_bound_whatever_its_calls_say(tmp_path: Path) -> None:
    point = EntryPoint("acme", __name__, "memhost")
    settings = {"INTERFACE_TRUST": json.dumps({"acme": "tool"})}
    async with running_host(tmp_path, store="memory", extra=[point], settings=settings) as host:
        app: Any = build_app(host)
        transport = httpx.ASGITransport(app=app)
        async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.post("/acme")
            assert answer.status_code == 201, answer.text
        assert (await run(host, "get_memory", memory_id="m")).trust == "tool"


async def test_an_interface_is_bound_over_http(tmp_path: Path) -> None:
    settings = {"INTERFACE_TRUST": json.dumps({"rest": "external"})}
    async with (
        running_host(tmp_path, store="memory", settings=settings) as host,
        clients.rest(host) as call,
    ):
        done = await call("create_memories", None, {"memories": [MEMORY]})
        assert done.code == "ok", done
        assert (await run(host, "get_memory", memory_id="m")).trust == "external"


@pytest.mark.parametrize("given", [{"mpc": "agent"}, {"mcp": "boss"}])
async def test_a_door_or_a_level_that_is_not_known_stops_the_start(tmp_path: Path, given: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"(?i)interface_trust"):
        async with running_host(tmp_path, store="memory", settings={"INTERFACE_TRUST": json.dumps(given)}):
            pass
