"""Requests out of path, query and body: any msgspec struct, read leniently, all faults at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Generic, Literal, TypeVar, cast

import msgspec
from msgspec import inspect

from memhost.errors import Problem
from memhost.reading import (
    ABSENT,
    FORM,
    Compiler,
    Fault,
    Field,
    ReadingError,
    construct,
    invalid,
    problems,
    struct_reader,
)
from memhost_rest.wording import WIRE_NAMES

Source = Literal["path", "query", "body"]
S = TypeVar("S", bound=msgspec.Struct)


class DecodingError(Exception):
    """A request that could not be read; the `where` of each problem starts with its source."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = tuple(problems)


class NotJson:
    """A body that came under another content type than JSON; it counts as text."""

    __slots__ = ("content_type", "text")

    def __init__(self, text: str, content_type: str) -> None:
        self.text = text
        self.content_type = content_type


@cache
def _compiled(struct: type[msgspec.Struct]) -> tuple[tuple[Field, ...], frozenset[str]]:
    """How to read the fields of a struct, and the names of those that are lists."""
    kind = inspect.type_info(struct)
    assert isinstance(kind, inspect.StructType)
    lists = frozenset(field.name for field in kind.fields if _is_list(field.type))
    return tuple(Compiler(WIRE_NAMES).fields(kind)), lists


class RequestDecoder(Generic[S]):
    """Reads one operation's request; each field comes from exactly one of path, query and body.

    Args:
        struct: The request struct.
        path: Fields that are parts of the path.
        query: Fields that are query parameters.
        body: Whether the remaining fields come from a JSON body, and whether it may be left out.
        blank_is_absent: Query parameters whose empty value counts as not given.
    """

    def __init__(
        self,
        struct: type[S],
        *,
        path: Sequence[str] = (),
        query: Sequence[str] = (),
        body: Literal["none", "required", "optional"] = "none",
        blank_is_absent: Sequence[str] = (),
    ) -> None:
        compiled, self._lists = _compiled(struct)
        fields = {field.key: field for field in compiled}
        self._struct = struct
        self._body = body
        self._blank = frozenset(blank_is_absent)
        self._path = tuple(fields.pop(name) for name in path)
        self._query = tuple(fields.pop(name) for name in query)
        if fields and body == "none":
            raise TypeError(f"{struct.__name__}: nothing provides {', '.join(fields)}.")
        self._read_body = struct_reader(dict, tuple(fields.values()))

    def source(self, name: str | int) -> Source:
        """Where a field of the request comes from."""
        if any(field.key == name for field in self._path):
            return "path"
        return "query" if any(field.key == name for field in self._query) else "body"

    def decode(
        self,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, list[str]] | None = None,
        body: Any = None,
    ) -> S:
        """The request.

        Args:
            path: Decoded parts of the path by field name.
            query: Decoded values of the query by key, in order.
            body: The parsed JSON value; None if there was no body (or it was `null`); `NotJson`.

        Raises:
            DecodingError: With all that is wrong.
        """
        values: dict[str, Any] = {}
        faults: list[Fault] = []
        for field in self._path:
            _take(field, (path or {}).get(field.key, ABSENT), "path", values, faults)
        for field in self._query:
            _take(field, self._query_value(field, query or {}), "query", values, faults)
        if self._body != "none":
            self._take_body(body, values, faults)
        if not faults:
            try:
                return cast("S", construct(self._struct, values))
            except ReadingError as error:
                faults.extend(error.under("body"))
        raise DecodingError(problems(faults))

    def _query_value(self, field: Field, query: Mapping[str, list[str]]) -> Any:
        given = query.get(field.key)
        if not given:
            return ABSENT
        if field.name in self._lists:
            return given
        return ABSENT if not given[-1] and field.name in self._blank else given[-1]

    def _take_body(self, body: Any, values: dict[str, Any], faults: list[Fault]) -> None:
        if body is None:
            if self._body == "required":
                faults.extend(invalid("missing", "Field required", None).under("body"))
                return
            body = {}
        if isinstance(body, NotJson):
            message = f"{FORM}; send it as application/json, not as {body.content_type or 'nothing'}"
            faults.extend(invalid("model_attributes_type", message, body.text).under("body"))
            return
        try:
            values.update(self._read_body(body))
        except ReadingError as error:
            faults.extend(error.under("body"))


def _take(field: Field, given: Any, source: Source, values: dict[str, Any], faults: list[Fault]) -> None:
    if given is ABSENT:
        if field.required:
            faults.extend(_under(invalid("missing", "Field required", None), source, field.key))
        return
    try:
        values[field.name] = field.read(given)
    except ReadingError as error:
        faults.extend(_under(error, source, field.key))


def _under(error: ReadingError, source: Source, key: str) -> list[Fault]:
    error.under(key)
    return error.under(source)


def _is_list(kind: inspect.Type) -> bool:
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        return any(_is_list(variant) for variant in kind.types)
    return isinstance(kind, (inspect.ListType, inspect.VarTupleType))
