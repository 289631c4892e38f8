"""One real server with every kind of broken plugin: it serves everybody else, and names each of them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from memhost.testing.server import ServerProcess
from tests.support import breakages
from tests.support.breakages import AT_START, VERSION, WHILE_RUNNING

KINDS = {name: kind.code for name, kind in AT_START.items()} | WHILE_RUNNING


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("packages")
    breakages.write(folder, KINDS)
    found = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    environment = {"PYTHONPATH": found, "STORE": "memory", "PLUGIN_START_S": "5", "MAX_BODY_BYTES": "100000"}
    environment["EXTRACTION_DEBOUNCE_SECONDS"] = "0"
    with ServerProcess(tmp_path_factory.mktemp("data"), environment=environment) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def rows(client: httpx.Client) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in client.get("/v1/plugins").json()["plugins"]}


def health(client: httpx.Client, kind: str) -> dict[str, Any]:
    return dict(client.get(f"/v1/plugins/broken-{kind}").json()["health"])


def test_there_are_many_kinds() -> None:
    assert len(AT_START) + len(WHILE_RUNNING) >= 60


@pytest.mark.parametrize("kind", AT_START)
def test_what_is_broken_at_the_start_is_left_out_and_named(
    kind: str, rows: dict[str, dict[str, Any]], server: ServerProcess
) -> None:
    row = rows[f"broken-{kind}"]
    assert (row["status"], row["distribution"], row["version"]) == ("failed", f"broken-{kind}", VERSION)
    for words in AT_START[kind].told:
        assert words in row["error"]
    told = f"plugin.failed plugin=broken-{kind} distribution=broken-{kind} version={VERSION} error="
    assert told in server.log


@pytest.mark.parametrize("kind", WHILE_RUNNING)
def test_what_breaks_later_is_there(kind: str, rows: dict[str, dict[str, Any]]) -> None:
    assert rows[f"broken-{kind}"]["error"] is None


def test_everybody_else_is_served(client: httpx.Client, rows: dict[str, dict[str, Any]]) -> None:
    assert client.get("/v1/health").json().keys() == {"now"}
    assert client.get("/v1/ready").status_code == 200
    assert (
        client.post("/v1/long-term-memory/", json={"memories": [{"id": "a", "text": "blue boat"}]}).status_code == 200
    )
    found = client.post("/v1/long-term-memory/search", json={"text": "boat"}).json()
    assert [hit["id"] for hit in found["memories"]] == ["a"]
    assert {row["status"] for row in rows.values() if row["distribution"] == "memhost"} == {"ok"}


@pytest.mark.parametrize(
    ("verb", "path", "status", "code", "words"),
    [
        ("GET", "/broken/raises", 500, "internal", "ValueError: route is broken at broken_routes.py:"),
        ("GET", "/broken/exits", 500, "internal", "SystemExit"),
        ("GET", "/broken/raw", 500, "internal", "LookupError: raw application at broken_routes.py:"),
        ("GET", "/broken/known", 404, "not_found", ""),
        ("POST", "/broken/body", 400, "invalid_request", ""),
        ("GET", "/broken/well", 200, "", ""),
    ],
)
def test_routes_are_answered_logged_and_counted_as_our_own(
    client: httpx.Client, server: ServerProcess, verb: str, path: str, status: int, code: str, words: str
) -> None:
    before = health(client, "routes")
    answer = client.request(verb, path, headers={"x-request-id": f"asked{path}"}, content=b"{")
    assert (answer.status_code, answer.headers["x-request-id"]) == (status, f"asked{path}")
    if code:
        assert (answer.json()["code"], answer.json()["request_id"]) == (code, f"asked{path}")
        assert "broken" not in answer.json()["detail"]
    after = health(client, "routes")
    assert after["calls"] == before["calls"] + 1
    assert after["failures"] == before["failures"] + (status == 500)
    done = [line for line in server.log.splitlines() if "request.done" in line and f"request_id=asked{path}" in line]
    assert len(done) == 1
    assert f"plugin=broken-routes distribution=broken-routes version={VERSION} method={verb} route={path}" in done[0]
    if words:
        assert words in after["last_error"]
        assert any("request.failed plugin=broken-routes" in line and words in line for line in server.log.splitlines())


def test_a_body_that_is_too_large_is_refused(client: httpx.Client) -> None:
    answer = client.post("/broken/body", json={"a": "x" * 200_000})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_middleware_that_fails_is_answered_for_and_then_passed_by(client: httpx.Client, server: ServerProcess) -> None:
    statuses = [client.get("/v1/health", headers={"x-break": "middleware"}) for _ in range(6)]
    assert [answer.status_code for answer in statuses] == [500] * 5 + [200]
    assert statuses[0].json().keys() == {"detail", "code", "request_id"}
    known = health(client, "middleware")
    assert known["failures"] == 5
    assert known["last_error"].startswith("middleware: ValueError: middleware is broken at broken_middleware.py:")
    assert known["suspended_until"] is not None
    row = next(row for row in client.get("/v1/plugins").json()["plugins"] if row["name"] == "broken-middleware")
    assert row["status"] == "failing"
    assert "middleware.failed hook=middleware plugin=broken-middleware" in server.log


@pytest.mark.parametrize(("name", "words"), [("broken_fails", "KeyError"), ("broken_exits", "SystemExit")])
def test_operations_that_fail_name_their_plugin(
    client: httpx.Client, server: ServerProcess, name: str, words: str
) -> None:
    before = health(client, "operation")
    answer = client.post(f"/v1/operations/{name}", json={})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    after = health(client, "operation")
    assert after["failures"] == before["failures"] + 1
    assert after["last_error"].startswith(f"{name}: {words} at broken_operation.py:")
    told = f"operation.failed operation={name} request_id={answer.json()['request_id']} plugin=broken-operation"
    assert told in server.log


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("secret sorrow", "ValueError: broken rerank of … at broken_hook.py:"),
        ("junk", "must return a list of MemoryHit, not str"),
        ("exit", "SystemExit"),
    ],
)
def test_hooks_that_fail_say_why(client: httpx.Client, text: str, words: str) -> None:
    assert client.post("/v1/long-term-memory/", json={"memories": [{"id": "h", "text": text}]}).status_code == 200
    found = client.post("/v1/long-term-memory/search", json={"text": text}).json()
    assert [hit["id"] for hit in found["memories"]].count("h") == 1
    assert words in health(client, "hook")["last_error"]


def test_hits_that_come_twice_are_told_once(client: httpx.Client, server: ServerProcess) -> None:
    for _ in range(3):
        assert client.post("/v1/long-term-memory/search", json={"text": "double"}).status_code == 200
    told = [line for line in server.log.splitlines() if "hook.corrected" in line and "plugin=broken-hook" in line]
    assert len(told) == 1
    assert "returned a memory more than once" in told[0]


def test_an_extractor_that_fails_is_blamed_instead_of_the_pipeline(client: httpx.Client, server: ServerProcess) -> None:
    session = {
        "messages": [{"role": "user", "content": "I live in Kiel."}],
        "long_term_memory_strategy": {"strategy": "broken-notes"},
    }
    assert client.put("/v1/working-memory/noted", json=session).status_code == 200
    deadline = time.monotonic() + 15
    while not health(client, "extractor")["failures"] and time.monotonic() < deadline:
        time.sleep(0.05)
    found = health(client, "extractor")
    assert found["failures"] >= 1
    assert "TypeError: notes are broken at broken_extractor.py:" in found["last_error"]
    pipeline = client.get("/v1/plugins/pipeline-extraction").json()["health"]
    assert pipeline["last_error"] is None
    told = [line for line in server.log.splitlines() if "job.failed" in line]
    assert any("plugin=broken-extractor distribution=broken-extractor" in line for line in told)
