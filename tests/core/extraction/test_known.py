"""Extraction sees what is known: an item says what it is to stored statements, and only where it does not is asked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from memhost.host import Host
from memhost.models import MemoryRecord
from memhost.testing.clock import FakeClock
from memhost.testing.models import Asked
from tests.core.jobs.test_jobs import work
from tests.support import scripted
from tests.support.dedup_hosts import judged, pairs_of, script, stored, trashed
from tests.support.extractions import item, known_to, lines_of, texts_of
from tests.support.hosts import run, running_host

STORES = pytest.mark.parametrize("store", ["memory", "sqlite"])
SETTINGS = {
    **scripted.WITH_EMBEDDER,
    "LLM": "scripted",
    "EXTRACTION_DEBOUNCE_SECONDS": "0",
    "INDEX_ALL_MESSAGES": "false",
    "ENABLE_TOPIC_EXTRACTION": "false",
    "ENABLE_NER": "false",
}
OSLO, LIMA = "User lives in Oslo.", "User lives in Lima."


@asynccontextmanager
async def talking(folder: Path, store: str, **settings: str) -> AsyncIterator[Host]:
    """A host whose model notes what `noting` says, and is asked for no vector of a turn."""
    scripted.reset()
    async with running_host(
        folder,
        store=store,
        extra=[scripted.POINT],
        settings={**SETTINGS, **settings},
        clock=FakeClock(),
        run_jobs=False,
    ) as host:
        yield host


def noting(items: Mapping[str, Sequence[dict[str, Any]]], verdict: str = "distinct") -> None:
    """From now on the model notes these of lines with these texts, and judges each pair so.

    `known` of an item is what the model says, or a word and the texts of known memories, whose numbers it says.
    """

    def rule(asked: Asked) -> str:
        if asked.purpose != "extraction":
            return json.dumps(
                {"verdicts": [{"pair": pair["pair"], "verdict": verdict, "text": None} for pair in pairs_of(asked)]}
            )
        noted = [_numbered(each, asked) for text in texts_of(asked) for each in items.get(text, ())]
        return json.dumps({"memories": noted})

    script().rule = rule


def _numbered(noted: dict[str, Any], asked: Asked) -> dict[str, Any]:
    said = noted.get("known")
    if not isinstance(said, tuple):
        return noted
    word, *texts = said
    numbers = ", ".join(str(known_to(asked)[text]) for text in texts)
    return {**noted, "known": f"{word} {numbers}"}


async def say(host: Host, *texts: str, session: str = "s", user: str = "ann") -> None:
    """The messages of a session, all of them, extracted."""
    messages = [{"id": f"{session}{number}", "role": "user", "content": text} for number, text in enumerate(texts)]
    await run(host, "put_session", session_id=session, user_id=user, messages=messages)
    host.clock.advance(60)  # type: ignore[attr-defined]
    await work(host)


async def by_text(host: Host) -> dict[str, MemoryRecord]:
    """What is stored, replaced ones too."""
    return {record.text: record for record in (await stored(host)).values()}


async def found(host: Host) -> set[str]:
    """The texts that a search finds."""
    hits = await run(host, "search_memories", limit=100)
    return {memory.text for memory in hits.memories}


# -- what items say ----------------------------------------------------------------------------------------------------


@STORES
async def test_the_same_adds_a_source_and_no_memory(store: str, tmp_path: Path) -> None:
    async with talking(tmp_path, store) as host:
        noting({"I live in Oslo.": [item("User lives in Oslo, Norway.", "s0", entities=["Oslo", "Norway"])]})
        await say(host, "I live in Oslo.")
        ((name, _),) = (await stored(host)).items()
        again = item("User lives in Oslo.", "s1", entities=["Oslo"], known=("same", "User lives in Oslo, Norway."))
        noting({"Back home in Oslo.": [again]})
        await say(host, "I live in Oslo.", "Back home in Oslo.")
        (record,) = (await stored(host)).values()
        assert (record.id, record.source_ids) == (name, ["s0", "s1"])
        assert {"Oslo", "Norway"} <= set(record.entities)
        assert (judged(), {reason for reason, _ in (await trashed(host)).values()}) == ([], {"merged"})


@STORES
@pytest.mark.parametrize("verdict", ["same", "distinct"])
async def test_other_words_for_the_same_need_a_second_opinion(store: str, verdict: str, tmp_path: Path) -> None:
    old, new = "User lives in Oslo.", "User has a home in Oslo."
    async with talking(tmp_path, store) as host:
        noting({old: [item(old, "s0", entities=["Oslo"])]})
        await say(host, old)
        noting({"Back home in Oslo.": [item(new, "s1", entities=["Oslo"], known=("same", old))]}, verdict=verdict)
        await say(host, old, "Back home in Oslo.")
        assert len(script().of("dedup")) == 1
        assert len(await stored(host)) == (1 if verdict == "same" else 2)


@STORES
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("User is allergic to nuts.", "User has a rabbit called Flo."),
        ("User is allergic to nuts.", "User is not allergic to nuts."),
        ("User has two cats.", "User has three cats."),
        ("User lives in Rom.", "User lives in Bern."),
    ],
)
async def test_two_opinions_do_not_make_two_facts_one(store: str, old: str, new: str, tmp_path: Path) -> None:
    async with talking(tmp_path, store) as host:
        noting({old: [item(old, "s0")]})
        await say(host, old)
        noting({new: [item(new, "s1", known=("same", old))]}, verdict="same")
        await say(host, old, new)
        assert set(await by_text(host)) == {old, new}


@STORES
@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("User has a cat.", "User has a cat called Miso.", ["Miso"]),
        ("User runs on Sundays.", "User runs 10 km on Sundays.", []),
        ("User pays 900 EUR of rent.", "User pays 950 EUR of rent.", []),
        ("User has two sons, Jan and Ole.", "User's son Tim goes to school.", ["Tim"]),
        ("Пользователь живёт в Казани.", "Пользователь живёт в Туле.", ["Туле"]),
        ("用户有一只猫。", "用户有一只叫咪咪的猫。", ["咪咪"]),
    ],
)
async def test_the_same_is_not_believed_where_a_name_or_number_would_go(
    store: str, old: str, new: str, names: list[str], tmp_path: Path
) -> None:
    async with talking(tmp_path, store) as host:
        noting({old: [item(old, "s0")]})
        await say(host, old)
        noting({new: [item(new, "s1", entities=names, known=("same", old))]})
        await say(host, old, new)
        records = await by_text(host)
        assert set(records) == {old, new}
        assert [records[text].source_ids for text in (old, new)] == [["s0"], ["s1"]]
        assert await trashed(host) == {}


@STORES
async def test_what_replaces_a_memory_ends_it(store: str, tmp_path: Path) -> None:
    async with talking(tmp_path, store) as host:
        noting({"I live in Oslo.": [item(OSLO, "s0", subject="home town")]})
        await say(host, "I live in Oslo.")
        noting({"We moved to Lima.": [item(LIMA, "s1", subject="home town", known=("replaces", OSLO))]})
        await say(host, "I live in Oslo.", "We moved to Lima.")
        records = await by_text(host)
        assert (records[OSLO].superseded_by, records[LIMA].superseded_by) == (records[LIMA].id, None)
        assert records[OSLO].valid_to is not None
        assert (await found(host), judged()) == ({LIMA}, [])


@STORES
async def test_a_memory_may_replace_several(store: str, tmp_path: Path) -> None:
    old = ("User lives in Oslo.", "User rents a flat in Oslo.", "User has a garden.")
    new = "User moved to a house in Lima."
    async with talking(tmp_path, store) as host:
        noting({"I rent in Oslo.": [item(text, "s0", known="new") for text in old]})
        await say(host, "I rent in Oslo.")
        noting({"We moved to Lima.": [item(new, "s1", known=("replaces", *old[:2]))]})
        await say(host, "I rent in Oslo.", "We moved to Lima.")
        records = await by_text(host)
        assert [records[text].superseded_by for text in old] == [records[new].id, records[new].id, None]
        assert (await found(host), judged()) == ({old[2], new}, [])


@STORES
async def test_what_adds_to_a_memory_names_it(store: str, tmp_path: Path) -> None:
    more = "User's flat in Oslo has a view of the fjord."
    async with talking(tmp_path, store) as host:
        noting({"I live in Oslo.": [item(OSLO, "s0")]})
        await say(host, "I live in Oslo.")
        noting({"What a view!": [item(more, "s1", known=("adds", OSLO))]})
        await say(host, "I live in Oslo.", "What a view!")
        records = await by_text(host)
        assert records[more].metadata["adds_to"] == [records[OSLO].id]
        assert "adds_to" not in records[OSLO].metadata
        assert (await found(host), judged()) == ({OSLO, more}, [])


# -- what they may not do ----------------------------------------------------------------------------------------------


@STORES
@pytest.mark.parametrize(
    "fields", [{"type": "episodic"}, {"type": "episodic", "event_date": "2025-12-24"}], ids=["undated", "dated"]
)
async def test_the_same_is_of_one_kind_and_time(store: str, fields: dict[str, Any], tmp_path: Path) -> None:
    new = "User moved to Oslo."
    async with talking(tmp_path, store) as host:
        noting({"first": [item(OSLO, "s0")]})
        await say(host, "first")
        noting({"second": [item(new, "s1", known=("same", OSLO), **fields)]})
        await say(host, "first", "second")
        assert (await found(host), await trashed(host)) == ({OSLO, new}, {})


@STORES
@pytest.mark.parametrize("word", ["same", "replaces"])
async def test_pinned_memories_stay_as_they_are(store: str, word: str, tmp_path: Path) -> None:
    async with talking(tmp_path, store) as host:
        noting({"first": [item(OSLO, "s0")]})
        await say(host, "first")
        ((name, _),) = (await stored(host)).items()
        await run(host, "edit_memory", memory_id=name, pinned=True)
        new = "User has a home in Oslo."
        noting({"second": [item(new, "s1", known=(word, OSLO))]})
        await say(host, "first", "second")
        record = (await stored(host))[name]
        assert (record.text, record.superseded_by, record.valid_to, record.source_ids) == (OSLO, None, None, ["s0"])
        assert await found(host) == {OSLO, new}


@STORES
async def test_memories_that_go_meanwhile_are_not_missed(store: str, tmp_path: Path) -> None:
    async with talking(tmp_path, store) as host:
        noting({"first": [item(OSLO, "s0")]})
        await say(host, "first")
        ((name, _),) = (await stored(host)).items()

        async def meanwhile(_asked: Asked) -> None:
            await run(host, "delete_memories", memory_ids=[name])

        script().before_answer = meanwhile
        noting({"second": [item(LIMA, "s1", known=("replaces", OSLO))]})
        await say(host, "first", "second")
        assert await found(host) == {LIMA}


@STORES
async def test_of_others_nothing_is_known(store: str, tmp_path: Path) -> None:
    async with talking(tmp_path, store) as host:
        noting({"first": [item(OSLO, "s0")]})
        await say(host, "first", user="bob")
        noting({"second": [item(LIMA, "t0", known="replaces 1")]})
        await say(host, "second", session="t")
        assert known_to(script().of("extraction")[-1]) == {}
        assert (await found(host), judged()) == ({OSLO, LIMA}, [])


@STORES
async def test_turns_and_summaries_and_what_has_ended_are_not_shown(store: str, tmp_path: Path) -> None:
    async with talking(tmp_path, store, INDEX_ALL_MESSAGES="true") as host:
        noting({"first": [item(OSLO, "s0")]})
        await say(host, "first")
        noting({"second": [item(LIMA, "s1", known=("replaces", OSLO))]})
        await say(host, "first", "second")
        noting({})
        await say(host, "first", "second", "third")
        assert known_to(script().of("extraction")[-1]) == {LIMA: 1}


# -- who is asked ------------------------------------------------------------------------------------------------------


@STORES
async def test_the_judge_is_asked_only_of_what_nobody_said(store: str, tmp_path: Path) -> None:
    new = ("User plays the harp.", "User plays chess in a club.", "User collects stamps.")
    async with talking(tmp_path, store) as host:
        noting({"first": [item(OSLO, "s0")]})
        await say(host, "first")
        noting({"second": [item(text, "s1", known="new") for text in new]})
        await say(host, "first", "second")
        assert judged() == [], "all say what they are"
        silent = "User likes rye bread."
        noting({"third": [item("User sings.", "s2", known="new"), item(silent, "s2")]})
        await say(host, "first", "second", "third")
        (call,) = script().of("dedup")
        assert {pair["newer"]["text"] for pair in pairs_of(call)} == {silent}
        assert {pair["older"]["text"] for pair in pairs_of(call)} == {OSLO, *new}


@STORES
async def test_nobody_is_asked_about_two_items_of_one_answer(store: str, tmp_path: Path) -> None:
    texts = {"User drinks green tea daily.", "User drinks black tea daily."}
    async with talking(tmp_path, store) as host:
        noting({"first": [item(text, "s0") for text in sorted(texts)]}, verdict="same")
        await say(host, "first")
        assert (await found(host), judged()) == (texts, [])


@STORES
async def test_where_nothing_is_stored_nothing_is_known_or_asked(store: str, tmp_path: Path) -> None:
    async with talking(tmp_path, store) as host:
        noting({"first": [item(OSLO, "s0"), item("User plays the harp.", "s0")]})
        await say(host, "first")
        assert len(script().embedded) == 1, "only the new memories get vectors"
        (call,) = script().calls
        assert known_to(call) == {}
        assert len(await found(host)) == 2


@STORES
@pytest.mark.parametrize("said", ["replaces 9", "same 2, 9", "adds 0", {"relation": "replaces", "id": 9}], ids=str)
async def test_a_number_that_there_is_not_is_told_and_the_judge_is_asked(store: str, said: Any, tmp_path: Path) -> None:
    async with talking(tmp_path, store) as host:
        noting({"first": [item(OSLO, "s0"), item("User plays the harp.", "s0")]})
        await say(host, "first")
        noting({"second": [item(LIMA, "s1", known=said)]})
        messages = [{"id": "s1", "role": "user", "content": "second"}]
        seen = await run(host, "preview_extraction", messages=messages, user_id="ann")
        number = "0" if said == "adds 0" else "9"
        assert [note for note in seen.dropped if f"no known memory {number}" in note] == seen.dropped
        assert (len(seen.dropped), [memory.text for memory in seen.memories]) == (1, [LIMA])
        script().calls.clear()
        await say(host, "first", "second")
        records = await by_text(host)
        assert (len(records), records[OSLO].superseded_by, "adds_to" in records[LIMA].metadata) == (3, None, False)
        (call,) = script().of("dedup")
        assert {pair["newer"]["text"] for pair in pairs_of(call)} == {LIMA}


@STORES
async def test_a_preview_tells_what_would_become_of_known_memories(store: str, tmp_path: Path) -> None:
    harp, again = "User plays the harp at home.", "User plays the harp."
    async with talking(tmp_path, store) as host:
        noting({"first": [item(OSLO, "s0"), item(harp, "s0")]})
        await say(host, "first")
        before = await stored(host)
        ids = {record.text: name for name, record in before.items()}
        noting({"second": [item(LIMA, "s1", known=("replaces", OSLO)), item(again, "s1", known=("same", harp))]})
        messages = [{"id": "s1", "role": "user", "content": "second"}]
        seen = await run(host, "preview_extraction", messages=messages, user_id="ann")
        (lima,) = seen.memories
        assert lima.text == LIMA
        assert sorted((each.what, each.id, each.by) for each in seen.changes) == [
            ("repeats", ids[harp], ""),
            ("replaces", ids[OSLO], lima.id),
        ]
        assert (await stored(host), await trashed(host), seen.calls) == (before, {}, 1)


# -- what the model is shown -------------------------------------------------------------------------------------------


@STORES
async def test_the_nearest_are_shown_within_their_room(store: str, tmp_path: Path) -> None:
    places = ("Oslo", "Lima", "Graz", "Bonn", "Riga", "Cork", "Pisa", "Nice", "Bern", "Gent", "Brno", "Lodz")
    async with talking(tmp_path, store) as host:
        facts = [f"User once spent a long and rainy holiday in {place} with friends of the family." for place in places]
        noting({"first": [item(text, "s0", known="new", topics=["travel"]) for text in [*facts, "User owns a harp."]]})
        await say(host, "first")
        noting({})
        await say(host, "first", "My harp is out of tune.")
        (line,) = lines_of(script().of("extraction")[-1])
        shown = known_to(script().of("extraction")[-1])
        assert (line["n"], line["text"]) == (1, "My harp is out of tune.")
        assert shown["User owns a harp."] <= 3
        assert list(shown.values()) == list(range(1, len(shown) + 1))
        assert len(shown) <= 10
        assert '{"known topics":["travel"]}' in script().of("extraction")[-1].prompt


OLD, NEW = "User works at Arden as a nurse.", "User teaches yoga in Bergen."


@STORES
@pytest.mark.parametrize(
    ("subject", "replaced"), [("job", True), ("hobby", False), (None, False)], ids=["same", "another", "none"]
)
async def test_what_is_new_to_the_model_is_judged_with_what_it_did_not_see_of_its_subject(
    tmp_path: Path, store: str, subject: str | None, replaced: bool
) -> None:
    noted = item(NEW, known="new", subject=subject)
    async with talking(tmp_path, store) as host:
        near = [
            {"id": f"n{n}", "text": f"User teaches yoga in Bergen, course {n}.", "user_id": "ann"} for n in range(20)
        ]
        old = {
            "id": "old",
            "text": OLD,
            "user_id": "ann",
            "metadata": {"subject": "job"},
            "created_at": "2025-01-01T00:00:00Z",
        }
        await run(host, "store_memories", memories=[*near, old])
        await work(host)
        noting({"I teach yoga now.": [noted]}, verdict="update")
        await say(host, "I teach yoga now.")
        judged_pairs = [pair["older"]["text"] for asked in script().of("dedup") for pair in pairs_of(asked)]
        assert judged_pairs == ([OLD] if replaced else [])
        assert ((await by_text(host))[OLD].superseded_by is not None) is replaced


@STORES
async def test_what_the_model_saw_of_the_subject_is_not_judged_again(tmp_path: Path, store: str) -> None:
    async with talking(tmp_path, store) as host:
        old = {
            "id": "old",
            "text": OLD,
            "user_id": "ann",
            "metadata": {"subject": "job"},
            "created_at": "2025-01-01T00:00:00Z",
        }
        await run(host, "store_memories", memories=[old])
        await work(host)
        noting({"I teach yoga now.": [item(NEW, known="new", subject="job")]}, verdict="update")
        await say(host, "I teach yoga now.")
        assert script().of("dedup") == []
        assert (await by_text(host))[OLD].superseded_by is None


@STORES
@pytest.mark.parametrize(
    ("turn", "shown"),
    [("I started a new job at Stripe.", True), ("My jobs list is long.", False), ("I started at Stripe.", False)],
)
async def test_a_statement_is_shown_whose_subject_is_named(tmp_path: Path, store: str, turn: str, shown: bool) -> None:
    old = {"id": "old", "text": "User writes programs for Google.", "metadata": {"subject": "job"}, "user_id": "ann"}
    near = [{"id": f"n{n}", "text": f"User started a list of {n} at Stripe.", "user_id": "ann"} for n in range(30)]
    async with talking(tmp_path, store) as host:
        await run(host, "store_memories", memories=[*near, {**old, "created_at": "2020-01-01T00:00:00Z"}])
        await work(host)
        noting({})
        await say(host, turn)
        (asked,) = script().of("extraction")
        assert (old["text"] in known_to(asked)) is shown
