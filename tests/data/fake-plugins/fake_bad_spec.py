from memhost import hookimpl


@hookimpl
def memhost_stores() -> list[str]:
    return ["not a spec"]
