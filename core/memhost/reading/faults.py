"""From faults of values to problems of a request."""

from __future__ import annotations

from collections.abc import Sequence

from memhost.errors import Problem
from memhost.reading.values import Fault

MAX_PROBLEMS = 1000
"""Problems listed in one answer."""


def problems(faults: Sequence[Fault]) -> list[Problem]:
    """Faults as problems of a request, at most `MAX_PROBLEMS` of them."""
    found = [
        Problem(
            where=tuple(reversed(fault.path)),
            kind=fault.kind,
            message=fault.message,
            value=fault.value,
            context=dict(fault.context) if fault.context else None,
        )
        for fault in faults[:MAX_PROBLEMS]
    ]
    if len(faults) > MAX_PROBLEMS:
        found.append(Problem(where=("body",), message="Value error, there are more problems than listed here"))
    return found
