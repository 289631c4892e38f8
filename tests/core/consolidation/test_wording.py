"""When one text may stand for two: all of both in it, and nothing beside."""

from __future__ import annotations

import pytest

from memhost.consolidation.wording import says_all, stands_for

MAY = [
    ("User has two cats, Milo and Luna.", ("User has 2 cats.", "User's two cats are called Milo and Luna.")),
    ("User has 12 hens.", ("User has twelve hens.", "User has 12 hens.")),
    ("User does not eat meat.", ("User doesn't eat meat.", "User does not eat meat.")),
    (
        "User runs the Berlin marathon on 2026-09-27 with Tom.",
        ("User runs the Berlin marathon on 2026-09-27.", "User runs the Berlin marathon in September 2026 with Tom."),
    ),
    (
        "User was born on 1990-03-03 in Graz.",
        ("User was born on 3 March 1990.", "User was born on 1990-03-03 in Graz."),
    ),
    ("User lives in Berlin with Anna.", ("User lives in Berlin.", "User lives in Berlin with Anna.")),
    ("User wohnt mit Anna in Berlin.", ("User wohnt in Berlin.", "User wohnt mit Anna in Berlin.")),
    ("User habite à Lyon avec Paul.", ("User habite à Lyon.", "User habite à Lyon avec Paul.")),
    ("User vive en Sevilla con su hermana Inés.", ("User vive en Sevilla.", "User vive con su hermana Inés.")),
    ("User живёт в Казани с сестрой.", ("User живёт в Казани.", "User живёт с сестрой.")),
    ("Userは横浜に妻と住んでいる。", ("Userは横浜に住んでいる。", "Userは妻と住んでいる。")),
    ("User的猫叫米洛，三岁。", ("User的猫叫米洛。", "User的猫三岁。")),
]
MUST_NOT = [
    ("User is allergic to nuts.", ("User is allergic to nuts.", "User is allergic to penicillin.")),
    ("User is allergic to nuts.", ("User is allergic to nuts.", "User is allergic to milk.")),
    ("User's mother is a nurse.", ("User's mother is a nurse.", "User's father is a nurse.")),
    ("User quit smoking.", ("User quit smoking.", "User started smoking.")),
    ("The door is unlocked.", ("The door is unlocked.", "The door is locked.")),
    ("User pays the rent monthly.", ("User pays the rent monthly.", "User pays the rent weekly.")),
    ("Anna lent User money.", ("Anna lent User money.", "User lent money to Anna.")),
    ("User prefers email over phone.", ("User prefers email over phone.", "User prefers phone over email.")),
    ("User lives in Berlin and works in Bonn.", ("User lives in Berlin.", "User works in Berlin and lives in Bonn.")),
    ("User trinkt gern Tee.", ("User trinkt gern Tee.", "User trinkt gern Kaffee.")),
    ("User aime le thé.", ("User aime le thé.", "User déteste le thé.")),
    ("User любит чай.", ("User любит чай.", "User любит кофе.")),
    ("User likes tea.", ("User likes tea.", "User does not like tea.")),
    ("User never eats meat.", ("User eats meat.", "User never eats meat.")),
    ("User isst kein Fleisch.", ("User isst Fleisch.", "User isst kein Fleisch.")),
    ("User не ест мясо.", ("User ест мясо.", "User не ест мясо.")),
    ("User不吃肉。", ("User吃肉。", "User不吃肉。")),
    ("User has two cats.", ("User has two cats.", "User has three cats.")),
    ("Anna has a cat.", ("Anna has a cat.", "User knows that Ann has a cat.")),
    ("User lives in Rome.", ("User lives in Rome.", "User lives in Bern.")),
    ("User likes jazz.", ("User likes jazz.", "User likes jazz and plays tuba in Bonn.")),
    ("", ("User lives in Berlin.", "User lives in Berlin with Anna.")),
    ("User lives with Anna.", ("User lives in Berlin.", "User lives in Berlin with Anna.")),
    ("User has a dog and hates cats.", ("User has a dog.", "User has a cat.")),
    ("User has 5 dogs.", ("User has 2 dogs.", "User has 3 dogs.")),
    ("User pays 900 EUR.", ("User pays 900 EUR for the flat.", "User pays 60 EUR for the garage.")),
    ("User flies on 2026-12-04.", ("User flies on 2026-12-03.", "User flies in December 2026.")),
    ("User flies in December 2026.", ("User flies on 2026-12-03.", "User flies in December 2026.")),
    ("User flies on 2026-12-03.", ("User flies in 2026.", "User flies in December 2026.")),
    ("User has a dog.", ("User has a dog named Rex.", "User has a dog named Bo.")),
    ("User likes tea, probably green.", ("User likes tea.", "User likes green things.")),
    ("User wohnt in Berlin.", ("User wohnt in Berlin.", "User wohnt mit Anna in Berlin.")),
    ("User wohnt in Berlin und arbeitet dort.", ("User wohnt in Berlin.", "User mag Berlin.")),
    ("User habite à Lyon.", ("User habite à Lyon.", "User habite avec Paul.")),
    ("User vive en Sevilla con su novia.", ("User vive en Sevilla.", "User vive con su hermana.")),
    ("User живёт в Москве.", ("User живёт в Казани.", "User живёт с сестрой.")),
    ("Userは妻と住んでいる。", ("Userは横浜に住んでいる。", "Userは妻と住んでいる。")),
    ("Userは東京に妻と住んでいる。", ("Userは横浜に住んでいる。", "Userは妻と住んでいる。")),
    ("User的狗叫米洛。", ("User的猫叫米洛。", "User的猫三岁。")),
    ("User plays chess. " * 40, ("User plays chess.", "User plays chess on Mondays.")),
]


@pytest.mark.parametrize(("text", "others"), MAY)
def test_a_text_with_all_of_both_may_replace_them(text: str, others: tuple[str, str]) -> None:
    assert stands_for(text, others)
    assert stands_for(text, others[::-1])


@pytest.mark.parametrize(("text", "others"), MUST_NOT)
def test_a_text_that_loses_or_adds_something_may_not(text: str, others: tuple[str, str]) -> None:
    assert not stands_for(text, others)
    assert not stands_for(text, others[::-1])


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("User lives in Oslo, Norway.", "User lives in Oslo."),
        ("User lives in Berlin with Anna.", "User lives in Berlin."),
        ("User likes green tea.", "User likes tea."),
        ("User wohnt seit 2020 in Berlin.", "User wohnt seit 2020 in Berlin."),
        ("User живёт в Казани с сестрой.", "User живёт в Казани."),
    ],
)
def test_a_text_with_more_says_all_of_one_with_less(text: str, other: str) -> None:
    assert says_all(text, other)
    assert text == other or not says_all(other, text)


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("User's mother lives in Berlin.", "User lives in Berlin."),
        ("Anna has a cat.", "Ann has a cat."),
        ("User lives in Rome.", "User lives in Bern."),
        ("User likes tea.", "User does not like tea."),
        ("User has two cats.", "User has three cats."),
        ("User wants to be called Mabs.", "User has a garden with dahlias."),
        ("User is allergic to nuts.", "User is allergic to penicillin."),
        ("Anna lent User money.", "User lent Anna money."),
        ("Die Mutter von User wohnt in Ulm.", "User wohnt in Ulm."),
        ("User habite à Lyon.", "User travaille à Lyon."),
    ],
)
def test_a_text_about_something_else_does_not(text: str, other: str) -> None:
    assert not says_all(text, other)
