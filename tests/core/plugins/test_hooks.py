"""Event hooks in requests change and refuse, within limits, and cannot harm each other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from memhost.errors import PluginFailure, Refused
from memhost.host import Host
from tests.support.fakes import FOLDER
from tests.support.hosts import run, running_host


@pytest.fixture(params=["memory", "sqlite"])
async def host(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Host]:
    monkeypatch.syspath_prepend(str(FOLDER))
    async with running_host(tmp_path, store=request.param, fakes=["fake-good"]) as opened:
        yield opened


def turns(*texts: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text, "id": f"m{number}"} for number, text in enumerate(texts)]


async def test_session_write_is_changed_before_anything_is_stored(host: Host) -> None:
    stored = await run(host, "put_session", session_id="s", messages=turns("my card is 4111 1111"))
    assert stored.messages[0].content == "my card is [card]"
    found = await run(host, "search_memories", text="card")
    assert [hit.text for hit in found.memories] == ["user: my card is [card]"]


async def test_session_write_is_refused_with_the_plugins_name(host: Host) -> None:
    with pytest.raises(Refused, match=r"not welcome.*fake-good \(fake-good 1.2.3\)"):
        await run(host, "put_session", session_id="s", messages=turns("please refuse this"))
    listed = await run(host, "list_sessions")
    assert listed.total == 0


async def test_memories_are_left_out_by_a_hook(host: Host) -> None:
    await run(host, "put_session", session_id="s", messages=turns("do not keep this", "but keep that"))
    found = await run(host, "search_memories")
    assert [hit.text for hit in found.memories] == ["user: but keep that"]


async def test_failing_hook_with_policy_refuse_stops_the_write(host: Host) -> None:
    with pytest.raises(PluginFailure, match=r"fake-good 1\.2\.3"):
        await run(host, "create_memories", memories=[{"id": "a", "text": "break the hook"}])
    assert (await run(host, "search_memories")).total == 0


async def test_search_text_is_rewritten(host: Host) -> None:
    await run(host, "create_memories", memories=[{"id": "a", "text": "User drives a car"}])
    found = await run(host, "search_memories", text="automobile", search_mode="keyword")
    assert [hit.id for hit in found.memories] == ["a"]


async def test_hits_are_redacted(host: Host) -> None:
    await run(host, "create_memories", memories=[{"id": "a", "text": "the secret door"}])
    found = await run(host, "search_memories", text="door")
    assert found.memories[0].text == "the [redacted] door"
    assert (await run(host, "get_memory", memory_id="a")).text == "the secret door"


async def test_failing_hook_with_policy_skip_changes_nothing(host: Host) -> None:
    await run(host, "create_memories", memories=[{"id": "a", "text": "hits that break"}])
    found = await run(host, "search_memories", text="hits that break")
    assert [hit.id for hit in found.memories] == ["a"]
