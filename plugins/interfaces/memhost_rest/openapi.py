"""The OpenAPI 3.1 document, made from the operation table and the routes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from memhost.http.statuses import STATUS
from memhost.operations import Operation
from memhost.operations.schema import COMPONENTS, Schema, Schemas, sharpen, walk, without_null
from memhost.version import __version__
from memhost_rest import by_name
from memhost_rest.examples import EXAMPLES
from memhost_rest.routes import Route, route_of
from memhost_rest.wording import ERRORS, HEADERS, INTRODUCTION, LINKS, STATUSES

_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"basic": []}, {"apiKey": []}]
_NOTICES: Mapping[str, str] = {"X-Memhost-Notice": "Notice"}
_WITH_DEPRECATION = frozenset({"put_session"})


def build_document(routes: Sequence[Route], operations: Iterable[Operation]) -> dict[str, Any]:
    """The OpenAPI document of these routes, and of the operations that have none but their name."""
    table = {operation.name: operation for operation in operations}
    routed = [table[route.operation] for route in routes]
    linkable = frozenset(operation.name for operation in routed)
    routes = (*routes, *(route_of(operation) for operation in table.values() if operation.name not in linkable))
    used = [table[route.operation] for route in routes]
    types = [operation.request for operation in used] + [operation.response for operation in used]
    schemas = Schemas(types, extra=deepcopy(dict(ERRORS)))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.verb.lower()] = _operation(
            route, table[route.operation], schemas, linkable
        )
    paths[by_name.PATH] = {"post": _by_name(routed)}
    tags = dict.fromkeys(method["tags"][0] for verbs in paths.values() for method in verbs.values())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "memhost",
            "version": __version__,
            "summary": "Memory for AI agents.",
            "description": INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in tags],
        "paths": paths,
        "components": {
            "schemas": schemas.components(_bodies(paths), paths),
            "headers": {name: dict(header) for name, header in HEADERS.items()},
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


def _bodies(paths: Mapping[str, Any]) -> list[Any]:
    return [operation.get("requestBody") for verbs in paths.values() for operation in verbs.values()]


def _operation(route: Route, operation: Operation, schemas: Schemas, linkable: frozenset[str]) -> dict[str, Any]:
    route = replace(route, query=route.query_of(operation.request))
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "responses": _responses(route, operation, schemas),
    }
    if operation.description:
        described["description"] = operation.description
    if route.parameters or route.query:
        described["parameters"] = _parameters(route, schemas.fields(operation.request))
    if route.body != "none":
        schema = schemas.body(operation.request, (*route.parameters, *route.query))
        content: dict[str, Any] = {"schema": schema}
        if examples := _examples(operation.name, schemas.component(schema)["properties"]):
            content["examples"] = examples
        described["requestBody"] = {
            "required": route.body == "required",
            "content": {"application/json": content},
        }
    if links := _links(operation.name, linkable):
        described["responses"]["200"]["links"] = links
    described["security"] = [] if operation.access == "open" else _SECURITY
    return described


def _by_name(routed: Sequence[Operation]) -> dict[str, Any]:
    refused = by_name.statuses(routed) | {401, 403, 404, 413, 422, 431, 503}
    answers = {200: _content("Done; the answer of the operation.", {}, _NOTICES), **_refusals(refused)}
    found = by_name.described(routed, {str(status): answer for status, answer in sorted(answers.items())})
    return {**found, "security": [{}, *_SECURITY]}


def _links(name: str, linkable: frozenset[str]) -> dict[str, Any]:
    return {
        word: {"operationId": target, "parameters": dict(parameters)}
        for word, (target, parameters) in LINKS.get(name, {}).items()
        if target in linkable
    }


def _parameters(route: Route, fields: Mapping[str, Schema]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in (*route.parameters, *route.query):
        schema = without_null(fields[name])
        for part in walk(schema):
            sharpen(part)
        in_path = name in route.parameters
        if in_path:
            schema["minLength"] = 1
        parameter = {"name": name, "in": "path" if in_path else "query", "required": in_path, "schema": schema}
        if text := schema.pop("description", None):
            parameter["description"] = text
        if (examples := schema.pop("examples", None)) and examples[0] is not None:
            parameter["example"] = examples[0]
        found.append(parameter)
    return found


def _examples(name: str, fields: Mapping[str, Schema]) -> dict[str, Any]:
    """Bodies to show for an operation: those made for it, or one of the examples of its fields."""
    if name in EXAMPLES:
        return {title: dict(example) for title, example in EXAMPLES[name].items()}
    shown = {key: schema["examples"][0] for key, schema in fields.items() if schema.get("examples")}
    value = {key: example for key, example in shown.items() if example is not None}
    return {"fields": {"summary": "The examples of all fields", "value": value}} if value else {}


def _responses(route: Route, operation: Operation, schemas: Schemas) -> dict[str, Any]:
    answer = schemas.root(operation.response)
    found = {200: _content("Done.", answer, _notices(operation))}
    for status, words in route.statuses.items():
        found[status] = _content(words, answer)
    refused = {STATUS[code] for code in operation.errors if code in STATUS}
    if operation.access != "open":
        refused |= {401, 403, 503}
    if route.parameters or route.query or route.body != "none":
        refused.add(422)
    if route.body != "none":
        refused.add(413)
    if route.parameters or route.query:
        refused.add(431)
    found = {**_refusals(refused), **found}
    return {str(status): response for status, response in sorted(found.items())}


def _refusals(refused: set[int]) -> dict[int, Any]:
    found = {}
    for status in refused | {500}:
        name = "InvalidRequest" if status == 422 else "Error"
        headers = {"WWW-Authenticate": "Challenge"} if status == 401 else {}
        found[status] = _content(STATUSES[status], {"$ref": COMPONENTS + name}, headers)
    return found


def _notices(operation: Operation) -> dict[str, str]:
    headers = _NOTICES if operation.access != "open" else {}
    return {**headers, **({"X-Deprecation-Warning": "Deprecation"} if operation.name in _WITH_DEPRECATION else {})}


def _content(words: str, schema: Schema, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    named = {"X-Request-ID": "RequestId", **(headers or {})}
    return {
        "description": words,
        "headers": {name: {"$ref": f"#/components/headers/{component}"} for name, component in named.items()},
        "content": {"application/json": {"schema": dict(schema)}},
    }
