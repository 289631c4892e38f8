"""Strategy `custom`: what a prompt of the session asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from memhost import hookimpl
from memhost.extraction import PromptedConfig, PromptedSettings, prompt_field
from memhost.specs import StrategySpec


class CustomConfig(PromptedConfig, frozen=True, kw_only=True):
    """Options of a session."""

    custom_prompt: Annotated[
        str,
        prompt_field(
            "What to note, in words. Placeholders: {message} (the conversation), {current_datetime}, {session_id}, "
            "{namespace}, {user_id}, {model_name}, {context}, {topics}, {entities}; all other braces are text."
        ),
    ]


def build(settings: Any) -> Any:
    """Make the strategy."""
    from memhost_strategy_custom.strategy import Custom

    return Custom(settings)


@hookimpl
def memhost_strategies() -> Sequence[StrategySpec]:
    """Offer `custom`."""
    return [
        StrategySpec(
            name="custom",
            summary="Memories that the session's own prompt asks for.",
            build=build,
            settings=PromptedSettings,
            config=CustomConfig,
            needs_model=True,
        )
    ]
