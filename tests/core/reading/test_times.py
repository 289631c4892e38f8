"""A time that a client gives is the same at every door, and what may mean two times is refused at every door."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast

import pytest

from memhost.admin.export_import import Exporter, Importer
from memhost.admin.transfer_lists import Unreadable, read_items
from memhost.cli.access import Direct
from memhost.errors import InvalidRequest, ValidationFailed
from memhost.host import core_operations
from memhost.models import Op, Scope
from memhost.operations.requests import DateFilter, SearchFields
from memhost.operations.responses import Ack
from memhost.reading import ReadingError, read_time
from memhost.reading.times import ACCEPTED, FORMS
from memhost.search.filters import compile_filters
from memhost.views.filters import compile_view_filters
from memhost_mcp.tools import all_tools
from tests.plugins.interfaces.rest.rest_fakes import FakeHost, client_for
from tests.support.hosts import run, running_host

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PAGE = Path(__file__).parents[3] / "docs" / "memory_forms.md"


class Refused(Exception):
    """The door did not take the time; its words."""


def function(given: Any) -> datetime:
    try:
        return read_time(given)
    except ReadingError as error:
        raise Refused(error.faults[0].message) from None


def _over_rest(verb: str, path: str, take: Callable[[Any], Any], **sent: Any) -> datetime:
    host = FakeHost()
    with client_for(host) as client:
        answer = client.request(verb, path, **sent)
    if answer.status_code == 422:
        raise Refused(answer.json()["detail"][0]["msg"])
    assert answer.status_code == 200, answer.text
    return cast("datetime", take(host.last))


def search_filter(given: Any) -> datetime:
    body = {"created_at": {"gte": given}}
    return _over_rest("POST", "/v1/long-term-memory/search", lambda request: request.created_at.gte, json=body)


def message(given: Any) -> datetime:
    body = {"messages": [{"role": "user", "content": "Hi", "created_at": given}]}
    return _over_rest("PUT", "/v1/working-memory/s", lambda request: request.messages[0].created_at, json=body)


def query_string(given: Any) -> datetime:
    params = {"updated_after": given}
    return _over_rest("GET", "/v1/working-memory/", lambda request: request.updated_after, params=params)


def operation_by_name(given: Any) -> datetime:
    body = {"memory_id": "m", "event_date": given}
    return _over_rest("POST", "/v1/operations/edit_memory", lambda request: request.event_date, json=body)


def tool(given: Any) -> datetime:
    (search,) = [each for each in all_tools(core_operations(), {}) if each.name == "search_memory"]
    try:
        found = search.read({"query": "x", "created_after": given}, lenient=False)
    except ValidationFailed as error:
        raise Refused(error.problems[0].message) from None
    return cast("datetime", found.created_after)


def command(given: Any) -> datetime:
    host = FakeHost()
    host.answers["edit_memory"] = Ack()
    try:
        asyncio.run(Direct(cast("Any", host)).call("edit_memory", {"memory_id": "m", "event_date": given}))
    except ValidationFailed as error:
        raise Refused(error.problems[0].message) from None
    return cast("datetime", host.last.event_date)


def view_filter(given: Any) -> datetime:
    try:
        (condition,) = compile_view_filters({"event_date": {"gte": given}})
    except InvalidRequest as error:
        raise Refused(error.message) from None
    assert condition.op is Op.GTE
    return cast("datetime", condition.values[0])


def imported_list(given: Any) -> datetime:
    (item,) = read_items([{"id": "m", "text": "x", "event_date": given}])
    if isinstance(item, Unreadable):
        raise Refused(str(item))
    return cast("datetime", item[1].event_date)


DOORS = [
    function,
    search_filter,
    message,
    query_string,
    operation_by_name,
    tool,
    command,
    view_filter,
    imported_list,
]
AMBIGUOUS = ["20260301", "2026", "202603", "202603010930", "20260301093000", " 20260301 "]
UNKNOWN = ["yesterday", "2026-W09-7", "20260301T093000Z", "2026-03-01T09", "01.03.2026", "2026-3-1", "+2026-03-01", ""]


def _take(door: Callable[[Any], datetime], given: Any) -> datetime:
    return door(str(given)) if door is query_string else door(given)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_every_door_takes_every_form_for_the_same_time(door: Callable[[Any], datetime], form: Any) -> None:
    found = _take(door, form.example)
    assert found.isoformat(timespec="auto").replace("+00:00", "Z") == form.means
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize("given", AMBIGUOUS)
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_every_door_refuses_digits_that_may_be_a_date(door: Callable[[Any], datetime], given: str) -> None:
    with pytest.raises(Refused) as caught:
        door(given)
    assert f"{given.strip()} may be a date or a Unix time" in str(caught.value)
    assert ACCEPTED.rstrip(".") in str(caught.value)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_every_door_says_what_it_takes_instead_of_an_unknown_form(door: Callable[[Any], datetime]) -> None:
    for given in UNKNOWN:
        with pytest.raises(Refused, match="the format is not known") as caught:
            door(given)
        assert ACCEPTED.rstrip(".") in str(caught.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("1772357400", datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
        ("1772357400.5", datetime(2026, 3, 1, 9, 30, 0, 500000, tzinfo=UTC)),
        ("1772357400000", datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
        ("2026030109", EPOCH + timedelta(seconds=2026030109)),
        ("0", EPOCH),
        ("20261301", EPOCH + timedelta(seconds=20261301)),
        ("+20260301", EPOCH + timedelta(seconds=20260301)),
        (20260301, EPOCH + timedelta(seconds=20260301)),
        (20260301.0, EPOCH + timedelta(seconds=20260301)),
        ("2026-03-01T09:30:00+01:00", datetime(2026, 3, 1, 9, 30, tzinfo=timezone(timedelta(hours=1)))),
    ],
)
def test_numbers_stay_unix_times(given: Any, expected: datetime) -> None:
    assert read_time(given) == expected


def test_the_last_second_of_the_calendar_cannot_be_equalled() -> None:
    last = "9999-12-31T23:59:59Z"
    with pytest.raises(InvalidRequest, match="event_date: 'eq' cannot be the last second"):
        compile_view_filters({"event_date": last})
    with pytest.raises(ValidationFailed, match="last second"):
        compile_filters(SearchFields(created_at=DateFilter(eq=read_time(last))))
    with pytest.raises(ValidationFailed, match="'ne' cannot be the last second"):
        compile_filters(SearchFields(created_at=DateFilter(ne=read_time(last))))


async def test_lines_of_an_export_without_offset_are_utc(tmp_path: Path) -> None:
    at = "2026-03-01T09:30:00"
    turn = {"role": "user", "content": "Hi", "created_at": f"{at}Z"}
    async with running_host(tmp_path, run_jobs=False) as host:
        await run(host, "create_memories", memories=[{"id": "old", "text": "x", "created_at": f"{at}Z"}])
        await run(host, "put_session", session_id="old", messages=[turn])
        lines = [line async for line in Exporter(host.store, host.clock).lines(Scope())]
        importer = Importer(store=host.store, embedder=host.embedder, tenant="default", clock=host.clock)
        for number, line in enumerate(lines, start=1):
            edited = line.replace(f"{at}Z".encode(), at.encode()).replace(b'"old"', b'"new"')
            assert edited.count(b"Z") < line.count(b"Z") or number in (1, len(lines))
            await importer.feed(number, edited)
        assert (await importer.finish()).problems == []
        memory = await run(host, "get_memory", memory_id="new")
        session = await run(host, "get_session", session_id="new")
        for found in (memory.created_at, session.messages[0].created_at):
            assert (found, found.utcoffset()) == (datetime(2026, 3, 1, 9, 30, tzinfo=UTC), timedelta(0))


def test_the_page_shows_the_forms() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    for form in FORMS:
        assert f"| {form.name} | `{json.dumps(form.example).strip(chr(34))}` | `{form.means}` | {form.remark} |" in rows
