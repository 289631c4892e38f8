"""Who said a message: its role, or a name in front of what was said."""

from __future__ import annotations

from memhost.models import Message
from memhost.text.analysis import split_speaker

BACKGROUND_ROLES = frozenset({"system", "tool"})
"""Roles whose messages are instructions and raw output, not evidence of what was said."""

PLAIN_ROLES = frozenset({"user", "assistant", "human", "ai", "model", "bot", "agent", "function", "developer"})
"""Roles that say what somebody is; any other role is taken for the speaker's name."""


def is_background(message: Message) -> bool:
    """Tell whether the message is an instruction or raw output.

    A role is stored as it was sent, and means the same in any letter case: `Tool` is `tool`.
    """
    return message.role.lower() in BACKGROUND_ROLES


USER_ROLES = frozenset({"user", "human"})
"""Roles of the person whom an assistant serves, in small letters."""

ASSISTANT_ROLES = frozenset({"assistant", "ai", "model", "bot", "agent"})
"""Roles of the assistant, in small letters."""


def is_user(role: str | None) -> bool:
    """Tell whether a role is the user's, in any letter case."""
    return role is not None and role.strip().lower() in USER_ROLES


def is_assistant(role: str | None) -> bool:
    """Tell whether a role is the assistant's, in any letter case."""
    return role is not None and role.strip().lower() in ASSISTANT_ROLES


def speaker_of(message: Message) -> str | None:
    """Name of who said it, None where neither text nor role gives one."""
    speaker, _ = split_speaker(message.content)
    if speaker is None and message.role.lower() not in PLAIN_ROLES:
        return message.role
    return speaker
