from memhost import hookimpl


@hookimpl
def memhost_strategies() -> list[object]:
    raise RuntimeError("registration failed on purpose")
