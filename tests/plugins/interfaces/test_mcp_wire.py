"""What MCP clients are shown does not change by accident: names, schemas and annotations are pinned in a file.

Descriptions may change. After an intended change, write the file again:
`python -m tests.plugins.interfaces.test_mcp_wire`.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any, cast

import msgspec
from tests.support.hosts import ADMIN, running_host

from memhost.host import Host
from memhost_mcp import McpSettings
from memhost_mcp.catalog import Catalog
from memhost_mcp.server import _prompt_arguments, _tool
from memhost_mcp.tool_context import McpRequest
from memhost_mcp.tools.tool import Tool

PINNED = Path(__file__).parents[2] / "data" / "mcp_wire.json"


def without_descriptions(value: Any) -> Any:
    """A schema or a list of the protocol, in a form that compares equal where the meaning is."""
    if isinstance(value, list):
        return [without_descriptions(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: item for key, item in value.items() if key != "description" or isinstance(item, dict)}
    return {
        key: sorted(item) if key in ("enum", "required") and isinstance(item, list) else without_descriptions(item)
        for key, item in kept.items()
    }


def shown(host: Host) -> dict[str, dict[str, Any]]:
    """What `tools/list`, `resources/templates/list` and `prompts/list` answer, by name."""
    catalog = Catalog(host, cast("McpSettings", host.configuration.section("interfaces", "mcp")))
    everybody = McpRequest(caller=ADMIN, request_id="r")
    reviewer = McpRequest(caller=msgspec.structs.replace(ADMIN, credential="c"), request_id="r")
    agents = catalog.tools_for(everybody)
    reviews = [tool for tool in catalog.tools_for(reviewer) if tool not in agents]
    prompts = {
        name: [argument.model_dump(exclude_none=True) for argument in _prompt_arguments(offer)]
        for name, offer in catalog.prompts.items()
    }
    return {
        "tools": _listed(agents),
        "review_tools": _listed(reviews),
        "resources": {name: offer.address for name, offer in catalog.resources.items()},
        "prompts": without_descriptions(prompts),
    }


def _listed(tools: list[Tool]) -> dict[str, Any]:
    shown = [_tool(tool).model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]
    return {tool["name"]: without_descriptions(tool) for tool in shown}


async def test_what_clients_are_shown_is_what_they_were_shown(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        now = shown(host)
    pinned = json.loads(PINNED.read_text())
    for part in ("tools", "review_tools"):
        assert list(now[part]) == list(pinned[part])
        for name, tool in pinned[part].items():
            assert now[part][name] == tool, name
    assert now["resources"] == pinned["resources"]
    assert now["prompts"] == pinned["prompts"]


def test_a_changed_schema_is_seen() -> None:
    one = {"properties": {"description": {"type": "string", "description": "x"}}, "required": ["b", "a"]}
    same = {"properties": {"description": {"type": "string"}}, "required": ["a", "b"]}
    assert without_descriptions(one) == without_descriptions(same)
    assert without_descriptions(one) != without_descriptions({**one, "required": ["a"]})


async def _write() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with running_host(Path(folder), store="memory", run_jobs=False) as host:
            now = shown(host)
    lines = {
        kind: ",\n".join(f"{json.dumps(name)}: {json.dumps(item, sort_keys=True)}" for name, item in items.items())
        for kind, items in now.items()
    }
    text = ",\n".join(f"{json.dumps(kind)}: {{\n{body}\n}}" for kind, body in lines.items())
    PINNED.write_text(f"{{{text}}}\n")


if __name__ == "__main__":
    asyncio.run(_write())
