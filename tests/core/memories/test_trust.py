"""How far turns and memories are trusted: by the caller's channel and the role, never further than before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memhost.models import Caller, Trust
from memhost.models.trust import TRUSTS, at_least, by_role, lowest, of_turn, rank
from tests.support.hosts import run, running_host

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
        assert await turn_trust(host, "t") == {"m2": "tool"}


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
