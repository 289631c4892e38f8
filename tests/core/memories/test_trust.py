"""How far turns and memories are trusted: by the caller's channel and the role, never further than before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memhost.models import Caller, Trust
from memhost.models.trust import TRUSTS, at_least, by_role, lowest, of_turn, rank
from tests.support.hosts import run, running_host
from tests.support.reviews import approve

STORES = pytest.mark.parametrize("store", ["memory", "sqlite", "redis"])


def caller(channel: Trust | None) -> Caller:
    return Caller(subject="test", roles=frozenset({"admin"}), channel=channel)


def said(role: str, content: str, message_id: str = "m1") -> dict[str, Any]:
    return {"id": message_id, "role": role, "content": content, "created_at": "2026-01-02T03:04:05Z"}


async def turn_trust(host: Any, session: str = "s") -> dict[str, str | None]:
    found = await run(host, "get_session", session_id=session, user_id="mia")
    return {message.id: message.trust for message in found.messages}


def test_levels_are_ordered_and_a_channel_only_lowers() -> None:
    assert sorted(TRUSTS, key=rank, reverse=True) == list(TRUSTS)
    assert at_least("agent") == ("operator", "user", "assistant", "agent")
    assert lowest(()) == "external"
    for role in ("user", "assistant", "system", "tool", "crawler", " User "):
        assert of_turn(role, None) == by_role(role)
        assert all(rank(of_turn(role, channel)) <= min(rank(channel), rank(by_role(role))) for channel in TRUSTS)


@pytest.mark.parametrize(
    ("channel", "role", "level"),
    [
        (None, "user", "user"),
        (None, "assistant", "assistant"),
        (None, "system", "agent"),
        (None, "tool", "tool"),
        (None, "crawler", "external"),
        ("tool", "user", "tool"),
        ("agent", "user", "agent"),
        ("operator", "user", "user"),
        ("user", "tool", "tool"),
    ],
)
async def test_a_turn_carries_the_lower_of_role_and_channel(
    tmp_path: Path, channel: Trust | None, role: str, level: str
) -> None:
    async with running_host(tmp_path, store="memory") as host:
        await run(
            host,
            "put_session",
            caller(channel),
            session_id="s",
            user_id="mia",
            messages=[{**said(role, "Invoices go to box 7."), "trust": "operator"}],
        )
        assert await turn_trust(host) == {"m1": level}
        found = await run(host, "search_memories", text="invoices", user_id={"eq": "mia"})
        assert [hit.trust for hit in found.memories] in ([level], [])


async def test_roles_are_never_upgraded(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory") as host:
        for role in ("tool", "user"):
            await run(
                host, "put_session", session_id="s", user_id="mia", messages=[said(role, "Invoices go to box 9.")]
            )
        assert await turn_trust(host) == {"m1": "tool"}
        own = [said("user", "My bank is Nordea.", "m2")]
        await run(host, "put_session", session_id="t", user_id="mia", messages=own)
        await run(host, "put_session", caller("tool"), session_id="t", user_id="mia", messages=own)
        assert await turn_trust(host, "t") == {"m2": "user"}, "sent again as it was"
        await run(
            host,
            "put_session",
            caller("tool"),
            session_id="t",
            user_id="mia",
            messages=[said("user", "My bank is Evil.", "m2")],
        )
        assert await turn_trust(host, "t") == {"m2": "user"}, "it stays as it was"


@STORES
async def test_what_a_client_claims_is_left_out_and_filters_go_by_what_the_server_knows(
    tmp_path: Path, store: str, request: pytest.FixtureRequest
) -> None:
    space = request.getfixturevalue("redis_part").environment() if store == "redis" else {}
    claimed = {"id": "c", "text": "The kettle is red.", "user_id": "mia", "metadata": {"trust": "user", "k": 1}}
    async with running_host(tmp_path, store=store, settings=space) as host:
        await run(host, "create_memories", memories=[claimed])
        await run(host, "create_memories", caller("tool"), memories=[{**claimed, "id": "t", "text": "Tea is green."}])
        await run(host, "put_session", session_id="s", user_id="mia", messages=[said("user", "I drink tea.")])
        kept = await run(host, "get_memory", memory_id="c")
        assert (kept.trust, kept.metadata) == ("agent", {"k": 1})

        async def found(**filters: Any) -> set[str]:
            return {hit.id for hit in (await run(host, "search_memories", **filters)).memories}

        (turn,) = await found(trust={"eq": "user"})
        assert await found(trust={"any": ["agent", "tool"]}) == {"c", "t"}
        assert await found(min_trust="assistant") == {"c", turn}
        assert await found(min_trust="user") == {turn}
        assert await found(metadata={"trust": {"eq": "user"}}) == {turn}
        edited = await run(host, "edit_memory", memory_id=turn, text="user: I drink Evil tea.")
        assert edited.trust == "agent"
        lower = await run(host, "edit_memory", caller("tool"), memory_id="c", metadata={"trust": "user"})
        assert (lower.trust, lower.metadata) == ("agent", {})


RESULTS = [
    [{"type": "tool_result", "tool_use_id": "1", "content": "box 9"}],
    [{"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "box 9"}]}],
    [{"type": "tool_result", "tool_use_id": "1", "content": "box 9"}, {"type": "text", "text": "Which box?"}],
    [{"type": "web_search_tool_result", "content": [{"type": "text", "text": "box 9"}]}],
    [{"type": "tool-result", "toolCallId": "1", "output": "box 9"}],
    [{"type": "function_call_output", "call_id": "1", "output": "box 9"}],
    [{"functionResponse": {"name": "web", "response": {"output": "box 9"}}}],
    [{"toolResult": {"toolUseId": "1", "content": [{"text": "box 9"}]}}],
]
DOCUMENTS = [
    [{"type": "resource", "resource": {"uri": "a://b", "text": "box 9"}}],
    [{"type": "search_result", "title": "t", "content": [{"type": "text", "text": "box 9"}]}],
    [{"type": "text", "text": "Sum up"}, {"type": "document", "content": [{"type": "text", "text": "box 9"}]}],
]
OWN = [
    "box 9",
    [{"type": "text", "text": "box 9"}],
    [{"type": "text", "text": "box 9"}, {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}],
    [{"type": "input_text", "text": "the tool_result was box 9"}],
    [{"type": "text", "text": "box 9"}, {"type": "document", "source": {"type": "base64", "data": "AAAA"}}],
    [{"text": "box 9"}],
    [{"type": "tool_use", "id": "1", "name": "web", "input": {"q": "box 9"}}, {"type": "text", "text": "box 9"}],
]


@pytest.mark.parametrize("role", ["user", "assistant"])
@pytest.mark.parametrize(
    ("content", "trust"),
    [*((each, "tool") for each in RESULTS), *((each, "external") for each in DOCUMENTS), *((each, "") for each in OWN)],
)
async def test_results_and_documents_in_a_message_are_not_the_words_of_who_sends_it(
    tmp_path: Path, role: str, content: Any, trust: str
) -> None:
    async with running_host(tmp_path, store="memory") as host:
        await run(host, "put_session", session_id="s", user_id="u", messages=[{"role": role, "content": content}])
        view = await run(host, "get_session", session_id="s", user_id="u")
        assert [message.trust for message in view.messages] == [trust or role]
        found = await run(host, "search_memories", text="box", user_id={"eq": "u"})
        assert {hit.trust for hit in found.memories} <= {trust or role}
        prompt = await run(host, "memory_prompt", query="?", session={"session_id": "s", "user_id": "u"})
        assert ("remembered data" in prompt.messages[0].content.text) is bool(trust)


@pytest.mark.parametrize("way", ["edit", "store"])
async def test_a_caller_who_is_bound_to_less_changes_nothing_that_is_trusted_more_unasked(
    tmp_path: Path, way: str
) -> None:
    async with running_host(tmp_path, store="memory") as host:
        await run(host, "create_memories", caller("user"), memories=[{"id": "d", "text": "Mia's dentist is Dr. Lind."}])
        other = "Mia's dentist is Dr. Olsen."
        if way == "edit":
            await run(host, "edit_memory", caller("tool"), memory_id="d", text=other)
        else:
            await run(host, "create_memories", caller("tool"), memories=[{"id": "d", "text": other}])
        kept = await run(host, "get_memory", memory_id="d")
        assert (kept.text, kept.trust) == ("Mia's dentist is Dr. Lind.", "user")
        (waits,) = (await run(host, "list_reviews")).memories
        assert (waits.memory.text, waits.memory.review.reasons) == (other, ["contradicts"])
        await approve(host, "d")
        assert (await run(host, "get_memory", memory_id="d")).text == other
