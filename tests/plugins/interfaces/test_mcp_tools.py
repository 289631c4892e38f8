"""How a tool is made of an operation's row: what it is called, shows and may do, and for whom it runs."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any, cast, get_args, get_type_hints

import msgspec
import pytest

import memhost.operations
import memhost_mcp.tools
from memhost.errors import ConfigurationError, Forbidden, ScopeRequired, ValidationFailed
from memhost.host import core_operations
from memhost.models import Caller, Scope
from memhost.operations import Access, Call, Operation, OperationTable
from memhost.operations.requests import MemoryTypeFilter, SearchFields, TagFilter
from memhost.ports import Host
from memhost_mcp.tool_context import Defaults, McpRequest, ToolContext
from memhost_mcp.tools import all_tools, everyday, long_term, reviews, sessions, views
from memhost_mcp.tools.tool import Tool, ToolRow, result_from, result_like, tool_of

ROWS = (*everyday.ROWS, *long_term.ROWS, *sessions.ROWS, *views.ROWS, *reviews.ROWS)
CORE = core_operations()


class CountNotes(msgspec.Struct, kw_only=True):
    """Which notes to count."""

    color: str
    namespace: str | None = None
    user_id: str | None = None
    archived: bool = False


class Notes(msgspec.Struct):
    """How many notes there are."""

    count: int


async def handler(_host: Host, _call: Call, _request: Any) -> Notes:
    return Notes(count=1)


def operation(access: Access = "read", **fields: Any) -> Operation:
    given = {"request": CountNotes, "response": Notes, "tag": "Notes", "summary": "Count notes.", **fields}
    return Operation(name="count_notes", handler=handler, access=access, **given)


def names(*added: Operation, plugins: tuple[str, ...] = ()) -> list[str]:
    return [tool.name for tool in all_tools(OperationTable([*CORE, *added]), {}, plugins)]


class Listening:
    """A host that keeps what it was asked for."""

    def __init__(self, *operations: Operation) -> None:
        self.operations = OperationTable(operations)
        self.calls: list[tuple[str, Call, Any]] = []

    async def execute(self, name: str, call: Call, request: Any) -> Any:
        self.calls.append((name, call, request))
        return Notes(count=7)


async def run(tool: Tool, row: Operation, arguments: dict[str, Any], **given: Any) -> tuple[Call, Any, Any]:
    """Call a tool; the call that reached the host, its request, and the answer."""
    require = given.pop("require_scope", False)
    caller = Caller(subject="c", roles=frozenset({"writer"}), bounds=given.pop("bounds", Scope()))
    request = McpRequest(caller=caller, request_id="r", **given)
    host = Listening(row)
    context = ToolContext(cast("Host", host), Call(caller=caller, request_id="r"), request, require_scope=require)
    answer = await tool.run(context, tool.read(arguments, lenient=False))
    ((_, call, sent),) = host.calls
    return call, sent, answer


def test_an_operation_of_the_core_is_a_tool_if_its_row_says_so() -> None:
    assert "count_notes" not in names(operation())
    assert names(operation(agent_tool=True)) == [*names(), "count_notes"]
    assert "count_notes" in names(operation("admin", agent_tool=True))


def test_an_operation_of_a_plugin_is_a_tool_unless_it_is_administration_or_says_no() -> None:
    assert "count_notes" in names(operation(), plugins=("count_notes",))
    assert "count_notes" not in names(operation("admin"), plugins=("count_notes",))
    assert "count_notes" not in names(operation(agent_tool=False), plugins=("count_notes",))
    assert "count_notes" not in names(operation(kind="prompt"), plugins=("count_notes",))


def test_two_tools_of_one_name_stop_the_start() -> None:
    clash = msgspec.structs.replace(operation(), name="search_memory")
    with pytest.raises(ConfigurationError, match="search_memory"):
        names(clash, plugins=("search_memory",))


@pytest.mark.parametrize(
    ("row", "facts"),
    [
        (operation("read"), (True, False, False)),
        (operation("open"), (True, False, False)),
        (operation("write"), (False, False, False)),
        (operation("write", repeatable=True), (False, False, True)),
        (operation("write", destructive=True), (False, True, False)),
        (operation("delete", repeatable=True), (False, True, True)),
        (operation("admin", agent_tool=True), (False, True, False)),
    ],
)
def test_what_a_tool_may_do_follows_from_the_row(row: Operation, facts: tuple[bool, bool, bool]) -> None:
    tool = tool_of(row)
    assert (tool.read_only, tool.destructive, tool.repeatable) == facts


def test_a_tool_without_a_row_shows_the_operation_as_it_is() -> None:
    tool = tool_of(operation(description="Of one color."))
    assert (tool.name, tool.description) == ("count_notes", "Count notes. Of one color.")
    assert set(tool.input_schema["properties"]) == {"color", "namespace", "user_id", "archived"}
    assert tool.input_schema["required"] == ["color"]
    assert tool.output_schema == {"type": "object", "properties": {"count": {"type": "integer"}}}


async def test_a_row_hides_fixes_and_answers() -> None:
    row = operation()
    tool = tool_of(
        row,
        ToolRow(
            operation="count_notes",
            name="how_many",
            description="Knows {strategies}.",
            fixed={"archived": True},
            answer=lambda given, found: f"{found.count} {given.color}",
        ),
        strategies="a, b",
    )
    assert (tool.name, tool.description) == ("how_many", "Knows a, b.")
    assert set(tool.input_schema["properties"]) == {"color", "namespace", "user_id"}
    _, sent, answer = await run(tool, row, {"color": "red"})
    assert (sent, answer) == (CountNotes(color="red", archived=True), "7 red")


@pytest.mark.parametrize(
    ("arguments", "owner"),
    [
        ({}, ("path", "setting")),
        ({"namespace": "own"}, ("own", "setting")),
        ({"namespace": "", "user_id": "ann"}, ("path", "ann")),
    ],
)
async def test_the_owner_of_a_call_fills_its_fields_and_bounds_it(arguments: Any, owner: tuple[str, str]) -> None:
    row = operation()
    given = {"asked": Defaults("path", None), "fallback": Defaults("setting", "setting")}
    call, sent, _ = await run(tool_of(row), row, {"color": "red", **arguments}, **given)
    assert (sent.namespace, sent.user_id) == owner
    assert call.caller.bounds == Scope(namespaces=owner[:1], users=owner[1:])


async def test_an_owner_outside_the_credential_is_refused_and_none_may_be_too() -> None:
    row = operation()
    bounds = Scope(users=("ann",))
    with pytest.raises(Forbidden):
        await run(tool_of(row), row, {"color": "red", "user_id": "bob"}, bounds=bounds)
    with pytest.raises(ScopeRequired):
        await run(tool_of(row), row, {"color": "red"}, require_scope=True)
    by_id = tool_of(row, ToolRow(operation="count_notes", scoping="id"))
    await run(by_id, row, {"color": "red"}, require_scope=True)
    free = tool_of(row, ToolRow(operation="count_notes", scoping="none"))
    call, _, _ = await run(free, row, {"color": "red"}, fallback=Defaults("n", "u"), require_scope=True)
    assert call.caller.bounds == Scope()


async def test_a_filter_by_owner_takes_the_place_of_the_owner() -> None:
    class FindNotes(msgspec.Struct, kw_only=True):
        namespace: TagFilter | None = None
        user_id: TagFilter | None = None

    row = operation(request=FindNotes)
    tool = tool_of(row, ToolRow(operation="count_notes", scoping="filters"))
    fallback = Defaults("n", "u")
    call, sent, _ = await run(tool, row, {"user_id": {"any": ["ann", "bob"]}}, fallback=fallback)
    assert sent.user_id == TagFilter(any=["ann", "bob"])
    assert call.caller.bounds == Scope(namespaces=("n",))


def test_every_filter_of_a_tag_has_its_short_spelling() -> None:
    tools = {tool.name: tool for tool in all_tools(CORE, {}, ())}
    search = tools["search_long_term_memory"]
    hints = get_type_hints(SearchFields)
    tags = {name for name, hint in hints.items() if {TagFilter, MemoryTypeFilter} & set(get_args(hint))}
    assert "topics" in tags
    schema = search.input_schema
    shown = {
        name: schema["$defs"].get(each.get("$ref", "").rpartition("/")[2], each)
        for name, each in schema["properties"].items()
    }
    assert {name for name, each in shown.items() if {"type": "string"} in each.get("anyOf", ())} == tags
    for name in tags:
        assert getattr(search.read({"text": "tea", name: "semantic"}, lenient=False), name).eq == "semantic"
        assert getattr(search.read({"text": "tea", name: ["semantic"]}, lenient=False), name).any == ["semantic"]
    for name in ("created_at", "metadata", "as_of", "limit"):
        with pytest.raises(ValidationFailed):
            search.read({"text": "tea", name: "semantic"}, lenient=False)


def test_a_result_like_an_answer_has_the_fields_that_come_later() -> None:
    class Page(msgspec.Struct, frozen=True):
        names: list[str]
        total: int
        details: list[int] = []
        newest: str | msgspec.UnsetType = msgspec.UNSET  # the field that came later

    result = result_like("Result", Page, names=list[int], details=None)
    found = result_from(result, Page(["a"], 1, [7], "today"), names=[7])
    assert msgspec.to_builtins(found) == {"names": [7], "total": 1, "newest": "today"}
    assert msgspec.to_builtins(result_from(result, Page(["a"], 1), names=[7])) == {"names": [7], "total": 1}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name or row.operation)
def test_rows_name_fields_that_there_are(row: ToolRow) -> None:
    row_of_operation = CORE[row.operation]
    arguments = row.arguments or row_of_operation.request
    assert {*row.only, *row.hidden} <= set(arguments.__struct_fields__)
    assert set(row.described) <= set(arguments.__struct_encode_fields__)
    assert set(row.fixed) <= set(row_of_operation.request.__struct_fields__)


def test_no_struct_of_operations_stands_twice() -> None:
    house = {struct.__name__: struct for struct in structs(memhost.operations)}
    forms = {frozenset(struct.__struct_fields__) for struct in house.values()}
    for struct in structs(memhost_mcp.tools):
        assert struct.__name__ not in house, struct
        if not issubclass(struct, tuple(house.values())):
            assert frozenset(struct.__struct_fields__) not in forms, struct


def structs(package: Any) -> Iterator[type[msgspec.Struct]]:
    """The structs that the modules of a package define."""
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        for value in vars(import_module(found.name)).values():
            if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__module__ == found.name:
                yield value
