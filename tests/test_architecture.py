"""The walks of `docs/architecture.md`, compared with the functions that run."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, cast

import httpx
from tools import architecture

from memhost.host import Host
from memhost.http.app import build_app
from tests.support import scripted
from tests.support.extractions import derived, settled
from tests.support.hosts import running_host
from tests.support.plugin_factory import make_plugin

ROOT = Path(__file__).parents[1]
Step = tuple[str, str]


@contextmanager
def traced(steps: list[Step]) -> Iterator[list[Step]]:
    """Those of the steps that run inside the block, in the order of their first calls, in any thread begun inside."""
    found: list[Step] = []
    wanted = {(str(ROOT / path), name): (path, name) for path, name in steps}

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call":
            code = frame.f_code
            step = wanted.pop((code.co_filename, code.co_qualname), None)
            if step is not None:
                found.append(step)

    before = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(before)
        threading.setprofile(None)


async def ask(host: Host, verb: str, path: str, body: dict[str, Any]) -> None:
    """Send a request to the application of the host, without a socket."""
    app = build_app(host)
    transport = httpx.ASGITransport(app=cast("Any", app))
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://memhost") as client:
        answer = await client.request(verb, path, json=body)
        assert answer.status_code == 200, answer.text


async def write(host: Host) -> None:
    messages = [{"id": "m0", "role": "user", "content": "My brother Tom gets married in Porto."}]
    await ask(host, "PUT", "/v1/working-memory/chat-1", {"messages": messages})


async def test_a_write_takes_the_way_that_the_page_shows(tmp_path: Path) -> None:
    request, background = architecture.walk(architecture.WRITE)
    told = asyncio.Event()

    async def stored(event: Any, context: Any) -> None:
        told.set()

    plugin = make_plugin("listener", {"memhost_memories_stored": stored})
    with traced(request) as ran:
        async with running_host(tmp_path, extra=[plugin], run_jobs=False) as host:
            await write(host)
    assert ran == request
    with traced(background) as ran:
        async with running_host(tmp_path, extra=[plugin]):
            await told.wait()
    assert ran == background


async def test_a_search_takes_the_way_that_the_page_shows(tmp_path: Path) -> None:
    request, background = architecture.walk(architecture.SEARCH)
    async with running_host(tmp_path, run_jobs=False) as host:
        await write(host)
    with traced([*request, *background]) as ran:
        async with running_host(tmp_path, run_jobs=False) as host:
            await ask(host, "POST", "/v1/long-term-memory/search", {"text": "Where does Tom get married?"})
    assert ran == [*request, *background]


async def test_an_extraction_takes_the_way_that_the_page_shows(tmp_path: Path) -> None:
    request, background = architecture.walk(architecture.EXTRACTION)
    assert request == []
    item = {"type": "semantic", "text": "User's brother Tom gets married in Porto.", "source_message_ids": ["m0"]}
    scripted.reset().rule = lambda _asked: json.dumps({"memories": [item]})
    settings = {"LLM": "scripted", "EXTRACTION_DEBOUNCE_SECONDS": "0"}
    async with running_host(tmp_path, extra=[scripted.POINT], settings=settings, run_jobs=False) as host:
        await write(host)
    with traced(background) as ran:
        async with running_host(tmp_path, extra=[scripted.POINT], settings=settings) as host:
            await settled(host, "chat-1")
            assert [memory.text for memory in await derived(host)] == [item["text"]]
    assert ran == background
