"""Turns of a session as long-term memory keeps them: the messages that they were made of."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from memhost.memories.records import derived_id
from memhost.memories.trust import level_of
from memhost.models import TURN_STRATEGY, MemoryRecord, Message, Scope, SessionKey, StoredMemory
from memhost.models.trust import by_role, lowest
from memhost.ports import Store, Turn


def keeps_turn(record: MemoryRecord) -> bool:
    """Tell whether the memory keeps a turn that a session stored, as it was said or as it was edited since."""
    made = record.extractor is not None or record.edited_from is not None
    return made and record.extraction_strategy == TURN_STRATEGY


def messages_of(record: MemoryRecord) -> list[str]:
    """Ids of the message that a memory keeps."""
    before = record.edited_from.source_ids if record.edited_from is not None else []
    return record.source_ids or before or [record.id]


def place_of(memory: StoredMemory) -> int:
    """Index in its session of the turn that a memory keeps."""
    before = memory.record.edited_from
    return memory.position or (before.position if before is not None else None) or 0


async def read_memories(store: Store, key: SessionKey, ids: Collection[str]) -> list[StoredMemory]:
    """The memories of the session's messages with these ids, in order of position."""
    names = {derived_id(key.tenant, key.namespace, key.user, key.session, name): name for name in ids}
    if not names:
        return []
    scope = Scope(tenant=key.tenant, namespaces=(key.namespace,), users=(key.user,), sessions=(key.session,))
    found = await store.get_memories(scope, [*ids, *names])
    turns = [memory for memory in found if keeps_turn(memory.record)]
    return sorted(turns, key=lambda memory: (place_of(memory), memory.record.created_at, memory.record.id))


async def read_turns(store: Store, key: SessionKey, ids: Collection[str]) -> list[Turn]:
    """The turns with these message ids that long-term memory keeps, in order of position."""
    return [turn_of(memory) for memory in await read_memories(store, key, ids)]


def as_edited(message: Message, memory: StoredMemory) -> Message:
    """The message of a session with the text that its memory has by now, trusted no further than that."""
    kept = turn_of(memory).message
    level = lowest((message.trust or by_role(message.role), level_of(memory.record)))
    return msgspec.structs.replace(message, content=kept.content, trust=level)


def turn_of(memory: StoredMemory) -> Turn:
    """The turn of a memory that keeps one."""
    record = memory.record
    before = record.edited_from
    role = memory.role or (before.role if before is not None else None) or "user"
    lead = f"{role}: "
    content = record.text[len(lead) :] if record.text.startswith(lead) else record.text
    message = Message(
        role=role,
        content=content,
        id=messages_of(record)[0],
        created_at=record.created_at,
        persisted_at=record.persisted_at,
        discrete_memory_extracted="t",
        trust=record.trust,
    )
    return Turn(message=message, position=place_of(memory))
