"""Unknown names in requests: reported where clients of Agent Memory Server send them, refused everywhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from memhost.http.app import build_app
from memhost.operations.ams_compat import IGNORED_PARAMETERS
from memhost.reading.unknown import meant_by
from memhost_rest.routes import ROUTES, Route, is_strict
from tests.plugins.interfaces.rest.rest_fakes import FakeHost, client_for
from tests.support.hosts import running_host

ADMIN_TOKEN = "a-token-of-the-tests-0123456789abcdef"
MEMORY = "/v1/long-term-memory"
SEARCH = f"{MEMORY}/search"


@asynccontextmanager
async def served(folder: Path, **settings: str) -> AsyncIterator[httpx.AsyncClient]:
    """A server without a socket."""
    async with running_host(folder, store="memory", settings=settings, run_jobs=False) as host:
        app: Any = build_app(host)
        headers = {"authorization": f"Bearer {ADMIN_TOKEN}"}
        transport = httpx.ASGITransport(app)
        async with (
            app.lifespan(),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as http,
        ):
            yield http


async def add(http: httpx.AsyncClient, *records: dict[str, Any]) -> None:
    answer = await http.post(f"{MEMORY}/", json={"memories": list(records)})
    assert answer.status_code == 200


def told(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.headers.get("x-memhost-notice", ""))


def refused(answer: httpx.Response) -> dict[str, str]:
    """What is said of each unknown name."""
    assert answer.status_code == 422, answer.text
    return {".".join(map(str, each["loc"])): each["msg"] for each in answer.json()["detail"]}


# -- what is told ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"text": "x", "userId": {"eq": "alice"}}, ["userId (did you mean user_id?)"]),
        ({"text": "x", "user": {"eq": "alice"}}, ["user (did you mean user_id?)"]),
        ({"text": "x", "UserID": {"eq": "alice"}}, ["UserID (did you mean user_id?)"]),
        ({"text": "x", "sesion_id": {"eq": "s"}}, ["sesion_id (did you mean session_id?)"]),
        ({"text": "x", "agent_id": {"eq": "a"}}, ["agent_id (did you mean namespace?)"]),
        ({"text": "x", "tags": {"any": ["a"]}}, ["tags (did you mean topics?)"]),
        ({"text": "x", "updated_at": {"gte": "2030-01-01"}}, ["updated_at (did you mean created_at?)"]),
        ({"text": "x", "filters": {}, "filter": {}}, ["filters", "filter"]),
        ({"text": "x", "pinned": True}, ["pinned"]),
        ({"query": "x"}, ["query (did you mean text?)"]),
        ({"text": "x", "top_k": 3}, ["top_k (did you mean limit?)"]),
        ({"text": "x", "optimize_query": True}, ["optimize_query (did you mean optimize_query in the query?)"]),
        ({"text": "x", "user_id": {"eq": "a", "contains": "z"}}, ["user_id.contains (did you mean any?)"]),
        ({"created_at": {"gte": "2030-01-01", "befor": "2031-01-01"}}, ["created_at.befor (did you mean lt?)"]),
        ({"metadata": {"p": {"eq": 1, "regex": "x"}}}, ["metadata.p.regex"]),
    ],
)
async def test_a_search_tells_what_it_ignored(body: dict[str, Any], names: list[str], tmp_path: Path) -> None:
    async with served(tmp_path) as http:
        found = told(await http.post(SEARCH, json=body))
        assert found == f"ignored: no such field or parameter: {', '.join(names)}."
    async with served(tmp_path / "strict", STRICT_REQUESTS="true") as http:
        answer = refused(await http.post(SEARCH, json=body))
        assert [name.removeprefix("body.") for name in answer] == [name.split(" ")[0] for name in names]


async def test_what_is_known_is_not_told(tmp_path: Path) -> None:
    async with served(tmp_path, STRICT_REQUESTS="true") as http:
        await add(http, {"id": "m", "text": "Likes tea", "user_id": "ann"})
        body = {"text": "tea", "user_id": {"eq": "ann", "field": "user_id", "enum_class": None}, "limit": "5"}
        hit = (await http.post(SEARCH, json=body)).json()["memories"][0]
        assert told(await http.post(f"{MEMORY}/", json={"memories": [hit]})) == ""
        session = "/v1/working-memory/s"
        put = await http.put(session, params={"user_id": "x", "background": "true"}, json={"messages": []})
        assert told(put) == ""
        assert told(await http.put(session, json={**put.json(), "memories": [hit]})) == ""
        assert told(await http.delete(MEMORY, params={"memory_ids": "m", "namespace": "n"})) == ""


async def test_long_lists_of_unknown_names_are_cut(tmp_path: Path) -> None:
    async with served(tmp_path) as http:
        body = {"text": "x", **{f"x{number}" * 300: 1 for number in range(5000)}}
        found = told(await http.post(SEARCH, json=body))
        assert "and 992 more" in found
        assert len(found) < 1500
        messages = [{"role": "user", "content": "hi", f"contnt{number}": 1} for number in range(2000)]
        found = told(await http.put("/v1/working-memory/s", json={"messages": messages}))
        assert "messages.0.contnt0" in found
        assert len(found) < 1500


# -- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("operator", ["exists", "contains", "regex", "gte ", "Eq_"])
@pytest.mark.parametrize("name", ["user_id", "memory_type", "created_at", "metadata"])
async def test_a_filter_without_a_known_operator_is_refused_by_name(name: str, operator: str, tmp_path: Path) -> None:
    async with served(tmp_path) as http:
        test: dict[str, Any] = {operator: "5"}
        answer = await http.post(SEARCH, json={"text": "x", name: {"p": test} if name == "metadata" else test})
        ((where, message),) = refused(answer).items()
        assert where.endswith(f".{operator}")
        assert f"no operator {operator}." in message
        assert "Known: " in message
        assert " eq" in message
        empty = await http.post(SEARCH, json={"text": "x", name: {"p": {}} if name == "metadata" else {}})
        ((_, message),) = refused(empty).items()
        assert "known operators: " in message
        assert "leave" not in message


def _routes(*, strict: bool) -> list[Route]:
    operations = {operation.name: operation for operation in FakeHost().operations}
    return [row for row in ROUTES if is_strict(operations[row.operation]) is strict]


@pytest.mark.parametrize("row", _routes(strict=True), ids=lambda row: f"{row.verb} {row.path}")
@pytest.mark.parametrize("place", ["query", "body"])
def test_what_deletes_or_is_no_call_of_agent_memory_server_refuses(row: Route, place: str) -> None:
    host = FakeHost()
    with client_for(host) as client:
        unknown: dict[str, Any] = {"params": {"zzz": "1"}} if place == "query" else {"json": {"zzz": "1"}}
        answer = client.request(row.verb, row.path.replace("{", "").replace("}", ""), **unknown)
        assert answer.status_code == 422
        assert [f"{place}", "zzz"] in [each["loc"] for each in answer.json()["detail"]]
        assert host.requests == []


@pytest.mark.parametrize("row", _routes(strict=False), ids=lambda row: f"{row.verb} {row.path}")
def test_what_official_clients_send_is_never_told(row: Route) -> None:
    host = FakeHost()
    with client_for(host) as client:
        path = row.path.replace("{", "").replace("}", "")
        extras = dict.fromkeys(IGNORED_PARAMETERS[row.operation], "1")
        answer = client.request(row.verb, path, params=extras, json={})
        assert "x-memhost-notice" not in answer.headers
        told_of = client.request(row.verb, path, params={"zzz": "1"})
        if told_of.status_code == 200:
            assert "zzz" in told_of.headers["x-memhost-notice"]


def test_deleting_and_granting_is_strict() -> None:
    operations = list(FakeHost().operations)
    assert {each.name for each in operations if each.access in ("delete", "admin")} <= {
        each.name for each in operations if is_strict(each)
    }
    assert is_strict(next(each for each in operations if each.name == "delete_memories"))


@pytest.mark.parametrize(
    ("request_", "meant"),
    [
        ({"description": "for anne", "user": "anne"}, {"user": "users"}),
        ({"description": "x", "namespace": "red"}, {"namespace": "namespaces"}),
        ({"description": "x", "expires_day": 1}, {"expires_day": "expires_days"}),
        ({"description": "x", "ttl": 1}, {"ttl": "expires_days"}),
        ({"description": "x", "tenant": "globex"}, {"tenant": ""}),
        ({"description": "x", "roles": ["reader"]}, {"roles": "role"}),
    ],
)
async def test_a_token_with_a_bound_that_is_not_understood_is_not_made(
    request_: dict[str, Any], meant: dict[str, str], tmp_path: Path
) -> None:
    async with served(tmp_path, AUTH="token", AUTH_TOKENS=ADMIN_TOKEN) as http:
        answer = refused(await http.post("/v1/operations/create_token", json=request_))
        assert answer.keys() == {f"body.{name}" for name in meant}
        for name, wanted in meant.items():
            assert (f"Did you mean {wanted}?" if wanted else "Known: ") in answer[f"body.{name}"]
        made = (await http.post("/v1/operations/list_tokens", json={})).json()
        assert made["tokens"] == []


async def test_a_delete_with_a_bound_that_is_not_understood_deletes_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as http:
        await add(
            http,
            {"id": "r", "text": "red", "user_id": "zz", "namespace": "red"},
            {"id": "b", "text": "blue", "user_id": "zz", "namespace": "blue"},
        )
        calls: list[tuple[str, str, Any, Any]] = [
            ("DELETE", "/v1/users/zz", {"namespace": ""}, None),
            ("DELETE", "/v1/users/zz", [("namespace", "red"), ("namespace", "blue")], None),
            ("DELETE", "/v1/working-memory/s", [("user_id", "zz"), ("user_id", "")], None),
            ("DELETE", "/v1/users/zz", {"namespaces": "red"}, None),
            ("DELETE", "/v1/users/zz", {}, {"namespace": "red"}),
            ("DELETE", MEMORY, {"memory_ids": "r", "user_id": "zz"}, None),
            ("POST", f"{MEMORY}/compact", {"user": "zz"}, None),
            ("POST", f"{MEMORY}/compact", {}, {"user_id": "zz"}),
            ("POST", f"{MEMORY}/forget", {"dry_run": "false", "usr_id": "zz"}, {"policy": {"budget": 0}}),
            ("POST", f"{MEMORY}/forget", {"dry_run": "false"}, {"policy": {"budget": 0}, "user_id": "zz"}),
            ("POST", f"{MEMORY}/forget", {"dry_run": "false"}, {"policy": {"budget": 0, "types": ["episodic"]}}),
            ("POST", f"{MEMORY}/forget", {"dry_run": "false"}, {"policy": {"budget": 0, "memory_type_allowlist": "x"}}),
        ]
        for verb, path, query, body in calls:
            assert refused(await http.request(verb, path, params=query, json=body)), (path, query, body)
        assert (await http.post(SEARCH, json={})).json()["total"] == 2
        assert (await http.request("DELETE", "/v1/users/zz", params={"namespace": "red"}, json={})).status_code == 200
        assert (await http.post(SEARCH, json={})).json()["total"] == 1
        named = await http.delete(MEMORY, params=[("memory_ids", "x,y"), ("memory_ids", "b"), ("memory_ids", "zz")])
        assert named.json() == {"status": "ok, deleted 1 memories"}
        notice = named.headers["x-memhost-notice"]
        assert notice == 'not_found: no memory has the id "x,y", "zz"; repeat the parameter for each id.'


@pytest.mark.parametrize(
    ("body", "taken"),
    [
        ('{"policy":{"budget":0},"policy":{"max_age_days":1}}', False),
        ('{"policy":{"budget":9,"budget":0}}', False),
        ('{"policy":{"budget":9,"\\u0062udget":9}}', False),
        ('{"policy":{"budget":9},"pinned_ids":["a","a"]}', True),
        ('{"policy":{"budget":9,"max_age_days":9},"pinned_ids":["budget","policy"]}', True),
        ('{"policy":{"budget":9,"max_age_days":9,"max_inactive_days":9}}', True),
        ('{"policy":{"memory_type_allowlist":["semantic","semantic"],"budget":9}}', True),
        (' {"policy" : {"budget":9} , "pinned_ids" : null } ', True),
        ('{"policy":{}}', True),
    ],
)
async def test_a_body_that_says_two_things_deletes_nothing(body: str, taken: bool, tmp_path: Path) -> None:
    async with served(tmp_path) as http:
        headers = {"content-type": "application/json"}
        answer = await http.post(f"{MEMORY}/forget", content=body, headers=headers)
        assert answer.status_code == (200 if taken else 422), answer.text
        assert taken or "twice" in answer.json()["detail"][0]["msg"]
        lenient = await http.post(SEARCH, content='{"text":"x","text":"y"}', headers=headers)
        assert lenient.status_code == 200


async def test_a_parameter_may_be_repeated_where_that_says_one_thing(tmp_path: Path) -> None:
    async with served(tmp_path) as http:
        same: Any = [("namespace", "red"), ("namespace", "red")]
        assert (await http.request("DELETE", "/v1/users/zz", params=same)).status_code == 200
        assert (await http.delete(MEMORY, params=[("memory_ids", "a"), ("memory_ids", "b")])).status_code == 200
        listed = await http.get("/v1/working-memory/", params=[("limit", "5"), ("limit", "6")])
        assert listed.status_code == 200


@pytest.mark.parametrize(
    ("key", "known", "meant"),
    [
        ("userId", {"user_id", "text"}, "user_id"),
        ("USER-ID", {"user_id", "text"}, "user_id"),
        ("namespaces", {"namespace", "user_id"}, "namespace"),
        ("befor", {"lt", "gt"}, "lt"),
        ("query", {"text", "query_text"}, "text"),
        ("Query", {"query", "text"}, "query"),
        ("query", {"limit"}, None),
        ("x" * 100_000, {"text"}, None),
        ("", {"text"}, None),
        ("mem", {"memory_ids", "memory_type"}, None),
        ("descr", {"description", "role"}, "description"),
    ],
)
def test_what_is_meant(key: str, known: set[str], meant: str | None) -> None:
    assert meant_by(key[:64], frozenset(known)) == meant
