from memhost import hookimpl


@hookimpl
def memhost_no_such_hook() -> None:
    """No such hook exists."""
