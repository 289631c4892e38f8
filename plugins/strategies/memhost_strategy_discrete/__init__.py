"""Strategy `discrete`: facts, events and instructions of a conversation, one memory each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta

from memhost import hookimpl
from memhost.extraction import NOTED, Kind, PromptedConfig, PromptedSettings
from memhost.settings import setting
from memhost.specs import StrategySpec


class DiscreteSettings(PromptedSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of the strategy."""

    kinds: Annotated[
        tuple[Kind, ...],
        setting(
            "Kinds of memories to note: fact, event, instruction (how the user wants assistants to behave), action "
            "(what the assistant did, decided or learned)."
        ),
    ] = NOTED


class DiscreteConfig(PromptedConfig, frozen=True, kw_only=True):
    """Options of a session."""

    kinds: Annotated[
        list[Kind] | None,
        Meta(description="Kinds of memories to note; absent: those of the server's setting."),
    ] = None


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
            summary="Facts, events and standing instructions, one memory each.",
            build=build,
            settings=DiscreteSettings,
            config=DiscreteConfig,
            needs_model=True,
        )
    ]
