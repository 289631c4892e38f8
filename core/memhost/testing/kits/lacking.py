"""Suites skip tests of missing parts where the author says that they are missing, and fail otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn, Protocol

import pytest


class Suite(Protocol):
    """A suite that knows what its plugin does without.

    Attributes:
        lacks: Names of what the plugin does without, as the suite's page lists them.
    """

    @property
    def lacks(self) -> Sequence[str]:
        """Names of what the plugin does without."""
        ...


def lacking(suite: Suite, name: str, sentence: str) -> NoReturn:
    """Skip the test if `suite.lacks` names this, else fail: what did not run must not look as if it passed.

    Args:
        suite: The suite that runs.
        name: What is missing.
        sentence: What is missing, and what to give so that the test runs.
    """
    if name in suite.lacks:
        pytest.skip(sentence)
    pytest.fail(f"{sentence} If the plugin does without, say so: lacks = ({name!r},).", pytrace=False)
