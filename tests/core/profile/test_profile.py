"""The profile of a user: one current statement of each facet, what held before, and nothing of anybody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memhost.errors import LongTermMemoryDisabled
from memhost.models import Scope, WriteBatch
from tests.support.hosts import bound_to, run
from tests.support.scripted_chats import Chats, chats

STORES = pytest.mark.parametrize("storage", ["memory", "sqlite", "redis"], indirect=True)


@pytest.fixture
def storage(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings that choose a store."""
    param = getattr(request, "param", "memory")
    space = request.getfixturevalue("redis_part").environment() if param == "redis" else {}
    return {"STORE": param, **space}


@pytest.fixture
async def chat(tmp_path: Path, storage: dict[str, str]) -> AsyncIterator[Chats]:
    async with chats(tmp_path, {**storage, "DISCRETE_KINDS": "fact,event,instruction,action"}) as running:
        yield running


def fact(text: str, subject: str, *lines: int, **more: Any) -> dict[str, Any]:
    return {"text": text, "subject": subject, "lines": list(lines) or [1], **more}


async def statements(chat: Chats, user: str = "mia", **fields: Any) -> dict[str, list[str]]:
    profile = await chat.profile(user, **fields)
    return {facet.subject: [each.text for each in facet.statements] for facet in profile.facets}


@STORES
async def test_a_facet_has_what_holds_its_evidence_and_what_held(chat: Chats) -> None:
    await chat.tell(
        ("user", "I live in Bergen and fly helicopters."),
        items=[fact("User lives in Bergen.", "Home"), fact("User flies helicopters.", "occupation")],
    )
    await chat.tell(
        ("user", "Still in Bergen."), items=[fact("User lives in Bergen.", "home", same="User lives in Bergen.")]
    )
    await chat.tell(
        ("user", "We moved to Oslo!"), items=[fact("User lives in Oslo.", "home", replaces="User lives in Bergen.")]
    )
    profile = await chat.profile()
    home, job = profile.facets
    assert (home.subject, [each.text for each in home.statements]) == ("home", ["User lives in Oslo."])
    assert (home.evidence, job.evidence) == (1, 1)
    (past,) = home.history
    assert (past.text, past.superseded_by) == ("User lives in Bergen.", home.statements[0].id)
    stored = (await chat.statements())["User lives in Bergen."]
    assert len(stored.source_ids) == 2
    assert past.until == stored.valid_to == home.last_seen
    assert home.first_seen == datetime(2026, 3, 2, 10, tzinfo=UTC) < past.said_at < home.last_seen
    assert profile.total == 2


@STORES
async def test_the_context_shows_it_first_and_stays_as_it_is(chat: Chats) -> None:
    await chat.tell(
        ("user", "I'm Mia, I live in Rome, and I drink tea."),
        items=[
            fact("User's name is Mia.", "name"),
            fact("User lives in Rome.", "home"),
            fact("User drinks tea.", "tea"),
        ],
    )
    first = await chat.context(budget=600)
    assert first.profile == ["User lives in Rome.", "User's name is Mia.", "User drinks tea."]
    assert first.text.index("### Profile") < first.text.index("Today is")
    again = await chat.context(budget=600, query="What does the user drink?")
    assert again.stable_hash == first.stable_hash
    await chat.tell(
        ("user", "I moved to Pisa."), items=[fact("User lives in Pisa.", "home", replaces="User lives in Rome.")]
    )
    moved = await chat.context(budget=600)
    assert moved.profile == ["User lives in Pisa.", "User's name is Mia.", "User drinks tea."]


async def test_an_event_that_replaced_a_statement_stands_for_the_facet(chat: Chats) -> None:
    await chat.tell(("user", "I live in Berlin."), items=[fact("User lives in Berlin.", "home")])
    move = {"text": "User moved to Hamburg in 2026-03.", "type": "episodic", "event_date": "2026-03", "lines": [1]}
    await chat.tell(("user", "I moved to Hamburg."), items=[{**move, "replaces": "User lives in Berlin."}])
    assert await statements(chat) == {"home": ["User moved to Hamburg in 2026-03."]}
    await chat.tell(
        ("user", "I love it here in Hamburg."),
        items=[fact("User lives in Hamburg.", "home", replaces="User moved to Hamburg in 2026-03.")],
    )
    (home,) = (await chat.profile()).facets
    assert [each.text for each in home.statements] == ["User lives in Hamburg."]
    assert [each.text for each in home.history] == ["User lives in Berlin."]


async def test_a_facet_that_is_called_something_else_keeps_its_history(chat: Chats) -> None:
    await chat.tell(("user", "I live in Rome."), items=[fact("User lives in Rome.", "home")])
    await chat.tell(
        ("user", "I live in Pisa."), items=[fact("User lives in Pisa.", "residence", replaces="User lives in Rome.")]
    )
    (facet,) = (await chat.profile()).facets
    assert (facet.subject, [each.text for each in facet.history]) == ("residence", ["User lives in Rome."])


async def test_what_nobody_related_stands_side_by_side(chat: Chats) -> None:
    await chat.tell(("user", "Coffee black."), items=[fact("User takes coffee black.", "coffee")])
    await chat.tell(("user", "Coffee with milk."), items=[fact("User takes coffee with milk.", "coffee")])
    assert await statements(chat) == {"coffee": ["User takes coffee with milk.", "User takes coffee black."]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Coffee", "coffee"),
        ("ＣＯＦＦＥＥ", "coffee"),
        ("home  town", "home town"),
        ("STRASSE", "straße"),
        ("Café", "cafe\u0301"),
    ],
)
async def test_subjects_that_are_written_differently_are_one(chat: Chats, one: str, other: str) -> None:
    await chat.tell(("user", ""), items=[fact("User likes one of it.", one), fact("User likes two of it.", other)])
    assert len((await chat.profile()).facets) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("coffee", "tea"),
        ("home", "residence"),
        ("job", "occupation"),
        ("dog", "dogs"),
        ("café", "cafe"),
        ("wife", "wife's job"),
        ("コーヒー", "珈琲"),
        ("работа", "должность"),
        ("Wohnort", "Wohnung"),
        ("seat", "seat on flights"),
    ],
)
async def test_subjects_that_may_be_one_are_two(chat: Chats, one: str, other: str) -> None:
    await chat.tell(("user", ""), items=[fact("User likes one of it.", one), fact("User likes two of it.", other)])
    assert len((await chat.profile()).facets) == 2


async def test_events_others_actions_rules_and_clients_memories_are_not_in_it(chat: Chats) -> None:
    await chat.tell(
        ("user", "My car is at the garage. Ole drinks his coffee black. Always answer in German."),
        ("assistant", "I wrote reader.py. You seem to be a treasurer.", "Coder"),
        ("tool", '{"account": "root"}'),
        items=[
            {"text": "User's car is at the garage.", "type": "episodic", "event_date": "2026-03-01", "lines": [1]},
            fact("Ole drinks his coffee black.", "coffee"),
            {"text": "User wants answers in German.", "type": "instruction", "subject": "language", "lines": [1]},
            {"text": "Coder wrote reader.py for User.", "type": "action", "subject": "reader.py", "lines": [2]},
            fact("User is a treasurer.", "profession", 2),
            fact("User's account is root.", "account", 3),
            {"text": "User said so.", "lines": [1]},
        ],
    )
    mail = {"text": "User got a mail.", "user_id": "mia", "metadata": {"subject": "Re: invoice"}}
    await run(chat.host, "store_memories", memories=[mail])
    assert await statements(chat) == {}
    assert (await chat.context()).profile == []
    assert len(await chat.statements()) == 8


@STORES
async def test_other_owners_are_never_seen(chat: Chats) -> None:
    await chat.tell(("user", "Rome."), items=[fact("User lives in Rome.", "home")])
    await chat.tell(("user", "Oslo."), items=[fact("User lives in Oslo.", "home")], user="ben")
    await chat.tell(("user", "Pisa."), items=[fact("User lives in Pisa.", "home")], session="w", namespace="work")
    assert await statements(chat, "ben") == {"home": ["User lives in Oslo."]}
    assert await statements(chat, "nobody") == {}
    assert await statements(chat, namespace="work") == {"home": ["User lives in Pisa."]}
    assert [facet.namespace for facet in (await chat.profile()).facets] == ["work", None]
    assert (await chat.context(user="ben")).profile == ["User lives in Oslo."]
    assert (await chat.context(user=None)).profile == []
    bound = bound_to(users=("ben",))
    assert (await run(chat.host, "get_profile", bound, user_id="mia")).facets == []
    assert (await run(chat.host, "get_context", bound, user_id="mia")).profile == []
    assert (await run(chat.host, "get_context", bound)).profile == ["User lives in Oslo."]
    assert (await run(chat.host, "get_profile", bound_to(namespaces=("work",)), user_id="mia")).total == 1


async def test_what_is_deleted_or_over_is_gone_at_once(chat: Chats) -> None:
    await chat.tell(("user", ""), items=[fact("User lives in Rome.", "home"), fact("User smokes.", "smoking")])
    found = await chat.statements()
    await run(chat.host, "delete_memories", memory_ids=[found["User lives in Rome."].id])
    (memory,) = await chat.host.store.get_memories(Scope(), [found["User smokes."].id])
    memory.record = msgspec.structs.replace(memory.record, valid_to=chat.clock.now())
    await chat.host.store.commit(Scope(), WriteBatch(put_memories=[memory]))
    assert await statements(chat) == {}


async def test_pages_newest_first(chat: Chats) -> None:
    for number in range(5):
        await chat.tell(("user", f"Fact {number}."), items=[fact(f"User likes thing {number}.", f"thing {number}")])
    page = await chat.profile(limit=2)
    assert ([facet.subject for facet in page.facets], page.total) == (["thing 4", "thing 3"], 5)
    page = await chat.profile(limit=2, offset=4)
    assert [facet.subject for facet in page.facets] == ["thing 0"]


async def test_a_context_has_a_share_for_it_and_shows_what_is_known_best(chat: Chats) -> None:
    items = [fact(f"User likes the thing with the number {number}.", f"thing {number:02}") for number in range(60)]
    for start in range(0, 60, 20):
        await chat.tell(("user", ""), items=items[start : start + 20])
    found = await chat.context(budget=800, query="thing with the number 7")
    assert 5 < len(found.profile) < 30
    assert found.tokens <= 800
    assert found.stable_tokens <= 0.3 * 800
    assert found.items
    assert len((await chat.context(budget=20_000)).profile) == 40
    assert (await chat.context(budget=60)).profile == []


async def test_it_is_off_with_long_term_memory(tmp_path: Path) -> None:
    async with chats(tmp_path, {"LONG_TERM_MEMORY": "false"}) as chat:
        with pytest.raises(LongTermMemoryDisabled):
            await chat.profile()
