from collections.abc import Sequence

from memhost import hookimpl
from memhost.ports import Draft, ExtractionContext, Turn
from memhost.specs import StrategySpec


class Questions:
    """Keeps what users ask."""

    name, version, immediate = "acme-questions", "1", True

    async def extract(self, turns: Sequence[Turn], context: ExtractionContext) -> list[Draft]:
        return [
            Draft(text=turn.message.content, source_ids=[turn.message.id], topics=["question"])
            for turn in turns
            if turn.message.role == "user" and turn.message.content.endswith("?")
        ]


@hookimpl
def memhost_strategies() -> Sequence[StrategySpec]:
    return [StrategySpec(name="acme-questions", summary="Questions of users.", build=lambda settings: Questions())]
