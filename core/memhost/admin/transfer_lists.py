"""Files of other origin that an import reads: a JSON list of memories, or an object with `memories`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType, inspect

from memhost.errors import InvalidRequest
from memhost.memories.records import check_records, derived_id, record_from_input
from memhost.models import MemoryRecord, MemoryType
from memhost.operations.requests import SessionRecordInput
from memhost.reading import Compiler, ReadingError, problems

LARGEST = 256 * 1024 * 1024
"""Bytes of such a file; an export of memhost is read line by line and may have any size."""

NO_EXPORT = (
    "memhost did not write this file: its first line is not the header of an export. memhost also reads a JSON list "
    'of memories, or an object with a list "memories" as in POST /v1/long-term-memory/.'
)

Given = tuple[int, SessionRecordInput]
"""Place in the list from 1, and what the file says of the memory; it has an id."""


class Unreadable(Exception):
    """A memory of the list that cannot be read; `place` counts from 1."""

    def __init__(self, place: int, message: str) -> None:
        super().__init__(message)
        self.place = place


def items_of(raw: bytes) -> list[Any]:
    """The memories of the file, unread.

    Raises:
        InvalidRequest: It is none of the two forms, or too large.
    """
    if len(raw) > LARGEST:
        raise InvalidRequest(f"{NO_EXPORT} Such a list may have at most {LARGEST // 2**20} MB; split the file.")
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(NO_EXPORT) from error
    if isinstance(value, dict):
        value = value.get("memories")
    if not isinstance(value, list):
        raise InvalidRequest(NO_EXPORT)
    return value


def read_items(items: list[Any]) -> Iterator[Given | Unreadable]:
    """The memories, each as read or as what is wrong with it; those without an id get one that their content gives."""
    kind = inspect.type_info(SessionRecordInput)
    assert isinstance(kind, inspect.StructType)
    read = Compiler(closed=True, echoes=True).struct(kind)
    for place, item in enumerate(items, start=1):
        try:
            given: SessionRecordInput = read(item)
        except ReadingError as error:
            told = problems(error.faults[:3])
            yield Unreadable(place, "; ".join(f"{'.'.join(map(str, each.where))}: {each.message}" for each in told))
            continue
        if isinstance(given.id, UnsetType) or not given.id:
            given.id = _id_of(given)
        if wrong := check_records([given], [given.id]):
            yield Unreadable(place, "; ".join(problem.message for problem in wrong[:3]))
            continue
        yield place, given


def record_of(given: SessionRecordInput, found: MemoryRecord | None, now: datetime) -> MemoryRecord:
    """Return the memory; times that the file omits are taken from the stored one, so that an import can be repeated."""
    if found is not None:
        times: Mapping[str, datetime] = {
            name: getattr(found, name)
            for name in ("created_at", "updated_at", "last_accessed")
            if getattr(given, name) is UNSET
        }
        given = msgspec.structs.replace(given, **times)
    assert isinstance(given.id, str)
    return record_from_input(given, given.id, now, default_type=MemoryType.SEMANTIC, trust="import")


def _id_of(given: SessionRecordInput) -> str:
    when = given.event_date.isoformat() if given.event_date is not None else ""
    return derived_id("import", given.namespace or "", given.user_id or "", given.session_id or "", given.text, when)
