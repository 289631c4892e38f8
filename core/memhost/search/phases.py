"""The time that the phases of a search take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

TOTAL = "total"


class Phases:
    """Measures the phases of one search; a phase that comes twice is added up.

    They are `filters` (compiled into conditions), `hooks` (of plugins), `query` (taken apart, and rewritten if asked
    for), `embed`, `candidates` (the store), `rank` and `rerank`.
    """

    def __init__(self) -> None:
        self._begun = perf_counter()
        self._spent: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count what runs inside for that phase."""
        begun = perf_counter()
        try:
            yield
        finally:
            self._spent[name] = self._spent.get(name, 0.0) + perf_counter() - begun

    def milliseconds(self) -> dict[str, float]:
        """Milliseconds of each phase so far, in their order, and of everything since the start."""
        spent = {**self._spent, TOTAL: perf_counter() - self._begun}
        return {name: round(seconds * 1000, 3) for name, seconds in spent.items()}
