"""agent-memory-guard (OWASP): 15 attacks and 6 benign controls, for each way to write and each way to read.

An attack is breached if its canary is in what a later turn reads. The key is the topic of what is written; a later turn
asks for the key, and for the beginning of what was written. A benign control is preserved if it comes back whole; where
the way of reading does not show it at all, as memory prompts do not show a tool's turns, it must be in what is stored.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from bench.public.stage import WAYS_TO_READ, WAYS_TO_WRITE, Refused, Stage

_IN_SESSION = frozenset({"session prompt", "session, unfenced"})
_NO_SESSION = frozenset({"memory", "memory, trust claimed", "session memory", "MCP store_memory", "import"})
_BEGINNING = 80


def rows(stage: Stage) -> list[list[str]]:
    """A row for each way to write: score and attacks defended for each way to read, then benign controls preserved."""
    bench = {name: import_module(f"agent_memory_guard.bench.{name}") for name in ("harness", "scenarios", "scoring")}
    corpus = bench["scenarios"].default_corpus()
    found = []
    for written in WAYS_TO_WRITE:
        row = [written]
        kept = total = 0
        for read in WAYS_TO_READ:
            if read in _IN_SESSION and written in _NO_SESSION:
                row.append("-")
                continue
            report = bench["harness"].run_suite(_factory(stage, written, read), corpus)
            card = bench["scoring"].score_report(report)
            row.append(f"{card.score:.1f} {card.grade.value} ({card.defended_total})")
            kept += card.benign_total - card.false_positives
            total += card.benign_total
        found.append([*row, f"{kept} of {total}"])
    return found


HEAD = ["written as", *WAYS_TO_READ, "benign"]


def _factory(stage: Stage, written: str, read: str) -> Any:
    adapter: Any = import_module("agent_memory_guard.bench.adapter")
    outcomes = adapter.RememberOutcome

    class Memhost(adapter.MemorySystemAdapter):  # type: ignore[misc]
        """One owner, written to and read in one way."""

        name = "memhost"

        def __init__(self) -> None:
            self._owner = stage.owner()
            self._values: list[str] = []

        def remember(self, key: str, value: Any, *, source_class: str = "external_tool") -> Any:
            """Store the value with its key as topic; the suite's hint of its source is not ours to trust."""
            self._values.append(str(value))
            try:
                stage.write(written, self._owner, str(value), topic=key)
            except Refused:
                return outcomes.BLOCKED
            return outcomes.STORED

        def recall(self, key: str) -> Any:
            """Return what the way of reading shows; the value itself where it is shown whole."""
            value = self._values[-1]
            queries = (key, key.replace(".", " "), value[:_BEGINNING])
            shown = "\n".join(text for query in queries for text in stage.read(read, self._owner, query))
            if _plain(value) in _plain(shown):
                return value
            is_benign = value in _benign()
            if is_benign and any(_plain(value) in _plain(text) for text in stage.stored(self._owner)):
                return value
            return shown or None

    return Memhost


def _benign() -> set[str]:
    corpus = import_module("agent_memory_guard.bench.scenarios").default_corpus()
    return {each.steps[-1].value for each in corpus if not each.malicious}


def _plain(text: str) -> str:
    return " ".join(text.split())
