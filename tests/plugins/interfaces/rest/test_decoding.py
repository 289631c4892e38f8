"""Values of request fields: lenient conversions, refusals, and the report of problems."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import UNSET

from memhost.reading import MAX_PROBLEMS

from .rest_trees import Colour, Leaf, Tree, problems_of, read


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
    assert (found.tzinfo, found.utcoffset()) == (UTC, timedelta(0))


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
