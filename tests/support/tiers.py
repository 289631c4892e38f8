"""The three tiers of tests, chosen with `--tier`; docs/development.md says what belongs where.

`test` is every rule and case once, at the cheapest level where it is true. `all` adds what is marked `full`, `soak` is
what is marked `soak` and nothing else. Each mark gives its reason::

    @pytest.mark.full("starts ten processes; test_lease.py holds the rule with a clock of its own")
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

TIERS = ("test", "all", "soak")
MARKS = ("full", "soak")

_chosen = "all"


def add_option(parser: pytest.Parser) -> None:
    """Add `--tier`; without it a call of pytest runs what `all` does."""
    parser.addoption("--tier", choices=TIERS, default="all", help="which tests: test, all (the default) or soak")


def configure(config: pytest.Config) -> None:
    """Keep the chosen tier for `examples`, before any test is imported."""
    global _chosen
    _chosen = config.getoption("tier")


def examples(few: int, *, full: int) -> int:
    """How many random examples a test makes: few in make test, all of them otherwise."""
    return few if _chosen == "test" else full


def select(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave in `items` those of the chosen tier.

    Raises:
        pytest.UsageError: A mark has no reason.
    """
    if wrong := [item.nodeid for item in items if not all(map(reason, marks_of(item)))]:
        raise pytest.UsageError(f"A mark that moves a test down a tier gives its reason; these do not: {wrong}")
    tier = config.getoption("tier")
    chosen = [item for item in items if belongs(tier, {mark.name for mark in marks_of(item)})]
    if left := [item for item in items if item not in set(chosen)]:
        config.hook.pytest_deselected(items=left)
        items[:] = chosen


def belongs(tier: str, names: set[str]) -> bool:
    """Whether a test with marks of these names is in the tier."""
    if "soak" in names:
        return tier == "soak"
    return tier == "all" or (tier == "test" and "full" not in names)


def marks_of(item: pytest.Item) -> Sequence[pytest.Mark]:
    """The marks that move it down a tier."""
    return [mark for name in MARKS for mark in item.iter_markers(name)]


def reason(mark: pytest.Mark) -> str:
    """Why the test is moved down, empty if the mark does not say."""
    given = mark.args[0] if len(mark.args) == 1 and not mark.kwargs else ""
    return given.strip() if isinstance(given, str) else ""
