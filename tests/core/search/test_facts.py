"""One hit for each fact: statements with the turns that say them, and turns behind what replaced their facts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memhost.host import Host
from memhost.models import CandidateQuery, Candidates, MemoryType, Scope, StoredMemory, WriteBatch
from memhost.ranking import Ranked, traits_of
from memhost.search.facts.grouping import Hit, grouped
from memhost.specs import StrategySpec
from memhost.testing.factories import make_memory
from memhost.text.analysis import index_terms
from memhost_strategy_verbatim.strategy import Verbatim
from tests.support.hosts import ADMIN, bound_to, run, running_host
from tests.support.plugin_factory import make_plugin

EVERYWHERE = Scope(tenant="default")
SAID = "Mia: We moved from Graz to Porto in spring, and the cat came along by train."
PORTO, CAT = "Mia lives in Porto.", "Mia has a cat that travelled by train."
NOISE = ("The gate squeaks.", "Bread is in the oven.", "A blue car stood there.", "Rain is due at noon.")


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def any_host(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Host]:
    space = request.getfixturevalue("redis_part").environment() if request.param == "redis" else {}
    async with running_host(tmp_path, store=request.param, settings=space, run_jobs=False) as host:
        yield host


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with running_host(tmp_path, store="memory", run_jobs=False) as opened:
        yield opened


async def tell(host: Host, session: str, *texts: str, roles: Sequence[str] = ("user",), **owner: str) -> None:
    """Turns `SESSION-0`, `SESSION-1`, ..., one a minute, on the day that the session's name ends with (`s-05`)."""
    start = datetime.fromisoformat(f"2026-03-{session[-2:]}T09:00:00+00:00")
    messages = [
        {
            "id": f"{session}-{n}",
            "role": roles[n % len(roles)],
            "content": text,
            "created_at": (start + timedelta(minutes=n)).isoformat(),
        }
        for n, text in enumerate(texts)
    ]
    await run(host, "put_session", session_id=session, messages=messages, **{"user_id": "mia", **owner})


async def state(host: Host, memory_id: str, text: str, session: str, *sources: str, **fields: Any) -> None:
    """A statement, as extraction makes it of these turns."""
    given = {"id": memory_id, "text": text, "session_id": session, "user_id": "mia"}
    await run(host, "create_memories", memories=[given], deduplicate=False)
    await change(host, memory_id, **{"source_ids": list(sources), "extractor": "discrete/1", **fields})


async def change(host: Host, memory_id: str, **fields: Any) -> None:
    (stored,) = await host.store.get_memories(EVERYWHERE, [memory_id])
    stored.record = msgspec.structs.replace(stored.record, **fields)
    await host.store.commit(EVERYWHERE, WriteBatch(put_memories=[stored]))


async def supersede(host: Host, old: str, new: str) -> None:
    await change(host, old, superseded_by=new, valid_to=host.clock.now())


async def hits(host: Host, text: str, **fields: Any) -> list[Any]:
    found: list[Any] = (await run(host, "search_memories", text=text, **fields)).memories
    return found


def ids(found: Sequence[Any]) -> list[str]:
    return [hit.id for hit in found]


async def porto(host: Host) -> None:
    """A turn with two statements, one of each with a replacement to come, and noise."""
    await tell(host, "s-05", SAID, *NOISE)
    await state(host, "porto", PORTO, "s-05", "s-05-0")
    await state(host, "cat", CAT, "s-05", "s-05-0")


# -- a statement and its turns ---------------------------------------------------------------------------------


async def test_a_statement_and_its_turn_are_one_hit_with_the_better_score(any_host: Host) -> None:
    await tell(any_host, "s-05", SAID, *NOISE)
    (alone, *_) = await hits(any_host, "When did Mia come to Porto?")
    await state(any_host, "porto", PORTO, "s-05", "s-05-0")
    found = await run(any_host, "search_memories", text="When did Mia come to Porto?")
    first = found.memories[0]
    assert (first.id, first.text, found.total) == ("porto", PORTO, 5)
    assert "s-05-0" not in ids(found.memories)
    (turn,) = first.evidence
    assert (turn.id, turn.text, turn.role, turn.speaker) == ("s-05-0", SAID.removeprefix("Mia: "), "user", "Mia")
    assert turn.session_id == "s-05"
    assert first.said_at == turn.created_at == alone.created_at
    assert first.score == max(hit.score for hit in found.memories)


async def test_a_turn_belongs_to_the_statement_that_fits_best_and_the_other_stays_a_hit(any_host: Host) -> None:
    await porto(any_host)
    for query, best in (("Where does Mia live?", "porto"), ("Which animal, a cat?", "cat")):
        found = await hits(any_host, query)
        assert ids(found)[0] == best
        assert {"porto", "cat"} <= set(ids(found))
        assert "s-05-0" not in ids(found)
    found = await hits(any_host, "How did they travel from Graz?")  # which no statement says
    assert "Graz" in found[0].evidence[0].text


async def test_pages_neither_repeat_nor_skip(any_host: Host) -> None:
    await porto(any_host)
    await tell(any_host, "s-06", SAID, SAID.replace("spring,", "spring"), "Mia: The cat is fine.")
    await state(any_host, "fine", "Mia's cat is fine.", "s-06", "s-06-2")
    whole = await run(any_host, "search_memories", text="Porto cat", limit=50)
    paged: list[str] = []
    offset: int | None = 0
    while offset is not None:
        page = await run(any_host, "search_memories", text="Porto cat", limit=2, offset=offset)
        assert page.total == whole.total == len(whole.memories) == 7
        paged += ids(page.memories)
        offset = page.next_offset
    assert paged == ids(whole.memories)
    scores = [hit.score for hit in whole.memories]
    assert scores == sorted(scores, reverse=True)
    least = scores[2]
    found = await run(any_host, "search_memories", text="Porto cat", limit=50, min_score=least)
    assert ids(found.memories) == [hit.id for hit in whole.memories if hit.score >= least]
    assert found.total == len(found.memories)


async def test_a_summary_stands_for_no_turn_and_no_turn_for_it(any_host: Host) -> None:
    texts = ("Sam: I've never been to Jasper.", "Evan: We stayed in a cabin in Jasper.", *NOISE)
    await tell(any_host, "s-05", *texts)
    turns = [f"s-05-{n}" for n in range(len(texts))]
    few = {"extraction_strategy": "summary", "extractor": "summary/1"}
    await state(any_host, "sum", "Evan took his family to Jasper and stayed in a cabin.", "s-05", *turns[:2], **few)
    await state(any_host, "digest", "Evan and Sam talked of Jasper and bread.", "s-05", *turns, "s-05-7")
    found = await hits(any_host, "Has Sam been to Jasper?", limit=8)
    assert {"sum", "digest", "s-05-0", "s-05-1"} <= set(ids(found))
    assert all(hit.evidence is msgspec.UNSET for hit in found)


async def test_the_memories_of_a_plugin_that_sums_up_stand_for_no_turn(tmp_path: Path) -> None:
    specs = [
        StrategySpec(name=name, summary="Notes.", build=lambda _settings: Verbatim(), digests=name == "minutes")
        for name in ("minutes", "notes")
    ]
    point = make_plugin("acme-notes", {"memhost_strategies": lambda: specs})
    async with running_host(tmp_path, store="memory", run_jobs=False, extra=[point]) as host:
        await tell(host, "s-05", SAID, *NOISE)
        await state(host, "minute", PORTO, "s-05", "s-05-0", extraction_strategy="minutes", extractor="minutes/1")
        assert {"minute", "s-05-0"} <= set(ids(await hits(host, "Where does Mia live, in Porto?")))
        await change(host, "minute", extraction_strategy="notes", extractor="notes/1")
        assert "s-05-0" not in ids(await hits(host, "Where does Mia live, in Porto?"))


async def test_what_was_said_in_twelve_sessions_takes_one_place(any_host: Host) -> None:
    for day in range(1, 13):
        await tell(any_host, f"s-{day:02}", SAID if day % 2 else SAID.replace("spring,", "spring"), NOISE[day % 4])
    assert ids(await hits(any_host, "Porto spring", limit=2))[1] != "s-12-0"
    await state(any_host, "porto", PORTO, "s-01", "s-01-0")
    found = await run(any_host, "search_memories", text="Where does Mia live, in Porto?", limit=10)
    assert found.total == len(found.memories) == 5
    first = found.memories[0]
    assert (first.id, first.count, len(first.repeats)) == ("porto", 12, 11)
    assert [each.created_at.day for each in first.repeats] == [
        day for day in range(12, 0, -1) if f"s-{day:02}-0" in ids(first.repeats)
    ]


async def test_a_long_turn_shows_the_passage_that_answers(any_host: Host) -> None:
    filler = "The weather was as it is on most days, and nobody said a word about it. " * 60
    await tell(any_host, "s-05", f"{filler} The spare key lies under the blue pot. {filler}", *NOISE)
    await state(any_host, "house", "Mia described her house.", "s-05", "s-05-0")
    (first, *_) = await hits(any_host, "Where is the spare key?")
    (turn,) = first.evidence
    assert first.id == "house"
    assert "under the blue pot" in turn.text
    assert len(turn.text) <= 2_000 < turn.cut_from
    (first, *_) = await hits(any_host, "Where is the spare key?", max_text=100)
    assert "under the blue pot" in first.evidence[0].text
    assert len(first.evidence[0].text) <= 100


async def test_evidence_is_of_the_same_owner_and_session(any_host: Host) -> None:
    """Clients number messages in each session; the ids of the later ones' memories are derived."""
    for session, owner in (("s-05", {}), ("s-06", {}), ("s-07", {"user_id": "leo"})):
        message = {"id": "1", "role": "user", "content": f"I live in Porto ({session}).", "created_at": "2026-03-05"}
        message["created_at"] = "2026-03-05T09:00:00Z"
        await run(any_host, "put_session", session_id=session, messages=[message], **{"user_id": "mia", **owner})
    await state(any_host, "porto", PORTO, "s-06", "1")
    found = await hits(any_host, "Who lives in Porto?", memory_type={"eq": "semantic"})
    assert [turn.text for turn in found[0].evidence] == ["I live in Porto (s-06)."]
    found = await hits(any_host, "Who lives in Porto?")
    assert len(found) == 3
    assert [turn.text for hit in found for turn in hit.evidence or []] == ["I live in Porto (s-06)."]


async def test_a_caller_sees_no_evidence_outside_of_the_own_bounds(any_host: Host) -> None:
    await porto(any_host)
    await state(any_host, "leos", "Leo lives in Porto.", "s-05", "s-05-0")
    (stored,) = await any_host.store.get_memories(EVERYWHERE, ["leos"])
    record = msgspec.structs.replace(stored.record, id="leos2", user_id="leo")
    await any_host.store.commit(EVERYWHERE, WriteBatch(put_memories=[replace(stored, record=record)]))
    for caller, shown in ((ADMIN, True), (bound_to(users=("leo",)), False)):
        found = await run(any_host, "search_memories", caller, text="Who lives in Porto?", limit=20)
        texts = [turn.text for hit in found.memories for turn in hit.evidence or []]
        assert any("Graz" in text for text in texts) is shown
        assert all(hit.evidence is msgspec.UNSET for hit in found.memories if hit.user_id == "leo")


@pytest.mark.parametrize("mode", ["keyword", "semantic"])
async def test_modes_of_one_leg_give_each_memory(any_host: Host, mode: str) -> None:
    await porto(any_host)
    found = await hits(any_host, "Porto", search_mode=mode)
    assert {"porto", "s-05-0"} <= set(ids(found))


async def test_hybrid_by_name_groups_as_well(any_host: Host) -> None:
    await porto(any_host)
    found = await hits(any_host, "Porto", search_mode="hybrid")
    assert "s-05-0" not in ids(found)
    assert found[0].id == "porto"


async def test_filters_choose_matches_and_not_evidence(any_host: Host) -> None:
    await porto(any_host)
    found = await run(any_host, "search_memories", text="Porto", memory_type={"eq": "semantic"})
    assert (set(ids(found.memories)), found.total) == ({"porto", "cat"}, 2)
    assert all(ids(hit.evidence) == ["s-05-0"] for hit in found.memories)
    found = await run(any_host, "search_memories", text="Porto", memory_type={"eq": "message"})
    assert (ids(found.memories)[0], found.total) == ("s-05-0", 5)


async def test_a_statement_whose_turns_are_gone_has_no_evidence(any_host: Host) -> None:
    await porto(any_host)
    await any_host.store.commit(EVERYWHERE, WriteBatch(delete_memories=["s-05-0"]))
    found = await hits(any_host, "Porto")
    assert found[0].id == "porto"
    assert found[0].evidence is msgspec.UNSET
    assert found[0].said_at is None


async def test_the_explanation_says_whose_score_it_is(host: Host) -> None:
    await porto(host)
    (first, *_) = await hits(host, "How did they travel from Graz?", explain=True)
    assert first.score_of == "s-05-0"
    assert first.explanation[0].startswith("It has the score of s-05-0, a turn that says it")
    assert any("graz" in sentence for sentence in first.explanation)


class Counted:
    """A store that counts its calls."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self.store, name)

    async def candidates(self, scope: Scope, query: CandidateQuery) -> Candidates:
        self.calls.append("candidates")
        found: Candidates = await self.store.candidates(scope, query)
        return found


async def test_the_store_is_asked_once_without_statements_and_no_more_than_once_a_page(host: Host) -> None:
    retriever = host.services.search._retriever
    retriever._store = store = Counted(host.store)
    await tell(host, "s-05", SAID, *NOISE)
    await hits(host, "Porto")
    assert store.calls == ["candidates"]
    await state(host, "porto", PORTO, "s-05", "s-05-0")
    await state(host, "cat", CAT, "s-05", "s-05-0")
    store.calls.clear()
    await hits(host, "Porto")  # the turn is among the candidates
    assert store.calls == ["candidates", "list_memories"]
    store.calls.clear()
    await hits(host, "Porto", memory_type={"eq": "semantic"})  # it is not
    assert store.calls == ["candidates", "get_memories"]


# -- facts that newer ones replaced ----------------------------------------------------------------------------

MOVED = ("Mia: I live in Berlin, near the park.", "Mia: By now I live in Hamburg.")
BERLIN, HAMBURG = "Mia lives in Berlin.", "Mia lives in Hamburg."


async def moved(host: Host) -> None:
    await tell(host, "s-05", MOVED[0], *NOISE)
    await tell(host, "s-09", MOVED[1])
    await state(host, "berlin", BERLIN, "s-05", "s-05-0")
    await state(host, "hamburg", HAMBURG, "s-09", "s-09-0")


async def test_a_turn_of_a_replaced_fact_stands_behind_the_newer_one(any_host: Host) -> None:
    await moved(any_host)
    before = await hits(any_host, "Does Mia live in Berlin near the park?")
    assert before[0].id == "berlin"
    assert all(hit.superseded is hit.replaces is msgspec.UNSET for hit in before)
    await supersede(any_host, "berlin", "hamburg")
    for query in ("Does Mia live in Berlin near the park?", "Where does Mia live?"):
        found = await run(any_host, "search_memories", text=query)
        first, second = found.memories[:2]
        assert (first.id, second.id, found.total) == ("hamburg", "s-05-0", 6)
        assert first.score >= second.score
        assert [(each.text, f"{each.until:%m-%d}") for each in first.replaces] == [(BERLIN, "03-09")]
        newer = second.superseded
        assert (newer.by, newer.text, newer.fact, f"{newer.since:%m-%d}") == ("hamburg", HAMBURG, BERLIN, "03-09")
        assert "berlin" not in ids(found.memories)


async def test_as_of_an_earlier_time_nothing_was_replaced(host: Host) -> None:
    await moved(host)
    before = host.clock.now() + timedelta(seconds=1)
    await change(host, "berlin", superseded_by="hamburg", valid_to=before + timedelta(days=1))
    found = await hits(host, "Where does Mia live?", as_of=before.isoformat())
    assert "berlin" in ids(found)
    assert all(hit.superseded is hit.replaces is msgspec.UNSET for hit in found)


async def test_a_turn_that_says_something_else_as_well_is_behind_only_for_the_old_fact(any_host: Host) -> None:
    await porto(any_host)
    await tell(any_host, "s-09", "Mia: I left for Faro.")
    await state(any_host, "faro", "Mia lives in Faro.", "s-09", "s-09-0")
    await supersede(any_host, "porto", "faro")
    found = await hits(any_host, "Does Mia live in Porto?")
    assert ids(found)[0] == "faro"
    assert {hit.id for hit in found if hit.superseded} == {"s-05-0"}
    found = await hits(any_host, "Which cat travelled by train?")
    assert ids(found)[0] == "cat"
    assert not [hit for hit in found if hit.superseded]


async def test_of_a_chain_the_newest_fact_counts_wherever_it_is(any_host: Host) -> None:
    await moved(any_host)
    await tell(any_host, "s-10", "Mia: The new flat is in Bonn.")
    await state(any_host, "bonn", "The new flat is in Bonn.", "s-10", "s-10-0")
    await supersede(any_host, "berlin", "hamburg")
    await supersede(any_host, "hamburg", "bonn")
    found = await hits(any_host, "Where does Mia live?")
    assert ids(found)[0] == "bonn"
    assert {each.text for each in found[0].replaces} == {BERLIN, HAMBURG}
    assert {hit.id: hit.superseded.by for hit in found if hit.superseded} == {"s-05-0": "bonn", "s-09-0": "bonn"}


async def test_a_newest_fact_that_the_filters_leave_out_still_marks_the_turn(any_host: Host) -> None:
    await moved(any_host)
    await supersede(any_host, "berlin", "hamburg")
    early = datetime.fromisoformat("2026-03-05T10:00:00+00:00")
    await state(any_host, "gate", "The gate squeaks.", "s-05", "s-05-1", created_at=early)
    found = await run(
        any_host, "search_memories", text="Where does Mia live?", created_at={"lte": "2026-03-06T00:00:00Z"}
    )
    assert "hamburg" not in ids(found.memories)
    assert {hit.id: hit.superseded.by for hit in found.memories if hit.superseded} == {"s-05-0": "hamburg"}
    assert found.total == len(found.memories)


async def test_a_fact_whose_replacement_is_gone_marks_nothing(host: Host) -> None:
    await moved(host)
    await supersede(host, "berlin", "hamburg")
    await host.store.commit(EVERYWHERE, WriteBatch(delete_memories=["hamburg"]))
    await state(host, "gate", "The gate squeaks.", "s-05", "s-05-1")
    found = await hits(host, "Where does Mia live?")
    assert "s-05-0" in ids(found)
    assert all(hit.superseded is msgspec.UNSET for hit in found)


async def test_facts_that_replace_each_other_hide_nothing(host: Host) -> None:
    await moved(host)
    await supersede(host, "berlin", "hamburg")
    await supersede(host, "hamburg", "berlin")
    await state(host, "gate", "The gate squeaks.", "s-05", "s-05-1")
    found = await hits(host, "Where does Mia live?")
    assert {"s-05-0", "s-09-0"} <= set(ids(found))
    assert all(hit.superseded is msgspec.UNSET for hit in found)


async def test_a_turn_that_also_says_the_newer_fact_is_its_evidence(host: Host) -> None:
    await tell(host, "s-05", "Mia: I lived in Berlin, now it is Hamburg.", *NOISE)
    await state(host, "berlin", BERLIN, "s-05", "s-05-0")
    await state(host, "hamburg", HAMBURG, "s-05", "s-05-0")
    await supersede(host, "berlin", "hamburg")
    found = await hits(host, "Does Mia live in Berlin?")
    assert ids(found)[0] == "hamburg"
    assert "s-05-0" not in ids(found)


@pytest.mark.parametrize(
    ("reply", "behind"),
    [
        ("Berlin near the park, noted.", True),
        ("So you live in Berlin!", True),
        ("Noted.", False),
        ("The forecast for today is sunny.", False),
        ("Berlin or Hamburg?", False),
        ("Berlin is far from Hamburg.", False),
    ],
)
async def test_a_reply_that_repeats_the_old_fact_is_no_better_than_the_newer_one(
    host: Host, reply: str, behind: bool
) -> None:
    await tell(host, "s-05", MOVED[0], reply, roles=("user", "assistant"))
    await tell(host, "s-09", MOVED[1])
    await state(host, "berlin", BERLIN, "s-05", "s-05-0")
    await state(host, "hamburg", HAMBURG, "s-09", "s-09-0")
    await supersede(host, "berlin", "hamburg")
    found = await hits(host, "Where does Mia live?")
    assert ids(found)[0] == "hamburg"
    assert bool(next(hit for hit in found if hit.id == "s-05-1").superseded) is behind


async def test_what_the_same_speaker_says_next_is_no_reply(host: Host) -> None:
    await tell(host, "s-05", MOVED[0], "Mia: Berlin near the park is loud.")
    await tell(host, "s-09", MOVED[1])
    await state(host, "berlin", BERLIN, "s-05", "s-05-0")
    await state(host, "hamburg", HAMBURG, "s-09", "s-09-0")
    await supersede(host, "berlin", "hamburg")
    found = await hits(host, "Where does Mia live?")
    assert {hit.id for hit in found if hit.superseded} == {"s-05-0"}


# -- the rule itself -------------------------------------------------------------------------------------------


def ranked(*memories: StoredMemory) -> list[tuple[StoredMemory, Ranked]]:
    """The memories as ranked in this order, with falling scores from 0.9."""
    return [(each, Ranked(each.id, 0.9 - n / 10, {"n": float(n)})) for n, each in enumerate(memories)]


def turn(name: str, text: str = "I live in Porto now.", position: int = 0, **fields: Any) -> StoredMemory:
    kind = {"memory_type": MemoryType.MESSAGE, "extraction_strategy": "message", "source_ids": [name]}
    return make_memory(name, text, position=position, role="user", **{"session_id": "s", **kind, **fields})


def fact(name: str, text: str, *sources: str, **fields: Any) -> StoredMemory:
    return make_memory(name, text, session_id="s", source_ids=list(sources), **fields)


def shown(hits: Sequence[Hit]) -> list[tuple[str, float, list[str]]]:
    return [
        (hit.memory.id, round(hit.best.score, 1), [one.id for one in hit.group.turns] if hit.group is not None else [])
        for hit in hits
    ]


def test_the_better_of_statement_and_turn_decides() -> None:
    ordered = ranked(turn("a"), turn("b", "The gate squeaks."), fact("A", "lives in Porto", "a"))
    assert shown(grouped(ordered, {})) == [("A", 0.9, ["a"]), ("b", 0.8, [])]
    ordered = ranked(fact("A", "lives in Porto", "a"), turn("b", "The gate squeaks."), turn("a"))
    assert shown(grouped(ordered, {})) == [("A", 0.9, ["a"]), ("b", 0.8, [])]


@pytest.mark.parametrize("kept", [True, False])
def test_a_turn_said_again_is_one_hit_whether_its_ending_was_kept_or_not(kept: bool) -> None:
    again = turn("b", "i live in Porto now", 4)
    if kept:
        again = replace(again, traits=traits_of(again.record.text, []))
    ordered = ranked(turn("a"), again, turn("c", "The gate squeaks."))
    (first, other) = grouped(ordered, {})
    assert (first.memory.id, other.memory.id) == ("a", "c")
    assert first.group is not None
    assert [one.id for one in first.group.repeats] == ["b"]


@pytest.mark.parametrize("other", [{"user_id": "bob"}, {"namespace": "home"}, {"topics": ["home"]}])
def test_what_others_said_in_the_same_words_is_a_hit_of_its_own(other: dict[str, Any]) -> None:
    ordered = ranked(turn("a"), turn("b", position=4, **other))
    assert shown(grouped(ordered, {})) == [("a", 0.9, []), ("b", 0.8, [])]


def test_a_turn_is_of_one_statement_and_a_statement_has_all_its_turns() -> None:
    ordered = ranked(
        turn("a", "Yes, since May."), fact("B", "since May", "a"), fact("A", "Porto", "a", "b"), turn("b", "In Porto!")
    )
    assert shown(grouped(ordered, {})) == [("B", 0.9, ["a"]), ("A", 0.7, ["b"])]


@pytest.mark.parametrize(
    "other",
    [
        {"session_id": "t"},
        {"user_id": "bob"},
        {"namespace": "home"},
        {"source_ids": ["b"]},
        {"memory_type": MemoryType.SEMANTIC, "extraction_strategy": "discrete"},
    ],
)
def test_what_is_of_another_owner_session_or_source_stands_apart(other: dict[str, Any]) -> None:
    ordered = ranked(turn("a", **other), fact("A", "lives in Porto", "a"))
    assert [each.memory.id for each in grouped(ordered, {})] == ["a", "A"]


def test_a_newer_fact_takes_the_place_of_the_older_and_its_turns() -> None:
    new = fact("new", "lives in Faro", "z")
    ordered = ranked(turn("a"), fact("old", "lives in Porto", "a"), turn("b", "The gate squeaks."), new)
    hits = grouped(ordered, {"old": new.record})
    assert shown(hits) == [("new", 0.9, []), ("a", 0.9, []), ("b", 0.7, [])]
    groups = [each.group for each in hits]
    assert groups[0] is not None
    assert [one.id for one in groups[0].replaces] == ["old"]
    assert groups[1] is not None
    assert groups[1].replaced is not None
    assert groups[1].replaced.id == "old"
    ordered = ranked(turn("b", "The gate squeaks."), new, fact("old", "lives in Porto", "a"), turn("a"))
    assert shown(grouped(ordered, {"old": new.record})) == [("b", 0.9, []), ("new", 0.8, []), ("a", 0.6, [])]


def test_a_reply_that_repeats_the_older_fact_is_never_lifted_and_counts_only_beside_the_newer() -> None:
    new, old = fact("new", "User lives in Faro", "z"), fact("old", "User lives in Porto", "a")
    reply = turn("r", "Porto is lovely.", 1)
    reply = replace(reply, role="assistant", terms=tuple(index_terms("Porto is lovely.")))
    old = replace(old, terms=tuple(index_terms(old.record.text)))
    ordered = ranked(new, turn("a", "In Porto."), old, turn("b", "The gate squeaks.", 7), reply)
    hits = grouped(ordered, {"old": new.record})
    assert [hit.memory.id for hit in hits] == ["new", "a", "b", "r"]
    assert hits[3].group is not None
    assert hits[3].group.replaced == old.record
    ordered = ranked(turn("a", "In Porto."), old, turn("b", "The gate squeaks.", 7), reply)
    assert grouped(ordered, {"old": new.record})[-1].group is None  # the newer one is no match


# -- in a context -----------------------------------------------------------------------------------------------


async def test_a_turn_that_fits_better_than_its_statement_stands_in_the_context_too(host: Host) -> None:
    await tell(host, "s-05", SAID, *NOISE)
    await state(host, "porto", PORTO, "s-05", "s-05-0")
    found = await run(host, "get_context", query="Who came along by train from Graz?", user_id="mia", budget=400)
    assert "by train" in found.text
    assert PORTO in found.text


async def test_a_statement_that_fits_as_well_stands_alone_in_the_context(host: Host) -> None:
    await tell(host, "s-05", SAID, *NOISE)
    await state(host, "porto", PORTO, "s-05", "s-05-0")
    found = await run(host, "get_context", query="Where does Mia live? In Porto?", user_id="mia", budget=400)
    assert PORTO in found.text
    assert "by train" not in found.text


async def test_a_turn_that_must_be_held_back_does_not_come_in_with_its_statement(host: Host) -> None:
    await tell(host, "s-05", SAID, *NOISE)
    await state(host, "porto", PORTO, "s-05", "s-05-0")
    await change(host, "s-05-0", trust="external", metadata={"suspicious": True})
    found = await run(host, "get_context", query="Who came along by train from Graz?", user_id="mia", budget=400)
    assert PORTO in found.text
    assert "by train" not in found.text
