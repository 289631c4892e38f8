from memhost import hookimpl


@hookimpl
def memhost_session_updated(event: object) -> None:
    """Not a coroutine function."""
