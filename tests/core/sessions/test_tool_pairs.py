"""No list of messages separates a tool call from its results, or begins with a result."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from memhost.errors import ModelUnavailable
from memhost.host import Host
from memhost.messages.windows import newest, truncate
from memhost.models import Message, Scope, SessionKey
from memhost.testing.clock import FakeClock
from memhost.text.conversation import is_result, together, whole_from
from tests.support import scripted
from tests.support.hosts import run, running_host

NOW = FakeClock().now()


def said(text: str) -> Message:
    """A message by a short form.

    `u` is a user's, `a` an assistant's, `s` the system's; `aC1,C2` calls tools, `tC1` is a result, `t` one without id;
    `A1` and `R1` are the same as parts, `X1` both in one; `f` and `r` are a function's call and result.
    """
    kind, names = text[0], [name for name in text[1:].split(",") if name]
    fields: dict[str, Any] = {"created_at": NOW, "id": text, "content": text}
    calls = [{"id": name, "type": "function", "function": {"name": "w", "arguments": "{}"}} for name in names]
    match kind:
        case "a":
            return Message(role="assistant", **fields, tool_calls=calls or UNSET)
        case "t":
            return Message(role="tool", **fields, tool_call_id=names[0] if names else UNSET)
        case "A":
            parts = [{"type": "tool_use", "id": name, "name": "w", "input": {}} for name in names]
            return Message(role="assistant", **fields, parts=parts)
        case "X":
            parts = [{"type": "tool_use", "id": name, "name": "w"} for name in names]
            parts += [{"type": "tool_result", "tool_use_id": name, "content": "x"} for name in names]
            return Message(role="assistant", **fields, parts=parts)
        case "R":
            parts = [{"type": "tool_result", "tool_use_id": name, "content": "x"} for name in names]
            return Message(role="user", **fields, parts=parts)
        case "f":
            return Message(role="assistant", **fields, function_call={"name": "w", "arguments": "{}"})
        case "r":
            return Message(role="function", **fields, name="w")
        case _:
            return Message(role={"u": "user", "s": "system", "h": "human"}[kind], **fields)


def conversation(text: str) -> list[Message]:
    return [said(word) for word in text.split()]


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("u a u a", [0, 1, 2, 3]),
        ("u aC1 tC1 a", [0, 1, 1, 3]),
        ("u aC1,C2 tC1 tC2 a", [0, 1, 1, 1, 4]),
        ("u aC1,C2 tC2 tC1 a", [0, 1, 1, 1, 4]),
        ("u a t a", [0, 1, 1, 3]),
        ("u a t t t a", [0, 1, 1, 1, 1, 5]),
        ("u A1 R1 a", [0, 1, 1, 3]),
        ("u A1,2 R1,2 a u", [0, 1, 1, 3, 4]),
        ("u f r a", [0, 1, 1, 3]),
        ("u aC1 u tC1 a", [0, 1, 1, 1, 4]),  # the user spoke in between
        ("u aC1 aC2 tC2 tC1 a", [0, 1, 1, 1, 1, 5]),
        ("u aC1 tC1 aC2 tC2 a", [0, 1, 1, 3, 3, 5]),
        ("u aC1 tC1 u aC1 tC1", [0, 1, 1, 3, 4, 4]),  # ids that are used again
        ("u aC1 u a", [0, 1, 2, 3]),  # a call that nobody answered
        ("u aC1 tX a", [0, 1, 1, 3]),  # an unknown id: the message in front
        ("u t a", [0, 1, 2]),  # no call at all
        ("u a X1 a", [0, 1, 2, 3]),  # call and result in one message
        ("t a", [0, 1]),
        ("s t h t", [0, 1, 2, 3]),
        ("", []),
    ],
)
def test_what_belongs_together(text: str, groups: list[int]) -> None:
    assert together(conversation(text)) == groups


@pytest.mark.parametrize(
    ("text", "first", "begins"),
    [
        ("u aC1 tC1 a", 0, 0),
        ("u aC1 tC1 a", 1, 1),
        ("u aC1 tC1 a", 2, 3),
        ("u aC1 tC1 a", 3, 3),
        ("u aC1 tC1", 2, 1),  # nothing would be left: the whole pair stays
        ("u aC1,C2 tC1 tC2", 3, 1),
        ("u a t", 2, 1),
        ("u t", 1, 0),
        ("t t", 1, 0),
        ("u aC1 u tC1", 2, 1),
        ("u aC1 tC1 aC2 tC2", 2, 3),
        ("u a u a", 2, 2),
        ("u a", 2, 2),
        ("", 0, 0),
    ],
)
def test_where_the_newest_begin(text: str, first: int, begins: int) -> None:
    assert whole_from(conversation(text), first) == begins


TEXTS = ("u aC1 tC1 a", "u aC1,C2 tC2 tC1 u aC3 tC3 a", "s u a t t a u A1 R1 a", "u f r a u aC1 u tC1 a", "u a t u a t")


@pytest.mark.parametrize("text", TEXTS)
def test_no_window_and_no_limit_breaks_a_pair(text: str) -> None:
    messages = conversation(text)
    for kept in [truncate(messages, window) for window in range(1, 60)] + [
        newest(messages, most) for most in range(1, 12)
    ]:
        whole(messages, kept)


def whole(messages: Sequence[Message], kept: Sequence[Message]) -> None:
    """These are the last of the messages, and complete."""
    assert kept
    assert list(kept) == list(messages)[-len(kept) :]
    assert not is_result(kept[0])
    starts = together(messages)
    first = len(messages) - len(kept)
    assert all(start >= first for start in starts[first:])


def test_the_newest_are_those_by_time_and_results_stay_behind_their_calls() -> None:
    messages = conversation("u aC1 tC1 a")
    messages[2].created_at -= timedelta(hours=1)  # a tool with another clock
    messages[0].created_at += timedelta(seconds=1)
    assert [message.id for message in newest(messages, 9)] == ["aC1", "tC1", "a", "u"]
    assert [message.id for message in newest(messages, 3)] == ["a", "u"]


def test_time_grows_with_the_conversation_alone() -> None:
    """Results in the opposite order of their calls, and results without any."""
    calls = conversation(" ".join(f"aC{number}" for number in range(5_000)))
    results = conversation(" ".join(f"tC{number}" for number in reversed(range(5_000))))
    assert set(together([*calls, *results])) == {0}
    assert together([said("u"), *conversation("t " * 9_000)]) == list(range(9_001))


@pytest.fixture
async def host(tmp_path: Path) -> Any:
    scripted.reset()
    wanted = {**scripted.WITH_MODEL, "INDEX_ALL_MESSAGES": "false"}
    async with running_host(
        tmp_path, store="memory", extra=[scripted.POINT], settings=wanted, clock=FakeClock(), run_jobs=False
    ) as opened:
        yield opened


PLAIN = [
    {"role": "user", "content": "long " * 150},
    {"role": "assistant", "content": "call " * 60},
    {"role": "tool", "content": "data " * 20},
    {"role": "assistant", "content": "done " * 5},
]
NAMED = [
    {"role": "user", "content": "long " * 150},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "function": {"name": "w", "arguments": "x" * 200}}],
    },
    {"role": "tool", "content": "data " * 20, "tool_call_id": "c1"},
    {"role": "tool", "content": "data " * 20, "tool_call_id": "c1"},
    {"role": "assistant", "content": "done " * 5},
]


@pytest.mark.parametrize("messages", [PLAIN, NAMED, PLAIN * 3, NAMED * 3, PLAIN[:3], NAMED[:4], NAMED[:3]])
@pytest.mark.parametrize("window", [40, 100, 150, 250, 400])
async def test_summaries_leave_pairs_whole(host: Host, messages: list[dict[str, Any]], window: int) -> None:
    view = await run(host, "put_session", session_id="s", messages=messages, context_window_max=window)
    stored = await host.store.get_session(SCOPE, KEY, NOW)
    assert stored is not None
    left = stored.content.messages
    assert [message.role for message in left] == [message["role"] for message in messages][-len(left) :]
    assert not is_result(left[0])
    assert len(view.messages) == len(left)
    assert len(left) < len(messages) or len(messages) < 5
    for limit in (1, 2, 3):
        shown = await run(host, "get_session", session_id="s", recent_messages_limit=limit)
        assert shown.messages[0].role != "tool"


async def test_a_pair_larger_than_one_call_of_the_model_is_summarised_whole(host: Host) -> None:
    pair = [{"role": "assistant", "content": "call " * 4_000}, {"role": "tool", "content": "data " * 4_000}]
    await run(host, "put_session", session_id="s", messages=[*pair, *PLAIN[:2]], context_window_max=900)
    stored = await host.store.get_session(SCOPE, KEY, NOW)
    assert stored is not None
    assert not is_result(stored.content.messages[0])
    assert scripted.SCRIPT.of("summary")


async def test_no_pair_is_broken_where_the_model_fails_halfway(tmp_path: Path) -> None:
    def once(_asked: Any) -> str:
        if len(script.calls) > 1:
            raise ModelUnavailable("The model does not answer.")
        return "Summary."

    script = scripted.reset()
    script.rule = once
    long = [{"role": role, "content": "word " * 560} for role in ("user", "assistant", "tool")]
    wanted = {
        **scripted.WITH_MODEL,
        "INDEX_ALL_MESSAGES": "false",
        "MODEL_WINDOW_OVERRIDES": '{"scripted-model": 2800}',
    }
    async with running_host(
        tmp_path, store="memory", extra=[scripted.POINT], settings=wanted, clock=FakeClock(), run_jobs=False
    ) as host:
        await run(host, "put_session", session_id="s", messages=[*long, *PLAIN[:1], *PLAIN[3:]], context_window_max=300)
        stored = await host.store.get_session(SCOPE, KEY, NOW)
    assert stored is not None
    assert len(script.calls) > 1
    assert [message.role for message in stored.content.messages][:2] == ["assistant", "tool"]


KEY = SessionKey("default", "", "", "s")
SCOPE = Scope()
