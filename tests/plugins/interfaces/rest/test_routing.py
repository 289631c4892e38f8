from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from memhost.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    PluginFailure,
    Problem,
    StoreUnavailable,
    ValidationFailed,
)
from memhost.models import Message
from memhost.operations import Call
from memhost.operations.responses import Ack, Readiness
from memhost_rest.handlers import RestApp
from memhost_rest.routes import ROUTES, Route, Router

from .rest_fakes import FakeHost, client_for, run_raw

JSON = {"content-type": "application/json"}
SAMPLE = {
    "check_certificate": {"certificate": {}},
    "put_session": {},
    "change_session": {},
    "store_memories": {"memories": [{"text": "x"}]},
    "create_memories": {"memories": []},
    "search_memories": {},
    "edit_memory": {},
    "get_context": {"query": "q"},
    "memory_prompt": {"query": "q"},
    "forget_memories": {"policy": {}},
    "restore_memories": {"ids": []},
    "approve_reviews": {"memory_ids": []},
    "correct_review": {"text": "x"},
    "refuse_reviews": {"memory_ids": []},
    "preview_extraction": {"messages": [{"role": "user", "content": "Hi"}]},
    "validate_prompt": {"prompt": "Note food."},
    "create_summary_view": {"source": "long_term"},
    "update_summary_view": {"name": "n"},
    "run_summary_view_partition": {"group": {}},
}


@pytest.fixture
def host() -> FakeHost:
    return FakeHost()


@pytest.fixture
def client(host: FakeHost) -> Iterator[TestClient[Litestar]]:
    with client_for(host) as found:
        yield found


def _path(row: Route, value: str = "some-id") -> str:
    path = row.path
    for name in row.parameters:
        path = path.replace("{" + name + "}", "1" if name == "version" else value)
    return path


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("row", ROUTES, ids=lambda row: f"{row.verb} {row.path}")
def test_both_spellings_are_answered_directly_with_200(
    host: FakeHost, client: TestClient[Litestar], row: Route, slash: str
) -> None:
    host.answers["ready"] = Readiness(ready=True, components=[])
    body = SAMPLE.get(row.operation)
    path = _path(row).rstrip("/") + slash
    answer = client.request(row.verb, path, json=body, follow_redirects=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert [name for name, _ in host.requests] == [row.operation]


@pytest.mark.parametrize("path", ["/nope", "/v1", "/v1/", "/v1/nope", "/v1x/health", "/v1/health/x", "/v1//health"])
def test_unknown_path_is_404(client: TestClient[Litestar], path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize(
    ("verb", "path", "allow"),
    [
        ("POST", "/v1/health", "GET"),
        ("GET", "/v1/long-term-memory/", "DELETE, POST"),
        ("POST", "/v1/working-memory/s", "DELETE, GET, PATCH, PUT"),
        ("DELETE", "/v1/long-term-memory/m", "GET, PATCH"),
        ("PUT", "/v1/long-term-memory/search", "GET, PATCH, POST"),
        ("GET", "/v1/memory/prompt", "POST"),
        ("OPTIONS", "/v1/health", "GET"),
        ("GET", "/v1/prompts/validate", "POST"),
        ("GET", "/v1/operations/search_memories", "POST"),
        ("POST", "/openapi.json", "GET, OPTIONS"),
    ],
)
def test_wrong_verb_is_405_with_allow(client: TestClient[Litestar], verb: str, path: str, allow: str) -> None:
    answer = client.request(verb, path)
    verbs = " or ".join(allow.rsplit(", ", 1))
    assert (answer.status_code, answer.json()) == (405, {"detail": f"Method Not Allowed: use {verbs} on this path."})
    assert answer.headers["allow"] == allow


@pytest.mark.parametrize(
    ("verb", "path"), [("GET", "/v1/long-term-memory/search"), ("GET", "/v1/long-term-memory/forget/")]
)
def test_a_word_with_another_verb_is_405_where_no_memory_has_it_as_id(
    client: TestClient[Litestar], host: FakeHost, verb: str, path: str
) -> None:
    host.answers["get_memory"] = NotFound("There is no such memory.")
    answer = client.request(verb, path)
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed: use POST on this path."})
    assert answer.headers["allow"] == "POST"
    assert client.get("/v1/long-term-memory/other").status_code == 404


def test_the_front_page_leads_on(client: TestClient[Litestar], host: FakeHost) -> None:
    host.answers["ready"] = Readiness(ready=True, components=[])
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    links = re.findall(r'href="([^"]+)"', answer.text)
    assert {"docs", "openapi.json", "v1/health"} <= set(links)
    assert {client.get(f"/{link}").status_code for link in links} == {200}


def test_head_is_405(client: TestClient[Litestar]) -> None:
    assert client.head("/v1/health").status_code == 405


@pytest.mark.parametrize("word", ["search", "forget", "compact"])
def test_reserved_words_are_ids_for_get_and_patch(host: FakeHost, client: TestClient[Litestar], word: str) -> None:
    assert client.get(f"/v1/long-term-memory/{word}").status_code == 200
    assert host.requests[-1][0] == "get_memory"
    client.patch(f"/v1/long-term-memory/{word}", json={"text": "x"})
    assert (host.requests[-1][0], host.last.memory_id) == ("edit_memory", word)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("a%2Fb", "a/b"),
        ("a%2fb%2F", "a/b/"),
        ("%20", " "),
        ("a+b", "a+b"),
        ("caf%C3%A9", "caf\u00e9"),
        ("a%00b", "a\0b"),
        ("a%3Fb%23c", "a?b#c"),
        ("100%25", "100%"),
        ("user:42@x", "user:42@x"),
        ("%zz", "%zz"),
    ],
)
async def test_id_in_path_is_decoded_once(host: FakeHost, raw: str, expected: str) -> None:
    status, _, _ = await run_raw(host, "GET", f"/v1/working-memory/{raw}")
    assert (status, host.last.session_id) == (200, expected)
    await run_raw(host, "POST", f"/v1/jobs/{raw}/retry")
    assert host.last.job_id == expected


async def test_id_that_is_not_utf8_is_422(host: FakeHost) -> None:
    status, _, body = await run_raw(host, "GET", "/v1/working-memory/%FF")
    assert (status, json.loads(body)["detail"][0]["loc"]) == (422, ["path", "session_id"])


async def test_path_behind_a_proxy_prefix_and_without_raw_path(host: FakeHost) -> None:
    status, _, _ = await run_raw(host, "GET", "/pre/v1/working-memory/a%2Fb", root_path="/pre")
    assert (status, host.last.session_id) == (200, "a/b")
    status, _, _ = await run_raw(host, "GET", "/v1/working-memory/\u4e2d 1", raw_path=False)
    assert (status, host.last.session_id) == (200, "\u4e2d 1")


def test_repeated_ids_and_scalars(host: FakeHost, client: TestClient[Litestar]) -> None:
    client.delete("/v1/long-term-memory?memory_ids=a&memory_ids=b&namespace=x")
    assert host.last.memory_ids == ["a", "b"]
    client.delete("/v1/long-term-memory")
    assert host.last.memory_ids == []
    client.get("/v1/working-memory/?limit=1&limit=7&namespace=&unknown=1")
    assert (host.last.limit, host.last.namespace) == (7, None)


def test_put_ignores_identity_in_the_query(host: FakeHost, client: TestClient[Litestar]) -> None:
    client.put(
        "/v1/working-memory/s?user_id=X&namespace=Y&context_window_max=9",
        json={"session_id": "other", "context_percentage_total_used": 3, "user_id": "u"},
    )
    found = host.last
    assert (found.session_id, found.user_id, found.namespace) == ("s", "u", None)
    assert found.context_window_max == 9


@pytest.mark.parametrize(
    ("content", "content_type", "kind", "loc"),
    [
        (b"", "application/json", "missing", ["body"]),
        (b"null", "application/json", "missing", ["body"]),
        (b"{", "application/json", "json_invalid", ["body", 1]),
        (b"[]", "application/json", "model_attributes_type", ["body"]),
        (b"{}", "text/plain", "model_attributes_type", ["body"]),
        (b"{}", "", "model_attributes_type", ["body"]),
        (b'{"messages": [{"role": "user"}]}', "application/json; charset=utf-8", "missing",
         ["body", "messages", 0, "content"]),
    ],
)  # fmt: skip
def test_bad_body_is_422(
    client: TestClient[Litestar], content: bytes, content_type: str, kind: str, loc: list[Any]
) -> None:
    answer = client.put("/v1/working-memory/s", content=content, headers={"content-type": content_type})
    assert answer.status_code == 422
    (item,) = answer.json()["detail"]
    assert (item["type"], item["loc"]) == (kind, loc)


def test_absent_body_has_exactly_the_known_item(client: TestClient[Litestar]) -> None:
    answer = client.post("/v1/long-term-memory/search", headers=JSON)
    expected = {"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}
    assert answer.json()["detail"] == [expected]


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("size", [2000, 50_000])
async def test_body_over_the_limit_is_413(declared: bool, size: int) -> None:
    host = FakeHost(max_body_bytes=1024)
    body = [b"x" * 500] * (size // 500)
    headers = {**JSON, **({"content-length": str(size)} if declared else {})}
    status, _, raw = await run_raw(host, "PUT", "/v1/working-memory/s", body=body, headers=headers)
    assert status == 413
    assert isinstance(json.loads(raw)["detail"], str)
    assert not host.requests


async def test_body_in_pieces_is_put_together(host: FakeHost) -> None:
    pieces = [b'{"con', b"", b'text": "c"}']
    await run_raw(host, "PUT", "/v1/working-memory/s", body=pieces, headers=JSON)
    assert host.last.context == "c"


async def test_client_that_goes_away_is_not_an_error(host: FakeHost, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        status, _, _ = await run_raw(host, "PUT", "/v1/working-memory/s", body=[b"{"], headers=JSON, hang_up=True)
    assert status is None
    assert not host.requests
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize(
    ("headers", "scheme", "token", "username"),
    [
        ({}, "", "", ""),
        ({"authorization": "Bearer tok"}, "bearer", "tok", ""),
        ({"authorization": "bEARER  tok "}, "bearer", "tok", ""),
        ({"authorization": "Bearer "}, "", "", ""),
        ({"authorization": "Digest x"}, "", "", ""),
        ({"authorization": "Basic " + base64.b64encode(b"u:to:k").decode()}, "basic", "to:k", "u"),
        ({"authorization": "Basic !!!"}, "", "", ""),
        ({"authorization": "Basic " + base64.b64encode(b"\xff:x").decode()}, "", "", ""),
        ({"x-api-key": "key"}, "api-key", "key", ""),
        ({"x-api-key": "key", "authorization": "Bearer tok"}, "bearer", "tok", ""),
        ({"x-api-key": "key", "authorization": "Digest x"}, "api-key", "key", ""),
    ],
)
def test_credentials_are_found(
    host: FakeHost,
    client: TestClient[Litestar],
    headers: dict[str, str],
    scheme: str,
    token: str,
    username: str,
) -> None:
    client.get("/v1/long-term-memory/m", headers=headers)
    (found,) = host.credentials
    assert (found.scheme, found.token, found.username) == (scheme, token, username)
    assert found.peer == "testclient"


def test_credential_in_the_url_works_as_basic() -> None:
    host = FakeHost(token="tok")
    with client_for(host) as client:
        assert client.get("/v1/long-term-memory/m", auth=("user", "tok")).status_code == 200


def test_absent_credential_is_401_with_challenge_and_wrong_one_without() -> None:
    with client_for(FakeHost(token="tok")) as client:
        absent = client.get("/v1/long-term-memory/m")
        wrong = client.get("/v1/long-term-memory/m", headers={"x-api-key": "no"})
    assert (absent.status_code, absent.headers["www-authenticate"]) == (401, "Bearer")
    assert (wrong.status_code, "www-authenticate" in wrong.headers) == (401, False)
    assert isinstance(absent.json()["detail"], str)


def test_health_is_open_and_ready_tells_503() -> None:
    host = FakeHost(token="tok")
    host.answers["ready"] = Readiness(ready=False, components=[])
    with client_for(host) as client:
        assert client.get("/v1/health").status_code == 200
        answer = client.get("/v1/ready")
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "components": []})
    assert not host.credentials


def test_order_of_checks() -> None:
    host = FakeHost(token="tok")
    with client_for(host) as client:
        path, good = "/v1/long-term-memory/search", {"authorization": "Bearer tok", **JSON}
        assert client.post(path, content=b"{", headers=JSON).status_code == 401
        assert client.post(path, content=b'{"limit": 0}', headers=JSON).status_code == 401
        assert client.post(path, content=b"{", headers=good).status_code == 422
        assert client.post(path, content=b'{"limit": 0}', headers=good).status_code == 422
        host.answers["search_memories"] = InvalidRequest("no")
        assert client.post(path, content=b"{}", headers=good).status_code == 400
        host.forbidden = {"read"}
        assert client.post(path, content=b"{", headers=good).status_code == 403


async def test_nothing_of_a_strangers_body_is_asked_for() -> None:
    """Neither without credentials, nor with wrong ones, nor without the role."""
    host = FakeHost(token="tok")
    for headers, forbidden, status in (
        ([], set(), 401),
        ([(b"authorization", b"Bearer no")], set(), 401),
        ([(b"authorization", b"Bearer tok")], {"write"}, 403),
    ):
        host.forbidden = forbidden
        asked: list[None] = []
        sent: list[Any] = []

        async def receive(asked: list[None] = asked) -> Any:
            asked.append(None)
            return {"type": "http.request", "body": b" " * 1000, "more_body": True}

        async def send(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message)

        path = "/v1/long-term-memory/"
        scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
        await RestApp(cast("Any", host))({**scope, "headers": headers, "client": None}, receive, send)  # type: ignore[arg-type]
        assert sent[0]["status"] == status
        assert not asked


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidRequest("why"), 400),
        (NotFound("why"), 404),
        (Conflict("why"), 409),
        (StoreUnavailable("why"), 503),
    ],
)
def test_error_of_the_operation_is_told(
    host: FakeHost, client: TestClient[Litestar], error: Exception, status: int
) -> None:
    host.answers["get_memory"] = error
    answer = client.get("/v1/long-term-memory/m")
    assert (answer.status_code, answer.json()["detail"]) == (status, "why")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("error", [RuntimeError("secret"), PluginFailure("secret")])
def test_unexpected_failure_is_500_without_internals(
    host: FakeHost, client: TestClient[Litestar], error: Exception
) -> None:
    host.answers["get_memory"] = error
    answer = client.get("/v1/long-term-memory/m")
    assert (answer.status_code, answer.json()["detail"]) == (500, "Internal Server Error")
    assert "secret" not in answer.text


def test_problem_from_the_operation_is_placed(host: FakeHost, client: TestClient[Litestar]) -> None:
    problems = [Problem(where=("memories", 0, "text"), message="m"), Problem(message="m")]
    host.answers["create_memories"] = ValidationFailed(problems)
    answer = client.post("/v1/long-term-memory/", json={"memories": []})
    assert [item["loc"] for item in answer.json()["detail"]] == [
        ["body", "memories", 0, "text"],
        ["body"],
    ]
    host.answers["list_sessions"] = ValidationFailed([Problem(where=("limit",), message="m")])
    answer = client.get("/v1/working-memory/")
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["query", "limit"])


def test_notices_become_headers(host: FakeHost, client: TestClient[Litestar]) -> None:
    def answer(call: Call, _request: Any) -> Ack:
        call.notices += [("deprecation", "send created_at"), ("strategy", "bad\r\nx-evil: 1 \u2013")]
        return Ack()

    host.answers["get_memory"] = answer
    found = client.get("/v1/long-term-memory/m").headers
    assert found["x-deprecation-warning"] == "send created_at"
    assert found["x-memhost-notice"] == "strategy: bad x-evil: 1"
    assert "x-evil" not in found


@pytest.mark.parametrize(
    ("given", "kept"),
    [("req-1.2:3", True), ("x" * 129, False), ("a b", False), ("", False), ("<s>", False)],
)
def test_sane_request_id_is_kept(host: FakeHost, client: TestClient[Litestar], given: str, kept: bool) -> None:
    answer = client.get("/v1/long-term-memory/m", headers={"x-request-id": given})
    found = answer.headers["x-request-id"]
    assert (found == given) is kept
    assert found == host.calls[-1].request_id


def test_times_in_answers_end_in_z(host: FakeHost, client: TestClient[Litestar]) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    host.answers["get_memory"] = Message(role="user", content="c", id="i", created_at=moment)
    found = client.get("/v1/long-term-memory/m").json()
    assert found["created_at"] == "2026-01-02T03:04:05.000006Z"


def test_access_log_names_the_operation_but_no_ids_or_texts(
    host: FakeHost, client: TestClient[Litestar], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="memhost_rest.access"):
        client.put("/v1/working-memory/private", json={"context": "whispered"})
        client.get("/v1/health")
    (record,) = [item for item in caplog.records if item.name == "memhost_rest.access"]
    fields = record.__dict__["fields"]
    assert (fields["operation"], fields["status"], fields["subject"]) == (
        "put_session",
        200,
        "tester",
    )
    assert "private" not in str(record.__dict__)
    assert "whispered" not in str(record.__dict__)


def test_router_refuses_the_same_route_twice() -> None:
    row = Route(verb="GET", path="/v1/x/{a}", operation="health")
    with pytest.raises(ValueError, match="Two routes"):
        Router([(row, 1), (Route(verb="GET", path="/v1/x/{b}/", operation="ready"), 2)])
