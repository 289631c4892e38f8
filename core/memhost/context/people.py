"""Who is who in a scope: the names of those who speak in its conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from memhost.models import Condition, MemoryType, Op, Scope, StoredMemory
from memhost.models.trust import by_role, rank
from memhost.ports import Store
from memhost.text.recalled.fence import label
from memhost.text.speakers import is_assistant, is_user

_READ = 24
"""Turns that are read: the oldest, which new ones do not push out, so that the answer stays as it is."""
_MOST_NAMES = 4
_MOST_WORDS, _LONGEST_NAME = 4, 40
"""Words and characters of a name that a sentence of the server's own can hold: what is longer may be a sentence."""
_TURNS = (Condition("memory_type", Op.ANY, (MemoryType.MESSAGE.value,)),)


class People(NamedTuple):
    """Who speaks: sentences for the reader, empty if there are no names, and the names of the assistant."""

    told: str
    assistants: frozenset[str]


async def who_is_who(store: Store, scope: Scope) -> People:
    """The names under which the user and the assistant speak."""
    turns, _ = await store.list_memories(scope, _TURNS, order="oldest", limit=_READ)
    users, assistants, others = (_names(turns, kind) for kind in ("user", "assistant", ""))
    sentences = [_sentence("user", users), _sentence("assistant", assistants)]
    if others:
        sentences.append(f"Others who speak: {', '.join(others)}")
    told = " ".join(f"{sentence}." for sentence in sentences if sentence)
    return People(told, frozenset(assistants))


def _sentence(role: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    if len(names) == 1:
        return f"The {role} speaks as {names[0]}"
    return f"The {role}s speak as {', '.join(names)}"


def _names(turns: Sequence[StoredMemory], kind: str) -> list[str]:
    """Names of the speakers of one kind, in the order in which they spoke first; none if there are many.

    Names stand on most turns of those who have any: a word with a colon on a single turn is none.
    """
    said = [turn.speaker for turn in turns if _kind(turn.role or "") == kind and _is_known(turn)]
    named = [label(speaker) for speaker in said if speaker]
    names = list(dict.fromkeys(named))
    if 2 * len(named) <= len(said) or len(names) > _MOST_NAMES:
        return []
    return [name for name in names if len(name) <= _LONGEST_NAME and len(name.split()) <= _MOST_WORDS]


def _is_known(turn: StoredMemory) -> bool:
    """Tell whether who speaks is no tool, page or stranger: their names stand in no sentence of the server's own."""
    return rank(turn.record.trust or by_role(turn.role or "")) >= rank("agent")


def _kind(role: str) -> str:
    return "user" if is_user(role) else "assistant" if is_assistant(role) else ""
