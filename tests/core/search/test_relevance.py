"""Searches in small and unusual stores: the answer comes first and once, or the answer says that nothing fits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memhost.host import Host
from memhost.models import Scope, WriteBatch
from memhost.operations import Call
from memhost_model_static.embedder import StaticEmbedder
from tests.support.hosts import ADMIN, run, running_host
from tests.support.small_stores import first_hits

EVERYWHERE = Scope(tenant="default")
README = (
    ("user", "Mia: My brother Tom gets married in Porto on 12 June."),
    ("assistant", "How lovely! Do you have a speech to give?"),
    ("user", "Mia: Yes, and I get terrible stage fright."),
)


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def any_host(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Host]:
    space = request.getfixturevalue("redis_part").environment() if request.param == "redis" else {}
    async with running_host(tmp_path, store=request.param, settings=space, run_jobs=False) as host:
        yield host


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with running_host(tmp_path, store="memory", run_jobs=False) as opened:
        yield opened


async def tell(host: Host, session: str, turns: Sequence[tuple[str, str]], **owner: str) -> None:
    messages = [{"id": f"{session}-{n}", "role": role, "content": text} for n, (role, text) in enumerate(turns)]
    await run(host, "put_session", session_id=session, messages=messages, **owner)


async def texts(host: Host, query: str, **fields: Any) -> list[str]:
    found = await run(host, "search_memories", text=query, **fields)
    return [hit.text for hit in found.memories]


# -- the answer first ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("split", "least"), [("tune", 46), ("held", 45)])
def test_answers_come_first_in_small_stores(split: str, least: int) -> None:
    first, asked = first_hits(split, StaticEmbedder())
    assert asked == 56
    assert first >= least


# -- totals and paging -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [None, "semantic", "hybrid", "keyword"])
async def test_pages_give_as_many_as_the_total_says(any_host: Host, mode: str | None) -> None:
    """Texts and queries without a word that the embedder knows have no direction: nothing is near to them."""
    named = ("The quick brown fox", "Bananas are rich in minerals", "🐶❤️", "⚽⚽⚽", "鷗鷗")
    await run(any_host, "create_memories", memories=[{"id": f"m{n}", "text": text} for n, text in enumerate(named)])
    fields = {"search_mode": mode} if mode else {}
    for query in ("🍕", "fox", "что", "🐶❤️"):
        seen: list[str] = []
        offset, totals = 0, set()
        for _ in range(len(named) + 2):
            page = await run(any_host, "search_memories", text=query, limit=1, offset=offset, **fields)
            totals.add(page.total)
            seen += [hit.id for hit in page.memories]
            if page.next_offset is None:
                break
            assert page.memories, f"an empty page at {offset} of {page.total} that names a next one"
            offset = page.next_offset
        assert totals == {len(seen)}
        assert len(set(seen)) == len(seen)
        assert mode is not None or len(seen) == len(named)


# -- nothing fits ----------------------------------------------------------------------------------------------

NONSENSE = ("zzzqqq", "qqq", "!!!", "啊啵呲嘚", "ъъъ", "bxqv dflm", "xkcd qwop", "ぬるぽ", "🍕🍕")
FITTING = (
    "what makes Mia nervous?",
    "Where is Tom's wedding?",
    "wedding",
    "weddings in Portugal",
    "Port",  # begins like a word of a memory
    "12 June",
    "What is Mia afraid of?",
    "stage frigth",
    "speeches",
    "Wo ist Porto?",
    "porto",
    "¿Qué hay en Porto?",
    "Mia",
    "Mia zzzqqq",
    "zzzqqq brother",
    "Tom",
    "married",
    "¿Cuándo fue lo de Tom?",
)


@pytest.mark.parametrize("query", NONSENSE)
async def test_a_query_that_nothing_fits_says_so(host: Host, query: str) -> None:
    await tell(host, "chat-1", README, user_id="mia")
    call = Call(caller=ADMIN, request_id="test")
    operation = host.operations["search_memories"]
    found = await host.execute("search_memories", call, operation.request(text=query))
    assert found.nothing_fits is True
    assert len(found.memories) == 3  # marked, not hidden
    assert [kind for kind, _ in call.notices] == ["relevance"]
    prompt = await run(host, "memory_prompt", query=query, long_term_search=True)
    assert prompt.long_term_memories is None
    assert "No relevant long-term memories were found." in prompt.messages[0].content.text


@pytest.mark.parametrize("query", FITTING)
async def test_a_query_that_something_may_fit_is_not_marked(host: Host, query: str) -> None:
    await tell(host, "chat-1", README, user_id="mia")
    call = Call(caller=ADMIN, request_id="test")
    operation = host.operations["search_memories"]
    found = await host.execute("search_memories", call, operation.request(text=query))
    assert found.nothing_fits is not True
    assert call.notices == []
    prompt = await run(host, "memory_prompt", query=query, long_term_search=True)
    assert len(prompt.long_term_memories) == 3


async def test_an_empty_store_and_a_listing_are_not_marked(host: Host) -> None:
    assert (await run(host, "search_memories", text="zzzqqq")).nothing_fits is not True
    await tell(host, "chat-1", README, user_id="mia")
    assert (await run(host, "search_memories")).nothing_fits is not True


@pytest.mark.parametrize("mode", [None, "semantic", "hybrid", "keyword"])
async def test_a_least_score_leaves_out_what_has_less_and_counts_the_rest(any_host: Host, mode: str | None) -> None:
    await tell(any_host, "chat-1", README, user_id="mia")
    fields: dict[str, Any] = {"text": "Where does Tom get married?", **({"search_mode": mode} if mode else {})}
    whole = (await run(any_host, "search_memories", **fields)).memories
    assert len(whole) >= 2
    for hit in whole:
        found = await run(any_host, "search_memories", min_score=hit.score, **fields)
        expected = [each.id for each in whole if each.score >= hit.score]
        assert [each.id for each in found.memories] == expected
        assert found.total == len(expected)
        assert found.next_offset is None
    paged = await run(any_host, "search_memories", min_score=whole[1].score, limit=1, offset=1, **fields)
    assert [each.id for each in paged.memories] == [whole[1].id]
    first = await run(any_host, "search_memories", min_score=whole[0].score, limit=1, **fields)
    assert first.total == sum(each.score >= whole[0].score for each in whole)
    assert (await run(any_host, "search_memories", min_score=1.0, **fields)).total <= 1


# -- the same sentence twice -----------------------------------------------------------------------------------


async def test_what_was_said_again_is_one_hit_and_the_next_fact_gets_the_place(any_host: Host) -> None:
    for session in ("chat-1", "chat-2", "chat-3"):
        await tell(any_host, session, README, user_id="mia")
    found = await run(any_host, "search_memories", text="Where is Tom's wedding?", limit=2)
    assert [hit.text.partition(": ")[2] for hit in found.memories] == [README[0][1], README[2][1]]
    assert found.total == 3
    first = found.memories[0]
    assert {first.id, *(each.id for each in first.repeats)} == {"chat-1-0", "chat-2-0", "chat-3-0"}
    times = [each.created_at for each in first.repeats]
    assert times == sorted(times, reverse=True)
    assert {each.session_id for each in first.repeats} == {"chat-1", "chat-2", "chat-3"} - {first.session_id}
    second = await run(any_host, "search_memories", text="Where is Tom's wedding?", limit=2, offset=2)
    assert [hit.text.partition(": ")[2] for hit in second.memories] == [README[1][1]]
    listed = await run(any_host, "search_memories", limit=20)
    assert listed.total == 9  # every turn is there


SAID = "Mia: I ran five kilometres today."
DIFFERENT = (
    "Mia: I ran five kilometres Today.",
    "Mia: I ran five kilometres today?",
    "Mia: I ran 5 kilometres today.",
    "Mia: I ran five kilometers today.",
    "Mia: I ran fifty kilometres today.",
    "Mia: I never ran five kilometres today.",
    "Mia: I ran five kilometres today with Leo.",
    "Mia: I ran five kilometres yesterday.",
    'Mia: I "ran" five kilometres today.',
    "Leo: I ran five kilometres today.",
    "I ran five kilometres today.",
    "Mia: Ich bin heute fünf Kilometer gelaufen.",
    "Mia: Я пробежала сегодня пять километров.",
)


@pytest.mark.parametrize("other", DIFFERENT)
async def test_another_text_is_another_hit(host: Host, other: str) -> None:
    await tell(host, "chat-1", (("user", SAID), ("user", other)), user_id="mia")
    found = await run(host, "search_memories", text="five kilometres")
    assert found.total == len(found.memories) == 2
    assert all(not hit.repeats for hit in found.memories)


NEARLY = (
    "Mia: I ran five kilometres today!",
    "Mia: I ran  five kilometres today.",
    "Mia: I ran five kilometres today. ",
    "Mia: i ran five kilometres today",
    "Mia: Hi, I ran five kilometres today.",
)


async def test_what_differs_in_a_sign_or_a_greeting_is_one_hit_that_shows_each_wording(any_host: Host) -> None:
    await tell(any_host, "chat-1", tuple(("user", text) for text in (SAID, *NEARLY, SAID)), user_id="mia")
    found = await run(any_host, "search_memories", text="five kilometres")
    (hit,) = found.memories
    assert (found.total, hit.count, len(hit.repeats)) == (1, 7, 6)
    texts = {hit.text, *(each.text for each in hit.repeats if each.text)}
    assert texts == {f"user: {text}" for text in (SAID, *NEARLY)}
    await tell(any_host, "chat-2", (("assistant", SAID),), user_id="mia")
    assert (await run(any_host, "search_memories", text="five kilometres")).total == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"user_id": "mia"}, {"user_id": "leo"}),
        ({"user_id": "mia"}, {}),
        ({"user_id": "mia", "namespace": "home"}, {"user_id": "mia", "namespace": "work"}),
        ({"user_id": "mia", "namespace": "home"}, {"user_id": "mia"}),
    ],
)
async def test_what_another_owner_has_is_another_hit(host: Host, first: dict[str, str], second: dict[str, str]) -> None:
    await tell(host, "chat-1", (("user", SAID),), **first)
    await tell(host, "chat-2", (("user", SAID),), **second)
    assert (await run(host, "search_memories", text="five kilometres")).total == 2


async def test_another_role_another_event_and_other_labels_are_other_hits(host: Host) -> None:
    await tell(host, "chat-1", (("user", "It rains in Porto."), ("assistant", "It rains in Porto.")), user_id="mia")
    assert (await run(host, "search_memories", text="rain Porto")).total == 2
    different: list[dict[str, Any]] = [
        {},
        {"event_date": "2026-01-01T00:00:00Z"},
        {"event_date": "2026-02-01T00:00:00Z"},
        {"topics": ["house"]},
        {"entities": ["roof"]},
        {"metadata": {"source": "mail"}},
    ]
    await tell(host, "chat-2", [("user", "The roof leaks.")] * len(different), user_id="mia")
    for number, fields in enumerate(different):
        if fields:
            await run(host, "edit_memory", memory_id=f"chat-2-{number}", **fields)
    found = await run(host, "search_memories", text="roof leaks")
    assert {hit.id for hit in found.memories} >= {f"chat-2-{n}" for n in range(6)}


@pytest.mark.parametrize("memory_type", ["semantic", "episodic", "message"])
async def test_what_clients_store_themselves_is_never_put_together(host: Host, memory_type: str) -> None:
    same = {"text": "The roof leaks.", "memory_type": memory_type}
    memories = [{"id": f"m{n}", "session_id": f"s{n}", **same} for n in range(3)]
    await run(host, "create_memories", memories=memories, deduplicate=False)
    found = await run(host, "search_memories", text="roof leaks")
    assert {hit.id for hit in found.memories} == {"m0", "m1", "m2"}
    assert all(not hit.repeats for hit in found.memories)


async def test_what_is_left_out_does_not_come_back_behind_the_candidates(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", settings={"CANDIDATES": "10"}, run_jobs=False) as small:
        turns = [*["The roof leaks."] * 2, "The gate squeaks.", *(f"Loaf of bread number {n}" for n in range(30))]
        await tell(small, "chat-1", tuple(("user", text) for text in turns))
        statement = {"id": "s", "text": "The gate squeaks.", "session_id": "chat-1"}
        await run(small, "create_memories", memories=[statement])
        (stored,) = await small.store.get_memories(EVERYWHERE, ["s"])
        stored.record = msgspec.structs.replace(stored.record, source_ids=["chat-1-2"])
        await small.store.commit(EVERYWHERE, WriteBatch(put_memories=[stored]))
        found = await run(small, "search_memories", text="gate squeaks roof leaks", limit=100)
        listed = [hit.text.removeprefix("user: ") for hit in found.memories]
        assert found.total == len(listed) == 32
        assert listed.count("The roof leaks.") == listed.count("The gate squeaks.") == 1


async def test_no_more_than_twenty_repeats_are_listed(host: Host) -> None:
    await tell(host, "chat-1", tuple(("user", SAID) for _ in range(25)), user_id="mia")
    found = await run(host, "search_memories", text="five kilometres")
    assert found.total == 1
    assert len(found.memories[0].repeats) == 20


@pytest.mark.parametrize("mode", [None, "hybrid"])
async def test_a_least_score_holds_behind_the_candidates_too(tmp_path: Path, mode: str | None) -> None:
    settings = {"CANDIDATES": "10"}
    async with running_host(tmp_path, store="memory", settings=settings, run_jobs=False) as small:
        memories = [{"id": f"m{n:02}", "text": f"The roof of house {n} leaks."} for n in range(40)]
        await run(small, "create_memories", memories=memories)
        fields: dict[str, Any] = {"text": "leaking roof", "limit": 40, **({"search_mode": mode} if mode else {})}
        whole = await run(small, "search_memories", **fields)
        assert (len(whole.memories), whole.total) == (40, 40)
        found = await run(small, "search_memories", min_score=0.01, **fields)
        assert found.total == len(found.memories) < 40


async def test_what_has_no_vector_yet_and_no_word_of_the_query_is_not_counted(any_host: Host) -> None:
    memories = [{"id": "a", "text": "The roof leaks."}, {"id": "b", "text": "Bread"}, {"id": "c", "text": "Butter"}]
    await run(any_host, "create_memories", memories=memories)
    waiting = [replace(each, vector=None) for each in await any_host.store.get_memories(EVERYWHERE, ["a", "b"])]
    await any_host.store.commit(EVERYWHERE, WriteBatch(put_memories=waiting))
    for mode, ids in (({}, "ac"), ({"search_mode": "semantic"}, "c"), ({"search_mode": "hybrid"}, "ac")):
        found = await run(any_host, "search_memories", text="roof", **mode)
        assert {hit.id for hit in found.memories} == set(ids)
        assert (found.total, found.next_offset) == (len(ids), None)
        first = await run(any_host, "search_memories", text="roof", limit=1, **mode)
        assert first.total == len(ids)
