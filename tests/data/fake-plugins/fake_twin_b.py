from memhost import hookimpl
from memhost.specs import StrategySpec


@hookimpl
def memhost_strategies() -> list[StrategySpec]:
    return [StrategySpec(name="twin", summary="One of two.", build=lambda _: None)]  # type: ignore[arg-type,return-value]
