"""JSON schemas of arguments and results, as small as they can be: hosts pay for each byte in each conversation."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from msgspec import inspect

from memhost.operations import requests

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_MANY = 20

_STRING: Schema = {"type": "string"}
_STRINGS: Schema = {"type": "array", "items": _STRING}
_TIME: Schema = {"type": "string", "format": "date-time"}


def _operators(**properties: Any) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


_TAG = _operators(
    eq=_STRING, ne=_STRING, any=_STRINGS, all=_STRINGS, none=_STRINGS, startswith=_STRING, is_null={"type": "boolean"}
)
SHORT: dict[type[Any], Schema] = {
    requests.TagFilter: {
        "description": "A value, a list (any of them), or operators.",
        "anyOf": [_STRING, _STRINGS, _TAG],
    },
    requests.MemoryTypeFilter: {"anyOf": [_STRING, _STRINGS, _operators(eq=_STRING, any=_STRINGS)]},
    requests.DateFilter: _operators(
        eq=_TIME, gt=_TIME, gte=_TIME, lt=_TIME, lte=_TIME, between={"type": "array", "items": _TIME}
    ),
    requests.MetadataFilter: {"type": "object"},
}
"""Schemas of filters: the operators without the spellings that exist for other clients' sake, and the rarest."""


def arguments_schema(struct: type[Any], hidden: Collection[str] = ()) -> Schema:
    """The schema of a tool's arguments; `$defs` holds structs inside it."""
    kind = inspect.type_info(struct)
    assert isinstance(kind, inspect.StructType)
    definitions: dict[str, Schema] = {}
    schema = _object(kind, definitions, hidden)
    schema["additionalProperties"] = False
    if definitions:
        schema = {"$schema": DIALECT, **schema, "$defs": definitions}
    return schema


def result_schema(answer: Any) -> Schema:
    """The outline of a result: names and types of its fields. Failures have another form, so none is required.

    Of a result with many fields it has those that are always filled.
    """
    kind = inspect.type_info(answer)
    if not isinstance(kind, inspect.StructType):
        return {"type": "object"}
    fields = [field for field in kind.fields if field.required or len(kind.fields) <= _MANY]
    return {"type": "object", "properties": {field.encode_name: _outline(field.type) for field in fields}}


def _object(kind: inspect.StructType, definitions: dict[str, Schema], hidden: Collection[str] = ()) -> Schema:
    fields = [field for field in kind.fields if field.name not in hidden]
    properties = {}
    for field in fields:
        schema = dict(_schema(field.type, definitions))
        if isinstance(field.default, (str, int, float)) and field.default:
            schema["default"] = field.default
        properties[field.encode_name] = schema
    found: Schema = {"type": "object", "properties": properties}
    if required := [field.encode_name for field in fields if field.required]:
        found["required"] = required
    return found


def _schema(kind: inspect.Type, definitions: dict[str, Schema]) -> Schema:
    if isinstance(kind, inspect.Metadata):
        found = {**_schema(kind.type, definitions), **(kind.extra_json_schema or {})}
        return found if found.keys() != {"description"} else {}  # of what is only kept there are too many words
    if isinstance(kind, inspect.UnionType):
        variants = [_schema(variant, definitions) for variant in _present(kind)]
        return variants[0] if len(variants) == 1 else {"anyOf": variants}
    if isinstance(kind, inspect.StructType):
        name = kind.cls.__name__
        if name not in definitions:
            definitions[name] = {}
            definitions[name].update(SHORT.get(kind.cls) or _object(kind, definitions, _UNSEEN.get(kind.cls, ())))
        return {"$ref": f"#/$defs/{name}"}
    if isinstance(kind, (inspect.ListType, inspect.VarTupleType)):
        return _bounded({"type": "array", "items": _schema(kind.item_type, definitions)}, kind)
    return _plain(kind)


_UNSEEN: dict[type[Any], tuple[str, ...]] = {
    requests.SessionRecordInput: (
        "last_accessed",
        "updated_at",
        "access_count",
        "extracted_from",
        "memory_hash",
        "discrete_memory_extracted",
        "persisted_at",
        "extraction_strategy",
        "extraction_strategy_config",
    ),
    requests.MessageInput: ("persisted_at", "discrete_memory_extracted", "others"),
}
"""Fields that are the server's own, which clients of other servers send back; they are taken and not asked for."""


def _plain(kind: inspect.Type) -> Schema:
    if isinstance(kind, inspect.LiteralType):
        return {"enum": list(kind.values)}
    if isinstance(kind, inspect.EnumType):
        return {"enum": [member.value for member in kind.cls]}
    if isinstance(kind, inspect.DateTimeType):
        return _TIME
    return _bounded(dict(_NAMES.get(type(kind), {})), kind)


def _bounded(schema: Schema, kind: Any) -> Schema:
    limits = (("minimum", "ge"), ("maximum", "le"))
    if isinstance(kind, (inspect.ListType, inspect.VarTupleType)):
        limits = (("minItems", "min_length"), ("maxItems", "max_length"))
    for key, name in limits:
        if (limit := getattr(kind, name, None)) is not None:
            schema[key] = limit
    return schema


def _present(kind: inspect.UnionType) -> list[inspect.Type]:
    return [variant for variant in kind.types if not isinstance(variant, inspect.NoneType)]


def _outline(kind: inspect.Type) -> Schema:
    if isinstance(kind, inspect.Metadata):
        return _outline(kind.type)
    if isinstance(kind, inspect.UnionType):
        variants = [_outline(variant).get("type") for variant in _present(kind)]
        if len(variants) != 1 or not isinstance(variants[0], str):
            return {}
        null = any(isinstance(variant, inspect.NoneType) for variant in kind.types)
        return {"type": [variants[0], "null"] if null else variants[0]}
    if isinstance(kind, (inspect.LiteralType, inspect.EnumType, inspect.DateTimeType)):
        return _STRING
    return dict(_NAMES.get(type(kind), {}))


_NAMES: dict[type[Any], Schema] = {
    inspect.StrType: {"type": "string"},
    inspect.IntType: {"type": "integer"},
    inspect.FloatType: {"type": "number"},
    inspect.BoolType: {"type": "boolean"},
    inspect.ListType: {"type": "array"},
    inspect.VarTupleType: {"type": "array"},
    inspect.DictType: {"type": "object"},
    inspect.StructType: {"type": "object"},
}
