"""Schemas of the OpenAPI document: the operations' types as this wire shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from inspect import cleandoc
from typing import Any

import msgspec
from msgspec import inspect

from memhost.operations import Operation
from memhost.reading import MAX_INT, MIN_INT
from memhost_rest.wording import FIELDS, LIMITS, NOT_EMPTY, WIRE_NAMES

Schema = dict[str, Any]

PREFIX = "#/components/schemas/"
_ERROR_SCHEMAS: Mapping[str, Schema] = {
    "Error": {
        "title": "Error",
        "type": "object",
        "properties": {
            "detail": {"type": "string", "description": "What happened, and what to do."},
            "code": {"type": "string", "description": "Stable name of the error."},
            "request_id": {
                "type": "string",
                "description": "Id of the request in the server's log.",
            },
        },
        "required": ["detail"],
    },
    "InvalidField": {
        "title": "InvalidField",
        "type": "object",
        "properties": {
            "type": {"type": "string", "examples": ["missing", "string_type", "int_parsing"]},
            "loc": {
                "type": "array",
                "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                "examples": [["body", "messages", 0, "content"]],
            },
            "msg": {"type": "string"},
            "input": {"description": "The value that was wrong; null if it cannot be shown."},
            "ctx": {"type": "object"},
        },
        "required": ["type", "loc", "msg", "input"],
    },
    "InvalidRequest": {
        "title": "InvalidRequest",
        "type": "object",
        "properties": {
            "detail": {"type": "array", "items": {"$ref": f"{PREFIX}InvalidField"}},
            "code": {"type": "string"},
            "request_id": {"type": "string"},
        },
        "required": ["detail"],
    },
}


class Schemas:
    """Schemas of the operations' types, as this wire shows them."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        types = [operation.request for operation in operations]
        types += [operation.response for operation in operations]
        unique = list(dict.fromkeys(types))
        roots, components = msgspec.json.schema_components(unique, ref_template=PREFIX + "{name}")
        self._roots: dict[Any, Schema] = dict(zip(unique, roots, strict=True))
        self._all: dict[str, Schema] = {**components, **_ERROR_SCHEMAS}
        self._absent: dict[str, set[str]] = {}
        for info in inspect.multi_type_info(unique):
            self._look_into(info, set())
        for schema in self._all.values():
            if "description" in schema:
                schema["description"] = cleandoc(schema["description"])

    def root(self, kind: Any) -> Schema:
        """The schema of a type, usually a reference."""
        return self._roots[kind]

    def fields(self, kind: Any) -> dict[str, Schema]:
        """Schemas of a request's fields."""
        properties: dict[str, Schema] = self._named(kind)["properties"]
        return properties

    def body(self, kind: Any, elsewhere: Sequence[str]) -> Schema:
        """The schema of a request without the fields that come from path and query."""
        schema = self._named(kind)
        name = self._roots[kind]["$ref"].removeprefix(PREFIX)
        self._all[f"{name}Body"] = {
            **schema,
            "title": f"{name}Body",
            "properties": {key: deepcopy(value) for key, value in schema["properties"].items() if key not in elsewhere},
            "required": [key for key in schema["required"] if key not in elsewhere],
        }
        return {"$ref": f"{PREFIX}{name}Body"}

    def _named(self, kind: Any) -> Schema:
        return self._all[self._roots[kind]["$ref"].removeprefix(PREFIX)]

    def _look_into(self, kind: Any, seen: set[type[Any]]) -> None:
        """Mark times, and note which fields answers may leave out."""
        if isinstance(kind, inspect.StructType) and kind.cls not in seen:
            seen.add(kind.cls)
            schema = self._all.get(kind.cls.__name__, {"properties": {}})
            self._absent[kind.cls.__name__] = {
                field.encode_name for field in kind.fields if not field.required and _without_default(field)
            }
            if others := getattr(kind.cls, "OTHERS", ""):  # they stand among the fields of the message itself
                schema["properties"].pop(others, None)
                schema["additionalProperties"] = {"description": "Kept, and given back as it was sent."}
            for field in kind.fields:
                if _is_time(field.type):
                    _mark_strings(schema["properties"].get(field.encode_name, {}))
                self._look_into(field.type, seen)
        for inner in _parts(kind):
            self._look_into(inner, seen)

    def reachable_from(self, paths: Mapping[str, Any]) -> dict[str, Schema]:
        """The schemas that the paths refer to, refined; they and the references get their wire names."""
        wanted = self._closure(paths)
        asked = self._closure(
            [operation.get("requestBody") for verbs in paths.values() for operation in verbs.values()]
        )
        for name, schema in wanted.items():
            _refine(name, schema)
            if name not in asked and name not in _ERROR_SCHEMAS:
                # Answers hold every field, also those with a default, but those that may be left out.
                absent = self._absent.get(name, ())
                schema["required"] = [key for key in schema.get("properties", ()) if key not in absent]
        for reference in list(references([paths, wanted])):
            name = reference["$ref"].removeprefix(PREFIX)
            reference["$ref"] = PREFIX + WIRE_NAMES.get(name, name)
        for name in WIRE_NAMES.keys() & wanted.keys():
            wanted[WIRE_NAMES[name]] = {**wanted.pop(name), "title": WIRE_NAMES[name]}
        return dict(sorted(wanted.items()))

    def _closure(self, root: Any) -> dict[str, Schema]:
        found: dict[str, Schema] = {}
        pending = list(references(root))
        while pending:
            name = pending.pop()["$ref"].removeprefix(PREFIX)
            if name not in found:
                found[name] = self._all[name]
                pending.extend(references(found[name]))
        return found


def _without_default(field: inspect.Field) -> bool:
    """Whether the field may be left out and then stands for nothing: msgspec shows `UNSET` as no default."""
    return field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT


def _refine(name: str, schema: Schema) -> None:
    """Add what the types do not say: descriptions, limits, formats."""
    if name in NOT_EMPTY:
        schema["minProperties"] = 1
    if not schema.get("required"):
        schema.pop("required", None)
    if "enum" in schema:
        schema.setdefault("type", "string")
    for key, field in schema.get("properties", {}).items():
        for part in walk(field):
            refine_value(part)
        if limits := LIMITS.get(name, {}).get(key):
            _add(_variant(field), limits)
        if key in FIELDS:
            field.setdefault("description", FIELDS[key])


def _add(schema: Schema, limits: Mapping[str, Any]) -> None:
    for name, limit in limits.items():
        schema[name] = {**schema.get(name, {}), **limit} if isinstance(limit, Mapping) else limit


def refine_value(schema: Schema) -> None:
    """Say that words are strings and integers have 64 bits."""
    if "enum" in schema and all(isinstance(value, str) for value in schema["enum"]):
        schema.setdefault("type", "string")
    if schema.get("type") == "integer" and "maximum" not in schema:
        schema.update(format="int64", minimum=schema.get("minimum", MIN_INT), maximum=MAX_INT)


def _variant(schema: Schema) -> Schema:
    """The part of a schema that is not null."""
    return next((part for part in schema.get("anyOf", ()) if part.get("type") != "null"), schema)


def walk(schema: Any) -> Iterator[Schema]:
    """The schema and the schemas inside it."""
    if isinstance(schema, dict):
        yield schema
        for key in ("anyOf", "items", "additionalProperties"):
            for part in schema[key] if isinstance(schema.get(key), list) else [schema.get(key)]:
                yield from walk(part)


def _parts(kind: Any) -> Sequence[Any]:
    if isinstance(kind, inspect.UnionType):
        return kind.types
    if isinstance(kind, (inspect.ListType, inspect.VarTupleType)):
        return (kind.item_type,)
    if isinstance(kind, inspect.DictType):
        return (kind.value_type,)
    return (kind.type,) if isinstance(kind, inspect.Metadata) else ()


def _is_time(kind: Any) -> bool:
    return isinstance(kind, inspect.DateTimeType) or any(_is_time(part) for part in _parts(kind))


def _mark_strings(schema: Schema) -> None:
    if schema.get("type") == "string":
        schema["format"] = "date-time"
    for part in (*schema.get("anyOf", ()), schema.get("items", {})):
        if part:
            _mark_strings(part)


def references(value: Any) -> Iterator[Schema]:
    """All references to schemas inside the value."""
    if isinstance(value, dict):
        if str(value.get("$ref", "")).startswith(PREFIX):
            yield value
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)
