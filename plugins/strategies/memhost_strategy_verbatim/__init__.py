"""Strategy `verbatim`: each turn of a conversation becomes a searchable memory, as it was said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from memhost import hookimpl
from memhost.specs import StrategySpec


def build(_settings: Any) -> Any:
    """Make the strategy."""
    from memhost_strategy_verbatim.strategy import Verbatim

    return Verbatim()


@hookimpl
def memhost_strategies() -> Sequence[StrategySpec]:
    """Offer `verbatim`."""
    return [StrategySpec(name="verbatim", summary="Each turn becomes a memory; needs no model.", build=build)]
