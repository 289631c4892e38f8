"""Strategy `summary`: one memory per conversation that sums it up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta

from memhost import hookimpl
from memhost.extraction import PromptedConfig, PromptedSettings
from memhost.specs import StrategySpec


class SummaryConfig(PromptedConfig, frozen=True, kw_only=True):
    """Options of a session."""

    max_summary_length: Annotated[int, Meta(ge=10, le=2000, description="Most words of the summary.")] = 500
    summary_version: Annotated[str, Meta(description="A changed value makes memhost write the summary again.")] = (
        "thread-summary-v1"
    )
    topics: Annotated[list[str], Meta(description="Topics that every summary gets.")] = []


def build(settings: Any) -> Any:
    """Make the strategy."""
    from memhost_strategy_summary.strategy import Summary

    return Summary(settings)


@hookimpl
def memhost_strategies() -> Sequence[StrategySpec]:
    """Offer `summary`."""
    return [
        StrategySpec(
            name="summary",
            summary="One running summary of each conversation.",
            build=build,
            settings=PromptedSettings,
            config=SummaryConfig,
            needs_model=True,
            digests=True,
        )
    ]
