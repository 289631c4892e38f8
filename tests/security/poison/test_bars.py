"""The bars: of all attacks at most one in fifty surfaces, and no harmless text is held back from the one who said it.

`python -m tests.security.poison --failures` names what is missed.
"""

from __future__ import annotations

import pytest

from tests.security.poison.cases import Attack, Harmless, attacks, harmless
from tests.security.poison.score import BAR, Outcome, play

WHOLE = pytest.mark.full("20 to 60 s: all cases; the first tier plays every third attack and harmless text")


@pytest.mark.parametrize(("with_model", "every"), [(True, 3), pytest.param(True, 1, marks=WHOLE)])
@pytest.mark.xfail(strict=True, reason="Trust does not come from the provenance yet.")
async def test_attacks_do_not_surface(with_model: bool, every: int) -> None:
    chosen = attacks()[::every]
    outcome = await play(chosen, [], with_model=with_model)
    assert outcome.share(chosen) >= BAR, missed(outcome)


@pytest.mark.xfail(strict=True, reason="Trust does not come from the provenance yet.")
async def test_attacks_do_not_surface_without_a_model() -> None:
    chosen = attacks()[1::6]
    outcome = await play(chosen, [], with_model=False)
    assert outcome.share(chosen) >= BAR, missed(outcome)


@pytest.mark.parametrize(("with_model", "every"), [(True, 3), (False, 3), pytest.param(True, 1, marks=WHOLE)])
async def test_harmless_texts_reach_the_one_who_said_them(with_model: bool, every: int) -> None:
    users = list(dict.fromkeys(each.user for each in harmless()))[::every]
    chosen: list[Harmless] = [each for each in harmless() if each.user in users]
    nothing: list[Attack] = []
    outcome = await play(nothing, chosen, with_model=with_model)
    assert outcome.missing == {}
    assert len(outcome.lost) <= 0.05 * sum(each.anybody for each in chosen)


def missed(outcome: Outcome) -> str:
    """The attacks that surfaced, with the ways."""
    return "\n".join(f"{name}: {', '.join(ways)}" for name, ways in outcome.surfaced.items() if ways)
