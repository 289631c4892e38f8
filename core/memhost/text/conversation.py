"""Content of messages beside plain text, and which messages belong together.

Messages of chat interfaces come as text, as a list of parts (text, pictures, calls of tools and their results), or with
no content at all beside `tool_calls`. This module finds their text, and the messages that must not be separated:
providers refuse a conversation with a tool's result but without the call that it answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import UNSET

from memhost.models import Message, Trust

RESULT_ROLES = frozenset({"tool", "function"})
"""Roles whose messages hold what a tool gave back."""

_NOT_CALLING = frozenset({"user", "human", "system", "developer"})
_CARRYING = ("tool_calls", "function_call", "tool_call_id", "refusal", "audio")
_CALL_KINDS = frozenset({"tool_use", "tool_call", "tool-call", "function_call", "server_tool_use", "mcp_tool_use"})
_RESULT_KINDS = frozenset({"tool_result", "tool-result", "function_call_output", "mcp_tool_result"})
_RESULT_ENDS = ("tool_result", "call_output")
"""Ends of the kinds of parts that hold what a tool gave back, also those of tools on the side of the provider."""
_DOCUMENT_KINDS = frozenset({"document", "resource", "search_result", "file", "input_file"})
_HIDDEN_KINDS = frozenset({"thinking", "redacted_thinking", "reasoning"})
_TEXT_KEYS = ("text", "refusal", "transcript", "value", "content", "output", "result", "parts", "resource")
"""Keys under which parts of the usual interfaces keep text, or further parts."""

_CALL_IDS = ("id", "call_id", "tool_call_id", "toolCallId", "tool_use_id", "toolUseId")
_ANSWERED_IDS = ("tool_call_id", "tool_use_id", "call_id", "toolCallId", "toolUseId")
_WRAPPED = {
    **dict.fromkeys(("functionCall", "function_call", "toolUse"), "tool_use"),
    **dict.fromkeys(("functionResponse", "function_response", "toolResult"), "tool_result"),
}
"""Kind of parts whose only name tells it, as Gemini and Bedrock have them."""
_DEEPEST = 20

_INVISIBLE = re.compile(
    r"[\s\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    r"\U000e0000-\U000e0fff]*"
)
"""White space, controls, and what Unicode has readers ignore (Default_Ignorable_Code_Point, DerivedCoreProperties.txt
of Unicode 16), with the blank braille pattern."""


class Sent(Protocol):
    """The fields of a message beside its text, as `Message` and `MessageInput` have them; UNSET where not sent."""

    role: str
    name: Any
    tool_calls: Any
    function_call: Any
    tool_call_id: Any
    refusal: Any
    audio: Any
    annotations: Any

    @property
    def others(self) -> Any:
        """A dict of what was sent under names that are not among these."""


def is_text(message: Sent) -> bool:
    """Tell whether a message has nothing beside its content."""
    return (
        message.tool_calls is UNSET
        and message.tool_call_id is UNSET
        and message.name is UNSET
        and message.function_call is UNSET
        and message.refusal is UNSET
        and message.audio is UNSET
        and message.annotations is UNSET
        and message.others is UNSET
    )


def is_blank(text: str) -> bool:
    """Tell whether a text has nothing visible."""
    return _INVISIBLE.fullmatch(text) is not None


def text_of(content: Any) -> str:
    """The text of a message's content, however it was sent: its texts, each on a line of its own.

    What a model thought, and the arguments of calls, are no text. Nothing deeper than twenty levels is read.
    """
    if isinstance(content, str):
        return content
    return "\n".join(_texts(content, _DEEPEST))


def _texts(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        if value:
            yield value
    elif depth == 0:
        return
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, depth - 1)
    elif isinstance(value, dict):
        part = _opened(value)
        if _kind(part) not in _HIDDEN_KINDS | _CALL_KINDS:
            for key in _TEXT_KEYS:
                yield from _texts(part.get(key), depth - 1)


def brought_by(message: Sent, content: Any) -> Trust | None:
    """Tell whose words a message brings along beside those of who sent it: results of tools, or documents.

    Interfaces send results of tools in messages of the user (Anthropic, Gemini) or of the assistant, as parts.

    Args:
        message: The message.
        content: Its content, as it was sent.

    Returns:
        `external` if it has the text of a document, else `tool` if it has that of a result, else None.
    """
    if isinstance(content, str) and message.others is UNSET:
        return None
    found = {level for value in (content, message.others) for level in _brought(value, _DEEPEST)}
    return "external" if "external" in found else "tool" if found else None


def _brought(value: Any, depth: int) -> Iterator[Trust]:
    if depth == 0 or not isinstance(value, (list, dict)):
        return
    part = _opened(value) if isinstance(value, dict) else {}
    kind = _kind(part)
    if kind.replace("-", "_").endswith(_RESULT_ENDS):
        yield "tool"
    elif kind in _DOCUMENT_KINDS and not is_blank(text_of(part)):
        yield "external"
    for inner in value if isinstance(value, list) else part.values():
        yield from _brought(inner, depth - 1)


def spoken(message: Sent, content: Any) -> str:
    """The text of a message: that of its content; where there is none, what was refused or said aloud."""
    text = text_of(content)
    if not is_blank(text):
        return text
    others = (text_of(value) for value in (message.refusal, message.audio, message.others) if value is not UNSET)
    return next((other for other in others if not is_blank(other)), text)


def says_something(message: Sent, content: Any) -> bool:
    """Tell whether a message has any content: a text, a part, a call, the result of one."""
    if isinstance(content, (list, dict)) and content:
        return True
    if any(getattr(message, name) not in (UNSET, None, [], {}, "") for name in _CARRYING):
        return True
    beside = message.others if isinstance(message.others, dict) else {}
    if any(isinstance(value, (list, dict)) and value for value in beside.values()) or _kind(beside) in _CALL_KINDS:
        return True
    named = isinstance(message.name, str) and message.role.lower() in RESULT_ROLES  # a function that gave nothing back
    return named or not is_blank(text_of(content)) or not is_blank(text_of(beside))


def readable(message: Message) -> str:
    """The message as a text for a model: what was said, the calls in it, and the kinds of parts that are no text."""
    if message.parts is UNSET and is_text(message):
        return message.content
    lines = [message.content] if message.content else []
    lines += [f"[call {_call_text(call)}]" for call in calls_of(message)]
    for part in _parts(message):
        if not (_is_call(part) or text_of(part) or _kind(part) in _HIDDEN_KINDS):
            lines.append(f"[{_kind(part) or 'part'}]")
    return "\n".join(lines)


def calls_of(message: Message) -> Sequence[Mapping[str, Any]]:
    """The calls of tools in a message, as they were sent."""
    beside = message.others if isinstance(message.others, dict) else {}
    calls = [*_dicts(message.function_call), *_dicts(message.tool_calls)]
    for more in _dicts(beside.get("additional_kwargs")):  # LangChain's place for what its models have sent
        calls += [*_dicts(more.get("function_call")), *_dicts(more.get("tool_calls"))] if not calls else []
    return [*calls, *(part for part in [*_parts(message), beside] if _is_call(part))]


def _call_text(call: Mapping[str, Any]) -> str:
    function = call.get("function")
    inner: Mapping[str, Any] = function if isinstance(function, dict) else call
    given: Any = next((inner[key] for key in ("arguments", "input", "args") if key in inner), {})
    shown = given if isinstance(given, str) else msgspec.json.encode(given).decode()
    return f"{inner.get('name') or inner.get('toolName') or 'tool'} {shown}"


# -- what belongs together ---------------------------------------------------------------------------------------


def together(messages: Sequence[Message]) -> list[int]:
    """For each message return the index of the first one that it must not be separated from; its own if there is none.

    A result belongs to the call that it names, with everything between them; one that names none, or an unknown one, to
    the message in front of it and of other results, unless that is a user's or the system's.
    """
    links = _links(messages)
    starts = list(range(len(messages)))
    end = first = len(messages)
    for index in range(len(messages) - 1, -1, -1):
        first = min(first, links[index])
        if first >= index:
            starts[index:end] = [index] * (end - index)
            end = first = index
    return starts


def _links(messages: Sequence[Message]) -> list[int]:
    """For each message the index of the one that it answers; its own if it answers none."""
    calls: dict[str, int] = {}
    links: list[int] = []
    asking = None
    for index, message in enumerate(messages):
        links.append(index)
        if _is_plain(message):
            asking = None if message.role.lower() in _NOT_CALLING else index
            continue
        answered = _answers(message)
        if answered is not None:
            known = [calls[answer] for answer in answered if answer in calls]
            links[index] = min(known, default=index if asking is None else asking)
        elif message.role.lower() not in _NOT_CALLING:
            asking = index
        calls.update(dict.fromkeys(_call_ids(message), index))
    return links


def whole_from(messages: Sequence[Message], first: int) -> int:
    """The index at which a list cut at `first` may begin without separating a call from its results.

    The beginning of the next whole group at or after `first`, or of the one before if none follows.
    """
    if not 0 < first < len(messages):
        return first
    starts = together(messages)

    def good(index: int) -> bool:
        return starts[index] == index and not is_result(messages[index])

    later = next((index for index in range(first, len(messages)) if good(index)), None)
    return later if later is not None else next((index for index in range(first, -1, -1) if good(index)), 0)


def is_result(message: Message) -> bool:
    """Tell whether a message is the result of a tool."""
    return _answers(message) is not None


def _is_plain(message: Message) -> bool:
    """Tell whether a message is only text, as most are."""
    fields = (message.parts, message.tool_calls, message.tool_call_id, message.function_call, message.others)
    return all(value is UNSET for value in fields) and message.role.lower() not in RESULT_ROLES


def _answers(message: Message) -> list[str] | None:
    """The ids of the calls that a message answers, but for calls of its own; None if it is no result."""
    if _is_plain(message):
        return None
    ids = [message.tool_call_id] if isinstance(message.tool_call_id, str) else []
    results = [part for part in [*_parts(message), *_dicts(message.others)] if _kind(part) in _RESULT_KINDS]
    ids += [part[key] for part in results for key in _ANSWERED_IDS if isinstance(part.get(key), str)]
    if ids and _call_ids(message).issuperset(ids):
        return None
    return ids if ids or results or message.role.lower() in RESULT_ROLES else None


def _call_ids(message: Message) -> set[str]:
    return {call[key] for call in calls_of(message) for key in _CALL_IDS if isinstance(call.get(key), str)}


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict)]


def _parts(message: Message) -> list[dict[str, Any]]:
    """Return the parts of a message, also those outside its content."""
    beside = message.others.get("parts") if isinstance(message.others, dict) else None
    return [_opened(part) for part in [*_dicts(message.parts), *_dicts(beside)]]


def _opened(part: dict[str, Any]) -> dict[str, Any]:
    """The part, or what it wraps under a name that tells its kind."""
    if "type" not in part:
        for key in part.keys() & _WRAPPED.keys():
            if isinstance(part[key], dict):
                return {**part[key], "type": _WRAPPED[key]}
    return part


def _kind(part: Mapping[str, Any]) -> str:
    kind = part.get("type")
    return kind if isinstance(kind, str) else ""


def _is_call(part: Mapping[str, Any]) -> bool:
    return _kind(part) in _CALL_KINDS
