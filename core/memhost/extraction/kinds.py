"""The kinds of memories: facts, events, standing instructions of the user, and what an agent did.

A memory's kind is in its metadata (`kind`), where it is more than its type says. Facts and events have none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, Literal

from memhost.extraction.screening.injection import takes_over
from memhost.models import MemoryRecord, MemoryType, Message
from memhost.ports import Draft
from memhost.text.speakers import Labels, is_assistant, is_user, speaker_of
from memhost.text.temporal.times import local
from memhost.text.unicode_forms import fold

KIND = "kind"
"""Metadata key: `instruction`, `action` or `preference`."""
INSTRUCTION, ACTION, PREFERENCE = "instruction", "action", "preference"

SUBJECT = "subject"
"""Metadata key that says what a statement is about, in words that stay the same when the fact changes."""

POLARITY = "polarity"
"""Metadata key: whether a statement says or denies its matter."""

SCOPE = "scope"
"""Metadata key of instructions: the project or subject that they are for. Without it they hold everywhere."""
THIS_SESSION = "session"
"""Scope of instructions that hold in the session in which they were given, and nowhere else."""

ATTRIBUTED_TO = "attributed_to"
"""Metadata key of actions, and of instructions of somebody who has a name: who did or said it."""
NAMELESS = "assistant"
"""To whom the actions of an agent without a name are attributed."""

Kind = Literal["fact", "event", "instruction", "action"]
"""The kinds that a strategy may be told to note."""
NOTED: tuple[Kind, ...] = ("fact", "event", "instruction")
"""The kinds that are noted unless somebody says otherwise."""

_KINDS = {
    "instruction": INSTRUCTION,
    "directive": INSTRUCTION,
    "guideline": INSTRUCTION,
    "rule": INSTRUCTION,
    "action": ACTION,
    "agent": ACTION,
    "preference": PREFERENCE,
}
_EVERYWHERE = frozenset(("", "null", "none", "n/a", "all", "any", "always", "everywhere", "global", "general", "user"))
_HERE = frozenset(("session", "conversation", "chat"))
_LONGEST = 100


def marked(
    draft: Draft,
    raw: Mapping[str, Any],
    messages: Sequence[Message],
    noted: Collection[str],
    labels: Labels = frozenset(),
    zone: str = "UTC",
) -> Draft | str:
    """The draft with its kind in the metadata; or why it is left out.

    Only what the user says is an instruction: one that tools, pages or assistants alone tell is left out, one that they
    share in stays an ordinary statement, and so does one that would change whom an assistant obeys. Only what an
    assistant says it did is an action.

    Args:
        draft: The draft, which is changed.
        raw: The item of the answer.
        messages: The messages that were read.
        noted: The kinds to note.
        labels: Words in front of messages that are names of speakers.
        zone: IANA zone in which days begin.
    """
    sources = [message for message in messages if message.id in draft.source_ids]
    said = sources or list(messages)
    kind = _kind_of(raw)
    if kind in (INSTRUCTION, ACTION) and kind not in noted:
        return f"{kind}s are not noted: {draft.text}"
    if kind == INSTRUCTION:
        if said and all(is_user(message.role) for message in said) and not takes_over(draft.text):
            return _instruction(draft, raw, speaker_of(said[-1], labels))
        if sources and not any(is_user(message.role) for message in sources):
            return f"an instruction that the user did not give: {draft.text}"
    elif kind == ACTION:
        agents = [message for message in said if is_assistant(message.role)]
        if agents and not _is_of_user(draft.text):
            return _action(
                draft, speaker_of(agents[-1], labels), {local(each.created_at, zone).date() for each in said}
            )
    elif kind == PREFERENCE:
        draft.metadata[KIND] = PREFERENCE
    plain = "event" if draft.memory_type is MemoryType.EPISODIC else "fact"
    return draft if plain in noted else f"{plain}s are not noted: {draft.text}"


def kind_of(record: MemoryRecord) -> str:
    """The kind of a memory that a strategy made, empty for facts and events; keys of clients are their own matter."""
    kind = record.metadata.get(KIND)
    made = record.extractor is not None or record.edited_from is not None
    return kind if isinstance(kind, str) and made else ""


def subject_of(record: MemoryRecord) -> str:
    """The subject of a memory, empty if it has none."""
    subject = record.metadata.get(SUBJECT)
    return subject if isinstance(subject, str) else ""


def scope_of(record: MemoryRecord) -> str:
    """The scope of an instruction as it was given; empty if it holds everywhere."""
    scope = record.metadata.get(SCOPE)
    return scope if isinstance(scope, str) else ""


def may_relate(one: MemoryRecord, other: MemoryRecord) -> bool:
    """Tell whether two memories may become one, or a model may be asked about them.

    What an agent did neither ends nor confirms anything but what agents did; an instruction holds in its scope until
    one of the same scope ends it, so that a rule of one project never ends that of another.
    """
    kinds = {kind_of(one), kind_of(other)}
    if ACTION in kinds or INSTRUCTION in kinds:
        return len(kinds) == 1 and _same_scope(scope_of(one), scope_of(other))
    return True


def may_replace(newer: MemoryRecord, older: MemoryRecord) -> bool:
    """Tell whether a memory may replace an older one: also a rule for everything a plain statement of the same matter.

    Statements like "User wants answers in British spelling" were plain ones before there were rules.
    """
    if kind_of(newer) == INSTRUCTION and not scope_of(newer) and kind_of(older) in ("", PREFERENCE):
        return True
    return may_relate(newer, older)


def _same_scope(one: str, other: str) -> bool:
    """Tell whether two scopes are the same; models write `Ledger` and `project Ledger` for one."""
    words, others = (set(fold(scope).split()) for scope in (one, other))
    return bool(words) == bool(others) and (words <= others or others <= words)


def _kind_of(raw: Mapping[str, Any]) -> str:
    said = raw.get("type", raw.get("memory_type", raw.get("kind")))
    return _KINDS.get(said.strip().lower(), "") if isinstance(said, str) else ""


def _instruction(draft: Draft, raw: Mapping[str, Any], speaker: str | None) -> Draft:
    draft.memory_type = MemoryType.SEMANTIC
    draft.metadata[KIND] = INSTRUCTION
    if scope := _scope(raw.get("scope")):
        draft.metadata[SCOPE] = scope
    if speaker:
        draft.metadata[ATTRIBUTED_TO] = speaker
    return draft


def _action(draft: Draft, agent: str | None, said: Collection[date]) -> Draft:
    """The draft as an action; an event if it has a day of its own, and not the one on which it was told."""
    own = draft.event_date is not None and (draft.event_end is not None or draft.event_date.date() not in said)
    draft.memory_type = MemoryType.EPISODIC if own else MemoryType.SEMANTIC
    draft.metadata[KIND] = ACTION
    draft.metadata[ATTRIBUTED_TO] = agent or NAMELESS
    return draft


def _scope(value: Any) -> str:
    scope = " ".join(value.split())[:_LONGEST] if isinstance(value, str) else ""
    plain = fold(scope).removeprefix("this ").removeprefix("current ")
    if plain in _HERE:
        return THIS_SESSION
    return "" if plain in _EVERYWHERE else scope


def _is_of_user(text: str) -> bool:
    """Tell whether a text says what the user did: then it is no action, whoever says so."""
    return text.startswith("User ")
