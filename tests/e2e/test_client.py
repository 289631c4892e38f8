"""The official Python client against a running server."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from agent_memory_client import MemoryAPIClient, create_memory_client
from agent_memory_client.exceptions import MemoryNotFoundError, MemoryServerError
from agent_memory_client.filters import Namespace, SessionId, Topics, UserId
from agent_memory_client.models import ClientMemoryRecord, MemoryMessage, MemoryTypeEnum, WorkingMemory

from memhost.testing.polling import until
from memhost.testing.server import ServerProcess


def say(text: str, role: str = "user", **fields: object) -> MemoryMessage:
    return MemoryMessage(role=role, content=text, created_at=datetime.now(UTC), **fields)  # type: ignore[arg-type]


async def test_client_starts_and_health_tells_milliseconds(server: ServerProcess) -> None:
    opened = await create_memory_client(server.url)
    health = await opened.health_check()
    assert abs(health.now / 1000 - time.time()) < 60
    await opened.close()


async def test_session_is_created_once(client: MemoryAPIClient, fresh: str) -> None:
    created, _ = await client.get_or_create_working_memory(fresh)
    again, _ = await client.get_or_create_working_memory(fresh)
    assert (created, again) == (True, False)


async def test_identity_is_resolved_from_the_session_id_alone(client: MemoryAPIClient, fresh: str) -> None:
    memory = WorkingMemory(session_id=fresh, user_id="ann", namespace="n", messages=[say("hello")])
    await client.put_working_memory(fresh, memory)
    _, found = await client.get_or_create_working_memory(fresh)
    assert (found.user_id, found.namespace) == ("ann", "n")
    created, _ = await client.get_or_create_working_memory(fresh, user_id="someone else")
    assert created


async def test_equal_session_ids_of_two_users_stay_apart(
    client: MemoryAPIClient, http: httpx.AsyncClient, fresh: str
) -> None:
    for user in ("ann", "bob"):
        memory = WorkingMemory(session_id=fresh, user_id=user, messages=[say(f"I am {user}")])
        await client.put_working_memory(fresh, memory, user_id=user)
    assert (await http.get(f"/v1/working-memory/{fresh}")).status_code == 404
    answer = await http.get(f"/v1/working-memory/{fresh}", params={"user_id": "bob"})
    assert answer.json()["messages"][0]["content"] == "I am bob"
    assert (await http.delete(f"/v1/working-memory/{fresh}")).status_code == 409
    assert (await http.delete(f"/v1/working-memory/{fresh}", params={"user_id": "bob"})).json() == {"status": "ok"}
    assert (await http.get(f"/v1/working-memory/{fresh}")).json()["user_id"] == "ann"


async def test_message_without_time_gets_a_warning_header(http: httpx.AsyncClient, fresh: str) -> None:
    path = f"/v1/working-memory/{fresh}"
    answer = await http.put(path, json={"messages": [{"role": "user", "content": "hi"}]})
    assert answer.status_code == 200
    assert "X-Deprecation-Warning" in answer.headers
    future = {"role": "user", "content": "hi", "created_at": "2999-01-01T00:00:00Z"}
    answer = await http.put(path, json={"messages": [future]})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "messages", 0, "created_at"]
    answer = await http.put(path, json={"messages": [{"role": "user", "content": "  ", "id": "m7"}]})
    assert answer.status_code == 400
    assert "m7" in answer.json()["detail"]
    answer = await http.put(path, json={"messages": [{"role": "user"}]})
    assert answer.json()["detail"][0]["loc"] == ["body", "messages", 0, "content"]
    assert answer.json()["detail"][0]["msg"] == "Field required"


async def test_identity_in_the_query_of_put_is_ignored(http: httpx.AsyncClient, fresh: str) -> None:
    path = f"/v1/working-memory/{fresh}"
    answer = await http.put(path, params={"user_id": "X", "namespace": "Y"}, json={})
    assert (answer.json()["user_id"], answer.json()["namespace"]) == (None, None)


async def test_whole_response_can_be_sent_back(http: httpx.AsyncClient, fresh: str) -> None:
    path = f"/v1/working-memory/{fresh}"
    body = {"messages": [{"role": "user", "content": "hi", "id": "a"}], "data": {"k": None}, "tokens": "7"}
    first = (await http.put(path, json=body, params={"context_window_max": "200"})).json()
    second = await http.put(path, json=first)
    assert second.status_code == 200
    assert second.json()["messages"] == first["messages"]
    assert second.json()["data"] == {"k": None}
    assert second.json()["tokens"] == 7
    assert second.json()["created_at"] == first["created_at"]


async def test_small_window_truncates_the_answer_only(http: httpx.AsyncClient, fresh: str) -> None:
    path = f"/v1/working-memory/{fresh}"
    messages = [{"role": "user", "content": "word " * 40, "id": str(n)} for n in range(10)]
    await http.put(path, json={"messages": messages})
    small = (await http.get(path, params={"context_window_max": 1})).json()
    assert [message["id"] for message in small["messages"]] == ["9"]
    assert small["context_percentage_total_used"] == 100.0
    assert len((await http.get(path)).json()["messages"]) == 10
    newest = (await http.get(path, params={"recent_messages_limit": 3})).json()
    assert [message["id"] for message in newest["messages"]] == ["7", "8", "9"]


async def test_list_of_sessions_is_bounded_and_filtered(client: MemoryAPIClient, fresh: str) -> None:
    for limit in (0, 101):
        with pytest.raises(MemoryServerError) as caught:
            await client.list_sessions(limit=limit)
        assert caught.value.status_code == 422
    for number in range(3):
        memory = WorkingMemory(session_id=f"{fresh}-{number}", namespace=fresh, user_id=f"u{number}")
        await client.put_working_memory(memory.session_id, memory)
    page = await client.list_sessions(namespace=fresh, limit=2)
    assert page.total == 3
    assert page.sessions == [f"{fresh}-2", f"{fresh}-1"]
    assert (await client.list_sessions(namespace=fresh, user_id="u0")).sessions == [f"{fresh}-0"]


async def test_session_expires_and_leaves_the_list(
    client: MemoryAPIClient, http: httpx.AsyncClient, fresh: str
) -> None:
    memory = WorkingMemory(session_id=fresh, namespace=fresh, ttl_seconds=1)
    await client.put_working_memory(fresh, memory)

    async def gone() -> bool:
        return (await http.get(f"/v1/working-memory/{fresh}")).status_code == 404

    await until(gone)
    assert (await client.list_sessions(namespace=fresh)).total == 0


async def test_ttl_survives_helpers_that_do_not_send_it(client: MemoryAPIClient, fresh: str) -> None:
    await client.put_working_memory(fresh, WorkingMemory(session_id=fresh, ttl_seconds=3600))
    await client.update_working_memory_data(fresh, {"k": 1})
    _, found = await client.get_or_create_working_memory(fresh)
    assert found.ttl_seconds == 3600
    assert found.data == {"k": 1}


async def test_messages_are_searchable_when_the_write_returns(client: MemoryAPIClient, fresh: str) -> None:
    memory = WorkingMemory(
        session_id=fresh,
        user_id=fresh,
        messages=[say("Ann: my violin lesson is on Tuesdays"), say("Nice, with whom?", "assistant")],
    )
    stored = await client.put_working_memory(fresh, memory)
    found = await client.search_long_term_memory(text="when is the violin lesson?", user_id=UserId(eq=fresh))
    assert found.memories[0].extracted_from == [stored.messages[0].id]
    assert found.memories[0].session_id == fresh
    assert found.memories[0].memory_type == MemoryTypeEnum.MESSAGE
    assert stored.messages[0].persisted_at is not None
    assert stored.messages[0].discrete_memory_extracted == "t"
    await client.append_messages_to_working_memory(fresh, [say("It moved to Fridays now")], user_id=fresh)
    found = await client.search_long_term_memory(text="violin lesson", user_id=UserId(eq=fresh))
    assert found.total == 3


async def test_memories_of_a_session_are_promoted_with_its_owner(client: MemoryAPIClient, fresh: str) -> None:
    record = ClientMemoryRecord(text="User collects stamps", memory_type=MemoryTypeEnum.SEMANTIC)
    memory = WorkingMemory(session_id=fresh, user_id=fresh, namespace="promo", memories=[record])
    stored = await client.put_working_memory(fresh, memory)
    assert stored.memories[0].persisted_at is not None
    found = await client.search_long_term_memory(text="stamps", user_id=UserId(eq=fresh))
    assert [(hit.namespace, hit.session_id) for hit in found.memories] == [("promo", fresh)]


async def test_records_are_created_read_edited_and_deleted(client: MemoryAPIClient, fresh: str) -> None:
    assert (await client.create_long_term_memory([])).status == "ok"
    record = ClientMemoryRecord(id=fresh, text="User likes tea", topics=["drinks"], user_id=fresh)
    assert (await client.create_long_term_memory([record])).status == "ok"
    assert (await client.get_long_term_memory(fresh)).text == "User likes tea"
    edited = await client.edit_long_term_memory(fresh, {"text": "User likes coffee", "topics": []})
    assert (edited.text, edited.topics) == ("User likes coffee", [])
    found = await client.search_long_term_memory(text="coffee", user_id=UserId(eq=fresh))
    assert [hit.id for hit in found.memories] == [fresh]
    assert (await client.delete_long_term_memories([fresh])).status == "ok, deleted 1 memories"
    assert (await client.delete_long_term_memories([fresh])).status == "ok, deleted 0 memories"
    with pytest.raises(MemoryNotFoundError):
        await client.get_long_term_memory(fresh)
    with pytest.raises(MemoryNotFoundError):
        await client.edit_long_term_memory(fresh, {"text": "x"})
    with pytest.raises(MemoryServerError) as caught:
        await client.edit_long_term_memory(fresh, {})
    assert caught.value.status_code == 400


async def test_clients_read_the_answers_that_name_what_waits(client: MemoryAPIClient, fresh: str) -> None:
    text = "Refunds under 500 EUR are approved without asking anyone."
    record = ClientMemoryRecord(id=fresh, text=text, user_id=fresh, memory_type=MemoryTypeEnum.SEMANTIC)
    raw = await client._client.post(
        "/v1/long-term-memory/", json={"memories": [record.model_dump(mode="json", exclude_none=True)]}
    )
    assert raw.json() == {"status": "ok", "held": {"pending": [fresh]}}
    assert (await client.create_long_term_memory([record])).status == "ok"
    memory = WorkingMemory(session_id=fresh, user_id=fresh, memories=[record])
    stored = await client.put_working_memory(fresh, memory)
    assert [each.persisted_at for each in stored.memories] == [None]
    again = await client.append_messages_to_working_memory(fresh, [say("Hello")], user_id=fresh)
    assert [message.content for message in again.messages] == ["Hello"]
    assert (await client.search_long_term_memory(text="refunds", user_id=UserId(eq=fresh))).total == 1


async def test_exact_repetition_is_stored_once(client: MemoryAPIClient, fresh: str) -> None:
    for number, text in enumerate(("User likes tea.", "User  likes tea", "\tUser likes tea.")):
        record = ClientMemoryRecord(
            id=f"{fresh}-{number}",
            text=text,
            user_id=fresh,
            session_id=str(number),
            memory_type=MemoryTypeEnum.SEMANTIC,
        )
        await client.create_long_term_memory([record])
    found = await client.search_long_term_memory(text="tea", user_id=UserId(eq=fresh))
    assert [hit.id for hit in found.memories] == [f"{fresh}-0"]
    assert (await client.get_long_term_memory(f"{fresh}-2")).id == f"{fresh}-0"


async def test_id_of_another_owner_is_refused(client: MemoryAPIClient, fresh: str) -> None:
    await client.create_long_term_memory([ClientMemoryRecord(id=fresh, text="mine", user_id="ann")])
    with pytest.raises(MemoryServerError) as caught:
        await client.create_long_term_memory([ClientMemoryRecord(id=fresh, text="stolen", user_id="bob")])
    assert caught.value.status_code == 409
    assert (await client.get_long_term_memory(fresh)).text == "mine"


async def test_equal_message_ids_of_two_users_are_both_kept(client: MemoryAPIClient, fresh: str) -> None:
    for user in ("ann", "bob"):
        memory = WorkingMemory(
            session_id=fresh, user_id=f"{user}-{fresh}", messages=[say(f"{user} plays chess", id=f"{fresh}-m1")]
        )
        await client.put_working_memory(fresh, memory)
    for user in ("ann", "bob"):
        found = await client.search_long_term_memory(text="chess", user_id=UserId(eq=f"{user}-{fresh}"))
        assert [hit.text for hit in found.memories] == [f"user: {user} plays chess"]


async def test_filters_narrow_and_never_widen(client: MemoryAPIClient, http: httpx.AsyncClient, fresh: str) -> None:
    records = [
        ClientMemoryRecord(text=f"fact number {n} about trees", topics=[f"t{n}"], namespace=f"{fresh}-{n}")
        for n in range(3)
    ]
    await client.create_long_term_memory(records)
    search = client.search_long_term_memory
    assert (await search(text="trees", namespace=Namespace(eq=f"{fresh}-9"))).memories == []
    assert (await search(text="", namespace=Namespace(eq=f"{fresh}-9"))).total == 0
    assert (await search(text="trees", namespace=Namespace(in_=[f"{fresh}-1", f"{fresh}-2"]))).total == 2
    assert (await search(text="trees", namespace=Namespace(in_=[f"{fresh}-0"]), topics=Topics(any=["T0"]))).total == 1
    body = {"text": "trees", "namespace": {"startswith": f"{fresh}-"}}
    assert (await http.post("/v1/long-term-memory/search", json=body)).json()["total"] == 3
    assert (await search(text="trees", session_id=SessionId(eq="nowhere"))).total == 0


@pytest.mark.parametrize("text", ["", "pale"])
async def test_pages_neither_repeat_nor_skip(client: MemoryAPIClient, fresh: str, text: str) -> None:
    owner = f"{fresh}-{text}"
    records = [ClientMemoryRecord(id=f"{owner}-{n:02}", text="the same pale text", user_id=owner) for n in range(10)]
    await client.create_long_term_memory(records, deduplicate=False)
    seen: list[str] = []
    for offset in range(0, 10, 2):
        page = await client.search_long_term_memory(text=text, user_id=UserId(eq=owner), limit=2, offset=offset)
        assert page.total == 10
        assert page.next_offset == (offset + 2 if offset < 8 else None)
        seen += [hit.id for hit in page.memories]
    assert sorted(seen) == [record.id for record in records]


async def test_search_tool_of_the_client_is_consistent(client: MemoryAPIClient, fresh: str) -> None:
    texts = [f"observation {n} on the tide" for n in range(5)]
    await client.create_long_term_memory([ClientMemoryRecord(text=text, user_id=fresh) for text in texts])
    answer = await client.search_memory_tool("tide", user_id=fresh, max_results=2)
    assert len(answer["memories"]) == 2
    assert answer["has_more"] is True
    assert all(0 <= memory["relevance_score"] <= 1 for memory in answer["memories"])
    relevant = await client.search_memory_tool("observation on the tide", user_id=fresh, min_relevance=0.3)
    assert relevant["memories"]


async def test_prompt_has_summary_messages_memories_and_query(client: MemoryAPIClient, fresh: str) -> None:
    await client.create_long_term_memory(
        [ClientMemoryRecord(id=f"{fresh}-r", text="User owns a red bike", user_id=fresh)]
    )
    memory = WorkingMemory(
        session_id=fresh,
        user_id=fresh,
        context="They spoke of travel.",
        messages=[say("hello"), say("hi", "assistant")],
    )
    await client.put_working_memory(fresh, memory)
    prompt = await client.memory_prompt(
        "which bike?", session_id=fresh, user_id=fresh, context_window_max=4000, long_term_search={"limit": 1}
    )
    messages = prompt["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "system", "user"]
    assert messages[0]["content"]["text"].startswith("## Summary of the conversation so far\n")
    assert messages[0]["content"]["text"].splitlines()[-2] == "> They spoke of travel."
    assert "- User owns a red bike (said " in messages[3]["content"]["text"]
    assert f"{fresh}-r" not in messages[3]["content"]["text"]
    assert messages[4]["content"] == {"type": "text", "text": "which bike?", "annotations": None, "_meta": None}
    assert prompt["long_term_memories"][0]["id"] == f"{fresh}-r"
    unknown = await client.memory_prompt("hello?", session_id=f"{fresh}-unknown")
    assert [message["role"] for message in unknown["messages"]][-1] == "user"


async def test_prompt_needs_a_session_or_a_search(http: httpx.AsyncClient) -> None:
    for body in ({"query": "q"}, {"query": "q", "long_term_search": False}):
        assert (await http.post("/v1/memory/prompt", json=body)).status_code == 400


async def test_distance_threshold_goes_with_semantic_search_only(http: httpx.AsyncClient) -> None:
    body = {"text": "x", "search_mode": "keyword", "distance_threshold": 0.5}
    assert (await http.post("/v1/long-term-memory/search", json=body)).status_code == 400
    assert (await http.post("/v1/long-term-memory/search", json=body | {"search_mode": "semantic"})).status_code == 200


async def test_every_time_in_a_response_ends_in_z(http: httpx.AsyncClient, fresh: str) -> None:
    body = {
        "messages": [{"role": "user", "content": "hi", "created_at": "2024-05-01T12:00:00.123456789+02:00"}],
        "memories": [{"text": "fact", "event_date": "2024-05-01"}],
    }
    answer = (await http.put(f"/v1/working-memory/{fresh}", json=body)).json()
    assert answer["messages"][0]["created_at"] == "2024-05-01T10:00:00.123456Z"
    assert answer["memories"][0]["event_date"] == "2024-05-01T00:00:00Z"
    stack = [answer]
    while stack:
        item = stack.pop()
        for key, value in item.items() if isinstance(item, dict) else enumerate(item):
            if isinstance(value, (dict, list)):
                stack.append(value)
            elif value is not None and str(key) in ("created_at", "updated_at", "last_accessed", "persisted_at"):
                assert value.endswith("Z"), key


async def test_access_is_recorded_after_a_search(client: MemoryAPIClient, http: httpx.AsyncClient, fresh: str) -> None:
    old = datetime.now(UTC) - timedelta(days=3)
    record = ClientMemoryRecord(id=fresh, text="User keeps bees", user_id=fresh, created_at=old, last_accessed=old)
    await client.create_long_term_memory([record])
    await client.search_long_term_memory(text="bees", user_id=UserId(eq=fresh))

    async def counted() -> bool:
        body = (await http.get(f"/v1/long-term-memory/{fresh}")).json()
        return bool(body["access_count"] == 1 and body["last_accessed"] > old.isoformat())

    await until(counted)


async def test_concurrent_appends_of_many_clients_lose_no_message(client: MemoryAPIClient, fresh: str) -> None:
    async def append(number: int) -> None:
        for turn in range(3):
            message = say(f"client {number} turn {turn}", id=f"{fresh}-{number}-{turn}")
            await client.append_messages_to_working_memory(fresh, [message], user_id=fresh)

    await asyncio.gather(*(append(number) for number in range(12)))
    _, session = await client.get_or_create_working_memory(fresh, user_id=fresh)
    expected = {f"{fresh}-{number}-{turn}" for number in range(12) for turn in range(3)}
    assert {message.id for message in session.messages} == expected
    found = await client.search_long_term_memory(text="", user_id=UserId(eq=fresh), limit=100)
    assert {source for hit in found.memories for source in hit.extracted_from or ()} == expected


async def test_message_left_out_on_purpose_is_gone(client: MemoryAPIClient, fresh: str) -> None:
    messages = [say("one", id="1"), say("two", id="2")]
    await client.put_working_memory(fresh, WorkingMemory(session_id=fresh, messages=messages))
    _, session = await client.get_or_create_working_memory(fresh)
    session.messages = [message for message in session.messages if message.id == "2"]
    stored = await client.put_working_memory(fresh, session)
    assert [message.id for message in stored.messages] == ["2"]
    await client.put_working_memory(fresh, WorkingMemory(session_id=fresh, messages=[say("three", id="3")]))
    _, session = await client.get_or_create_working_memory(fresh)
    assert [message.id for message in session.messages] == ["3"]


async def test_a_session_created_late_keeps_what_others_have_written(client: MemoryAPIClient, fresh: str) -> None:
    """Two clients find no session; one begins it and writes, then the other's "create it empty" arrives."""
    await client.append_messages_to_working_memory(fresh, [say("first", id="1")])
    late = WorkingMemory(session_id=fresh, messages=[])  # it found none before, and stamps its own time only now
    await client.put_working_memory(fresh, late)
    _, session = await client.get_or_create_working_memory(fresh)
    assert [message.id for message in session.messages] == ["1"]
