"""Any input over REST gives a clear error or a correct write, never a 500."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from memhost.testing.server import ServerProcess

SESSION = "/v1/working-memory/bad-input"
CREATE = "/v1/long-term-memory/"
SEARCH = "/v1/long-term-memory/search"
PROMPT = "/v1/memory/prompt"


@pytest.fixture(scope="module")
def server(any_server: ServerProcess) -> ServerProcess:
    return any_server


def message(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "hi", "created_at": "2024-01-01T00:00:00Z"} | fields]}


BODIES: list[tuple[str, str, Any]] = [
    ("PUT", SESSION, []),
    ("PUT", SESSION, "text"),
    ("PUT", SESSION, None),
    ("PUT", SESSION, {"messages": None}),
    ("PUT", SESSION, {"messages": {}}),
    ("PUT", SESSION, {"messages": ["x"]}),
    ("PUT", SESSION, {"tokens": "many"}),
    ("PUT", SESSION, {"tokens": 10**30}),
    ("PUT", SESSION, {"ttl_seconds": 1.5}),
    ("PUT", SESSION, {"data": []}),
    ("PUT", SESSION, {"long_term_memory_strategy": None}),
    ("PUT", SESSION, {"long_term_memory_strategy": {"strategy": "no such"}}),
    ("PUT", SESSION, {"memories": [{"text": "   "}]}),
    ("PUT", SESSION, {"memories": [{"text": "x", "id": ""}]}),
    ("PUT", SESSION, {"memories": [{"text": "x", "topics": ["a,b"]}]}),
    ("PUT", SESSION, message(content=7)),
    ("PUT", SESSION, message(id=None)),
    ("PUT", SESSION, message(created_at=None)),
    ("PUT", SESSION, message(created_at="yesterday")),
    ("PUT", SESSION, message(created_at="2024-13-41T99:00:00Z")),
    ("PUT", SESSION, message(created_at="9999999999999999999999")),
    ("PUT", SESSION, message(created_at=-1e300)),
    ("PUT", SESSION, message(created_at=True)),
    ("PUT", SESSION, message(created_at="99999-01-01T00:00:00Z")),
    ("PUT", SESSION, message(discrete_memory_extracted="maybe")),
    ("POST", CREATE, {}),
    ("POST", CREATE, {"memories": [{"id": "a"}]}),
    ("POST", CREATE, {"memories": [{"text": "a"}]}),
    ("POST", CREATE, {"memories": [{"id": "", "text": "a"}]}),
    ("POST", CREATE, {"memories": [{"id": 5, "text": "a"}]}),
    ("POST", CREATE, {"memories": [{"id": "a", "text": "a", "access_count": -1}]}),
    ("POST", CREATE, {"memories": [{"id": "a", "text": "a", "memory_type": "odd"}]}),
    ("POST", CREATE, {"memories": [{"id": "a", "text": "a", "metadata": []}]}),
    ("POST", CREATE, {"memories": [{"id": "a", "text": "a", "event_date": "0000-00-00"}]}),
    ("POST", SEARCH, {"limit": 0}),
    ("POST", SEARCH, {"limit": 101}),
    ("POST", SEARCH, {"offset": -1}),
    ("POST", SEARCH, {"offset": 10**19}),
    ("POST", SEARCH, {"user_id": "bare"}),
    ("POST", SEARCH, {"user_id": {}}),
    ("POST", SEARCH, {"user_id": {"eq": "a", "ne": "b"}}),
    ("POST", SEARCH, {"topics": {"any": []}}),
    ("POST", SEARCH, {"topics": {"any": ["a"], "all": ["b"]}}),
    ("POST", SEARCH, {"topics": {"startswith": ""}}),
    ("POST", SEARCH, {"memory_type": {"eq": "odd"}}),
    ("POST", SEARCH, {"created_at": {"between": ["2024-01-01T00:00:00Z"]}}),
    ("POST", SEARCH, {"created_at": {"gte": "x"}}),
    ("POST", SEARCH, {"created_at": {"gte": "2024-01-01", "inclusive": "never"}}),
    ("POST", SEARCH, {"text": "x", "text_scorer": "BEST"}),
    ("POST", SEARCH, {"text": "x", "distance_threshold": -1}),
    ("POST", SEARCH, {"text": "x", "search_mode": "magic"}),
    ("POST", SEARCH, {"text": "x", "search_mode": "hybrid", "distance_threshold": 0.1}),
    ("POST", SEARCH, {"text": "x", "hybrid_alpha": 7}),
    ("POST", SEARCH, {"metadata": {"k": {}}}),
    ("POST", PROMPT, {}),
    ("POST", PROMPT, {"query": "x"}),
    ("POST", PROMPT, {"query": "x", "session": {}}),
    ("POST", PROMPT, {"query": "x", "long_term_search": "yes please"}),
    ("PATCH", "/v1/long-term-memory/none", {}),
    ("PATCH", "/v1/long-term-memory/none", {"topics": ["a,b"]}),
]


@pytest.mark.parametrize(("verb", "path", "body"), BODIES, ids=[f"{verb} {str(body)[:60]}" for verb, _, body in BODIES])
async def test_wrong_body_gets_the_contracts_error(http: httpx.AsyncClient, verb: str, path: str, body: Any) -> None:
    answer = await http.request(verb, path, json=body)
    assert answer.status_code in (400, 404, 422), answer.text
    detail = answer.json()["detail"]
    if answer.status_code == 422:
        assert detail
        assert all({"type", "loc", "msg"} <= set(item) for item in detail)
    else:
        assert isinstance(detail, str)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"messages": [}',
        b'{"context": "\xff\xfe"}',
        b'{"context": "\\ud800"}',
        b'{"context": NaN}',
        b"[" * 50_000,
        b'{"data": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}",
    ],
    ids=["empty", "cut off", "bad list", "not utf-8", "lone surrogate", "NaN", "deep list", "deep object"],
)
async def test_broken_json_is_unprocessable(http: httpx.AsyncClient, raw: bytes) -> None:
    answer = await http.put(SESSION, content=raw, headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"][0]["loc"][0] == "body"


async def test_ten_megabytes_are_stored_or_refused(http: httpx.AsyncClient) -> None:
    body = {"context": "x" * 900_000}
    answer = await http.put("/v1/working-memory/large", json=body)
    assert answer.status_code == 200
    stored = await http.get("/v1/working-memory/large")
    assert stored.json()["context"] == body["context"]
    answer = await http.put("/v1/working-memory/larger", content=b'{"context": "' + b"x" * 40_000_000 + b'"}')
    assert answer.status_code == 413
    assert isinstance(answer.json()["detail"], str)


async def test_server_is_still_well(http: httpx.AsyncClient) -> None:
    assert (await http.get("/v1/ready")).json()["ready"] is True
    assert json.loads((await http.get("/openapi.json")).text)["openapi"].startswith("3.1")
    assert "put_session" in (await http.get("/docs")).text
