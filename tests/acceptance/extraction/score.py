"""The score of the set, and the list of checks that are known to fail."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.acceptance.extraction.checks import Check, check
from tests.acceptance.extraction.play import played
from tests.acceptance.extraction.script import DATA, Conversation

KNOWN = DATA / "known_failures.txt"
Results = Mapping[str, Sequence[Check]]


async def results(conversation: Conversation, store: str = "memory") -> list[Check]:
    """Play a conversation in a temporary folder, and check it."""
    with TemporaryDirectory() as folder:
        async with played(conversation, Path(folder), store) as stage:
            return await check(stage)


def play_all(chosen: Iterable[Conversation], store: str = "memory") -> dict[str, list[Check]]:
    """The checks of each conversation, by its name."""
    return {each.name: asyncio.run(results(each, store)) for each in chosen}


def known_failures() -> dict[str, set[str]]:
    """Names of the checks that are known to fail, by conversation."""
    found: dict[str, set[str]] = {}
    for line in KNOWN.read_text(encoding="utf-8").splitlines():
        if line.strip():
            conversation, _, name = line.partition(" :: ")
            found.setdefault(conversation, set()).add(name)
    return found


def write_known(outcome: Results) -> None:
    """Make the list of known failures from an outcome of all conversations."""
    lines = [f"{name} :: {each.name}\n" for name, checks in outcome.items() for each in checks if not each.met]
    KNOWN.write_text("".join(lines), encoding="utf-8")


def table(chosen: Sequence[Conversation], outcome: Results) -> str:
    """Checks met of all checks: by language, by topic, of those about what must not happen, and altogether."""
    rows: dict[tuple[str, str], list[Check]] = {}
    for each in chosen:
        rows.setdefault(("language", each.language), []).extend(outcome[each.name])
        rows.setdefault(("topic", each.topic), []).extend(outcome[each.name])
    every = [one for each in chosen for one in outcome[each.name]]
    rows["all", "must happen"] = [one for one in every if not one.guard]
    rows["all", "must not happen"] = [one for one in every if one.guard]
    rows["all", "all"] = every
    lines = [f"{len(chosen)} conversations", ""]
    order = ["language", "topic", "all"]
    for (kind, name), checks in sorted(rows.items(), key=lambda row: order.index(row[0][0])):
        met = sum(one.met for one in checks)
        share = f"{met / len(checks):6.1%}" if checks else "     -"
        lines.append(f"{kind:9} {name:16} {met:4} of {len(checks):4} {share}")
    return "\n".join(lines)
