"""A plugin with a strategy that makes memories inside the write: of every shouted message."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint

from memhost import hookimpl
from memhost.ports import Draft, ExtractionContext, Turn
from memhost.specs import StrategySpec

POINT = EntryPoint(name="test-shouts", value="tests.support.immediate", group="memhost")


class Shouts:
    """Keeps what stands in capitals."""

    name = "shouts"
    version = "1"
    immediate = True

    async def extract(self, turns: Sequence[Turn], context: ExtractionContext) -> list[Draft]:
        """One draft per shouted turn."""
        found = [turn.message for turn in turns if turn.message.content.isupper()]
        return [Draft(text=f"Shouted: {message.content}", source_ids=[message.id]) for message in found]


@hookimpl
def memhost_strategies() -> Sequence[StrategySpec]:
    """Offer it."""
    return [StrategySpec(name="shouts", summary="Keeps what was shouted.", build=lambda _settings: Shouts())]
