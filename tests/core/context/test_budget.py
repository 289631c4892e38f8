"""No context is over its budget, whatever is found and whoever counts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from memhost.context.evidence import Evidence
from memhost.context.fitting import Fitter
from memhost.context.parts import Parts, StableLines
from memhost.context.rendering import messages_of
from memhost.messages.token_budgets import TokenCount, count_for, upper_bound
from memhost.models import MemoryHit, MemoryType, Trust
from memhost.operations.long_term import ContextFormat
from tests.support.tiers import examples

START = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = [
    "the",
    "a",
    "to",
    "of",
    "we",
    "garden",
    "hostel",
    "Porto",
    "yesterday",
    "2026-03-01",
    "€1,250.00",
    "user@example.com",
    "https://example.com/a?b=c#d",
    "Bürgermeisterwahl",
    "привет",
    "конференция",
    "我们在公园里看见了很多花",
    "ありがとうございます",
    "안녕하세요",
    "مرحبا",
    "बगीचा",
    "🍣🍕👨\u200d👩\u200d👧",
    "a8f3e9c04b",
    "0xDEADBEEF",
    "dGhlIHF1aWNr",
    '{"key":[1,2,3]}',
    "<b>&amp;</b>",
    "```",
    "\\n",
    "___",
    "!!!!",
    "xkqzvbwrt",
    "O(n²)",
    "½",
    "ﷺ",
]
LEVELS: tuple[Trust, ...] = ("user", "user", "assistant", "agent", "tool", "external")
FORMS: tuple[ContextFormat, ...] = ("markdown", "xml", "json", "messages")


def words(chance: random.Random, most: int) -> str:
    return " ".join(chance.choice(WORDS) for _ in range(chance.randint(1, most)))


def evidence(chance: random.Random, count: int) -> list[Evidence]:
    found = []
    for rank in range(count):
        said = START + timedelta(minutes=chance.randint(0, 5000))
        turn, trust = chance.random() < 0.7, chance.choice(LEVELS)
        hit = MemoryHit(
            id=f"m{rank}",
            text="",
            last_accessed=said,
            created_at=said,
            updated_at=said,
            memory_type=MemoryType.MESSAGE if turn else MemoryType.SEMANTIC,
            session_id=f"s{chance.randint(0, 3)}",
        )
        found.append(
            Evidence(
                hit=hit,
                rank=rank,
                speaker=chance.choice(("Mia", "user", "", "Анна Петровна")) if turn else "",
                text=words(chance, chance.choice((5, 30, 400))),
                said=said,
                event=chance.choice(("", "", "2026-02", "week of 2026-02-02")),
                until=chance.choice(("", "", "", "2026-09-01")),
                outdated=chance.choice(("", "", "", "since 2026-02-02: User has a dog.")),
                position=chance.randint(0, 60) if turn else None,
                names=frozenset(("mia",)) if turn else None,
                trust=trust,
                verified=trust not in ("tool", "external"),
                source=f"from {trust}" if trust != "user" else "",
            )
        )
    return found


def standing(chance: random.Random) -> StableLines:
    return StableLines(
        rules=[words(chance, 20) for _ in range(chance.randint(0, 4))],
        profile=[words(chance, 20) for _ in range(chance.randint(0, 20))],
    )


COUNTS = [count_for(None), count_for("gpt-4o"), TokenCount(upper_bound), TokenCount(len)]


def sizes(texts: Sequence[str], count: TokenCount, form: str) -> int:
    return sum(count.count(text) + (4 if form == "messages" else 0) for text in texts)


@pytest.mark.timeout(600)  # a minute of work on an idle machine
def test_no_context_is_over_its_budget() -> None:
    chance = random.Random(7)
    filled = 0
    for number in range(examples(500, full=10_000)):
        budget = chance.choice((1, 20, 60, 100, 250, 750, chance.randint(1, 3000)))
        form, count = FORMS[number % 4], COUNTS[number // 4 % len(COUNTS)]
        frame = Parts(
            about="Remembered data.",
            people=chance.choice(("", "The user speaks as Mia.")),
            today="Today is 2026-03-10.",
        )
        fitter = Fitter(count, budget=budget, form=form, ids=chance.random() < 0.3, zone="UTC")
        fitted = fitter.fit(
            frame,
            standing(chance),
            evidence(chance, chance.randint(0, 40)),
            chance.choice(("when garden", "Porto", "公园")),
        )
        texts = (
            [each.content.text for each in messages_of(fitted.rendered)]
            if form == "messages"
            else [fitted.rendered.text]
        )
        assert fitted.tokens == sizes(texts, count, form) <= budget
        filled += fitted.tokens > 0.8 * budget
    assert filled > 100  # the budget is used, not only kept


def test_the_shared_beginning_grows_only_at_its_end() -> None:
    chance = random.Random(11)
    frame = Parts(about="Remembered data.", people="The user speaks as Mia.", today="Today is 2026-03-10.")
    profile = [f"User has {number} tulips." for number in range(200)]
    for form in FORMS[:2]:
        before = ""
        for known in range(0, 200, 5):
            fitter = Fitter(COUNTS[2], budget=750, form=form, ids=False, zone="UTC")
            lines = StableLines(rules=["Answer in German."], profile=profile[:known])
            fitted = fitter.fit(frame, lines, evidence(chance, 20), "Porto")
            shared = before.rsplit("</profile>", 1)[0]
            assert fitted.rendered.stable.startswith(shared)
            assert fitted.tokens <= 750
            before = fitted.rendered.stable
        assert "User has 4 tulips." in before


@pytest.mark.parametrize("form", FORMS)
def test_more_evidence_leaves_the_stable_part_as_it_is(form: ContextFormat) -> None:
    chance = random.Random(3)
    frame = Parts(about="Remembered data.", today="Today is 2026-03-10.")
    lines = standing(chance)
    found = [
        Fitter(COUNTS[2], budget=600, form=form, ids=False, zone="UTC").fit(
            frame, lines, evidence(chance, many), "Porto"
        )
        for many in (0, 1, 10, 40)
    ]
    assert len({fitted.rendered.stable for fitted in found}) == 1
