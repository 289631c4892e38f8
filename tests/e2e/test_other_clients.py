"""Requests of the official JavaScript and Java clients, byte for byte."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest

from memhost.testing.polling import until
from memhost.testing.server import ServerProcess

JS = (
    "Connection: keep-alive\r\n"
    "Content-Type: application/json\r\n"
    "User-Agent: agent-memory-client-js/0.3.1\r\n"
    "X-Client-Version: 0.3.1\r\n"
    "{credentials}"
    "accept: */*\r\n"
    "accept-language: *\r\n"
    "sec-fetch-mode: cors\r\n"
    "accept-encoding: gzip, deflate\r\n"
)
JAVA = (
    "User-Agent: agent-memory-client-java/0.1.0\r\n"
    "X-Client-Version: 0.1.0\r\n"
    "{media}"
    "Connection: Keep-Alive\r\n"
    "Accept-Encoding: gzip\r\n"
)
MEDIA = "Content-Type: application/json; charset=utf-8\r\n"


class Wire:
    """Sends bytes and reads one answer."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = str(parts.hostname), int(parts.port or 80)

    async def send(self, line: str, headers: str, body: str | None) -> tuple[int, Any]:
        text = body.encode() if body is not None else b""
        length = f"Content-Length: {len(text)}\r\n" if body is not None else ""
        head = f"{line} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n{headers}{length}\r\n"
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(head.encode("ascii") + text)
            await writer.drain()
            answer = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").lower()
            size = int(answer.split("content-length: ", 1)[1].split("\r\n", 1)[0])
            return int(answer.split(" ", 2)[1]), json.loads(await reader.readexactly(size))
        finally:
            writer.close()
            await writer.wait_closed()

    async def js(self, line: str, body: str | None = None, credentials: str = "") -> tuple[int, Any]:
        return await self.send(line, JS.format(credentials=credentials), body)

    async def java(self, line: str, body: str | None = None) -> tuple[int, Any]:
        return await self.send(line, JAVA.format(media=MEDIA if body is not None else ""), body)


@pytest.fixture
def wire(server: ServerProcess) -> Wire:
    return Wire(server.url)


# -- JavaScript --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["working-memory", "long-term-memory", "summary-views", "tasks"])
async def test_js_getters_become_null_on_404(wire: Wire, path: str) -> None:
    status, answer = await wire.js(f"GET /v1/{path}/does%2Fnot%20exist?namespace=demo")
    assert (status, "not found" in answer["detail"]) == (404, True)


@pytest.mark.parametrize("credentials", ["X-API-Key: key\r\n", "Authorization: Bearer token\r\n"])
async def test_js_credentials_are_let_in(wire: Wire, credentials: str) -> None:
    assert (await wire.js("GET /v1/working-memory/", credentials=credentials))[0] == 200


async def test_js_session_without_user_and_with_an_encoded_id(wire: Wire, fresh: str) -> None:
    body = (
        f'{{"session_id":"{fresh}/1","messages":[{{"role":"user","content":"I like green tea"}}],'
        '"memories":[],"ttl_seconds":3600,"namespace":"demo"}'
    )
    line = f"PUT /v1/working-memory/{fresh}%2F1?model_name=gpt-4o&background=true"
    status, stored = await wire.js(line, body)
    assert (status, stored["session_id"], stored["namespace"]) == (200, f"{fresh}/1", "demo")
    assert (stored["user_id"], stored["ttl_seconds"]) == (None, 3600)
    status, found = await wire.js(f"GET /v1/working-memory/{fresh}%2F1?namespace=demo")
    assert (status, found["messages"]) == (200, stored["messages"])
    assert (await wire.js(f"DELETE /v1/working-memory/{fresh}%2F1?namespace=demo"))[1] == {"status": "ok"}


async def test_js_memories_are_created_searched_and_deleted(wire: Wire, fresh: str) -> None:
    body = f'{{"memories":[{{"id":"{fresh}:1","text":"User likes oolong","user_id":"{fresh}","topics":["tea"]}}]}}'
    assert await wire.js("POST /v1/long-term-memory/?namespace=demo", body) == (200, {"status": "ok"})
    search = (
        '{"text":"oolong","search_mode":"semantic","hybrid_alpha":0.7,"text_scorer":"BM25STD","limit":5,'
        f'"topics":{{"any":["tea"]}},"created_at":{{"gte":"2020-01-01T00:00:00.000Z"}},"user_id":{{"in_":["{fresh}"]}},'
        '"recency_boost":true,"recency_semantic_weight":null,"server_side_recency":null}'
    )
    status, found = await wire.js("POST /v1/long-term-memory/search", search)
    assert (status, [hit["id"] for hit in found["memories"]]) == (200, [f"{fresh}:1"])
    assert found["memories"][0]["namespace"] is None
    assert (await wire.js(f"GET /v1/long-term-memory/{fresh}%3A1?namespace=demo"))[1]["text"] == "User likes oolong"
    forget = '{"policy":{"budget":0},"pinned_ids":["nothing"]}'
    status, told = await wire.js(f"POST /v1/long-term-memory/forget?user_id={fresh}", forget)
    assert (status, told["deleted_ids"], told["dry_run"]) == (200, [f"{fresh}:1"], True)
    line = f"POST /v1/long-term-memory/forget?user_id={fresh}&limit=10&dry_run=false"
    status, done = await wire.js(line, '{"policy":{"budget":0}}')
    assert (status, done["deleted"], done["dry_run"]) == (200, 1, False)
    line = f"DELETE /v1/long-term-memory?memory_ids={fresh}%3A1&memory_ids=b+c&namespace=demo"
    assert (await wire.js(line))[1] == {"status": "ok, deleted 0 memories"}


async def test_js_prompt_with_a_boolean_search(wire: Wire, fresh: str) -> None:
    body = f'{{"query":"tea?","session":{{"session_id":"{fresh}"}},"long_term_search":true}}'
    status, prompt = await wire.js("POST /v1/memory/prompt", body)
    assert (status, prompt["messages"][-1]["content"]["text"]) == (200, "tea?")


async def _finished(wire: Wire, task_id: str) -> bool:
    return bool((await wire.js(f"GET /v1/tasks/{task_id}"))[1]["status"] == "success")


async def test_js_views_with_nulls_and_force(wire: Wire, fresh: str) -> None:
    body = (
        f'{{"name":"{fresh}","source":"long_term","group_by":["user_id"],"filters":null,'
        '"time_window_days":null,"continuous":null,"prompt":null,"model_name":null}'
    )
    status, view = await wire.js("POST /v1/summary-views", body)
    assert (status, view["filters"], view["continuous"], view["group_by"]) == (200, {}, False, ["user_id"])
    assert (await wire.js("POST /v1/summary-views", '{"source":"long_term","group_by":null}'))[1]["group_by"] == []
    for body in ("{}", '{"force":true}'):
        status, task = await wire.js(f"POST /v1/summary-views/{view['id']}/run", body)
        assert (status, task["view_id"]) == (200, view["id"])
        await until(partial(_finished, wire, task["id"]))  # a full run removes what it does not find
    line = f"POST /v1/summary-views/{view['id']}/partitions/run"
    status, result = await wire.js(line, f'{{"group":{{"user_id":"{fresh}"}}}}')
    assert (status, result["empty"], result["empty_reason"]) == (200, True, "no_matching_memories")
    status, listed = await wire.js(f"GET /v1/summary-views/{view['id']}/partitions?user_id={fresh}")
    assert (status, listed) == (200, [result])


# -- Java --------------------------------------------------------------------------------------------------


async def test_java_identity_in_the_query_is_swapped_and_ignored(wire: Wire, fresh: str) -> None:
    body = (
        '{"messages":[{"role":"user","content":"I like tea","id":"0F8FAD5BD9CB469FA16570867728950E",'
        '"created_at":"2026-03-01T09:00:00.123456789Z","persisted_at":null,"discrete_memory_extracted":"f"}],'
        '"memories":[],"data":{"k":null},"context":null,"user_id":"ann","tokens":7,'
        f'"session_id":"{fresh}","namespace":"work","long_term_memory_strategy":'
        '{"strategy":"discrete","config":{}},"ttl_seconds":null,"last_accessed":"2026-03-01T09:00:00.000000001Z",'
        '"created_at":"2026-03-01T09:00:00Z","updated_at":1772355600.5}'
    )
    line = f"PUT /v1/working-memory/{fresh}?user_id=work&namespace=ann"
    status, stored = await wire.java(line, body)
    assert (status, stored["user_id"], stored["namespace"], stored["tokens"]) == (200, "ann", "work", 7)
    assert stored["messages"][0]["created_at"] == "2026-03-01T09:00:00.123456Z"
    status, found = await wire.java(f"GET /v1/working-memory/{fresh}?user_id=ann&namespace=work")
    assert (status, found["data"]) == (200, {"k": None})
    assert (await wire.java(f"GET /v1/working-memory/{fresh}?user_id=work&namespace=ann"))[0] == 404
    status, page = await wire.java("GET /v1/working-memory/?limit=100&offset=0&namespace=work&user_id=ann")
    assert (status, fresh in page["sessions"]) == (200, True)


async def test_java_records_with_explicit_nulls(wire: Wire, fresh: str) -> None:
    body = (
        f'{{"memories":[{{"id":"{fresh}","text":"Ann plays the cello","session_id":null,"user_id":"{fresh}",'
        '"namespace":null,"last_accessed":"2026-03-01T09:00:00.123456789Z",'
        '"created_at":"2026-03-01T09:00:00.123456789Z","updated_at":"2026-03-01T09:00:00.123456789Z",'
        '"topics":null,"entities":null,"memory_hash":null,"discrete_memory_extracted":"f","memory_type":"message",'
        '"persisted_at":null,"extracted_from":null,"event_date":null,"extraction_strategy":"discrete",'
        '"extraction_strategy_config":{},"metadata":{}}]}'
    )
    assert await wire.java("POST /v1/long-term-memory/", body) == (200, {"status": "ok"})
    search = (
        f'{{"text":"cello","search_mode":"semantic","session_id":null,"namespace":null,"user_id":{{"eq":"{fresh}"}},'
        '"topics":null,"entities":null,"distance_threshold":null,"limit":10,"offset":0,"recency_boost":null}'
    )
    status, found = await wire.java("POST /v1/long-term-memory/search?optimize_query=false", search)
    assert (status, [hit["id"] for hit in found["memories"]]) == (200, [fresh])
    assert found["memories"][0]["topics"] == []
    edited = await wire.java(f"PATCH /v1/long-term-memory/{fresh}", '{"text":"Ann plays the viola","topics":null}')
    assert (edited[0], edited[1]["text"]) == (200, "Ann plays the viola")
    line = f"POST /v1/long-term-memory/forget?user_id={fresh}&limit=1000&dry_run=true"
    policy = '{"policy":{"max_age_days":30,"max_inactive_days":null,"budget":null,"memory_type_allowlist":null},'
    status, told = await wire.java(line, policy + '"pinned_ids":null}')
    assert (status, told["scanned"], told["dry_run"]) == (200, 1, True)
    assert (await wire.java("POST /v1/memory/prompt?optimize_query=false", '{"query":"q","session":null}'))[0] == 400


async def test_java_views_with_nulls_bare_groups_and_empty_bodies(wire: Wire, fresh: str) -> None:
    body = (
        f'{{"name":"{fresh}","source":"long_term","group_by":["user_id","namespace"],"filters":null,'
        '"time_window_days":null,"continuous":null,"prompt":null,"model_name":null}'
    )
    status, view = await wire.java("POST /v1/summary-views", body)
    assert (status, view["filters"], view["continuous"]) == (200, {}, False)
    line = f"POST /v1/summary-views/{view['id']}/partitions/run"
    status, result = await wire.java(line, f'{{"namespace":"n","user_id":"{fresh}"}}')
    assert (status, result["group"]) == (200, {"user_id": fresh, "namespace": "n"})
    assert (await wire.java(line, '{"user_id":"only"}'))[0] == 400
    assert (await wire.java(line, '{"user_id":5,"namespace":"n"}'))[0] == 422
    assert (await wire.java(line, ""))[0] == 422
    line = f"GET /v1/summary-views/{view['id']}/partitions?namespace=n&limit=100&offset=0"
    assert await wire.java(line) == (200, [result])
    status, task = await wire.java(f"POST /v1/summary-views/{view['id']}/run?force=false", "")
    assert (status, task["status"]) == (200, "pending")

    async def done() -> bool:
        return bool((await wire.java(f"GET /v1/tasks/{task['id']}"))[1]["status"] == "success")

    await until(done)
    ungrouped = (await wire.java("POST /v1/summary-views", '{"source":"long_term","group_by":[]}'))[1]
    status, whole = await wire.java(f"POST /v1/summary-views/{ungrouped['id']}/partitions/run", "{}")
    assert (status, whole["group"]) == (200, {})
    assert (await wire.java(f"DELETE /v1/summary-views/{view['id']}"))[1] == {"status": "ok"}
