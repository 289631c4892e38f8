"""Where a stored memory keeps what the checks ask for: to change when a field of memories is added or renamed."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from memhost.models import MemoryRecord


def day(moment: datetime | None, zone: str) -> str | None:
    """The local day of a moment, as `2026-03-02`."""
    return None if moment is None else moment.astimezone(ZoneInfo(zone)).date().isoformat()


def said(record: MemoryRecord, zone: str) -> str | None:
    """The day on which it was said."""
    return day(_moment(record, "said_at"), zone)


def since(record: MemoryRecord, zone: str) -> str | None:
    """The day since when it holds."""
    return day(record.valid_from, zone)


def until(record: MemoryRecord, zone: str) -> str | None:
    """The day on which it ceased to hold."""
    return day(record.valid_to, zone)


def event(record: MemoryRecord, zone: str) -> str | None:
    """The day on which its event began."""
    return _event_day(record.event_date, record, zone)


def event_end(record: MemoryRecord, zone: str) -> str | None:
    """The day on which its event ended; None if no end is known."""
    return _event_day(_moment(record, "event_end"), record, zone)


def precision(record: MemoryRecord) -> str | None:
    """How exact the time of its event is."""
    found = getattr(record, "event_precision", None) or record.metadata.get("event_date_precision")
    if found is None and record.event_date is not None:
        return "day" if record.event_date.time() == datetime.min.time() else "minute"
    return found if isinstance(found, str) else None


def by(record: MemoryRecord) -> str | None:
    """The name of who said it."""
    found = getattr(record, "said_by", None) or record.metadata.get("said_by") or record.metadata.get("attributed_to")
    return found if isinstance(found, str) else None


def trust(record: MemoryRecord) -> str | None:
    """Whose word it is."""
    found = record.trust
    return found if isinstance(found, str) else None


def doubted(record: MemoryRecord) -> bool:
    """Tell whether it is marked as something that the user may never have said."""
    return trust(record) != "user"


def kind(record: MemoryRecord) -> str:
    """Its kind: `fact`, `preference`, `instruction` or `action`."""
    found = getattr(record, "kind", None) or record.metadata.get("kind")
    if isinstance(found, str):
        return found
    return "preference" if "polarity" in record.metadata else "fact"


def _event_day(moment: datetime | None, record: MemoryRecord, zone: str) -> str | None:
    """The day of an event: dates without a time of day are kept as midnight in UTC."""
    if moment is None or precision(record) == "minute":
        return day(moment, zone)
    found: date = moment.date()
    return found.isoformat()


def _moment(record: MemoryRecord, name: str) -> datetime | None:
    found = getattr(record, name, None)
    return found if isinstance(found, datetime) else None
