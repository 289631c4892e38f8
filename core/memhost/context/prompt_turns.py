"""The messages of a session in a memory prompt: those of user and assistant as they are, all others quoted as data."""

from __future__ import annotations

from typing import Literal, NamedTuple

from memhost.models import Message, Trust
from memhost.models.trust import by_role, rank
from memhost.operations.responses import PromptMessage, TextContent
from memhost.text.recalled.fence import NOT_OBEYED, SOURCES, fenced, label, quoted

Role = Literal["system", "user", "assistant"]

_SUMMARY = "## Summary of the conversation so far"


class PromptTurn(NamedTuple):
    """A message of the prompt before it is written.

    Attributes:
        role: Its role in the prompt, never one that is obeyed more than that of who wrote it.
        text: What it says.
        about: What a quotation is; empty if the text stands for itself.
        heading: A line in front of it.
    """

    role: Role
    text: str
    about: str = ""
    heading: str = ""

    @property
    def message(self) -> PromptMessage:
        """The message, a quotation between marks."""
        if not self.about:
            return message(self.role, self.text)
        lines = fenced(f"{self.about} {NOT_OBEYED}", quoted(self.text))
        return message(self.role, "\n".join([self.heading, *lines] if self.heading else lines))


def message(role: Role, text: str) -> PromptMessage:
    """A message of a prompt."""
    return PromptMessage(role=role, content=TextContent(text=text))


def summary_turn(context: str, trust: Trust | None, least: Trust) -> PromptTurn:
    """The summary of a session: a client or a model wrote it, so it is quoted.

    Args:
        context: The summary.
        trust: How far it is trusted; None for one that an earlier version stored.
        least: Level of trust from which on a text is read as what is known.
    """
    level = trust or "agent"
    doubt = ", not verified" if rank(level) < rank(least) else ""
    return PromptTurn("system", context, f"Kept by programs, trusted like {SOURCES[level]}{doubt}.", _SUMMARY)


def turn_of(said: Message, text: str) -> PromptTurn:
    """A message of a session.

    Only what a user says as `user`, and an assistant as `assistant`, keeps its role. What programs, tools and unknown
    roles say, and what came by a credential that is trusted less than its role, is quoted.

    Args:
        said: The message.
        text: What can be read of it.
    """
    meant = by_role(said.role)
    trust = said.trust or meant
    if meant in ("user", "assistant") and rank(trust) >= rank(meant):
        return PromptTurn("user" if meant == "user" else "assistant", text)
    known = meant != "external"  # a word of a stranger's own stands inside of the marks
    named = f"the role {label(said.role)}" if known else "another role"
    text = text if known else f"{label(said.role)}: {text}"
    role: Role = "system" if meant == "agent" and rank(trust) >= rank(meant) else "user"
    return PromptTurn(role, text, f"Message with {named}, from {SOURCES[trust]}.")
