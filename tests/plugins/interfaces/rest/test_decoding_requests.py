"""Whole requests: query and body, JSON and other content, the decoders of the routes, and arbitrary input."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from memhost.errors import Problem
from memhost.host import core_operations
from memhost.operations.long_term import MemoryPromptRequest, SearchMemories
from memhost.operations.requests import SearchFields
from memhost.operations.working_memory import PutSession
from memhost_rest.body import parse_body, parse_query
from memhost_rest.decoding import DecodingError, NotJson, RequestDecoder
from memhost_rest.routes import ROUTES, Route

from .rest_trees import TREE, Tree, problems_of


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


def test_without_a_body_what_is_not_in_the_path_is_in_the_query() -> None:
    route = Route(verb="GET", path="/things/{thing_id}", operation="get_thing")
    assert route.query_of(Three) == ("user_id", "limit", "tags", "name")
    route = Route(verb="PUT", path="/things/{thing_id}", operation="put_thing", query=("limit",), body="optional")
    assert route.query_of(Three) == ("limit",)


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
            table[row.operation].request,
            path=row.parameters,
            query=row.query_of(table[row.operation].request),
            body=row.body,
        )
        for row in ROUTES
    }


def test_every_route_has_a_decoder() -> None:
    assert len(_decoders()) == len(ROUTES)


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


def calls_to_read(messages: int) -> int:
    """How many functions are called to read a session of so many messages."""
    message = {"role": "user", "content": "hello", "created_at": "2026-01-01T10:00:00.123456+02:00"}
    body = parse_body(msgspec.json.encode({"messages": [message] * messages}), "application/json")
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        PUT.decode({"session_id": "s"}, {}, body)
    finally:
        sys.setprofile(None)
    return calls


def test_each_message_is_as_much_work_as_the_first_and_little() -> None:
    none, some, many = (calls_to_read(messages) for messages in (0, 100, 10_000))
    each = (some - none) / 100
    assert (many - none) / 10_000 == pytest.approx(each, rel=0.05)  # what a collection calls is counted as well
    assert each <= 40


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
