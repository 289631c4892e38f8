"""`POST /v1/operations/{name}`: every operation by its name, with all its fields in the body."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from memhost.errors import NotFound
from memhost.host import core_operations
from memhost.operations import Call, Operation, OperationTable
from memhost.operations.content import Document, Text
from memhost.operations.responses import Ack
from memhost_rest.asgi_io import encode
from memhost_rest.by_name import PATH
from memhost_rest.openapi import build_document
from memhost_rest.routes import ROUTES

from .rest_fakes import FakeHost, client_for

NAMES = core_operations().names()
REQUIRED: dict[str, Any] = {
    "version": 1,
    "certificate": {},
    "session_id": "s",
    "memory_id": "m",
    "job_id": "j",
    "view_id": "v",
    "task_id": "t",
    "user_id": "u",
    "name": "store-sqlite",
    "query": "q",
    "text": "t",
    "prompt": "Note food.",
    "policy": {},
    "ids": ["m"],
    "memory_ids": ["m"],
    "memories": [{"id": "m", "text": "x"}],
    "messages": [{"role": "user", "content": "Hi"}],
    "source": "long_term",
    "group": {"user_id": "u"},
}
"""A value for each field that some operation cannot do without."""


class Note(msgspec.Struct, kw_only=True):
    """Which note."""

    note_id: str


def _note(kind: Any, response: Any, address: str = "") -> Operation:
    async def handler(*_: Any) -> Any:
        raise AssertionError("the host of these tests answers by itself")

    return Operation(
        name=f"acme_{kind}",
        request=Note,
        response=response,
        handler=handler,
        summary="A note.",
        access="read",
        tag="Acme",
        kind=kind,
        address=address,
    )


PLUGINS = (_note("call", Ack), _note("document", Document, "acme://notes/{note_id}"))


@pytest.fixture
def host() -> FakeHost:
    found = FakeHost()
    found.operations = OperationTable((*core_operations(), *PLUGINS))
    return found


@pytest.fixture
def client(host: FakeHost) -> Iterator[TestClient[Litestar]]:
    with client_for(host) as found:
        yield found


def _fields(name: str) -> dict[str, Any]:
    required = [
        field.encode_name for field in msgspec.structs.fields(core_operations()[name].request) if field.required
    ]
    return {field: REQUIRED[field] for field in required}


@pytest.mark.parametrize("name", NAMES)
def test_every_operation_is_served_with_its_fields_from_the_body(
    host: FakeHost, client: TestClient[Litestar], name: str
) -> None:
    body = _fields(name)
    answer = client.post(f"/v1/operations/{name}", json=body)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    ((called, request),) = host.requests
    assert (called, type(request)) == (name, host.operations[name].request)
    for field in body:
        assert getattr(request, field) is not None


def test_fields_of_query_and_path_stand_in_the_body(host: FakeHost, client: TestClient[Litestar]) -> None:
    body = {"limit": "7", "offset": 2, "updated_after": 1_700_000_000, "details": "yes"}
    assert client.post("/v1/operations/list_sessions", json=body).status_code == 200
    assert (host.last.limit, host.last.offset, host.last.details) == (7, 2, True)
    assert host.last.updated_after.isoformat() == "2023-11-14T22:13:20+00:00"
    assert client.post("/v1/operations/get_usage/", json={"from": "2026-03-01", "group_by": ["day"]}).status_code == 200
    assert (host.last.from_.isoformat(), host.last.group_by) == ("2026-03-01T00:00:00+00:00", ["day"])
    assert client.post("/v1/operations/list_sessions").status_code == 200
    assert host.last.limit == 20


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("serch_memories", "Did you mean search_memories"),
        ("store_memory", "Did you mean store_memories, restore_memories or get_memory?"),
        ("get_sessions", "Did you mean get_session"),
        ("acme_cal", "Did you mean acme_call"),
        ("Delete_User", "Did you mean delete_user"),
        ("%66oo%20bar", "GET /openapi.json lists them."),
        ("x" * 5000, "GET /openapi.json lists them."),
    ],
)
def test_an_unknown_name_is_404_with_the_names_near_it(client: TestClient[Litestar], name: str, hint: str) -> None:
    answer = client.post(f"/v1/operations/{name}", json={})
    told = answer.json()
    assert (answer.status_code, told["code"]) == (404, "not_found")
    assert hint in told["detail"]
    assert len(told["detail"]) < 200
    assert told["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("name", ["serch_memories", "nothing"])
@pytest.mark.parametrize(("token", "status", "told"), [("", 401, False), ("wrong", 401, False), ("secret", 404, True)])
def test_names_are_not_told_to_strangers(name: str, token: str, status: int, told: bool) -> None:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    with client_for(FakeHost(token="secret")) as client:
        answer = client.post(f"/v1/operations/{name}", json={}, headers=headers)
        assert (answer.status_code, "There is no operation" in answer.json()["detail"]) == (status, told)
        assert "www-authenticate" in answer.headers or token
        assert client.post("/v1/nothing", json={}).status_code == 404


@pytest.mark.parametrize("path", ["/v1/operations", "/v1/operations/", "/v1/operations/a/b", "/v1/operationsx/a"])
def test_other_paths_are_no_operations(client: TestClient[Litestar], path: str) -> None:
    answer = client.post(path, json={})
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


def test_other_verbs_are_405(client: TestClient[Litestar]) -> None:
    answer = client.get("/v1/operations/search_memories")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b" {} "])
def test_no_body_is_no_fields(host: FakeHost, client: TestClient[Litestar], body: bytes) -> None:
    for name in ("search_memories", "list_sessions", "get_usage"):
        answer = client.post(f"/v1/operations/{name}", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 200, (name, answer.text)
        assert host.last == host.operations[name].request()
    missing = client.post("/v1/operations/get_memory", content=body, headers={"content-type": "application/json"})
    assert [(item["type"], item["loc"]) for item in missing.json()["detail"]] == [("missing", ["body", "memory_id"])]


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"0", b"false", b"[{}]", b"{"])
def test_a_body_that_is_no_object_is_refused(host: FakeHost, client: TestClient[Litestar], body: bytes) -> None:
    answer = client.post("/v1/operations/search_memories", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert not host.requests


@pytest.mark.parametrize("name", ["search_memories", "put_session", "list_jobs", "acme_call"])
def test_unknown_fields_are_refused(host: FakeHost, client: TestClient[Litestar], name: str) -> None:
    body = {**({"note_id": "n"} if name == "acme_call" else _fields(name)), "zzz": 1}
    answer = client.post(f"/v1/operations/{name}", json=body)
    assert answer.status_code == 422
    assert [item["loc"] for item in answer.json()["detail"]] == [["body", "zzz"]]
    assert not host.requests
    stray = client.post(f"/v1/operations/{name}?zzz=1", json={key: body[key] for key in body if key != "zzz"})
    assert [item["loc"] for item in stray.json()["detail"]] == [["query", "zzz"]]


def test_what_clients_send_back_is_taken(host: FakeHost, client: TestClient[Litestar]) -> None:
    body = {"session_id": "s", "memories": [], "context_percentage_total_used": 3.5}
    assert client.post("/v1/operations/put_session", json=body).status_code == 200
    assert host.last.session_id == "s"


def test_reading_fails_as_on_other_routes() -> None:
    host = FakeHost(max_body_bytes=100)
    with client_for(host) as client:
        path = "/v1/operations/list_jobs"
        wrong = client.post(path, json={"limit": 501})
        assert (wrong.status_code, wrong.json()["detail"][0]["type"]) == (422, "less_than_equal")
        assert client.post(path, content=b'{"limit": 1}', headers={"content-type": "text/plain"}).status_code == 422
        assert client.post(path, json={"limit": "x" * 200}).status_code == 413
        twice = client.post(path, content=b'{"limit": 1, "limit": 2}', headers={"content-type": "application/json"})
        assert twice.json()["detail"][0]["type"] == "json_invalid"
    assert not host.requests


def test_credential_and_right_are_those_of_the_operation() -> None:
    host = FakeHost(token="secret")
    host.forbidden = {"delete"}
    with client_for(host) as client:
        stranger = client.post("/v1/operations/get_memory", json={"memory_id": "m"})
        assert (stranger.status_code, stranger.headers["www-authenticate"]) == (401, "Bearer")
        assert client.post("/v1/operations/health").status_code == 200
        mine = {"authorization": "Bearer secret"}
        refused = client.post("/v1/operations/delete_memories", json={"memory_ids": ["m"]}, headers=mine)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        assert client.post("/v1/operations/get_memory", json={"memory_id": "m"}, headers=mine).status_code == 200
    assert [name for name, _ in host.requests] == ["health", "get_memory"]


def test_notices_and_errors_are_those_of_the_operation(host: FakeHost, client: TestClient[Litestar]) -> None:
    def noted(call: Call, _request: Any) -> Ack:
        call.notices += [("deprecation", "old"), ("merged", "into m2")]
        return Ack()

    host.answers["put_session"] = noted
    answer = client.post("/v1/operations/put_session", json={"session_id": "s"})
    assert answer.headers["x-deprecation-warning"] == "old"
    assert answer.headers["x-memhost-notice"] == "merged: into m2"
    host.answers["get_session"] = NotFound("There is no session s.")
    missing = client.post("/v1/operations/get_session", json={"session_id": "s"})
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


def test_documents_of_plugins_are_served_like_any_operation(host: FakeHost, client: TestClient[Litestar]) -> None:
    host.answers["acme_document"] = Document(uri="acme://notes/n", text="Buy tea.")
    answer = client.post("/v1/operations/acme_document", json={"note_id": "n"})
    assert answer.json()["text"] == "Buy tea."
    host.answers["acme_call"] = Text("Hi")
    assert client.post("/v1/operations/acme_call", json={"note_id": "n"}).json() == {"type": "text", "text": "Hi"}


def test_openapi_shows_the_route_once_and_plugins_by_themselves(host: FakeHost) -> None:
    document: dict[str, Any] = json.loads(encode(build_document(ROUTES, host.operations)))
    by_name = document["paths"][PATH]["post"]
    assert by_name["parameters"][0]["schema"]["enum"] == sorted(NAMES)
    assert {"401", "403", "404", "409", "413", "422", "429", "500", "503"} <= set(by_name["responses"])
    shown = [path for path in document["paths"] if path.startswith("/v1/operations/")]
    assert sorted(shown) == [f"/v1/operations/{each.name}" for each in PLUGINS] + [PATH]
    plugin = document["paths"]["/v1/operations/acme_call"]["post"]
    assert plugin["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/NoteBody")
