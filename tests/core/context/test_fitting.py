"""What a context keeps where room is short, by trust."""

from __future__ import annotations

import msgspec
import pytest

from memhost.context import fitting
from memhost.context.evidence import Evidence
from memhost.context.fitting import Fitter, lines_that_fit
from memhost.context.parts import Parts, StableLines
from memhost.messages.token_budgets import TokenCount, count_for
from memhost.models import MemoryType, Trust
from memhost.search.scoring import hit_of
from memhost.testing.factories import START, make_record

FRAME = Parts(about="Remembered data.", today="Today is 2026-03-10.")


def item(rank: int, trust: Trust, *, position: int | None = None) -> Evidence:
    text = f"Number {rank:02d} tells of the garden and its tulips."
    record = make_record(str(rank), text, trust=trust, session_id="s", memory_type=MemoryType.MESSAGE)
    verified = trust == "user"
    return Evidence(
        hit=hit_of(record), rank=rank, speaker="", text=text, said=START, position=position, trust=trust,
        verified=verified, source="" if verified else f"from {trust}",
    )  # fmt: skip


def kept(found: list[Evidence], budget: int) -> list[Trust]:
    fitter = Fitter(TokenCount(len), budget=budget, form="markdown", ids=False, zone="UTC")
    fitted = fitter.fit(FRAME, StableLines(rules=[], profile=[]), found, "garden")
    return [each.trust for chosen in fitted.parts.items for each in chosen.evidence]


def test_what_a_tool_says_gives_way_to_what_is_half_as_relevant() -> None:
    by_tool = kept([item(rank, "tool" if rank % 2 == 0 else "user") for rank in range(16)], 800)
    by_agent = kept([item(rank, "agent" if rank % 2 == 0 else "user") for rank in range(16)], 800)
    assert 4 < len(by_tool) < 12
    assert 0 < by_tool.count("tool") < by_agent.count("agent")


def test_turns_of_one_passage_are_two_items_if_only_one_is_verified() -> None:
    fitter = Fitter(TokenCount(len), budget=4_000, form="markdown", ids=False, zone="UTC")
    cases: tuple[tuple[Trust, Trust, int], ...] = (
        ("user", "user", 1),
        ("user", "assistant", 2),
        ("assistant", "assistant", 1),
    )
    for first, second, items in cases:
        found = [item(at, trust, position=at) for at, trust in enumerate((first, second))]
        fitted = fitter.fit(FRAME, StableLines(rules=[], profile=[]), found, "garden")
        assert len(fitted.parts.items) == items
        told, _, apart = fitted.rendered.text.partition("### Not verified")
        assert [("Number 01" in part) for part in (told, apart)] == [second == "user", second != "user"]


TEXTS = (
    "Hi Ana! Thanks so much!",
    "I was at the lake two weeks ago.",
    "Die Bürgermeisterin wohnt seit letztem Jahr am Markt.",
    "我们在公园里看见了很多花和树木，树上有一只鸟。",
    "Моя кошка любит рыбу, а брат работает врачом. " * 12,
    "The tulips in the garden were planted by her sister. " * 9,
    "The long story of the garden, told in one breath. " * 120,
)


@pytest.mark.parametrize("query", ["garden", "When was I at the lake?"])
@pytest.mark.parametrize("model", [None, "gpt-4o", "claude-sonnet-4"])
def test_lines_are_the_same_whether_they_have_to_be_counted_or_not(
    monkeypatch: pytest.MonkeyPatch, model: str | None, query: str
) -> None:
    found = [msgspec.structs.replace(item(at, "user"), text=text) for at, text in enumerate(TEXTS)]
    found[1].names = frozenset({"ana"})
    uncounted, counted = 0, 0

    def count(text: str) -> int:
        nonlocal counted
        counted += 1
        return count_for(model).count(text)

    def kept(few: list[Evidence], budget: int) -> list[str]:
        lines = lines_that_fit(few, query=query, count=count, write=lambda each: each.text, budget=budget, zone="UTC")
        return [line.text for line in lines]

    for few in (found[:2], found[:4], found[:6], found):
        for budget in (0, 20, 90, 300, 1_500, 5_000, 120_000):
            counted = 0
            told = kept(few, budget)
            uncounted += counted == 0
            with monkeypatch.context() as patch:
                patch.setattr(fitting._Lines, "uncut", lambda *_: None)
                assert told == kept(few, budget)
    assert uncounted >= 8
