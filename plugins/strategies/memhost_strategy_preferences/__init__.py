"""Strategy `preferences`: lasting preferences and traits of the user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from memhost import hookimpl
from memhost.extraction import PromptedConfig, PromptedSettings
from memhost.specs import StrategySpec


def build(settings: Any) -> Any:
    """Make the strategy."""
    from memhost_strategy_preferences.strategy import Preferences

    return Preferences(settings)


@hookimpl
def memhost_strategies() -> Sequence[StrategySpec]:
    """Offer `preferences`."""
    return [
        StrategySpec(
            name="preferences",
            summary="Lasting preferences and traits, one memory each.",
            build=build,
            settings=PromptedSettings,
            config=PromptedConfig,
            needs_model=True,
        )
    ]
