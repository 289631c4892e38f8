"""The transport rules on a real server: routing, headers, statuses, times, logs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from memhost.testing.polling import until
from memhost.testing.server import ServerProcess

SECRETS = ("Zanzibar-hideout", "quokka-topic", "query-words-of-mine", "context-of-mine", "data-of-mine")
DATETIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
LOOKS_LIKE_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")


@pytest.fixture(scope="module")
def server(any_server: ServerProcess) -> ServerProcess:
    return any_server


def strings_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings_in(inner)


async def exercise(http: httpx.AsyncClient, name: str) -> list[httpx.Response]:
    """One call of every kind, with texts that must not be seen in logs."""
    text, topic, query, context, data = SECRETS
    session = {
        "user_id": name,
        "messages": [{"role": "user", "content": text, "id": f"{name}-m", "created_at": "2025-01-01T12:00:00+05:00"}],
        "context": context,
        "data": {"x": data},
    }
    record = {"id": f"{name}-r", "text": f"{text} again", "user_id": name, "topics": [topic], "event_date": 1735732800}
    search = {"text": query, "user_id": {"eq": name}, "topics": {"any": [topic]}}
    prompt = {"query": query, "session": {"session_id": name, "user_id": name}, "long_term_search": True}
    return [
        await http.put(f"/v1/working-memory/{name}", json=session),
        await http.get(f"/v1/working-memory/{name}"),
        await http.get("/v1/working-memory/", params={"user_id": name}),
        await http.post("/v1/long-term-memory/", json={"memories": [record]}),
        await http.get(f"/v1/long-term-memory/{name}-r"),
        await http.patch(f"/v1/long-term-memory/{name}-r", json={"text": f"{text} edited"}),
        await http.post("/v1/long-term-memory/search", json=search),
        await http.post("/v1/memory/prompt", json=prompt),
        await http.get("/v1/jobs"),
        await http.get("/v1/health"),
        await http.get("/v1/ready"),
        await http.delete("/v1/long-term-memory", params={"memory_ids": f"{name}-r"}),
        await http.delete(f"/v1/working-memory/{name}"),
    ]


async def test_every_success_is_200_with_json_and_no_caching_headers(http: httpx.AsyncClient, fresh: str) -> None:
    for answer in await exercise(http, fresh):
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        assert isinstance(answer.json(), dict)
        absent = {"etag", "last-modified", "link", "location", "access-control-allow-origin", "retry-after"}
        assert absent.isdisjoint(answer.headers)
        assert not [name for name in answer.headers if "ratelimit" in name]


async def test_times_are_utc_and_end_in_z(http: httpx.AsyncClient, fresh: str) -> None:
    found = []
    for answer in await exercise(http, fresh):
        found += [text for text in strings_in(answer.json()) if LOOKS_LIKE_TIME.match(text)]
    assert len(found) > 10
    assert [text for text in found if not DATETIME.fullmatch(text)] == []
    assert "2025-01-01T07:00:00Z" in found
    assert "2025-01-01T12:00:00Z" in found


async def test_log_has_ids_and_never_texts(server: ServerProcess, http: httpx.AsyncClient, fresh: str) -> None:
    http.headers["x-request-id"] = f"log-{fresh}"
    await exercise(http, fresh)
    refused = await http.post(
        "/v1/long-term-memory/", json={"memories": [{"id": "a", "text": SECRETS[0], "topics": 5}]}
    )
    assert refused.status_code == 422
    await http.put("/v1/working-memory/log", json={"messages": [{"role": "user", "content": " ", "id": "blank"}]})

    async def written() -> bool:
        return server.log.count(f"request_id=log-{fresh}") >= 13

    await until(written, limit_s=5)
    log = server.log
    assert [secret for secret in SECRETS if secret in log] == []
    lines = [line for line in log.splitlines() if f"request_id=log-{fresh}" in line]
    put = next(line for line in lines if "operation=put_session" in line)
    for field in ("request.done", "method=PUT", "route=/v1/working-memory/{session_id}", "status=200", "duration_ms="):
        assert field in put
    assert any("status=422" in line and "code=invalid_arguments" in line for line in lines)
    assert not [line for line in lines if "operation=health" in line]


def test_log_lines_are_json_objects_on_request(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, environment={"STORE": "memory", "LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG"}) as server:
        body = {"messages": [{"role": "user", "content": SECRETS[0]}], "context": SECRETS[3]}
        httpx.put(f"{server.url}/v1/working-memory/s", json=body, headers={"x-request-id": "one"})
        httpx.post(f"{server.url}/v1/long-term-memory/search", json={"text": SECRETS[2]})
        httpx.get(f"{server.url}/v1/health", headers={"authorization": "Bearer very-secret-token-1234"})
        server.stop()
        log = server.log
    lines = [json.loads(line) for line in log.splitlines()]
    assert any(line["event"] == "request.done" and line.get("request_id") == "one" for line in lines)
    assert all({"time", "level", "logger", "event"} <= set(line) for line in lines)
    assert [secret for secret in (*SECRETS, "very-secret-token-1234") if secret in log] == []


@pytest.mark.parametrize(
    ("given", "echoed"),
    [("abc-123", True), ("A" * 128, True), ("A" * 129, False), ("two words", False), ("a\tb", False), ("", False)],
)
async def test_request_ids_are_echoed_if_they_are_fit_for_logs(
    http: httpx.AsyncClient, given: str, echoed: bool
) -> None:
    for path in ("/v1/health", "/v1/nowhere", "/v1/long-term-memory/nothing", "/openapi.json"):
        answer = await http.get(path, headers={"x-request-id": given})
        if path == "/openapi.json":
            assert answer.headers["x-request-id"]
            continue
        assert (answer.headers["x-request-id"] == given) is echoed
    missing = await http.get("/v1/long-term-memory/nothing", headers={"x-request-id": given})
    assert missing.json()["request_id"] == missing.headers["x-request-id"]


async def test_ids_made_by_the_server_differ(http: httpx.AsyncClient) -> None:
    ids = {(await http.get("/v1/health")).headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v2/health", "/v1/nowhere", "/v1/health/more", "/v1//health"])
async def test_unknown_path_is_404_with_detail(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path)
    assert answer.status_code == 404
    assert answer.json() == {"detail": "Not Found"}


@pytest.mark.parametrize(
    ("verb", "path", "allow"),
    [
        ("POST", "/v1/health", "GET"),
        ("HEAD", "/v1/health", "GET"),
        ("OPTIONS", "/v1/working-memory/", "GET"),
        ("POST", "/v1/working-memory/s", "DELETE, GET, PATCH, PUT"),
        ("GET", "/v1/long-term-memory/", "DELETE, POST"),
        ("PUT", "/v1/long-term-memory/id", "GET, PATCH"),
        ("GET", "/v1/memory/prompt", "POST"),
    ],
)
async def test_wrong_verb_is_405_with_allow(http: httpx.AsyncClient, verb: str, path: str, allow: str) -> None:
    answer = await http.request(verb, path)
    assert answer.status_code == 405
    assert answer.headers["allow"] == allow
    verbs = " or ".join(allow.rsplit(", ", 1))
    assert verb == "HEAD" or answer.json() == {"detail": f"Method Not Allowed: use {verbs} on this path."}


async def test_fixed_words_have_only_their_verb(http: httpx.AsyncClient) -> None:
    for verb in ("GET", "PATCH"):
        answer = await http.request(verb, "/v1/long-term-memory/search", json={"text": "x"})
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert (await http.delete("/v1/long-term-memory/search")).status_code == 405


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("GET", "/v1/health", None),
        ("GET", "/v1/working-memory", None),
        ("PUT", "/v1/working-memory/spelling", {}),
        ("GET", "/v1/working-memory/spelling", None),
        ("DELETE", "/v1/working-memory/spelling", None),
        ("POST", "/v1/long-term-memory", {"memories": []}),
        ("POST", "/v1/long-term-memory/search", {}),
        ("DELETE", "/v1/long-term-memory", None),
        ("POST", "/v1/memory/prompt", {"query": "x", "long_term_search": True}),
    ],
)
async def test_both_spellings_answer_directly(http: httpx.AsyncClient, verb: str, path: str, body: Any) -> None:
    for spelling in (path, path + "/"):
        await http.put("/v1/working-memory/spelling", json={})
        answer = await http.request(verb, spelling, json=body)
        assert answer.status_code == 200, (spelling, answer.text)


@pytest.mark.parametrize(
    "session", ["a/b", "ü ß", "100%", "q?x=1#f", "..", "a+b", "日本語", "\U0001f600", "a\\b", ";,"]
)
async def test_any_id_can_stand_in_a_path(http: httpx.AsyncClient, session: str, fresh: str) -> None:
    path = "/v1/working-memory/" + "".join(f"%{byte:02X}" for byte in session.encode())
    owner = {"user_id": f"{fresh}-{session}"}
    stored = await http.put(path, json=owner)
    assert stored.status_code == 200, stored.text
    assert stored.json()["session_id"] == session
    assert (await http.get(path, params=owner)).json()["session_id"] == session
    assert (await http.delete(path, params=owner)).json() == {"status": "ok"}
    assert (await http.get(path, params=owner)).status_code == 404


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON", 200),
        ("application/vnd.api+json", 200),
        ("text/plain", 422),
        ("application/x-www-form-urlencoded", 422),
        (None, 422),
    ],
)
async def test_bodies_are_json_by_their_content_type(
    http: httpx.AsyncClient, content_type: str | None, status: int
) -> None:
    headers = {"content-type": content_type} if content_type else {}
    answer = await http.post("/v1/long-term-memory/search", content=b"{}", headers=headers)
    assert answer.status_code == status, answer.text


async def test_query_is_read_leniently(http: httpx.AsyncClient) -> None:
    async def status(query: str) -> int:
        return (await http.get(f"/v1/working-memory/?{query}")).status_code

    assert await status("limit=5.0&offset=0&unknown=1&namespace=") == 200
    assert await status("limit=0&limit=5") == 200
    assert await status("limit=5&limit=0") == 422
    assert await status("limit=") == 422
    assert await status("limit=1.5") == 422
    assert await status("user_id=%FF") == 422


async def test_deprecation_header_is_set_only_for_messages_without_time(http: httpx.AsyncClient, fresh: str) -> None:
    timeless = {"messages": [{"role": "user", "content": "x"}]}
    answer = await http.put(f"/v1/working-memory/{fresh}", json=timeless)
    assert answer.headers["x-deprecation-warning"]
    timed = {"messages": [{"role": "user", "content": "x", "created_at": "2025-01-01T00:00:00Z"}]}
    answer = await http.put(f"/v1/working-memory/{fresh}", json=timed)
    assert "x-deprecation-warning" not in answer.headers


async def test_schema_pages_are_there(http: httpx.AsyncClient) -> None:
    for path in ("/openapi.json", "/docs", "/redoc"):
        assert (await http.get(path)).status_code == 200


def test_unusable_credentials_get_401_before_field_validation(tmp_path: Path) -> None:
    """With the provider `none` everybody is let in, whatever they show."""
    with ServerProcess(tmp_path, environment={"STORE": "memory"}) as server, httpx.Client(base_url=server.url) as http:
        for header in ({"authorization": "Bearer x"}, {"authorization": "Basic %%%"}, {"x-api-key": "k"}, {}):
            assert http.get("/v1/working-memory/", headers=header).status_code == 200


def test_store_that_breaks_is_503_and_never_an_empty_answer(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, environment={"STORE": "sqlite"}) as server, httpx.Client(base_url=server.url) as http:
        assert http.get("/v1/ready").status_code == 200
        http.post("/v1/long-term-memory/", json={"memories": [{"id": "a", "text": "kept"}]})
        for file in tmp_path.glob("memhost.db*"):
            if not file.name.endswith("-shm"):
                file.write_bytes(b"x" * file.stat().st_size)
        ready = http.get("/v1/ready")
        assert ready.status_code == 503
        assert ready.json()["ready"] is False
        assert ready.json()["components"][0]["ok"] is False
        for verb, path, body in (
            ("GET", "/v1/working-memory/", None),
            ("GET", "/v1/working-memory/s", None),
            ("PUT", "/v1/working-memory/s", {}),
            ("GET", "/v1/long-term-memory/a", None),
            ("POST", "/v1/long-term-memory/search", {"text": "x"}),
            ("POST", "/v1/long-term-memory/", {"memories": [{"id": "b", "text": "lost?"}]}),
        ):
            answer = http.request(verb, path, json=body)
            assert answer.status_code == 503, (path, answer.text)
            assert isinstance(answer.json()["detail"], str)
        assert http.get("/v1/health").status_code == 200
        assert server.process.poll() is None
