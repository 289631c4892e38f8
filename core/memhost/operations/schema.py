"""JSON schemas of structs: the one source of the OpenAPI document, the schemas of MCP tools, and tables of the docs.

A schema says what the fields of the struct say: `Annotated[int, Meta(description=..., ge=1, examples=[5])]`. A limit
that a service checks with words of its own is in `Meta(extra_json_schema=...)`, so that msgspec does not check it as
well; `memhost.models.limits` has the usual ones. Class variables of a struct say the rest:

    OTHERS      Name of the field that takes what is sent under unknown names.
    OPERATORS   True: the struct is a filter, of which at least one field must be given.
    MIN_FIELDS  How many fields must be sent beside those of the path.

Plugins may use this module.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from inspect import cleandoc
from typing import Any

import msgspec
from msgspec import inspect

from memhost.reading import MAX_INT, MIN_INT

__all__ = [
    "COMPONENTS",
    "WIRE_NAMES",
    "FieldFacts",
    "Reduction",
    "Schema",
    "Schemas",
    "compact",
    "facts",
    "outline",
    "parts",
    "sharpen",
    "unwrap",
    "walk",
    "without_null",
]

Schema = dict[str, Any]

COMPONENTS = "#/components/schemas/"
"""Where an OpenAPI document keeps the schemas that it refers to."""

WIRE_NAMES: Mapping[str, str] = {"SearchFields": "SearchRequest", "MessageView": "Message"}
"""Names by which clients know structs, where the code has another one."""

_DEFINITIONS = "#/$defs/"
_MANY = 8
_VALIDATED = ("minLength", "pattern", "minProperties", "uniqueItems", "x-error-code")
_LIMITS = frozenset((*_VALIDATED, "maxLength", "minItems", "maxItems", "minimum", "maximum"))


class FieldFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The facts about a field.

    Attributes:
        name: Name of the attribute.
        key: Its name in JSON.
        description: What it means; empty if the field does not say.
        required: Whether it must be given.
        default: Its default; `msgspec.NODEFAULT` if it has none, or is left out.
        schema: Its whole schema; structs inside it are references into `#/components/schemas/`.
    """

    name: str
    key: str
    description: str
    required: bool
    default: Any
    schema: Schema


@cache
def facts(struct: type[Any]) -> tuple[FieldFacts, ...]:
    """Return what there is to say of each field of a struct, in order."""
    kind = _struct_type(struct)
    shown = Schemas([struct]).fields(struct)
    found = []
    for field in kind.fields:
        schema = shown.get(field.encode_name, {})
        default = field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        found.append(
            FieldFacts(
                name=field.name,
                key=field.encode_name,
                description=schema.get("description", ""),
                required=field.required,
                default=default,
                schema=schema,
            )
        )
    return tuple(found)


class Schemas:
    """Schemas of types that refer to each other, as a document holds them.

    Args:
        types: Structs, or lists of them.
        prefix: Where the document keeps the schemas of structs: what a reference begins with.
        names: Names to show structs by, where that is not the name of the class.
        extra: Schemas that are not of structs, by name.
    """

    def __init__(
        self,
        types: Iterable[Any],
        *,
        prefix: str = COMPONENTS,
        names: Mapping[str, str] = WIRE_NAMES,
        extra: Mapping[str, Schema] | None = None,
    ) -> None:
        unique = list(dict.fromkeys(types))
        roots, components = msgspec.json.schema_components(unique, ref_template=prefix + "{name}")
        self._prefix = prefix
        self._names = names
        self._roots: dict[Any, Schema] = dict(zip(unique, roots, strict=True))
        self._all: dict[str, Schema] = {**components, **(extra or {})}
        self._structs: dict[str, inspect.StructType] = {}
        for info in inspect.multi_type_info(unique):
            self._mend(info)

    def root(self, kind: Any) -> Schema:
        """Return the schema of a type, usually a reference."""
        return self._roots[kind]

    def fields(self, struct: Any) -> dict[str, Schema]:
        """Return the schemas of a struct's fields by their names in JSON."""
        properties: dict[str, Schema] = self.component(self._roots[struct])["properties"]
        return deepcopy(properties)

    def component(self, reference: Schema) -> Schema:
        """Return the schema that a reference leads to."""
        return self._all[self._name(reference)]

    def name_of(self, struct: type[Any]) -> str:
        """Return the name of a struct's schema, before it gets the one of the wire."""
        return struct.__name__ if struct.__name__ in self._all else _long_name(struct)

    def struct(self, reference: Schema) -> inspect.StructType | None:
        """Return the struct behind a reference; None if it is an enumeration or an extra schema."""
        return self._structs.get(self._name(reference))

    def body(self, struct: Any, elsewhere: Collection[str]) -> Schema:
        """Return a reference to the schema of a request without the fields that come from elsewhere."""
        name = self._name(self._roots[struct])
        schema = self._all[name]
        kept = {key: deepcopy(value) for key, value in schema["properties"].items() if key not in elsewhere}
        required = [key for key in schema["required"] if key not in elsewhere]
        body = {**schema, "title": f"{name}Body", "properties": kept, "required": required}
        if least := getattr(struct, "MIN_FIELDS", 0):
            body["minProperties"] = least
        self._all[f"{name}Body"] = body
        return {"$ref": f"{self._prefix}{name}Body"}

    def components(self, requests: Any, answers: Any) -> dict[str, Schema]:
        """Return the schemas that parts of a document refer to, by the names of the wire.

        The references in both parts get the names of the wire as well.

        Args:
            requests: What holds references to what clients send.
            answers: What holds references to what they get. There every field is required that is always filled.
        """
        asked = self.closure(requests)
        wanted = {**asked, **self.closure(answers)}
        for name, schema in wanted.items():
            for field in schema.get("properties", {}).values():
                for part in walk(field):
                    sharpen(part)
            sharpen(schema)
            if name in self._structs and name not in asked:
                schema["required"] = [field.encode_name for field in self._structs[name].fields if _is_filled(field)]
            if not schema.get("required"):
                schema.pop("required", None)
        for reference in list(self._references([requests, answers, wanted])):
            name = self._name(reference)
            reference["$ref"] = self._prefix + self._names.get(name, name)
        for name in self._names.keys() & wanted.keys():
            wanted[self._names[name]] = {**wanted.pop(name), "title": self._names[name]}
        return dict(sorted(wanted.items()))

    def closure(self, root: Any) -> dict[str, Schema]:
        """Return the schemas that a value refers to, and those that they refer to, by name."""
        found: dict[str, Schema] = {}
        pending = list(self._references(root))
        while pending:
            name = self._name(pending.pop())
            if name not in found:
                found[name] = self._all[name]
                pending.extend(self._references(found[name]))
        return found

    def _name(self, reference: Schema) -> str:
        name: str = reference["$ref"]
        return name.removeprefix(self._prefix)

    def _references(self, value: Any) -> Iterator[Schema]:
        if isinstance(value, dict):
            if str(value.get("$ref", "")).startswith(self._prefix):
                yield value
            for inner in value.values():
                yield from self._references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from self._references(inner)

    def _mend(self, kind: inspect.Type) -> None:
        """Add what msgspec does not write: times, fields under other names, at least one operator of a filter."""
        if isinstance(kind, inspect.StructType):
            name = self.name_of(kind.cls)
            if name in self._structs:
                return
            self._structs[name] = kind
            schema = self._all[name]
            properties: dict[str, Schema] = schema["properties"]
            if "description" in schema:
                schema["description"] = cleandoc(schema["description"])
            if others := getattr(kind.cls, "OTHERS", ""):
                del properties[others]
                schema["additionalProperties"] = {"description": "Kept, and returned as it was sent."}
            if getattr(kind.cls, "OPERATORS", False):
                schema["minProperties"] = 1
            for field in kind.fields:
                if _is_time(field.type):
                    _mark_times(properties[field.encode_name])
                if field.encode_name in properties:
                    _sink_limits(properties[field.encode_name])
                self._mend(field.type)
        for inner in parts(kind):
            self._mend(inner)


def walk(schema: Any) -> Iterator[Schema]:
    """Yield a schema and the schemas inside it; it does not follow references."""
    if isinstance(schema, dict):
        yield schema
        for key in ("anyOf", "items", "additionalProperties"):
            inner = schema.get(key)
            for part in inner if isinstance(inner, list) else [inner]:
                yield from walk(part)
        for part in schema.get("properties", {}).values():
            yield from walk(part)


def sharpen(schema: Schema) -> None:
    """Say of a schema that words are strings, and that integers have 64 bits."""
    if "enum" in schema and all(isinstance(value, str) for value in schema["enum"]):
        schema.setdefault("type", "string")
    if schema.get("type") == "integer" and "maximum" not in schema:
        schema.update(format="int64", minimum=schema.get("minimum", MIN_INT), maximum=MAX_INT)


def without_null(schema: Schema) -> Schema:
    """Return the schema of the values other than null; a null that says what it means (a description) stays."""
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    if rest.get("default", ...) is None:
        del rest["default"]
    if isinstance(rest.get("enum"), list):
        rest["enum"] = [value for value in rest["enum"] if value is not None]
    variants = [part for part in schema.get("anyOf", ()) if part != {"type": "null"}]
    if len(variants) == 1:
        return {**variants[0], **rest}
    return {**rest, "anyOf": variants} if variants else rest


class Reduction(msgspec.Struct, frozen=True, kw_only=True):
    """The parts that a compact schema omits.

    Attributes:
        replaced: Schemas to put in the place of those of structs.
        unseen: Fields of structs inside others that are left out.
        explained: Fields of structs inside others that keep their descriptions.
    """

    replaced: Mapping[type[Any], Schema] = {}
    unseen: Mapping[type[Any], Collection[str]] = {}
    explained: Mapping[type[Any], Collection[str]] = {}


def compact(
    struct: type[Any],
    reduction: Reduction | None = None,
    *,
    hidden: Collection[str] = (),
    described: Collection[str] | None = None,
) -> Schema:
    """Return the schema of a struct for a reader who pays for each byte; `$defs` holds the structs inside it.

    It has no titles, examples and null variants, and of defaults only those that say something. Unknown fields are
    refused.

    Args:
        struct: The struct.
        reduction: What structs inside it leave out.
        hidden: Fields of the struct that are left out, by their names in Python.
        described: Fields of the struct that keep their descriptions; None: all.
    """
    return _Compactor(struct, reduction or Reduction()).schema(hidden, described)


class _Compactor:
    def __init__(self, struct: type[Any], reduction: Reduction) -> None:
        self._kind = _struct_type(struct)
        self._schemas = Schemas([struct], prefix=_DEFINITIONS, names={})
        self._reduction = reduction
        self._definitions: dict[str, Schema] = {}

    def schema(self, hidden: Collection[str], described: Collection[str] | None) -> Schema:
        names = [field.encode_name for field in self._kind.fields]
        found = self._object(self._kind, hidden, names if described is None else described)
        found["additionalProperties"] = False
        return {**found, "$defs": self._definitions} if self._definitions else found

    def _object(self, kind: inspect.StructType, hidden: Collection[str], described: Collection[str]) -> Schema:
        shown = self._schemas.component({"$ref": _DEFINITIONS + self._schemas.name_of(kind.cls)})["properties"]
        fields = [field for field in kind.fields if field.name not in hidden and field.encode_name in shown]
        properties = {}
        for field in fields:
            schema = self._reduced(shown[field.encode_name])
            default = shown[field.encode_name].get("default")
            if isinstance(default, (str, int, float)) and default:
                schema["default"] = default
            if field.encode_name not in described:
                schema.pop("description", None)
            properties[field.encode_name] = schema
        found: Schema = {"type": "object", "properties": properties}
        if required := [field.encode_name for field in fields if field.required]:
            found["required"] = required
        return found

    def _reduced(self, schema: Schema) -> Schema:
        found = without_null(schema)
        if "$ref" in found:
            found = {**found, **self._referred(found)}
            if "enum" in found:
                del found["$ref"]
        for key in ("title", "default", "examples", "additionalProperties", *_VALIDATED):
            found.pop(key, None)
        if "anyOf" in found:
            found["anyOf"] = [self._reduced(part) for part in found["anyOf"]]
            for part in found["anyOf"]:
                part.pop("description", None)
        if "items" in found:
            found["items"] = self._reduced(found["items"])
        return found

    def _referred(self, reference: Schema) -> Schema:
        """Put the struct behind a reference among the definitions; of an enumeration return the values."""
        kind = self._schemas.struct(reference)
        if kind is None:
            return {"enum": self._schemas.component(reference)["enum"]}
        name = self._schemas.name_of(kind.cls)
        if name not in self._definitions:
            self._definitions[name] = {}
            unseen, explained = self._reduction.unseen.get(kind.cls, ()), self._reduction.explained.get(kind.cls, ())
            replaced = self._reduction.replaced.get(kind.cls)
            self._definitions[name].update(replaced or self._object(kind, unseen, explained))
        return {}


def outline(answer: Any) -> Schema:
    """Return the names and types of an answer's fields, none of them required.

    Of a struct with more than eight fields it has those that are always filled. What is no struct is an object.
    """
    kind = inspect.type_info(answer)
    if not isinstance(kind, inspect.StructType):
        return {"type": "object"}
    fields = [field for field in kind.fields if field.required or len(kind.fields) <= _MANY]
    return {"type": "object", "properties": {field.encode_name: _outlined(field.type) for field in fields}}


def _outlined(kind: inspect.Type) -> Schema:
    bare = unwrap(kind)
    if not isinstance(bare, inspect.UnionType):
        return _typed(bare)
    variants = [_typed(unwrap(variant)) for variant in bare.types if not isinstance(variant, inspect.NoneType)]
    if len(variants) != 1 or "type" not in variants[0]:
        return {}
    null = len(variants) < len(bare.types)
    return {"type": [variants[0]["type"], "null"]} if null else variants[0]


def _typed(kind: inspect.Type) -> Schema:
    return {"type": _TYPES[type(kind)]} if type(kind) in _TYPES else {}


_TYPES: Mapping[type[Any], str] = {
    inspect.StrType: "string",
    inspect.LiteralType: "string",
    inspect.EnumType: "string",
    inspect.DateTimeType: "string",
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.BoolType: "boolean",
    inspect.ListType: "array",
    inspect.VarTupleType: "array",
    inspect.DictType: "object",
    inspect.StructType: "object",
}


def unwrap(kind: inspect.Type) -> inspect.Type:
    """Return the type without its descriptions and limits."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return kind


def parts(kind: inspect.Type) -> Sequence[inspect.Type]:
    """Return the types that a type is made of: variants, items, values, or the described type."""
    if isinstance(kind, inspect.UnionType):
        return kind.types
    if isinstance(kind, (inspect.ListType, inspect.VarTupleType)):
        return (kind.item_type,)
    if isinstance(kind, inspect.DictType):
        return (kind.value_type,)
    return (kind.type,) if isinstance(kind, inspect.Metadata) else ()


def _struct_type(struct: type[Any]) -> inspect.StructType:
    kind = inspect.type_info(struct)
    if not isinstance(kind, inspect.StructType):
        raise TypeError(f"{struct!r} is not a struct.")
    return kind


def _is_filled(field: inspect.Field) -> bool:
    """Tell whether an answer always has the field: one that is left out (`UNSET`) has no default."""
    return field.required or not (field.default is field.default_factory is msgspec.NODEFAULT)


def _is_time(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.DateTimeType) or any(_is_time(part) for part in parts(kind))


def _mark_times(schema: Schema) -> None:
    for part in walk(schema):
        if part.get("type") == "string":
            part["format"] = "date-time"


def _sink_limits(schema: Schema) -> None:
    """Say the limits of a value that may be null where its type is."""
    variants = [part for part in schema.get("anyOf", ()) if part.get("type") != "null" and "$ref" not in part]
    if len(variants) == 1 and "anyOf" in schema:
        for key in _LIMITS & schema.keys():
            variants[0][key] = schema.pop(key)


def _long_name(cls: type[Any]) -> str:
    """Return the name that msgspec gives a struct when another one has the same short name."""
    return re.sub(r"[^a-zA-Z0-9.\-_]", "_", f"{cls.__module__}.{cls.__qualname__}")
