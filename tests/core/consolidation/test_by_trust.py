"""What is trusted less neither rewrites nor joins nor ends what is trusted more, whoever judges them."""

from __future__ import annotations

from pathlib import Path

import pytest

from memhost.models import Trust
from memhost.models.trust import TRUSTS, rank
from memhost.testing.factories import after
from tests.support.dedup_hosts import always, judged, judging_host, keep, memory, script, stored, trashed, write
from tests.support.hosts import run

LIND = "Mia's doctor is Dr. Lind."
HOLM = "Correction: Mia's doctor is Dr. Holm."
BOTH = "Correction: Mia's doctor is Dr. Lind and Dr. Holm."
LOWER: list[tuple[Trust, Trust]] = [
    (more, less) for more in TRUSTS for less in TRUSTS if rank(less) < rank(more) and more != "agent"
]


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize("verdict", ["update", "correction"])
async def test_a_correction_by_a_tool_waits_and_the_fact_of_the_user_stays(
    store: str, verdict: str, tmp_path: Path
) -> None:
    async with judging_host(tmp_path, store) as host:
        script().rule = always(verdict)
        await keep(host, "lind", LIND, trust="user")
        found = await write(host, await memory(host, "holm", HOLM, trust="tool", created_at=after(60)))
        assert (found.superseded, found.updated) == ([], [])
        kept = await stored(host)
        assert (kept["lind"].valid_to, kept["lind"].superseded_by, kept["lind"].metadata) == (None, None, {})
        assert (kept["holm"].trust, kept["holm"].metadata) == ("tool", {"contradicts": ["lind"]})
        await run(host, "compact_memories")
        assert judged() == [1], "nobody is asked again about what waits"
        assert (await stored(host))["lind"] == kept["lind"]


@pytest.mark.parametrize(("more", "less"), LOWER)
async def test_whatever_a_judge_says_of_less_trust_changes_nothing(more: Trust, less: Trust, tmp_path: Path) -> None:
    async with judging_host(tmp_path) as host:
        for verdict in ("update", "correction", "merge"):
            script().rule = always({"verdict": verdict, "text": BOTH})
            before = await keep(host, f"lind {verdict}", LIND, trust=more, user_id=verdict)
            await keep(host, f"holm {verdict}", HOLM, trust=less, user_id=verdict, created_at=after(60))
            await run(host, "compact_memories")
            kept = await stored(host)
            assert kept[f"lind {verdict}"] == before.record
            if verdict == "merge" or less == "user":
                assert (kept[f"holm {verdict}"].text, kept[f"holm {verdict}"].trust) == (HOLM, less)
                continue
            assert f"holm {verdict}" not in kept
            (waiting,) = (await run(host, "list_reviews", user_id=verdict)).memories
            assert (waiting.memory.id, waiting.memory.text, waiting.memory.trust) == (f"holm {verdict}", HOLM, less)
            assert waiting.memory.review.reasons == ["contradicts"]
            assert waiting.memory.review.would_change == [f"lind {verdict}"]
            decided = await run(host, "refuse_reviews", memory_ids=[f"holm {verdict}"])
            assert decided.decided == [f"holm {verdict}"]
            assert (await stored(host))[f"lind {verdict}"] == before.record


@pytest.mark.parametrize(("older", "newer"), [("tool", "user"), ("user", "user"), ("agent", "assistant")])
async def test_what_is_trusted_as_far_ends_what_it_replaces(older: Trust, newer: Trust, tmp_path: Path) -> None:
    async with judging_host(tmp_path) as host:
        script().rule = always("update")
        await keep(host, "lind", LIND, trust=older)
        found = await write(host, await memory(host, "holm", HOLM, trust=newer, created_at=after(60)))
        assert found.superseded == ["lind"]
        assert "contradicts" not in (await stored(host))["holm"].metadata


async def test_of_one_statement_the_words_that_are_trusted_more_stay_and_nothing_is_added(tmp_path: Path) -> None:
    async with judging_host(tmp_path) as host:
        script().rule = always("same")
        said = await keep(host, "said", "Mia drinks green tea.", trust="user", topics=["tea"])
        fuller = await memory(
            host, "tool", "Mia drinks green tea, always.", trust="tool", topics=["order"], pinned=False
        )
        found = await write(host, fuller)
        assert found.merged == 1
        kept = await stored(host)
        assert set(kept) == {"said"}
        assert (kept["said"].text, kept["said"].topics, kept["said"].trust) == (said.record.text, ["tea"], "user")
        assert kept["said"].access_count == said.record.access_count


async def test_a_stored_statement_goes_for_one_that_is_trusted_more(tmp_path: Path) -> None:
    async with judging_host(tmp_path) as host:
        script().rule = always("same")
        await keep(host, "tool", "Mia drinks green tea.", trust="tool", topics=["order"])
        await write(host, await memory(host, "said", "Mia drinks tea, green tea.", trust="user", created_at=after(9)))
        kept = await stored(host)
        assert [(each.id, each.trust, each.topics) for each in kept.values()] == [("said", "user", [])]
        assert await trashed(host) == {"tool": ("merged", "Mia drinks green tea.")}


async def test_equals_that_are_joined_have_the_lowest_trust(tmp_path: Path) -> None:
    async with judging_host(tmp_path) as host:
        script().rule = always("same")
        await keep(host, "one", "Mia drinks green tea.", trust="agent")
        await write(host, await memory(host, "two", "Mia drinks tea, green tea.", trust="assistant"))
        (kept,) = (await stored(host)).values()
        assert rank(kept.trust or "") == rank("agent")


async def test_what_a_tool_repeats_does_not_cut_the_time_of_a_fact(tmp_path: Path) -> None:
    async with judging_host(tmp_path) as host:
        script().rule = always("update")
        fields = {"extractor": "discrete/1", "said_at": after(300), "said_before": [after(100)]}
        await keep(host, "lind", LIND, trust="user", **fields)
        await write(host, await memory(host, "holm", HOLM, trust="tool", said_at=after(200), said_before=[after(50)]))
        kept = await stored(host)
        assert set(kept) == {"lind", "holm"}
        assert (kept["lind"].valid_to, kept["holm"].superseded_by) == (None, "lind")


@pytest.mark.parametrize("first", ["tool", "user"])
async def test_what_only_the_less_trusted_knows_is_not_lost(tmp_path: Path, first: Trust) -> None:
    async with judging_host(tmp_path) as host:
        script().rule = always("same")
        texts = {"tool": "Mia meets Ann at 9:30 in room 5.", "user": "Mia meets Ann."}
        await keep(host, first, texts[first], trust=first)
        second: Trust = "user" if first == "tool" else "tool"
        await write(host, await memory(host, second, texts[second], trust=second, created_at=after(9)))
        kept = await stored(host)
        assert {name: (each.text, each.trust) for name, each in kept.items()} == {
            name: (text, name) for name, text in texts.items()
        }
