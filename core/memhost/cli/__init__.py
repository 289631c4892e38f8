"""The command line. Only what `memhost --help` needs is imported before a command runs."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from memhost.cli.root import cli

__all__ = ["cli", "main"]


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave the process. Ctrl-C ends it at any moment without a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while modules are imported and while the interpreter ends
    from memhost.cli.root import cli

    code: int | str | None = 0
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        cli.main(args)
    except SystemExit as end:
        code = end.code
    except KeyboardInterrupt:  # a second one, while the first is being told
        code = 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise SystemExit(code)


def __getattr__(name: str) -> Any:
    """The root command, imported when it is used."""
    if name == "cli":
        from memhost.cli.root import cli

        return cli
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
