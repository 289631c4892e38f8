"""`python -m memhost.worker`: runs background jobs until SIGTERM or SIGINT."""

from __future__ import annotations

import sys

from memhost.cli.failures import report
from memhost.errors import MemhostError
from memhost.host.worker import run_worker


def main() -> int:
    """Run until a signal comes; the exit code is the command line's."""
    try:
        run_worker()
    except (MemhostError, OSError) as error:
        return report(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
