"""Readers of whole types: each msgspec type becomes a function, walked once, called often.

A tree of small functions reads a body of ten thousand messages in tens of milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import Enum
from typing import Any

from msgspec import inspect

from memhost.reading import values
from memhost.reading.times import read_time
from memhost.reading.unknown import meant_by, unknown_name
from memhost.reading.values import Fault, Reader, ReadingError, invalid

MAX_FAULTS = 1000
"""Faults that are looked for in one list or object; more than that are not counted."""

MAX_OTHERS = 64
"""Fields of its own that a client may give a struct that takes such."""

ABSENT: Any = object()
FORM = "Input should be a valid dictionary or object to extract fields from"


class Field:
    """A field of a struct with its reader."""

    __slots__ = ("key", "name", "read", "required")

    def __init__(self, field: inspect.Field, read: Reader) -> None:
        self.name = field.name
        self.key = field.encode_name
        self.required = field.required
        self.read = read


class Compiler:
    """Turns types into readers, each struct once (so that recursive structs work).

    Args:
        names: Names by which clients know structs, where that is not the name of the class.
        closed: Refuse fields that a struct has not; otherwise they are ignored.
        echoes: Let pass what a struct names in its class variable `ECHOES`: names that official clients send back or
            add, and that mean nothing.
    """

    def __init__(self, names: Mapping[str, str] | None = None, *, closed: bool = False, echoes: bool = False) -> None:
        self._names = names or {}
        self._closed = closed
        self._echoes = echoes
        self._structs: dict[type[Any], Reader] = {}

    def name_of(self, cls: type[Any]) -> str:
        """The name by which clients know a struct."""
        return self._names.get(cls.__name__, cls.__name__)

    def reader(self, kind: inspect.Type) -> Reader:
        """The reader of a type.

        Raises:
            TypeError: The type has no reading.
        """
        while isinstance(kind, inspect.Metadata):
            kind = kind.type
        make = _MAKERS.get(type(kind))
        if make is None:
            raise TypeError(f"Requests cannot hold {kind!r}.")
        return make(self, kind)

    def struct(self, kind: inspect.StructType) -> Reader:
        """The reader of a struct nested in a request."""
        cls = kind.cls
        if cls not in self._structs:
            late: list[Reader] = []
            self._structs[cls] = lambda value: late[0](value)
            unless = getattr(cls, "REQUIRED_UNLESS", {})
            echoes = self.echoes_of(cls) if self._echoes else frozenset()
            reader = struct_reader(cls, self.fields(kind), closed=self._closed, echoes=echoes, required_unless=unless)
            if others := getattr(cls, "OTHERS", ""):
                reader = _with_others(reader, self.fields(kind), others, echoes, closed=self._closed)
            late.append(reader)
            self._structs[cls] = late[0]
        return self._structs[cls]

    @staticmethod
    def echoes_of(cls: type[Any]) -> frozenset[str]:
        """Return the names that may occur in a struct without a meaning."""
        return frozenset(getattr(cls, "ECHOES", ()))

    def fields(self, kind: inspect.StructType) -> tuple[Field, ...]:
        """Name and reader of each field."""
        return tuple(Field(field, self.reader(field.type)) for field in kind.fields)


def struct_reader(
    cls: type[Any],
    fields: tuple[Field, ...],
    *,
    closed: bool = False,
    echoes: frozenset[str] = frozenset(),
    required_unless: Mapping[str, Collection[str]] | None = None,
) -> Reader:
    """The reader of a JSON object with these fields; others but `echoes` are refused if `closed`, else ignored.

    An object of operators (class variable `OPERATORS`) in which no name is one is always refused: its sender wants to
    narrow something down. `required_unless` names fields that may be left out only where one of others is there, as the
    class attribute `REQUIRED_UNLESS` of a struct does.
    """
    unless = required_unless or {}
    plan = tuple((field.key, field.name, field.read, field.required) for field in fields)
    known = frozenset(field.key for field in fields)
    passing = known | echoes
    operators = bool(getattr(cls, "OPERATORS", False))
    noun = "operator" if operators else "field"

    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise invalid("model_attributes_type", FORM, value)
        found: dict[str, Any] = {}
        faults: list[Fault] | None = None
        if (closed and not passing.issuperset(value)) or (operators and value and known.isdisjoint(value)):
            strange = [key for key in value if key not in passing][:MAX_FAULTS]
            faults = [fault for key in strange for fault in unknown_name(key, known, noun=noun)] or None
        for key, name, read_field, required in plan:
            item = value.get(key, ABSENT)
            if item is ABSENT:
                if required or (key in unless and value.keys().isdisjoint(unless[key])):
                    faults = [] if faults is None else faults
                    faults.extend(invalid("missing", "Field required", value).under(key))
                continue
            try:
                found[name] = read_field(item)
            except ReadingError as error:
                faults = [] if faults is None else faults
                faults.extend(error.under(key))
        if faults is not None:
            raise ReadingError(faults)
        return construct(cls, found)

    return read


def _with_others(
    read_known: Reader, fields: tuple[Field, ...], others: str, passing: frozenset[str], *, closed: bool
) -> Reader:
    """The reader of a struct whose field `others` takes what is sent under names that it has not.

    If `closed`, names that look like one that it has are left to be refused: they are slips.
    """
    known = frozenset(field.key for field in fields if field.name != others)
    read_others = next(field.read for field in fields if field.name == others)

    def read(value: Any) -> Any:
        if type(value) is not dict or known.issuperset(value):
            return read_known(value)
        rest = {key: item for key, item in value.items() if key not in known and key not in passing}
        if len(rest) > MAX_OTHERS:
            raise invalid("too_long", f"A message may have at most {MAX_OTHERS} additional fields", len(rest))
        if closed:
            rest = {key: item for key, item in rest.items() if meant_by(key[:64], known) is None}
        plain = {key: item for key, item in value.items() if key not in rest}
        if not rest:
            return read_known(plain)
        for key in rest:
            values.read_string(key)
        return read_known({**plain, others: read_others(rest)})

    return read


def construct(cls: type[Any], values: dict[str, Any]) -> Any:
    """The struct of these values; a refusal of its `__post_init__` is a fault of the whole."""
    try:
        return cls(**values)
    except ValueError as error:
        raise invalid("value_error", f"Value error, {error}", None) from None


def _list_reader(compiler: Compiler, kind: Any) -> Reader:
    read_item = compiler.reader(kind.item_type)
    make: Callable[[list[Any]], Any] = tuple if isinstance(kind, inspect.VarTupleType) else list

    def read(value: Any) -> Any:
        if type(value) is not list:
            raise invalid("list_type", "Input should be a valid list", value)
        try:
            return make([read_item(item) for item in value])
        except ReadingError:
            raise ReadingError(_item_faults(read_item, enumerate(value))) from None

    return values.sized(read, "list", getattr(kind, "min_length", None), getattr(kind, "max_length", None))


def _dict_reader(compiler: Compiler, kind: inspect.DictType) -> Reader:
    if not isinstance(kind.key_type, inspect.StrType):
        raise TypeError(f"Requests cannot hold {kind!r}: keys are strings.")
    free = isinstance(kind.value_type, inspect.AnyType)
    read_item = compiler.reader(kind.value_type)

    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise invalid("dict_type", "Input should be a valid dictionary", value)
        for key in value:
            values.read_string(key)
        if free:
            return read_item(value)
        try:
            return {key: read_item(item) for key, item in value.items()}
        except ReadingError:
            raise ReadingError(_item_faults(read_item, value.items())) from None

    return read


def _item_faults(read_item: Reader, items: Any) -> list[Fault]:
    faults: list[Fault] = []
    for key, item in items:
        try:
            read_item(item)
        except ReadingError as error:
            faults.extend(error.under(key))
            if len(faults) > MAX_FAULTS:
                break
    return faults


def _union_reader(compiler: Compiler, kind: inspect.UnionType) -> Reader:
    nullable = any(isinstance(variant, inspect.NoneType) for variant in kind.types)
    variants = [variant for variant in kind.types if not isinstance(variant, inspect.NoneType)]
    if len(variants) == 1:
        read = compiler.reader(variants[0])
        return _nullable(read) if nullable else read
    read = _variant_reader([(_variant(compiler, variant), compiler.reader(variant)) for variant in variants])
    return _nullable(read) if nullable else read


def _nullable(read: Reader) -> Reader:
    return lambda value: None if value is None else read(value)


def _variant(compiler: Compiler, kind: inspect.Type) -> tuple[str, tuple[type[Any], ...]]:
    """Name of a union's variant, and the parsed JSON types that mean it without doubt."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.StructType):
        return compiler.name_of(kind.cls), (dict,)
    for type_, name, exact in _VARIANTS:
        if isinstance(kind, type_):
            return name, exact
    return type(kind).__name__.removesuffix("Type").lower(), ()


_VARIANTS: tuple[tuple[type[Any], str, tuple[type[Any], ...]], ...] = (
    (inspect.StrType, "str", (str,)),
    (inspect.BoolType, "bool", (bool,)),
    (inspect.IntType, "int", (int,)),
    (inspect.FloatType, "float", (float, int)),
    (inspect.ListType, "list", (list,)),
    (inspect.DictType, "dict", (dict,)),
)


def _variant_reader(variants: list[tuple[tuple[str, tuple[type[Any], ...]], Reader]]) -> Reader:
    exact: dict[type[Any], tuple[str, Reader]] = {}
    for (name, types), read in variants:
        for type_ in types:
            exact.setdefault(type_, (name, read))

    def read_variant(value: Any) -> Any:
        certain = exact.get(type(value))
        tried = [certain] if certain is not None else [(name, read) for (name, _), read in variants]
        faults: list[Fault] = []
        for name, read in tried:
            try:
                return read(value)
            except ReadingError as error:
                faults.extend(error.under(name))
        raise ReadingError(faults)

    return read_variant


def _string_reader(_: Compiler, kind: inspect.StrType) -> Reader:
    if kind.pattern is not None:
        raise TypeError("Requests do not check patterns of strings.")
    return values.sized(values.read_string, "string", kind.min_length, kind.max_length)


def _number_reader(read: Reader) -> Callable[[Compiler, Any], Reader]:
    def make(_: Compiler, kind: Any) -> Reader:
        if kind.multiple_of is not None:
            raise TypeError("Requests do not check multiples.")
        return values.bounded(read, {name: getattr(kind, name) for name in ("gt", "ge", "lt", "le")})

    return make


def _enum_reader(_: Compiler, kind: inspect.EnumType) -> Reader:
    members: list[Enum] = list(kind.cls)
    return values.choice("enum", {member.value: member for member in members})


_MAKERS: dict[type[Any], Callable[[Compiler, Any], Reader]] = {
    inspect.AnyType: lambda _, __: values.read_json,
    inspect.BoolType: lambda _, __: values.read_boolean,
    inspect.IntType: _number_reader(values.read_integer),
    inspect.FloatType: _number_reader(values.read_float),
    inspect.StrType: _string_reader,
    inspect.DateTimeType: lambda _, __: read_time,
    inspect.EnumType: _enum_reader,
    inspect.LiteralType: lambda _, kind: values.choice("literal_error", {value: value for value in kind.values}),
    inspect.ListType: _list_reader,
    inspect.VarTupleType: _list_reader,
    inspect.DictType: _dict_reader,
    inspect.StructType: Compiler.struct,
    inspect.UnionType: _union_reader,
}
