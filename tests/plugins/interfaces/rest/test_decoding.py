from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Meta, UnsetType

from memhost.errors import Problem
from memhost.operations import core_operations
from memhost.operations.long_term import MemoryPromptRequest, SearchMemories
from memhost.operations.requests import SearchFields
from memhost.operations.working_memory import PutSession
from memhost_rest.body import parse_body, parse_query
from memhost_rest.decoding import MAX_PROBLEMS, DecodingError, NotJson, RequestDecoder
from memhost_rest.routes import ROWS


class Colour(str, Enum):  # noqa: UP042 - as MemoryType is
    RED = "red"
    BLUE = "blue"


class Leaf(msgspec.Struct, kw_only=True):
    name: str
    size: int = 1


class Tree(msgspec.Struct, kw_only=True):
    text: str = "-"
    number: int = 0
    real: float = 0.0
    flag: bool = False
    when: datetime | None = None
    at: datetime | UnsetType = UNSET
    colour: Colour = Colour.RED
    word: Literal["t", "f"] = "t"
    names: list[str] = []
    leaves: list[Leaf] = []
    leaf: Leaf | None = None
    by_name: dict[str, Leaf] = {}
    free: dict[str, Any] | None = None
    bounded: Annotated[int, Meta(ge=1, le=10)] = 5
    open_bounded: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    short: Annotated[str, Meta(min_length=1, max_length=3)] = "x"
    choice: Leaf | bool | None = None
    scalar: str | float | bool | None = None
    children: list[Tree] = []


TREE = RequestDecoder(Tree, body="required")


def read(**body: Any) -> Tree:
    return TREE.decode(body=body)


def problems_of(body: Any) -> list[Problem]:
    with pytest.raises(DecodingError) as caught:
        TREE.decode(body=body)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("field", "given", "expected"),
    [
        ("number", 5, 5),
        ("number", "5", 5),
        ("number", 5.0, 5),
        ("number", "5.0", 5),
        ("number", " -7 ", -7),
        ("number", "+7", 7),
        ("number", -(2**63), -(2**63)),
        ("real", 1, 1.0),
        ("real", "1.5", 1.5),
        ("real", "2", 2.0),
        ("real", "1e-3", 0.001),
        ("real", ".5", 0.5),
        ("flag", True, True),
        ("flag", 0, False),
        ("flag", 1, True),
        ("flag", 1.0, True),
        *[("flag", word, True) for word in ("true", "T", "yes", "Y", "ON", "1")],
        *[("flag", word, False) for word in ("False", "f", "NO", "n", "off", "0")],
        ("text", "", ""),
        ("text", "nul \x00 kept", "nul \x00 kept"),
        ("text", "\U0001f600", "\U0001f600"),
        ("colour", "blue", Colour.BLUE),
        ("word", "f", "f"),
        ("names", ["a", ""], ["a", ""]),
        ("leaf", None, None),
        ("leaf", {"name": "a", "unknown": {"x": [1]}}, Leaf(name="a")),
        ("by_name", {"k": {"name": "a", "size": "3"}}, {"k": Leaf(name="a", size=3)}),
        ("free", {"a": None, "b": [1, {"c": 1.5}]}, {"a": None, "b": [1, {"c": 1.5}]}),
        ("free", None, None),
        ("bounded", "10", 10),
        ("choice", True, True),
        ("choice", "off", False),
        ("choice", {"name": "a"}, Leaf(name="a")),
        ("scalar", 5, 5.0),
        ("scalar", True, True),
        ("scalar", "5", "5"),
        ("children", [{"children": [{"number": "1"}]}], [Tree(children=[Tree(number=1)])]),
    ],
)
def test_lax_value_is_read(field: str, given: Any, expected: Any) -> None:
    found = getattr(read(**{field: given}), field)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02t03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02 03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04", datetime(2026, 1, 2, 3, 4, tzinfo=UTC)),
        ("2026-01-02T03:04:05+02:00", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05-0530", datetime(2026, 1, 2, 8, 34, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05+02", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.1Z", datetime(2026, 1, 2, 3, 4, 5, 100000, tzinfo=UTC)),
        ("2026-01-02T03:04:05.123Z", datetime(2026, 1, 2, 3, 4, 5, 123000, tzinfo=UTC)),
        ("2026-01-02T03:04:05.123456789Z", datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        ("2026-01-02T03:04:05.9999999+00:00", datetime(2026, 1, 2, 3, 4, 5, 999999, tzinfo=UTC)),
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        (" 2026-01-02 ", datetime(2026, 1, 2, tzinfo=UTC)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (-1, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (1767323045, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (1767323045.5, datetime(2026, 1, 2, 3, 4, 5, 500000, tzinfo=UTC)),
        ("1767323045", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("1767323045.5", datetime(2026, 1, 2, 3, 4, 5, 500000, tzinfo=UTC)),
        (1767323045250, datetime(2026, 1, 2, 3, 4, 5, 250000, tzinfo=UTC)),
        ("1767323045250", datetime(2026, 1, 2, 3, 4, 5, 250000, tzinfo=UTC)),
        (20_000_000_000, datetime(2603, 10, 11, 11, 33, 20, tzinfo=UTC)),
        (20_000_000_001, datetime(1970, 8, 20, 11, 33, 20, 1000, tzinfo=UTC)),
    ],
)
def test_time_is_read_as_aware_utc(given: Any, expected: datetime) -> None:
    found = read(when=given).when
    assert found == expected
    assert found is not None
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "given",
    [
        "",
        "yesterday",
        "2026-13-01",
        "2026-02-30T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-05:00",
        "2026-01-02T25:00:00Z",
        "2026-01-02T03:04:05+99:00",
        "2026-01-02T03:04:05.1234567890Z",
        "2026-W01-1",
        "nan",
        "inf",
        "1e400",
        "9" * 300,
        "9" * 5000,
        10**30,
        10**400,
        -(10**18),
        1e300,
        float("nan"),
        float("-inf"),
    ],
)
def test_impossible_time_is_refused(given: Any) -> None:
    (problem,) = problems_of({"when": given})
    assert problem.kind == "datetime_from_date_parsing"
    assert problem.where == ("body", "when")


@pytest.mark.parametrize(
    ("body", "kind", "where"),
    [
        (None, "missing", ()),
        ([], "model_attributes_type", ()),
        ("text", "model_attributes_type", ()),
        (5, "model_attributes_type", ()),
        ({"leaf": {}}, "missing", ("leaf", "name")),
        ({"leaf": []}, "model_attributes_type", ("leaf",)),
        ({"leaves": [{"name": "a"}, "b"]}, "model_attributes_type", ("leaves", 1)),
        ({"leaves": [{"name": "a"}, {"name": 1}]}, "string_type", ("leaves", 1, "name")),
        ({"text": 5}, "string_type", ("text",)),
        ({"text": None}, "string_type", ("text",)),
        ({"text": "\ud800"}, "value_error", ("text",)),
        ({"number": None}, "int_type", ("number",)),
        ({"number": []}, "int_type", ("number",)),
        ({"number": ""}, "int_parsing", ("number",)),
        ({"number": "abc"}, "int_parsing", ("number",)),
        ({"number": "1.5"}, "int_parsing", ("number",)),
        ({"number": "9" * 5000}, "int_parsing", ("number",)),
        ({"number": "\u0665"}, "int_parsing", ("number",)),
        ({"number": 1.5}, "int_from_float", ("number",)),
        ({"number": 2**63}, "less_than_equal", ("number",)),
        ({"number": 1e300}, "less_than_equal", ("number",)),
        ({"number": -(2**63) - 1}, "greater_than_equal", ("number",)),
        ({"number": float("inf")}, "int_type", ("number",)),
        ({"real": None}, "float_type", ("real",)),
        ({"real": {}}, "float_type", ("real",)),
        ({"real": "x"}, "float_parsing", ("real",)),
        ({"real": "nan"}, "float_parsing", ("real",)),
        ({"real": "1e999"}, "float_parsing", ("real",)),
        ({"real": 10**400}, "float_parsing", ("real",)),
        ({"real": float("nan")}, "float_parsing", ("real",)),
        ({"flag": None}, "bool_type", ("flag",)),
        ({"flag": []}, "bool_type", ("flag",)),
        ({"flag": 2}, "bool_parsing", ("flag",)),
        ({"flag": "maybe"}, "bool_parsing", ("flag",)),
        ({"names": None}, "list_type", ("names",)),
        ({"names": "a"}, "list_type", ("names",)),
        ({"names": [1]}, "string_type", ("names", 0)),
        ({"free": []}, "dict_type", ("free",)),
        ({"free": {"a": [10**30]}}, "less_than_equal", ("free",)),
        ({"by_name": []}, "dict_type", ("by_name",)),
        ({"by_name": {"k": {}}}, "missing", ("by_name", "k", "name")),
        ({"colour": "green"}, "enum", ("colour",)),
        ({"colour": None}, "enum", ("colour",)),
        ({"colour": {}}, "enum", ("colour",)),
        ({"word": "x"}, "literal_error", ("word",)),
        ({"word": True}, "literal_error", ("word",)),
        ({"when": True}, "datetime_type", ("when",)),
        ({"when": {}}, "datetime_type", ("when",)),
        ({"at": None}, "datetime_type", ("at",)),
        ({"bounded": 0}, "greater_than_equal", ("bounded",)),
        ({"bounded": "11"}, "less_than_equal", ("bounded",)),
        ({"open_bounded": 0}, "greater_than", ("open_bounded",)),
        ({"open_bounded": 1}, "less_than", ("open_bounded",)),
        ({"short": ""}, "string_too_short", ("short",)),
        ({"short": "long"}, "string_too_long", ("short",)),
        ({"choice": {}}, "missing", ("choice", "Leaf", "name")),
        ({"children": [{"children": [{"number": "x"}]}]}, "int_parsing",
         ("children", 0, "children", 0, "number")),
    ],
)  # fmt: skip
def test_problem_has_kind_and_place(body: Any, kind: str, where: tuple[str | int, ...]) -> None:
    (problem,) = problems_of(body)
    assert (problem.kind, problem.where) == (kind, ("body", *where))


def test_absent_field_is_field_required_with_its_object_as_input() -> None:
    (problem,) = problems_of({"leaf": {"size": 2}})
    assert (problem.message, problem.value) == ("Field required", {"size": 2})


def test_bounds_and_choices_are_told_in_context() -> None:
    assert problems_of({"bounded": 0})[0].context == {"ge": 1}
    assert problems_of({"bounded": 0})[0].message == "Input should be greater than or equal to 1"
    assert problems_of({"colour": 1})[0].context == {"expected": "'red' or 'blue'"}


def test_union_names_each_variant_when_none_is_certain() -> None:
    found = {(item.where[-1], item.kind) for item in problems_of({"choice": 5})}
    assert found == {("Leaf", "model_attributes_type"), ("bool", "bool_parsing")}


def test_all_problems_are_collected() -> None:
    found = problems_of({"text": 1, "leaves": [{}, {"name": 1, "size": "x"}], "bounded": 0, "when": "x", "flag": []})
    assert [item.where[1:] for item in found] == [
        ("text",),
        ("flag",),
        ("when",),
        ("leaves", 0, "name"),
        ("leaves", 1, "name"),
        ("leaves", 1, "size"),
        ("bounded",),
    ]


def test_listed_problems_are_limited() -> None:
    assert len(problems_of({"names": [1] * 50_000})) == MAX_PROBLEMS + 1


def test_absent_fields_keep_defaults() -> None:
    tree = read(unknown=1)
    assert tree.at is UNSET
    assert tree == Tree()


class Three(msgspec.Struct, kw_only=True):
    thing_id: str
    user_id: str | None = None
    limit: Annotated[int, Meta(ge=1)] = 3
    tags: list[str] = []
    name: str = "-"


THREE = RequestDecoder(
    Three,
    path=("thing_id",),
    query=("user_id", "limit", "tags"),
    body="optional",
    blank_is_absent=("user_id",),
)


def three(query: bytes = b"", body: Any = None) -> Three:
    return THREE.decode({"thing_id": "t"}, parse_query(query), body)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"limit=4&limit=5", {"limit": 5}),
        (b"tags=a&tags=b&tags=", {"tags": ["a", "b", ""]}),
        (b"tags=a", {"tags": ["a"]}),
        (b"user_id=", {}),
        (b"user_id=u%2Fv+w", {"user_id": "u/v w"}),
        (b"user%5Fid=u", {"user_id": "u"}),
        (b"user_id=a%00b", {"user_id": "a\0b"}),
        (b"user_id=%zz", {"user_id": "%zz"}),
        (b"&&x=1&", {}),
        (b"name=ignored", {}),
    ],
)
def test_query_is_read(query: bytes, expected: dict[str, Any]) -> None:
    assert three(query) == Three(thing_id="t", **expected)


@pytest.mark.parametrize(
    ("query", "kind", "where"),
    [
        (b"limit=", "int_parsing", ("query", "limit")),
        (b"limit=0", "greater_than_equal", ("query", "limit")),
        (b"limit", "int_parsing", ("query", "limit")),
        (b"user_id=%FF", "value_error", ("query", "user_id")),
        (b"user_id=%ED%A0%80", "value_error", ("query", "user_id")),
    ],
)
def test_query_problem_stands_at_query(query: bytes, kind: str, where: tuple[str, ...]) -> None:
    with pytest.raises(DecodingError) as caught:
        three(query)
    assert [(item.kind, item.where) for item in caught.value.problems] == [(kind, where)]


def test_a_field_comes_from_its_own_place_only() -> None:
    found = three(b"name=q", {"thing_id": "b", "user_id": "b", "limit": 9, "name": "n"})
    assert found == Three(thing_id="t", name="n")


def test_problems_of_query_and_body_come_together() -> None:
    with pytest.raises(DecodingError) as caught:
        three(b"limit=x", {"name": 1})
    assert [item.where for item in caught.value.problems] == [("query", "limit"), ("body", "name")]


def test_optional_body_may_be_absent_or_null() -> None:
    assert three() == Three(thing_id="t")


def test_field_without_source_is_a_programming_error() -> None:
    with pytest.raises(TypeError, match="nothing provides"):
        RequestDecoder(Three, path=("thing_id",))


@pytest.mark.parametrize(
    ("raw", "offset"),
    [
        (b"{", 1),
        (b" ", 1),
        (b"{} x", 3),
        (b'{"a": nul}', 6),
        (b'{"a": NaN}', 6),
        (b'{"a": Infinity}', 6),
        (b'{"a": 1,}', 8),
        (b"{'a': 1}", 1),
        (b'{"a": "\\ud83d\\ude00", "b": NaN}', 27),
        (b'{"a": "\xff"}', 7),
        (b'{"a": "\\ud800x"}', 7),
        (b'"\\udc00"', 1),
        ("{\"\u00e9\u00e9\": x}".encode(), 7),
    ],
)  # fmt: skip
def test_bad_json_is_json_invalid_with_offset(raw: bytes, offset: int) -> None:
    with pytest.raises(DecodingError) as caught:
        parse_body(raw, "application/json")
    (problem,) = caught.value.problems
    assert (problem.kind, problem.where) == ("json_invalid", ("body", offset))


@pytest.mark.parametrize("raw", [b"1e400", b"[" * 100_000, b'{"a":' * 3000 + b"1" + b"}" * 3000,
                                 b"[" * 200 + b"]" * 200, b"1" * 5000])  # fmt: skip
def test_unreadable_json_is_json_invalid(raw: bytes) -> None:
    with pytest.raises(DecodingError) as caught:
        parse_body(raw, "application/json")
    assert caught.value.problems[0].kind == "json_invalid"


def test_json_within_bounds_is_read() -> None:
    assert parse_body(b"", "application/json") is None
    assert parse_body(b"null", "application/json") is None
    assert parse_body(b'\xef\xbb\xbf{"a": 1, "a": 2}', "application/json") == {"a": 2}
    assert parse_body(b"[" * 100 + b"]" * 100, "application/json") is not None
    assert parse_body(b"[{}" + b",{}" * 500 + b"]", "application/json") is not None


@pytest.mark.parametrize(
    ("content_type", "is_json"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("Application/JSON;charset=UTF-8", True),
        ("application/merge-patch+json", True),
        ("application/json; charset=utf-16", False),
        ("text/json", False),
        ("text/plain", False),
        ("application/x-www-form-urlencoded", False),
        ("", False),
    ],
)
def test_content_type_decides_whether_a_body_is_json(content_type: str, is_json: bool) -> None:
    found = parse_body(b"{}", content_type)
    assert (found == {}) if is_json else isinstance(found, NotJson)


def test_text_body_is_no_model() -> None:
    (problem,) = problems_of(parse_body(b"{}", "text/plain"))
    assert (problem.kind, problem.where, problem.value) == (
        "model_attributes_type",
        ("body",),
        "{}",
    )


def _decoders() -> Mapping[str, RequestDecoder[Any]]:
    table = {operation.name: operation for operation in core_operations()}
    return {
        f"{row.verb} {row.path}": RequestDecoder(
            table[row.operation].request, path=row.parameters, query=row.query, body=row.body
        )
        for row in ROWS
    }


def test_every_route_has_a_decoder() -> None:
    assert len(_decoders()) == len(ROWS)


PUT = RequestDecoder(PutSession, path=("session_id",), query=("model_name", "context_window_max"), body="required")
SEARCH = RequestDecoder(SearchMemories, query=("optimize_query",), body="required")
PROMPT = RequestDecoder(MemoryPromptRequest, query=("optimize_query",), body="required")


def test_put_message_without_content_names_its_place() -> None:
    with pytest.raises(DecodingError) as caught:
        PUT.decode({"session_id": "s"}, {}, {"messages": [{"role": "user"}]})
    (problem,) = caught.value.problems
    assert (problem.where, problem.message) == (("body", "messages", 0, "content"), "Field required")


def test_put_takes_identity_from_the_body_only() -> None:
    query = parse_query(b"user_id=q&namespace=q&session_id=q&model_name=m")
    found = PUT.decode({"session_id": "s"}, query, {"session_id": "b", "user_id": "u"})
    assert (found.session_id, found.user_id, found.namespace) == ("s", "u", None)
    assert found.model_name == "m"


def test_prompt_takes_window_as_string_and_search_as_flag_or_object() -> None:
    body = {"query": "q", "session": {"session_id": "s", "context_window_max": "4000"}}
    found = PROMPT.decode({}, {}, {**body, "long_term_search": True})
    assert found.session is not None
    assert (found.session.context_window_max, found.long_term_search) == (4000, True)
    found = PROMPT.decode({}, {}, {**body, "long_term_search": {}})
    assert found.long_term_search == SearchFields()


def test_search_inside_a_prompt_names_its_variant() -> None:
    with pytest.raises(DecodingError) as caught:
        PROMPT.decode({}, {}, {"query": "q", "long_term_search": {"limit": 0}})
    assert caught.value.problems[0].where == ("body", "long_term_search", "SearchRequest", "limit")


@pytest.mark.parametrize("value", ["u1", ["u1"], 5])
def test_bare_value_as_filter_is_refused(value: Any) -> None:
    with pytest.raises(DecodingError) as caught:
        SEARCH.decode({}, {}, {"user_id": value})
    assert caught.value.problems[0].where == ("body", "user_id")


def test_ten_thousand_messages_are_read_quickly() -> None:
    message = {"role": "user", "content": "hello", "created_at": "2026-01-01T10:00:00.123456+02:00"}
    raw = msgspec.json.encode({"messages": [message] * 10_000})
    best = 10.0
    for _ in range(3):
        started = time.perf_counter()
        PUT.decode({"session_id": "s"}, {}, parse_body(raw, "application/json"))
        best = min(best, time.perf_counter() - started)
    assert best < 0.3


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=12)
    | st.sampled_from(["2026-01-02", "1e999", "nan", "9" * 500, "-0", "\ud800", 10**400, "\0"])
)
FIELDS = [*Tree.__struct_fields__, "name", "size", "eq", "any", "messages", "memories", "metadata"]
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=6),
    max_leaves=25,
)


def _faults(run: Callable[[], Any]) -> list[Problem]:
    try:
        run()
    except DecodingError as error:
        return list(error.problems)
    return []


@given(JSON)
def test_any_json_is_read_or_refused(value: Any) -> None:
    for decoder in (TREE, SEARCH, PROMPT):
        found = _faults(lambda decoder=decoder: decoder.decode({}, {}, value))  # type: ignore[misc]
        assert all(problem.where[0] == "body" for problem in found)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=8))
def test_what_is_read_can_be_written(value: dict[str, Any]) -> None:
    if not _faults(lambda: TREE.decode({}, {}, value)):
        assert msgspec.json.encode(TREE.decode({}, {}, value))


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    found = _faults(lambda: parse_body(raw, "application/json"))
    assert all(problem.kind == "json_invalid" for problem in found)
    assert all(problem.where[0] == "query" for problem in _faults(lambda: parse_query(raw)))
