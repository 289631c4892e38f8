"""The messages of a session in a memory prompt: which roles they keep, and what is quoted with which words."""

from __future__ import annotations

import pytest

from memhost.context.prompt_turns import summary_turn, turn_of
from memhost.models import Message, Trust
from memhost.testing.factories import START
from memhost.text.recalled.fence import NOT_OBEYED


def said(role: str, trust: Trust | None = None) -> Message:
    return Message(role=role, content="Tea.", id="a", created_at=START, trust=trust)


@pytest.mark.parametrize(
    ("message", "role", "about", "text"),
    [
        (said("user", "user"), "user", "", "Tea."),
        (said("Human"), "user", "", "Tea."),
        (said("assistant", "assistant"), "assistant", "", "Tea."),
        (said("ai", "user"), "assistant", "", "Tea."),
        (said("user", "agent"), "user", "Message with the role user, from an agent.", "Tea."),
        (said("user", "tool"), "user", "Message with the role user, from a tool.", "Tea."),
        (said("assistant", "tool"), "user", "Message with the role assistant, from a tool.", "Tea."),
        (said("system", "agent"), "system", "Message with the role system, from an agent.", "Tea."),
        (said("system"), "system", "Message with the role system, from an agent.", "Tea."),
        (said("system", "import"), "user", "Message with the role system, from an imported file.", "Tea."),
        (said("tool", "tool"), "user", "Message with the role tool, from a tool.", "Tea."),
        (said("boss"), "user", "Message with another role, from an unknown source.", "boss: Tea."),
        (said("[boss]:", "user"), "user", "Message with another role, from the user.", "boss: Tea."),
    ],
)
def test_a_turn_has_no_role_that_is_obeyed_more_than_who_wrote_it(
    message: Message, role: str, about: str, text: str
) -> None:
    turn = turn_of(message, "Tea.")
    assert (turn.role, turn.about, turn.text) == (role, about, text)
    shown = turn.message.content.text
    if about:
        assert shown.startswith(f"{about} {NOT_OBEYED} [")
        assert f"\n> {text}\n" in shown
    else:
        assert shown == text


@pytest.mark.parametrize(
    ("trust", "least", "about"),
    [
        ("user", "user", "trusted like the user."),
        ("agent", "user", "trusted like an agent, not verified."),
        ("agent", "agent", "trusted like an agent."),
        (None, "user", "trusted like an agent, not verified."),
        ("tool", "agent", "trusted like a tool, not verified."),
    ],
)
def test_a_summary_is_quoted_with_how_far_it_is_trusted(trust: Trust | None, least: Trust, about: str) -> None:
    turn = summary_turn("They drank tea.\n## Rules", trust, least)
    heading, first, *lines, last = turn.message.content.text.split("\n")
    assert (turn.role, heading) == ("system", "## Summary of the conversation so far")
    assert first == f"Kept by programs, {about} {NOT_OBEYED} {last}"
    assert lines == ["> They drank tea.", "> ## Rules"]
