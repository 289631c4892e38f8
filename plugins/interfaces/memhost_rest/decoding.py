"""Requests out of path, query and body: any msgspec struct, read leniently, all faults at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Generic, Literal, TypeVar, cast

import msgspec
from msgspec import inspect

from memhost.errors import Problem
from memhost.operations.schema import WIRE_NAMES
from memhost.reading import (
    ABSENT,
    FORM,
    MAX_PROBLEMS,
    UNKNOWN,
    Compiler,
    Fault,
    Field,
    ReadingError,
    construct,
    invalid,
    problems,
    struct_reader,
    unknown_name,
)

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
def _compiled(struct: type[msgspec.Struct], *, closed: bool) -> tuple[Field, ...]:
    """Return the readers of a struct's fields."""
    kind = inspect.type_info(struct)
    assert isinstance(kind, inspect.StructType)
    return Compiler(WIRE_NAMES, closed=closed, echoes=True).fields(kind)


@cache
def _lists(struct: type[msgspec.Struct]) -> frozenset[str]:
    """Names of the fields that are lists."""
    kind = inspect.type_info(struct)
    assert isinstance(kind, inspect.StructType)
    return frozenset(field.name for field in kind.fields if _is_list(field.type))


class _Places:
    """The fields of a request by where they come from, with readers that refuse unknown names or ignore them."""

    def __init__(
        self, struct: type[msgspec.Struct], path: Sequence[str], query: Sequence[str], body: str, *, closed: bool
    ) -> None:
        fields = {field.key: field for field in _compiled(struct, closed=closed)}
        self.path = tuple(fields.pop(name) for name in path)
        self.query = tuple(fields.pop(name) for name in query)
        if fields and body == "none":
            raise TypeError(f"{struct.__name__}: nothing provides {', '.join(fields)}.")
        self.body = frozenset(fields)
        self.read_body = struct_reader(dict, tuple(fields.values()))


class RequestDecoder(Generic[S]):
    """Reads one operation's request; each field comes from exactly one of path, query and body.

    Args:
        struct: The request struct.
        path: Fields that are parts of the path.
        query: Fields that are query parameters.
        body: Whether the remaining fields come from a JSON body, and whether it may be left out.
        blank_is_absent: Query parameters whose empty value counts as not given.
        extras: Query parameters that official clients send and that mean nothing.
    """

    def __init__(
        self,
        struct: type[S],
        *,
        path: Sequence[str] = (),
        query: Sequence[str] = (),
        body: Literal["none", "required", "optional"] = "none",
        blank_is_absent: Sequence[str] = (),
        extras: Sequence[str] = (),
    ) -> None:
        self._struct = struct
        self._body = body
        self._lists = _lists(struct)
        self._blank = frozenset(blank_is_absent)
        self._extras = frozenset(extras)
        self._open = _Places(struct, path, query, body, closed=False)
        self._closed = _Places(struct, path, query, body, closed=True)
        self._echoes = Compiler.echoes_of(struct) | set(path)
        self._parameters = frozenset(field.key for field in self._open.query)

    def source(self, name: str | int) -> Source:
        """Where a field of the request comes from."""
        if any(field.key == name for field in self._open.path):
            return "path"
        return "query" if name in self._parameters else "body"

    def decode(
        self,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, list[str]] | None = None,
        body: Any = None,
        *,
        strict: bool = False,
    ) -> S:
        """The request; as `read`, without what was ignored."""
        return self.read(path, query, body, strict=strict)[0]

    def read(
        self,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, list[str]] | None = None,
        body: Any = None,
        *,
        strict: bool = False,
    ) -> tuple[S, list[Problem]]:
        """The request, and which names in it are unknown and were ignored.

        Args:
            path: Decoded parts of the path by field name.
            query: Decoded values of the query by key, in order.
            body: The parsed JSON value; None if there was no body (or it was `null`); `NotJson`.
            strict: Refuse unknown names.

        Raises:
            DecodingError: With all that is wrong.
        """
        values, faults = self._gather(self._closed, path or {}, query or {}, body)
        faults += self._strangers(query or {}, body)
        if strict:
            faults += self._repeated(query or {})
        unknown = [fault for fault in faults if fault.kind == UNKNOWN]
        if unknown and not strict:
            values, faults = self._gather(self._open, path or {}, query or {}, body)
        if not faults:
            try:
                return cast("S", construct(self._struct, values)), problems(unknown)
            except ReadingError as error:
                faults.extend(error.under("body"))
        raise DecodingError(problems(faults))

    def _gather(
        self, places: _Places, path: Mapping[str, str], query: Mapping[str, list[str]], body: Any
    ) -> tuple[dict[str, Any], list[Fault]]:
        values: dict[str, Any] = {}
        faults: list[Fault] = []
        for field in places.path:
            _take(field, path.get(field.key, ABSENT), "path", values, faults)
        for field in places.query:
            _take(field, self._query_value(field, query), "query", values, faults)
        if self._body != "none":
            self._take_body(places, body, values, faults)
        return values, faults

    def _strangers(self, query: Mapping[str, list[str]], body: Any) -> list[Fault]:
        """Faults of names that neither the query nor the body has, or that belong into the other."""
        faults: list[Fault] = []
        if not (self._parameters | self._extras).issuperset(query):
            strange = [key for key in query if key not in self._parameters and key not in self._extras]
            faults += [fault for key in strange[:MAX_PROBLEMS] for fault in self._stranger(key, "query")]
        if isinstance(body, dict) and not self._open.body.issuperset(body):
            strange = [key for key in body if key not in self._open.body and key not in self._echoes]
            faults += [fault for key in strange[:MAX_PROBLEMS] for fault in self._stranger(key, "body")]
        elif self._body == "none" and body is not None and not isinstance(body, dict):
            faults += invalid("value_error", "Value error, this operation accepts no body", None).under("body")
        return faults

    def _repeated(self, query: Mapping[str, list[str]]) -> list[Fault]:
        """Faults of parameters that are given several values and take one: which of them bounds is anybody's guess."""
        found = [key for key in query if key in self._parameters - self._lists and len(set(query[key])) > 1]
        sentence = "Value error, given several times with different values; give it once"
        return [fault for key in found for fault in _under(invalid("value_error", sentence, query[key]), "query", key)]

    def _stranger(self, key: str, source: Source) -> list[Fault]:
        places = {"query": (self._parameters, "query"), "body": (self._open.body, "body")}
        (here, _), (there, other) = places[source], places["body" if source == "query" else "query"]
        if key in there:
            faults = invalid(UNKNOWN, f"It belongs in the {other}.", None, meant=f"{key} in the {other}").under(key)
        else:
            faults = unknown_name(key, here or there)
        return ReadingError(faults).under(source)

    def _query_value(self, field: Field, query: Mapping[str, list[str]]) -> Any:
        given = query.get(field.key)
        if not given:
            return ABSENT
        if field.name in self._lists:
            return given
        return ABSENT if not given[-1] and field.name in self._blank else given[-1]

    def _take_body(self, places: _Places, body: Any, values: dict[str, Any], faults: list[Fault]) -> None:
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
            values.update(places.read_body(body))
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
