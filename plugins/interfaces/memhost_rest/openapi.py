"""The OpenAPI 3.1 document, made from the operation table and the routes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from inspect import cleandoc
from typing import Any

import msgspec
from msgspec import inspect

from memhost.operations import Operation
from memhost.version import __version__
from memhost_rest.errors import STATUS
from memhost_rest.readers import WIRE_NAMES
from memhost_rest.routes import Row

Schema = dict[str, Any]

_PREFIX = "#/components/schemas/"
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"basic": []}, {"apiKey": []}]
_WORDS: Mapping[int, str] = {
    400: "The request cannot be served as it is.",
    401: "No valid credential.",
    403: "The credential lacks the right.",
    404: "Nothing of that name in the caller's scope.",
    409: "The stored state forbids the change.",
    413: "The body is too large.",
    422: "Fields are missing or wrong; all of them are listed.",
    429: "Too many requests.",
    500: "The server failed.",
    503: "Something the server needs is down; nothing was changed.",
}
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
            "detail": {"type": "array", "items": {"$ref": f"{_PREFIX}InvalidField"}},
            "code": {"type": "string"},
            "request_id": {"type": "string"},
        },
        "required": ["detail"],
    },
}


def build_document(rows: Sequence[Row], operations: Iterable[Operation]) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    table = {operation.name: operation for operation in operations}
    used = [table[row.operation] for row in rows]
    schemas = _Schemas(used)
    paths: dict[str, dict[str, Any]] = {}
    for row in rows:
        paths.setdefault(row.path, {})[row.verb.lower()] = _operation(row, table[row.operation], schemas)
    tags = dict.fromkeys(operation.tag for operation in used)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "memhost",
            "version": __version__,
            "summary": "Memory for AI agents.",
            "description": (
                "A memory server for AI agents, wire-compatible with Agent Memory Server. Every "
                "success is 200 with a JSON body. Unknown fields are ignored; numbers, flags and "
                "times are read leniently."
            ),
        },
        "tags": [{"name": tag} for tag in tags],
        "paths": paths,
        "components": {
            "schemas": schemas.reachable_from(paths),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The token as password.",
                },
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


class _Schemas:
    """Schemas of the operations' types, as this wire shows them."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        types = [operation.request for operation in operations]
        types += [operation.response for operation in operations]
        unique = list(dict.fromkeys(types))
        roots, components = msgspec.json.schema_components(unique, ref_template=_PREFIX + "{name}")
        self._roots: dict[Any, Schema] = dict(zip(unique, roots, strict=True))
        self._all: dict[str, Schema] = {**components, **_ERROR_SCHEMAS}
        for info in inspect.multi_type_info(unique):
            self._mark_times(info, set())
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
        name = self._roots[kind]["$ref"].removeprefix(_PREFIX)
        self._all[f"{name}Body"] = {
            **schema,
            "title": f"{name}Body",
            "properties": {key: value for key, value in schema["properties"].items() if key not in elsewhere},
            "required": [key for key in schema["required"] if key not in elsewhere],
        }
        return {"$ref": f"{_PREFIX}{name}Body"}

    def _named(self, kind: Any) -> Schema:
        return self._all[self._roots[kind]["$ref"].removeprefix(_PREFIX)]

    def _mark_times(self, kind: Any, seen: set[type[Any]]) -> None:
        if isinstance(kind, inspect.StructType) and kind.cls not in seen:
            seen.add(kind.cls)
            schema = self._all.get(kind.cls.__name__, {"properties": {}})
            for field in kind.fields:
                if _is_time(field.type):
                    _mark_strings(schema["properties"].get(field.encode_name, {}))
                self._mark_times(field.type, seen)
        for inner in _parts(kind):
            self._mark_times(inner, seen)

    def reachable_from(self, paths: Mapping[str, Any]) -> dict[str, Schema]:
        """The schemas that the paths refer to; they and the references get their wire names."""
        wanted: dict[str, Schema] = {}
        pending = list(_references(paths))
        while pending:
            reference = pending.pop()
            name = reference["$ref"].removeprefix(_PREFIX)
            if name not in wanted:
                wanted[name] = self._all[name]
                pending.extend(_references(wanted[name]))
        for reference in list(_references([paths, wanted])):
            name = reference["$ref"].removeprefix(_PREFIX)
            reference["$ref"] = _PREFIX + WIRE_NAMES.get(name, name)
        for name in WIRE_NAMES.keys() & wanted.keys():
            wanted[WIRE_NAMES[name]] = {**wanted.pop(name), "title": WIRE_NAMES[name]}
        return dict(sorted(wanted.items()))


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


def _references(value: Any) -> Iterator[Schema]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _operation(row: Row, operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "responses": _responses(row, operation, schemas),
    }
    if operation.description:
        described["description"] = operation.description
    if row.parameters or row.query:
        described["parameters"] = _parameters(row, schemas.fields(operation.request))
    if row.body != "none":
        schema = schemas.body(operation.request, (*row.parameters, *row.query))
        described["requestBody"] = {
            "required": row.body == "required",
            "content": {"application/json": {"schema": schema}},
        }
    described["security"] = [] if operation.access == "open" else _SECURITY
    return described


def _parameters(row: Row, fields: Mapping[str, Schema]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in row.parameters
    ]
    for name in row.query:
        schema = _without_null(fields[name])
        parameter = {"name": name, "in": "query", "required": False, "schema": schema}
        if text := schema.pop("description", None):
            parameter["description"] = text
        found.append(parameter)
    return found


def _without_null(schema: Schema) -> Schema:
    variants = [part for part in schema.get("anyOf", ()) if part.get("type") != "null"]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    if "default" in rest and rest["default"] is None:
        del rest["default"]
    if len(variants) == 1:
        return {**variants[0], **rest}
    if isinstance(rest.get("enum"), list):
        rest["enum"] = [value for value in rest["enum"] if value is not None]
    return {**rest, "anyOf": variants} if variants else rest


def _responses(row: Row, operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    answer = schemas.root(operation.response)
    found = {200: _content("Done.", answer)}
    for status, words in row.statuses.items():
        found[status] = _content(words, answer)
    refused = {STATUS[code] for code in operation.errors if code in STATUS}
    if operation.access != "open":
        refused |= {401, 403, 503}
    if row.parameters or row.query or row.body != "none":
        refused.add(422)
    if row.body != "none":
        refused.add(413)
    for status in sorted((refused | {500}) - found.keys()):
        name = "InvalidRequest" if status == 422 else "Error"
        found[status] = _content(_WORDS[status], {"$ref": _PREFIX + name})
    return {str(status): response for status, response in sorted(found.items())}


def _content(words: str, schema: Schema) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": dict(schema)}}}
