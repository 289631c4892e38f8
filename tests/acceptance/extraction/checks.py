"""Compares what is known after a conversation with what its file expects, one check for each thing that is expected."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from memhost.models import MemoryRecord
from tests.acceptance.extraction import fields
from tests.acceptance.extraction.play import Played
from tests.acceptance.extraction.script import Ask, Statement

_VALUES = ("said", "since", "event", "end", "precision", "by", "trust", "kind")


@dataclass(frozen=True, slots=True)
class Check:
    """A check. `guard` is true if it is about something that must not happen; `found` is for the reader."""

    name: str
    met: bool
    guard: bool = False
    found: str = ""


def fits(pattern: str, text: str) -> bool:
    """Tell whether a text has, in any letter case, the parts (`…`) of one of the alternatives (` | `) in order."""
    return any(
        re.search(".*".join(re.escape(part.strip()) for part in each.split("…")), text, re.IGNORECASE | re.DOTALL)
        for each in pattern.split(" | ")
    )


async def check(played: Played) -> list[Check]:
    """All checks of a conversation, in the order of its file."""
    found = [*_statements(played)]
    found += [await _doubted(played, pattern) for pattern in played.conversation.expect.doubted]
    for ask in played.conversation.expect.ask:
        found += [each async for each in _asked(played, ask)]
    found += [each async for each in _standing(played)]
    names = [each.name for each in found]
    assert len(set(names)) == len(names), f"{played.conversation.name}: two checks with one name"
    return found


def _statements(played: Played) -> Iterator[Check]:
    expect = played.conversation.expect
    live = [record for record in played.statements if not _is_past(record, played)]
    past = [record for record in played.statements if _is_past(record, played)]
    shown = _texts(played.statements)
    for name, statements, guard in (("now", expect.now, False), ("kept", expect.kept, True)):
        for each in map(_statement, statements):
            record = _one(each.text, live)
            yield Check(f"{name}: {each.text}", record is not None, guard, shown)
            yield from _values(name, each, record, played)
    for each in map(_statement, expect.past):
        record = _one(each.text, past)
        met = record is not None and _one(each.text, live) is None
        yield Check(f"past: {each.text}", met, False, shown)
        yield from _values("past", each, record, played)
    for pair in expect.apart:
        ids = [{record.id for record in live if fits(pattern, record.text)} for pattern in pair]
        met = all(ids) and ids[0] != ids[1]
        yield Check(f"apart: {pair[0]} / {pair[1]}", met, True, shown)
    for pattern in expect.one:
        count = sum(fits(pattern, record.text) for record in live)
        yield Check(f"one: {pattern}", count == 1, False, shown)
    for pattern in expect.never:
        yield Check(f"never: {pattern}", _one(pattern, played.statements) is None, True, shown)


def _values(name: str, expected: Statement, record: MemoryRecord | None, played: Played) -> Iterator[Check]:
    """The checks of what must be known of a statement; all fail if there is none."""
    zone = played.conversation.zone
    if expected.sources is not None:
        keys = [] if record is None else sorted(played.keys.get(each, each) for each in record.source_ids)
        met = record is not None and keys == sorted(expected.sources)
        yield Check(f"{name}: {expected.text} [from {' '.join(expected.sources)}]", met, False, str(keys))
    for field in (*_VALUES, "until"):
        wanted = getattr(expected, field)
        if wanted is not None:
            got = None if record is None else _value(field, record, zone)
            met = got is not None and (got.startswith(wanted) if field in ("event", "end") else got == wanted)
            yield Check(f"{name}: {expected.text} [{field} {wanted}]", met, False, str(got))


def _value(field: str, record: MemoryRecord, zone: str) -> str | None:
    reader: Any = {"end": fields.event_end}.get(field) or getattr(fields, field)
    found: str | None = reader(record) if field in ("precision", "by", "trust", "kind") else reader(record, zone)
    return found


async def _doubted(played: Played, pattern: str) -> Check:
    """Not stored, or marked as doubtful and left out of the context even of a question in its own words."""
    records = [record for record in played.statements if fits(pattern, record.text) and not _is_past(record, played)]
    met = all([fields.doubted(record) and not await _is_shown(played, record) for record in records])
    return Check(f"doubted: {pattern}", met, True, _texts(records))


async def _is_shown(played: Played, record: MemoryRecord) -> bool:
    context = await played.context(record.text)
    return any(record.id in item.ids for item in context.items)


async def _asked(played: Played, ask: Ask) -> AsyncIterator[Check]:
    name = f"ask: {ask.q}" + (f" ({ask.as_of})" if ask.as_of else "")
    if ask.first or ask.not_first or ask.has or ask.hasnt:
        texts = await played.search(ask.q, ask.as_of)
        shown = " | ".join(texts)
        best = texts[0] if texts else ""
        if ask.first:
            yield Check(f"{name} [first {ask.first}]", fits(ask.first, best), False, shown)
        if ask.not_first:
            yield Check(f"{name} [not first {ask.not_first}]", not fits(ask.not_first, best), True, shown)
        for pattern in ask.has:
            yield Check(f"{name} [has {pattern}]", any(fits(pattern, text) for text in texts), False, shown)
        for pattern in ask.hasnt:
            yield Check(f"{name} [hasn't {pattern}]", not any(fits(pattern, text) for text in texts), True, shown)
    if ask.shown or ask.hidden:
        text = (await played.context(ask.q)).text
        for pattern in ask.shown:
            yield Check(f"{name} [shown {pattern}]", fits(pattern, text), False, text)
        for pattern in ask.hidden:
            yield Check(f"{name} [hidden {pattern}]", not fits(pattern, text), True, text)


async def _standing(played: Played) -> AsyncIterator[Check]:
    """The checks of what the context shows whatever is asked: the profile, and standing rules."""
    expect = played.conversation.expect
    parts = (("profile", expect.profile, expect.profile_lacks), ("rules", expect.rules, expect.rules_lack))
    if not any(wanted or unwanted for _, wanted, unwanted in parts):
        return
    context = await played.context(None)
    for name, wanted, unwanted in parts:
        lines = getattr(context, name)
        shown = " | ".join(lines)
        for pattern in wanted:
            yield Check(f"{name}: {pattern}", any(fits(pattern, line) for line in lines), False, shown)
        for pattern in unwanted:
            met = bool(lines or not wanted) and not any(fits(pattern, line) for line in lines)
            yield Check(f"{name} lack: {pattern}", met, True, shown)


def _is_past(record: MemoryRecord, played: Played) -> bool:
    """Tell whether it holds no more at the time of the questions; what ends later holds still."""
    if record.valid_to is None:
        return record.superseded_by is not None
    return record.valid_to <= played.asked


def _one(pattern: str, records: Sequence[MemoryRecord]) -> MemoryRecord | None:
    return next((record for record in records if fits(pattern, record.text)), None)


def _statement(given: Statement | str) -> Statement:
    return given if isinstance(given, Statement) else Statement(text=given)


def _texts(records: Sequence[MemoryRecord]) -> str:
    return " | ".join(
        record.text + (f" (until {record.valid_to})" if record.valid_to is not None else "") for record in records
    )
