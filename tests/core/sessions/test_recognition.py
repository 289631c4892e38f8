"""History that is sent again under other ids is recognised; repeated messages remain separate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from agent_memory_client.models import MemoryMessage, WorkingMemory

from memhost.host import Host
from memhost.models import Scope
from memhost.testing.clock import FakeClock
from tests.core.sessions.test_concurrency import official
from tests.support.extractions import extractions, host_with_model, item, noting, settled
from tests.support.hosts import run, running_host
from tests.support.model_server import ModelServer

START = datetime(2026, 1, 1, 10, tzinfo=UTC)
TEXTS = ("I play the harp", "Wie schön!", "我有两个儿子", "Je travaille la nuit", "أعزف على القيثارة", "Играю на арфе")


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    clock = FakeClock(START + timedelta(days=1))
    async with running_host(tmp_path, store="memory", clock=clock, run_jobs=False) as opened:
        yield opened


def message(text: str, message_id: str | None = None, minute: int | None = None, role: str = "user") -> dict[str, Any]:
    made: dict[str, Any] = {"role": role, "content": text}
    if message_id is not None:
        made["id"] = message_id
    if minute is not None:
        made["created_at"] = START + timedelta(minutes=minute)
    return made


async def put(host: Host, *messages: dict[str, Any], **fields: Any) -> list[str]:
    view = await run(host, "put_session", session_id="s", messages=list(messages), **fields)
    return [each.id for each in view.messages]


async def patch(host: Host, *messages: dict[str, Any]) -> list[str]:
    view = await run(host, "change_session", session_id="s", messages=list(messages))
    return [each.id for each in view.messages]


async def stored(host: Host) -> list[str]:
    found = await run(host, "search_memories", limit=100)
    return sorted(hit.text for hit in found.memories)


@pytest.mark.parametrize("times", ["same", "anew", "none"])
async def test_a_history_that_grows_under_new_ids_is_one_history(host: Host, times: str) -> None:
    def minute(turn: int, write: int) -> int | None:
        return {"same": turn, "anew": 100 * write + turn}.get(times)

    for write in range(1, len(TEXTS) + 1):
        turns = [message(TEXTS[turn], f"r{write}-{turn}", minute(turn, write)) for turn in range(write)]
        ids = await put(host, *turns)
        assert ids == [f"r{turn + 1}-{turn}" for turn in range(write)]
    assert await stored(host) == sorted(f"user: {text}" for text in TEXTS)
    view = await run(host, "get_session", session_id="s")
    if times != "none":  # each turn has the time that came first
        expected = [START + timedelta(minutes=minute(turn, turn + 1) or 0) for turn in range(len(TEXTS))]
        assert [each.created_at for each in view.messages] == expected


async def test_the_way_of_the_official_client(tmp_path: Path) -> None:
    roles = ("user", "assistant")
    async with running_host(tmp_path, store="memory", run_jobs=False) as host, official(host) as client:
        for count in (2, 4, 6):
            history = [MemoryMessage(role=roles[turn % 2], content=TEXTS[turn]) for turn in range(count)]
            await client.put_working_memory("s", WorkingMemory(session_id="s", messages=history))
        found = await stored(host)
    assert found == sorted(f"{roles[turn % 2]}: {TEXTS[turn]}" for turn in range(6))


REPEATS: list[tuple[str, list[dict[str, Any]], list[dict[str, Any]], int]] = [
    # what, stored, sent, turns in all
    ("said again, later", [message("yes", "a", 1)], [message("yes", "a", 1), message("yes", "b", 2)], 2),
    (
        "said again, under its own id and time",
        [message("ok", "a", 1)],
        [message("ok", "a", 1), message("ok", "b", 1)],
        2,
    ),
    ("both new, at one time", [], [message("ja", "a", 1), message("ja", "b", 1)], 2),
    ("both new, without times", [], [message("да", "a"), message("да", "b")], 2),
    ("both new, without ids", [], [message("はい"), message("はい")], 2),
    ("one was there, two come anew", [message("sí", "a", 1)], [message("sí", "x", 1), message("sí", "y", 1)], 2),
    ("another role", [message("hi", "a", 1)], [message("hi", "x", 1, role="assistant")], 2),
    ("another text", [message("hi", "a", 1)], [message("hi!", "x", 1)], 2),
    ("another case", [message("hi", "a", 1)], [message("Hi", "x", 1)], 2),
    ("another place and time", [message("yes", "a", 1), message("no", "b", 2)], [message("no", "x", 3)], 3),
    ("another place, without a time", [message("yes", "a", 1), message("no", "b", 2)], [message("no", "x")], 3),
    ("in front of it", [message("yes", "a", 1)], [message("no", "x", 0), message("yes", "y", 5)], 3),
    ("the place of another that stays", [message("yes", "a", 1)], [message("yes", "b", 9), message("yes", "a", 1)], 2),
    (
        "the place of one of several that stays",
        [message("yes", "a", 1), message("no", "c", 2)],
        [message("yes", "b", 9), message("yes", "a", 1)],
        3,
    ),
    ("one without an id, one at that time", [message("yes", "a", 1)], [message("yes"), message("yes", "x", 1)], 2),
    ("parts with the same text", [message("yes", "a", 1)], [{**message("", "x", 1), "content": [{"text": "yes"}]}], 2),
    ("with a name", [message("yes", "a", 1)], [{**message("yes", "x", 1), "name": "Bo"}], 2),
]


@pytest.mark.parametrize(
    ("before", "given", "turns"), [case[1:] for case in REPEATS], ids=[case[0] for case in REPEATS]
)
async def test_what_is_said_twice_stays_said_twice(
    host: Host, before: list[dict[str, Any]], given: list[dict[str, Any]], turns: int
) -> None:
    if before:
        await put(host, *before)
    ids = await put(host, *given)
    assert len(ids) == len(given)
    assert len(set(ids)) == len(given)
    assert len(await stored(host)) == turns
    assert await put(host, *given) == ids  # and once more
    assert len(await stored(host)) == turns


async def test_a_window_over_the_history_is_recognised_by_its_times(host: Host) -> None:
    await put(host, *(message(TEXTS[turn], f"a{turn}", turn) for turn in range(4)))
    ids = await put(host, *(message(TEXTS[turn], f"b{turn}", turn) for turn in range(2, 6)))
    assert ids == ["a2", "a3", "b4", "b5"]
    assert len(await stored(host)) == 6


SYSTEM = ("system", "Be brief")
CHAT = [(("user", "assistant")[turn % 2], text) for turn, text in enumerate(TEXTS)]
OKS = [turn if index % 2 == 0 else ("assistant", "OK") for index, turn in enumerate(CHAT)]
OTHER = [("user", "Bonjour"), ("assistant", "Salut"), ("user", "Merci"), ("assistant", "De rien")]
WINDOWS: list[tuple[str, list[tuple[str, str]], list[tuple[str, str]], int]] = [
    # what, stored, sent under new ids and times, turns of it that are new
    ("moved by one", CHAT[:4], CHAT[1:5], 1),
    ("moved by a pair", CHAT[:5], CHAT[2:], 1),
    ("behind a system prompt", [SYSTEM, *CHAT[:5]], [SYSTEM, *CHAT[2:]], 1),
    ("moved, nothing new", CHAT, CHAT[3:], 0),
    ("with equal answers", OKS[:5], OKS[2:], 1),
    ("of equal messages", [CHAT[0], *CHAT[1:2] * 4], [*CHAT[1:2] * 4, CHAT[2]], 1),
    # what must not be taken for a window
    ("too short", CHAT[:4], CHAT[2:6], 4),
    ("the last one again", CHAT[:3], [CHAT[2], *OTHER], 5),
    ("the last two again", CHAT[:4], [*CHAT[2:4], *OTHER], 6),
    ("not at the end", CHAT, [*CHAT[1:4], *OTHER], 7),
    ("not at the beginning", CHAT[:5], [OTHER[0], *CHAT[2:5]], 4),
    ("other roles", CHAT[:4], [("tool", text) for _, text in CHAT[1:4]], 3),
    ("another order", CHAT[:4], [CHAT[2], CHAT[3], CHAT[1]], 3),
    ("another case", CHAT[:4], [(role, text.upper() + "!") for role, text in CHAT[1:4]], 3),
    ("an edit in its place", CHAT[:4], [("user", "I play the lute"), *CHAT[1:4]], 1),
    ("an end without a beginning", CHAT[:4], [*CHAT[2:4], CHAT[0]], 3),
    ("nothing stored", [], CHAT[:4], 4),
    ("half of each", CHAT[:4], [CHAT[1], CHAT[2], OTHER[1]], 3),
]


@pytest.mark.parametrize(("before", "given", "new"), [case[1:] for case in WINDOWS], ids=[case[0] for case in WINDOWS])
async def test_a_window_over_the_history_under_new_ids(
    host: Host, before: list[tuple[str, str]], given: list[tuple[str, str]], new: int
) -> None:
    def sent(turns: list[tuple[str, str]], write: str, minute: int) -> list[dict[str, Any]]:
        return [message(text, f"{write}{turn}", minute, role) for turn, (role, text) in enumerate(turns)]

    await put(host, *sent(before, "a", 1))
    ids = await put(host, *sent(given, "b", 100))
    assert len(set(ids)) == len(given)
    assert sum(each.startswith("b") for each in ids) == new
    known = {f"a{turn}": turns for turn, turns in enumerate(before)}
    assert all(known[each] == turns for each, turns in zip(ids, given, strict=True) if each in known)
    assert await put(host, *sent(given, "c", 200)) == ids


async def test_an_edit_amid_a_history_under_new_ids_is_one_new_turn(host: Host) -> None:
    await put(host, message("one", "a", 1), message("two", "b", 2), message("three", "c", 3))
    ids = await put(host, message("one", "x", 4), message("zwei", "y", 5), message("three", "z", 6))
    assert ids == ["a", "y", "c"]


async def test_each_turn_has_a_place_of_its_own_for_good(host: Host) -> None:
    await put(host, message("one", "a", 1), message("two", "b", 2))
    await put(host, message("one", "a", 1), message("zwei", "b", 2), message("three", "c", 3))
    await put(host, message("three", "c", 3), message("four", "d", 4), message("one", "a", 1))
    await patch(host, message("five", "e", 5), message("vier", "d", 4))
    memories, _ = await host.store.list_memories(Scope())
    assert {memory.record.id: memory.position for memory in memories} == {"a": 0, "b": 1, "c": 2, "d": 3, "e": 4}


async def test_an_edit_does_not_make_a_turn_younger(host: Host) -> None:
    clock: Any = host.clock
    await put(host, message("one", "a"))
    first = clock.now()
    clock.advance(100)
    await put(host, message("uno", "a"))
    late = {**message("uno", "a"), "created_at": first + timedelta(seconds=50)}
    view = await run(host, "put_session", session_id="s", messages=[late])
    assert view.messages[0].created_at == first


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ([message("yes", "x", 1)], ["a"]),
        ([message("yes", None, 1)], ["a"]),
        ([message("yes", "x", 2)], ["a", "x"]),
        ([message("yes", "x")], ["a", "x"]),
        ([message("yes", "x", 1), message("yes", "y", 1)], ["a", "y"]),
        ([message("no", "x", 1)], ["a", "x"]),
        ([message("yes", "x", 1, role="assistant")], ["a", "x"]),
        ([message("yes", "a", 1), message("yes", "x", 1)], ["a", "x"]),
        ([message("no", "a", 1), message("yes", "x", 1)], ["a", "x"]),
    ],
)
async def test_an_append_is_recognised_by_its_time_alone(
    host: Host, given: list[dict[str, Any]], ids: list[str]
) -> None:
    await put(host, message("yes", "a", 1))
    assert await patch(host, *given) == ids


async def test_appends_without_a_time_are_always_new(host: Host) -> None:
    await put(host, message("yes", None))
    assert len(set(await patch(host, message("yes")))) == 2


async def test_a_turn_costs_the_model_once(models: ModelServer, tmp_path: Path) -> None:
    models.answer(noting({TEXTS[0]: [item("User plays the harp.", "a")], TEXTS[1]: [item("User works nights.", "d")]}))
    async with host_with_model(models, tmp_path, store="memory") as host:
        for ids, count in (("ab", 1), ("cd", 2), ("ef", 2)):
            turns = [message(TEXTS[turn], ids[turn]) for turn in range(count)]
            await run(host, "put_session", session_id="s", user_id="u", messages=turns)
            await settled(host, "s", user_id="u")
    assert len(extractions(models)) == 2
