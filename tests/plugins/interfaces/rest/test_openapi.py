from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import openapi_spec_validator
import pytest

from memhost.host import core_operations
from memhost.operations.schema import walk
from memhost_rest.asgi_io import encode
from memhost_rest.decoding import RequestDecoder
from memhost_rest.openapi import build_document
from memhost_rest.routes import ROUTES

from .rest_fakes import FakeHost, client_for


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return _build()


def _build() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(encode(build_document(ROUTES, core_operations())))
    return found


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner)


def _operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {operation["operationId"]: operation for verbs in document["paths"].values() for operation in verbs.values()}


def test_every_operation_and_route_is_documented(document: dict[str, Any]) -> None:
    documented = _operations(document)
    assert set(documented) == {operation.name for operation in core_operations()} | {"call_operation"}
    for row in ROUTES:
        assert document["paths"][row.path][row.verb.lower()]["operationId"] == row.operation
    for operation in documented.values():
        assert operation["summary"]
        assert "200" in operation["responses"]


def test_every_reference_resolves_and_no_schema_is_unused(document: dict[str, Any]) -> None:
    names = {
        node["$ref"].removeprefix("#/components/") for node in _walk(document) if isinstance(node.get("$ref"), str)
    }
    components = document["components"]
    assert names == {f"{kind}/{name}" for kind in ("schemas", "headers") for name in components[kind]}


def test_every_schema_is_sound(document: dict[str, Any]) -> None:
    types = {"string", "integer", "number", "boolean", "array", "object", "null"}
    for schema in document["components"]["schemas"].values():
        for part in schema.get("properties", {}).values():
            assert {node["type"] for node in walk(part) if "type" in node} <= types
        assert set(schema.get("required", ())) <= set(schema.get("properties", {}))


def test_every_path_parameter_is_declared(document: dict[str, Any]) -> None:
    for path, verbs in document["paths"].items():
        wanted = {part[1:-1] for part in path.split("/") if part.startswith("{")}
        for operation in verbs.values():
            declared = [item for item in operation.get("parameters", ()) if item["in"] == "path"]
            assert {item["name"] for item in declared} == wanted
            assert all(item["required"] for item in declared)


def test_fields_of_path_and_query_are_not_in_the_body(document: dict[str, Any]) -> None:
    body = document["components"]["schemas"]["PutSessionBody"]
    assert not {"session_id", "model_name", "context_window_max"} & set(body["properties"])
    assert {"messages", "user_id"} <= set(body["properties"])
    limit = next(
        item for item in document["paths"]["/v1/working-memory/"]["get"]["parameters"] if item["name"] == "limit"
    )
    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}


def test_times_are_marked_and_null_is_not_a_query_value(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    created_at = schemas["Message"]["properties"]["created_at"]
    assert (created_at["type"], created_at["format"]) == ("string", "date-time")
    assert created_at["description"]
    state = document["paths"]["/v1/jobs"]["get"]["parameters"][0]["schema"]
    assert state == {"type": "string", "enum": ["dead", "pending", "running", "waiting"]}


def test_answers_hold_every_field_and_requests_only_what_they_must(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    # Records in sessions and hits of a search have no version: it costs nothing to tell only where one memory is read.
    assert set(schemas["MemoryRecord"]["required"]) == set(schemas["MemoryRecord"]["properties"]) - {"version"}
    assert schemas["RecordInput"]["required"] == ["text", "id"]
    assert "required" not in schemas["PutSessionBody"]


def test_every_example_is_a_request_that_the_door_reads(document: dict[str, Any]) -> None:
    table = {operation.name: operation for operation in core_operations()}
    read = 0
    for row in ROUTES:
        operation = document["paths"][row.path][row.verb.lower()]
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        decoder = RequestDecoder(
            table[row.operation].request,
            path=row.parameters,
            query=row.query_of(table[row.operation].request),
            body=row.body,
        )
        path = dict.fromkeys(row.parameters, "x")
        for example in content.get("examples", {}).values():
            assert isinstance(decoder.decode(path, {}, example["value"]), table[row.operation].request)
            read += 1
    assert read >= 8


def test_links_lead_to_operations_and_their_parameters(document: dict[str, Any]) -> None:
    operations = _operations(document)
    for operation in operations.values():
        for link in operation["responses"]["200"].get("links", {}).values():
            known = {item["name"] for item in operations[link["operationId"]]["parameters"]}
            assert set(link["parameters"]) <= known


def test_search_request_has_its_wire_name(document: dict[str, Any]) -> None:
    assert document["components"]["schemas"]["SearchRequest"]["title"] == "SearchRequest"
    assert "SearchFields" not in document["components"]["schemas"]


def test_errors_and_security_follow_the_operation(document: dict[str, Any]) -> None:
    found = _operations(document)
    assert found["health"]["security"] == []
    assert set(found["health"]["responses"]) == {"200", "500"}
    assert {"bearer": []} in found["get_memory"]["security"]
    assert {"200", "401", "403", "404", "422"} <= set(found["get_memory"]["responses"])
    ready = found["ready"]["responses"]
    assert ready["503"]["content"] == ready["200"]["content"]


def test_document_is_the_same_each_time(document: dict[str, Any]) -> None:
    assert _build() == document


def test_document_conforms_to_openapi(document: dict[str, Any]) -> None:
    openapi_spec_validator.validate(document)


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids.add(found.get("id") or "")
        if (found.get("href") or "").startswith("#"):
            self.links.add((found["href"] or "")[1:])


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/"])
def test_pages_list_all_operations_without_script_or_credential(path: str) -> None:
    host = FakeHost(token="secret")
    with client_for(host) as client:
        answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    page = _Text()
    page.feed(answer.text)
    assert {operation.name for operation in core_operations()} <= page.ids
    assert page.links <= page.ids
    assert not host.credentials


def test_schema_is_served_without_credential(document: dict[str, Any]) -> None:
    with client_for(FakeHost(token="secret")) as client:
        answer = client.get("/openapi.json")
        assert answer.json() == document
        refused = client.post("/openapi.json")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, OPTIONS")


def test_importing_the_package_is_light() -> None:
    code = (
        "import sys, memhost_rest; memhost_rest.memhost_interfaces();"
        "print([name for name in ('litestar', 'memhost_rest.handlers') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_path())
    assert found.stdout.strip() == "[]"


def _path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
