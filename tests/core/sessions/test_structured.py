"""Messages with more than text: kept, returned as sent, and found by their text."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from memhost.errors import InvalidRequest, ValidationFailed
from memhost.extraction.prompt_template import message_line
from memhost.host import Host
from memhost.models import Message, Scope, SessionKey
from memhost.sessions.writer import drop_outdated_parts
from memhost.testing.clock import FakeClock
from memhost.text.conversation import calls_of, is_blank, readable, text_of, together
from memhost_mcp.catalog import Catalog
from memhost_mcp.tool_context import Defaults, McpRequest
from tests.core.sessions.doors import http
from tests.support.hosts import ADMIN, run, running_host

CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}

MESSAGES: list[dict[str, Any]] = [
    {"role": "user", "content": [{"type": "text", "text": "hello marmalade"}]},
    {"role": "user", "content": [{"type": "text", "text": "look"}, PICTURE, {"type": "text", "text": "at my kayak"}]},
    {"role": "user", "content": [PICTURE]},
    {"role": "user", "content": {"type": "text", "text": "a single part"}},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "assistant", "content": [], "tool_calls": [CALL]},
    {"role": "assistant", "tool_calls": [CALL]},
    {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": "{}"}},
    {"role": "assistant", "content": None, "refusal": "I cannot help with zebras."},
    {"role": "assistant", "content": None, "audio": {"id": "a1", "transcript": "spoken aloud"}},
    {"role": "tool", "content": "20 degrees", "tool_call_id": "c1", "name": "weather"},
    {"role": "tool", "content": "", "tool_call_id": "c1"},
    {"role": "function", "content": "", "name": "weather"},
    {"role": "tool", "content": [{"type": "text", "text": "20 degrees"}], "tool_call_id": "c1"},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Oslo"}}]},
    {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "x"}]}],
    },
    {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "y"}],
    },
    {"role": "human", "content": "from LangChain"},
    {"role": "ai", "content": "the same"},
    {"role": "developer", "content": "be brief", "name": None},
    {"role": "Жанна", "content": "привет", "name": "Жанна", "annotations": []},
    {
        "role": "assistant",
        "content": "all there",
        "refusal": None,
        "annotations": [],
        "audio": None,
        "tool_calls": None,
    },
    {
        "role": "user",
        "content": [{"type": "input_text", "text": "数字", "n": [1.5, 10**18, True, None, {"ü": "\u2028"}]}],
    },
    {"role": "user", "content": "plain"},
]

ODD: list[dict[str, Any]] = [
    {"role": "model", "parts": [{"text": "gazebo of Gemini"}]},
    {"role": "model", "parts": [{"functionCall": {"name": "weather", "args": {"city": "Oslo"}}}]},
    {"role": "user", "parts": [{"functionResponse": {"name": "weather", "response": {"result": "20"}}}]},
    {"role": "assistant", "content": [{"toolUse": {"toolUseId": "q", "name": "weather", "input": {}}}]},
    {"role": "user", "content": [{"toolResult": {"toolUseId": "q", "content": [{"text": "hail of Bedrock"}]}}]},
    {"role": "ai", "content": "", "additional_kwargs": {"tool_calls": [CALL]}, "response_metadata": {}},
    {"role": "ai", "content": "", "tool_calls": [CALL], "invalid_tool_calls": [], "usage_metadata": {"n": 1}},
    {"role": "tool", "content": "x", "tool_call_id": "c1", "status": "success", "artifact": {"rows": [1, None]}},
    {"role": "assistant", "type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"},
    {"role": "tool", "type": "function_call_output", "call_id": "c", "output": "sleet of Responses"},
    {"role": "user", "content": "", "parts": [{"type": "text", "text": "text in parts"}]},
    {"role": "assistant", "content": "", "refusal": "No, thanks"},
    {"role": "assistant", "content": "said", "reasoning_content": "thought"},
    {"role": "user", "content": "cached", "cache_control": {"type": "ephemeral"}},
    {"role": "user", "content": "with more", "Größe": 5, "": None, "others": {"a": 1}, "more": [], "other_0": 1.5},
]
"""Messages with fields that only some interfaces have, in the order of calls and results."""

FIELDS = ("role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio", "annotations")


def named(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"id": f"m{number}", **message} for number, message in enumerate(messages)]


def sent(message: dict[str, Any]) -> dict[str, Any]:
    return {name: message[name] for name in FIELDS if name in message}


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with running_host(tmp_path, store="sqlite", run_jobs=False) as opened:
        yield opened


async def test_messages_come_back_as_they_were_sent(host: Host) -> None:
    given = named(MESSAGES)
    async with http(host) as client:
        put = await client.put("/v1/working-memory/s", json={"messages": given})
        assert put.status_code == 200, put.text
        got = (await client.get("/v1/working-memory/s")).json()
        again = (await client.put("/v1/working-memory/s", json=got)).json()
        appended = await client.patch("/v1/working-memory/t", json={"messages": given})
    for answer in (put.json(), got, again, appended.json()):
        # Byte for byte: order of keys, and kinds of numbers.
        expected = [{"content": None, **sent(message)} for message in given]
        assert [json.dumps(sent(message), sort_keys=False) for message in answer["messages"]] == [
            json.dumps({name: message[name] for name in FIELDS if name in message}) for message in expected
        ]
    assert again["messages"] == got["messages"]


@pytest.mark.parametrize("agent", ["test", "agent-memory-client/0.14.0"])
async def test_fields_of_other_interfaces_come_back_as_they_were_sent(host: Host, agent: str) -> None:
    given = named(ODD)
    async with http(host, agent) as client:
        put = await client.put("/v1/working-memory/s", json={"messages": given, "user_id": "ann"})
        assert put.status_code == 200, put.text
        got = (await client.get("/v1/working-memory/s")).json()
        same = await client.put("/v1/working-memory/s", json=got)
        known = ("role", "content", "id")  # to that client
        texts = [{name: each[name] for name in each if agent == "test" or name in known} for each in got["messages"]]
        plain = await client.put("/v1/working-memory/s", json={"messages": texts, "user_id": "ann"})
        assert (same.status_code, plain.status_code) == (200, 200), plain.text
    for answer in (put.json(), got, same.json(), plain.json()):
        for message, found in zip(given, answer["messages"], strict=True):
            told = {name: value for name, value in message.items() if agent == "test" or name != "content"}
            assert {name: found.get(name, "nothing") for name in told} == told
    found = await run(host, "search_memories", limit=100)
    texts_of = {hit.id: hit.text for hit in found.memories}
    said = {0: "model: gazebo of Gemini", 4: "user: hail of Bedrock", 10: "user: text in parts", 12: "assistant: said"}
    for number, text in said.items():
        assert texts_of.get(f"m{number}", "").endswith(text)
    assert not texts_of.keys() & {"m1", "m3", "m5", "m6", "m8"}  # calls say nothing


async def test_calls_and_results_of_other_interfaces_stay_together(host: Host) -> None:
    async with http(host) as client:
        await client.put("/v1/working-memory/s", json={"messages": named(ODD)})
    key = SessionKey("default", "", "", "s")
    session = await host.store.get_session(Scope(tenant="default"), key, host.clock.now())
    assert session is not None
    starts = together(session.content.messages)
    assert [starts[number] for number in (2, 4, 9)] == [1, 3, 8]
    assert readable(session.content.messages[1]) == '[call weather {"city":"Oslo"}]'
    assert readable(session.content.messages[5]).startswith("[call weather")


@pytest.mark.parametrize(
    ("slip", "meant"),
    [("creatd_at", "created_at"), ("Content", "content"), ("tool_call", "tool_calls"), ("toolCallId", "tool_call_id")],
)
async def test_a_slip_in_a_message_is_told_and_kept(host: Host, slip: str, meant: str) -> None:
    async with http(host) as client:
        body = {"messages": [{"role": "user", "content": "hi", slip: "x"}]}
        answer = await client.put("/v1/working-memory/s", json=body)
        assert f"{slip} (did you mean {meant}?)" in answer.headers["x-memhost-notice"]
        assert answer.json()["messages"][0][slip] == "x"
        many = {"role": "user", "content": "hi", **{f"zz{number}": 1 for number in range(65)}}
        assert (await client.put("/v1/working-memory/s", json={"messages": [many]})).status_code == 422


async def test_they_come_back_through_the_other_door_too(host: Host) -> None:
    settings: Any = host.configuration.section("interfaces", "mcp")
    catalog = Catalog(host, settings)
    who = McpRequest(caller=ADMIN, request_id="r", asked=Defaults(), fallback=Defaults())
    given = named(MESSAGES)
    await catalog.call(who, "append_messages", {"session_id": "s", "messages": given})
    whole = msgspec.to_builtins(await catalog.call(who, "get_working_memory", {"session_id": "s"}))
    few = msgspec.to_builtins(await catalog.call(who, "get_session", {"session_id": "s"}))
    for answer in (whole, few):
        found = json.loads(json.dumps(answer, default=str))
        messages = found["messages"] if "messages" in found else json.loads(found["text"])["messages"]
        assert [sent(message) for message in messages] == [{"content": None, **sent(message)} for message in given]


async def test_they_are_found_by_their_text_alone(host: Host) -> None:
    await run(host, "put_session", session_id="s", messages=named(MESSAGES))
    for words, number in (("marmalade", 0), ("kayak", 1), ("zebras", 9), ("aloud", 10), ("привет", 21), ("数字", 23)):
        found = await run(host, "search_memories", text=words, search_mode="keyword")
        assert [hit.id for hit in found.memories] == [f"m{number}"], words
    found = await run(host, "search_memories", limit=100)
    texts = {hit.id: hit.text for hit in found.memories}
    assert texts["m1"] == "user: look\nat my kayak"
    assert texts["m17"] == "assistant: y"
    for number in (2, 4, 5, 6, 7, 8, 15):  # pictures and calls alone say nothing
        assert f"m{number}" not in texts
    assert all("base64" not in text for text in texts.values())


async def test_one_odd_message_does_not_keep_the_others_out(host: Host) -> None:
    odd: list[Any] = [[{"type": "unknown", "x": 1}], [5, None, "text among numbers"], {"deep": {"er": []}}]
    for content in odd:
        messages = [{"role": "user", "content": "hi"}, {"role": "user", "content": content}]
        view = await run(host, "put_session", session_id="s", messages=messages)
        assert [message.content for message in view.messages] == ["hi", content]


@pytest.mark.parametrize(
    "content",
    [
        "",
        " ",
        "\n\t",
        "\u200b",
        "\u200b\u200d\ufeff \u2060",
        "\u00ad",
        "\u3164",
        "\u2800",
        "\u202e",
        "\U000e0041",
        [],
        {},
    ],
)
async def test_what_nobody_can_see_is_refused(host: Host, content: Any) -> None:
    messages = [{"role": "user", "content": "hi"}, {"role": "user", "content": content, "id": "m1"}]
    with pytest.raises(InvalidRequest, match="Message m1 has no content"):
        await run(host, "put_session", session_id="s", messages=messages)
    with pytest.raises(InvalidRequest):
        await run(host, "change_session", session_id="s", messages=[{"role": "user", "content": content}])
    with pytest.raises(InvalidRequest):
        await run(host, "preview_extraction", session_id="s", messages=[{"role": "user", "content": content}])


@pytest.mark.parametrize(
    "text",
    [
        "a",
        ".",
        "?",
        "0",
        "👍",
        "❤\ufe0f",
        "👩\u200d👩\u200d👧",
        "🏴\U000e0067\U000e0062\U000e007f",
        "是",
        "क\u094d\u200dष",
        "می\u200cروم",
        "\u0301",
        "…",
        "—",
        "\u200bhidden start",
        "שלום\u200f",
        "\ue000",
        "ᄀ",
        "ﾡ",
        "©",
        "½",
    ],
)
async def test_what_can_be_seen_is_kept_to_the_letter(host: Host, text: str) -> None:
    assert not is_blank(text)
    view = await run(host, "put_session", session_id="s", messages=[{"role": "user", "content": text}])
    assert view.messages[0].content == text


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"role": "user"}, "missing"),
        ({"role": "user", "name": "x"}, "missing"),
        ({"role": "user", "content": 5}, "string_type"),
        ({"role": "user", "content": True}, "string_type"),
        ({"role": "user", "content": None}, "string_type"),
        ({"role": "assistant", "content": None, "tool_calls": []}, "string_type"),
        ({"role": "user", "content": "x" * 1_000_001}, "string_too_long"),
        ({"role": "user", "content": [{"type": "text", "text": "x" * 1_000_000}]}, "too_long"),
        ({"role": "user", "content": "hi", "tool_calls": ["x" * 1_000_000]}, "too_long"),
    ],
)
async def test_what_is_no_message_is_refused(host: Host, message: dict[str, Any], kind: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        await run(host, "put_session", session_id="s", messages=[{"role": "user", "content": "hi"}, message])
    [problem] = caught.value.problems
    assert (problem.where, problem.kind) == (("messages", 1, "content"), kind)
    deep: Any = []
    for _ in range(200):
        deep = [deep]
    with pytest.raises(ValidationFailed, match="nested too deeply"):
        await run(host, "put_session", session_id="s", messages=[{"role": "user", "content": [deep]}])


async def test_clients_that_know_texts_alone_read_texts_and_change_nothing_by_sending_them_back(host: Host) -> None:
    given = named(MESSAGES)
    known = {"role", "content", "id", "created_at", "persisted_at", "discrete_memory_extracted"}
    async with http(host) as client, http(host, "agent-memory-client/0.14.0") as official:
        before = (await client.put("/v1/working-memory/s", json={"messages": given})).json()
        read = (await official.get("/v1/working-memory/s")).json()
        assert all(isinstance(message["content"], str) for message in read["messages"])
        assert read["messages"][1]["content"] == "look\nat my kayak"
        echo = [{name: message[name] for name in known} for message in read["messages"]]
        assert (await official.put("/v1/working-memory/s", json={**read, "messages": echo})).status_code == 200
        after = (await client.get("/v1/working-memory/s")).json()
    assert after["messages"] == before["messages"]


async def test_a_text_that_was_changed_takes_the_place_of_the_parts(host: Host) -> None:
    await run(host, "put_session", session_id="s", messages=named(MESSAGES[:2]))
    messages = [{"id": "m0", "role": "user", "content": "goodbye"}, *named(MESSAGES[:2])[1:]]
    view = await run(host, "put_session", session_id="s", messages=messages)
    assert [message.content for message in view.messages] == ["goodbye", MESSAGES[1]["content"]]
    found = await run(host, "search_memories", limit=10)
    assert sorted(hit.text for hit in found.memories) == ["user: goodbye", "user: look\nat my kayak"]


async def test_a_text_that_was_changed_stands_without_the_old_calls(host: Host) -> None:
    await run(
        host,
        "put_session",
        session_id="s",
        messages=[{"id": "a", "role": "assistant", "content": "b", "name": "Bo", "tool_calls": [CALL]}],
    )
    view = await run(host, "put_session", session_id="s", messages=[{"id": "a", "role": "assistant", "content": "c"}])
    assert (view.messages[0].content, view.messages[0].tool_calls, view.messages[0].name) == ("c", UNSET, UNSET)


async def test_other_parts_with_the_same_text_are_a_change(host: Host) -> None:
    await run(host, "put_session", session_id="s", messages=named(MESSAGES[1:2]))
    parts = [{"type": "text", "text": "look"}, {"type": "text", "text": "at my kayak"}]
    view = await run(host, "put_session", session_id="s", messages=[{"id": "m0", "role": "user", "content": parts}])
    assert view.messages[0].content == parts


async def test_prompts_show_texts_calls_and_kinds_of_parts(host: Host) -> None:
    await run(host, "put_session", session_id="s", messages=named(MESSAGES))
    prompt = await run(host, "memory_prompt", query="?", session={"session_id": "s"})
    shown = [(message.role, message.content.text) for message in prompt.messages]
    assert ("user", "look\nat my kayak\n[image_url]") in shown
    assert ("user", "[image_url]") in shown
    assert shown.count(("assistant", '[call weather {"city":"Oslo"}]')) == 5
    assert ("user", "from LangChain") in shown
    assert any(role == "system" and "\n> be brief\n" in text for role, text in shown)
    assert any(role == "user" and text.endswith("]") and "\n> Жанна: привет\n" in text for role, text in shown)
    assert all(text for _, text in shown)


def test_a_line_for_the_model_holds_calls_and_text() -> None:
    message = Message(
        role="assistant", content="Let me see.", id="a", created_at=FakeClock().now(), tool_calls=[CALL], parts=None
    )
    line = json.loads(message_line(message, "UTC"))
    assert line["text"] == 'Let me see.\n[call weather {"city":"Oslo"}]'
    assert [call["id"] for call in calls_of(message)] == ["c1"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        (None, ""),
        ([], ""),
        ([{"type": "text", "text": "a"}, "b", {"type": "output_text", "text": "c"}], "a\nb\nc"),
        ({"parts": [{"text": "Gemini"}]}, "Gemini"),
        ([{"type": "text", "text": {"value": "Assistants", "annotations": []}}], "Assistants"),
        ([{"type": "tool_result", "tool_use_id": "t", "content": "found"}], "found"),
        ([{"type": "tool-result", "toolCallId": "t", "output": {"type": "text", "value": "found"}}], "found"),
        ([{"type": "resource", "resource": {"uri": "file:///a", "text": "a file"}}], "a file"),
        ([{"type": "thinking", "thinking": "x"}, {"type": "reasoning", "text": "x"}], ""),
        ([{"type": "tool_use", "name": "w", "input": {"text": "argument"}}], ""),
        ([{"type": "image", "source": {"type": "base64", "data": "AAAA"}}], ""),
        ([{"type": "text", "text": 5}, {"type": 7, "text": "odd kind"}], "odd kind"),
    ],
)
def test_the_text_of_contents(content: Any, text: str) -> None:
    assert text_of(content) == text


def test_a_hook_that_changes_a_text_changes_what_comes_back() -> None:
    """Parts must not tell what a hook has taken out of the text."""
    message = Message(role="user", content="my code is ***", id="a", created_at=FakeClock().now(), parts=[CALL])
    drop_outdated_parts([message])
    assert message.parts is msgspec.UNSET
    assert readable(message) == "my code is ***"
