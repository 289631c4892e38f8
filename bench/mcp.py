"""MCP: how long until the first tool answers, what mounting it costs, and many clients of different scopes at once.

python -m bench.mcp
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from memhost.testing.server import ServerProcess

CLIENTS = 200
STARTS = 5
BAR_S = 2.0

LINES = (
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "b", "version": "1"}},
    },
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {
        "jsonrpc": "2.0",
        "id": 2,
        "method": "tools/call",
        "params": {"name": "search_memory", "arguments": {"query": "anything"}},
    },
)


async def first_answer(folder: Path) -> float:
    """Seconds from starting `memhost mcp` until its first tool has answered."""
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "memhost",
        "mcp",
        "--data",
        str(folder),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("".join(json.dumps(line) + "\n" for line in LINES).encode())
    await process.stdin.drain()
    while json.loads(await process.stdout.readline()).get("id") != 2:
        pass
    took = time.perf_counter() - started
    process.stdin.close()
    await process.wait()
    return took


async def one_client(url: str, number: int) -> int:
    """Write and read in a scope of its own; how many memories of others came back."""
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    name = f"scope-{number}"
    path, headers = (f"/{name}/mcp", {}) if number % 2 else ("/mcp", {"x-memory-user": name})
    crossed = 0
    async with (
        httpx2.AsyncClient(headers=headers, timeout=120) as http,
        Client(streamable_http_client(url + path, http_client=http), cache=None) as client,
    ):
        for turn in range(3):
            await client.call_tool("store_memory", {"text": f"fact {turn} of {name}"})
            found = await client.call_tool("search_memory", {"query": "fact", "max_results": 50})
            texts = [hit["text"] for hit in found.structured_content["memories"]]
            crossed += sum(not text.endswith(f" {name}") for text in texts) + (len(texts) != turn + 1)
    return crossed


async def many(url: str) -> tuple[int, float]:
    """Crossings among all clients at once, and seconds."""
    started = time.perf_counter()
    crossed = await asyncio.gather(*(one_client(url, number) for number in range(CLIENTS)))
    return sum(crossed), time.perf_counter() - started


def mounted(mount: str) -> tuple[float, float]:
    """Start of a server in seconds, and its memory in MB, with and without MCP."""
    starts, sizes = [], []
    for _ in range(STARTS):
        with (
            tempfile.TemporaryDirectory() as folder,
            ServerProcess(Path(folder), environment={"MCP_MOUNT": mount}) as server,
        ):
            starts.append(server.start_s)
            sizes.append(server.resident_mb())
    return statistics.median(starts), statistics.median(sizes)


def main() -> None:
    """Print the table."""
    print(f"machine: {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        times = [asyncio.run(first_answer(Path(folder))) for _ in range(STARTS)]
    middle = statistics.median(times)
    verdict = "ok" if middle < BAR_S else "MISSED"
    print(
        f"stdio, start to first tool answer: median {middle:.2f} s, best {min(times):.2f} s, bar {BAR_S} s: {verdict}"
    )
    for mount in ("false", "true"):
        start, size = mounted(mount)
        print(f"server with MCP_MOUNT={mount}: start {start:.2f} s, {size:.0f} MB")
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder)) as server:
        crossed, took = asyncio.run(many(server.url))
        calls = CLIENTS * 6
        print(f"{CLIENTS} clients interleaved: {crossed} crossings in {calls} calls, {calls / took:.0f} calls/s")
        print(f"memory after that: {server.resident_mb():.0f} MB")


if __name__ == "__main__":
    main()
