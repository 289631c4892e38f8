"""Strategy `discrete`: facts and events of a conversation, one memory each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from memhost import hookimpl
from memhost.extraction import PromptedConfig, PromptedSettings
from memhost.specs import StrategySpec


def build(settings: Any) -> Any:
    """Make the strategy."""
    from memhost_strategy_discrete.strategy import Discrete

    return Discrete(settings)


@hookimpl
def memhost_strategies() -> Sequence[StrategySpec]:
    """Offer `discrete`."""
    return [
        StrategySpec(
            name="discrete",
            summary="Facts and events, one memory each.",
            build=build,
            settings=PromptedSettings,
            config=PromptedConfig,
            needs_model=True,
        )
    ]
