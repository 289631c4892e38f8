"""Reads requests and answers of the proxy, and makes the few changes to them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Message = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Whose memory a conversation uses, and the session that keeps it."""

    user: str
    namespace: str | None
    session: str


def owner_of(messages: list[Message], user: str, headers: Mapping[str, str]) -> Owner:
    """The owner named by the headers; a session without a name is known by how its conversation begins."""
    namespace = headers.get("x-memhost-namespace") or None
    opening = next((number for number, each in enumerate(messages) if each.get("role") == "user"), 0)
    derived = "chat-" + _digest(user, namespace, [text_of(each) for each in messages[: opening + 1]])
    return Owner(user=user, namespace=namespace, session=headers.get("x-memhost-session") or derived)


def text_of(message: Message) -> str:
    """The text of a message, whether it is a string or parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(
        str(part.get("text", "")) for part in parts if isinstance(part, dict) and part.get("type") == "text"
    )


def question_of(messages: list[Message]) -> str:
    """What the user said last."""
    return next((text_of(each) for each in reversed(messages) if each.get("role") == "user"), "")


def with_memories(messages: list[Message], memories: str) -> list[Message]:
    """The messages with the memories at the end of the system prompt, or as the system prompt."""
    if not messages or messages[0].get("role") not in ("system", "developer"):
        return [{"role": "system", "content": memories}, *messages]
    first = dict(messages[0])
    if isinstance(first.get("content"), list):
        first["content"] = [*first["content"], {"type": "text", "text": memories}]
    else:
        first["content"] = f"{text_of(first)}\n\n{memories}"
    return [first, *messages[1:]]


def turn_of(messages: list[Message], answer: str, owner: Owner) -> list[Message]:
    """What is new: what the user said since the last answer, and the answer.

    Ids follow from place and text, so a request that is sent again adds nothing.
    """
    roles = [each.get("role") for each in messages]
    answered = max((number for number, role in enumerate(roles) if role == "assistant"), default=-1)
    said = [(number, "user", text_of(each)) for number, each in enumerate(messages) if each.get("role") == "user"]
    new = [each for each in said if each[0] > answered] + [(len(messages), "assistant", answer)]
    return [
        {"id": "chat-" + _digest(owner.session, number, role, text), "role": role, "content": text}
        for number, role, text in new
        if text
    ]


def answer_in(body: bytes) -> str:
    """The text of a chat completion's first choice; empty if it has none."""
    return _text(body, "message")


class StreamedAnswer:
    """Collects the text of an answer from the events that pass by."""

    def __init__(self) -> None:
        self.text = ""
        self.complete = False
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        """Take in the next bytes of the stream."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                data = line[5:].strip()
                self.complete = self.complete or data == b"[DONE]"
                self.text += _text(data, "delta")


def _text(body: bytes, part: str) -> str:
    try:
        choices = json.loads(body)["choices"]
        first = next((each for each in choices if each.get("index", 0) == 0), {})
        return first.get(part, {}).get("content") or ""
    except (ValueError, LookupError, TypeError, AttributeError):  # not an answer with text; the client judges it
        return ""


def _digest(*parts: Any) -> str:
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=12).hexdigest()
