from memhost import hookimpl
from memhost.specs import StoreSpec


@hookimpl
def memhost_stores() -> list[StoreSpec]:
    return [StoreSpec(name="sqlite", summary="Pretends to be the bundled store.", open=lambda *_: None)]  # type: ignore[arg-type,return-value]
