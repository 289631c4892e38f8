"""A plugin that works: event hooks of every kind, a schedule and a setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from memhost import event_options, hookimpl
from memhost.errors import Refused
from memhost.events import JobContext, MemoriesStored, RequestContext, SearchRequest, SessionUpdated, SessionWrite
from memhost.models import MemoryHit, MemoryRecord, SessionKey, new_id
from memhost.ports import Draft
from memhost.specs import SettingsSpec


class GoodSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A section of its own."""

    volume: Annotated[int, Meta(ge=0, le=11, description="How loud.")] = 3


@hookimpl
def memhost_settings() -> Sequence[SettingsSpec]:
    return [SettingsSpec(name="good", settings=GoodSettings)]


@hookimpl
async def memhost_before_session_write(write: SessionWrite) -> SessionWrite | None:
    for message in write.content.messages:
        if "please refuse" in message.content:
            raise Refused("That word is not welcome.")
        message.content = message.content.replace("4111 1111", "[card]")
    return write


@hookimpl
@event_options(on_failure="refuse", timeout_s=0.2)
async def memhost_before_memories_stored(
    memories: list[MemoryRecord], context: RequestContext
) -> list[MemoryRecord] | None:
    if any("break the hook" in record.text for record in memories):
        raise ValueError("broken on purpose")
    return [record for record in memories if "do not keep" not in record.text]


@hookimpl
async def memhost_before_search(search: SearchRequest) -> SearchRequest:
    search.text = search.text.replace("automobile", "car")
    return search


@hookimpl
@event_options(timeout_s=0.2)
async def memhost_after_search(hits: list[MemoryHit], search: SearchRequest) -> list[MemoryHit]:
    if search.text == "hits that break":
        hits.clear()
        raise ValueError("broken on purpose")
    for hit in hits:
        hit.text = hit.text.replace("secret", "[redacted]")
    return hits


@hookimpl
async def memhost_session_updated(event: SessionUpdated, context: JobContext) -> None:
    key = event.session
    context.put_document(f"session:{key.session}:{event.version}", ",".join(event.message_ids).encode())


@hookimpl
@event_options(max_tries=2)
async def memhost_memories_stored(event: MemoriesStored, context: JobContext) -> None:
    for record in await context.get_memories(event.ids):
        if record.text.startswith("derive:"):
            owner = SessionKey(
                context.scope.tenant, record.namespace or "", record.user_id or "", record.session_id or ""
            )
            await context.store_memories(
                owner,
                [Draft(id=new_id(), text=f"derived from {record.id}", source_ids=[record.id], topics=["derived"])],
            )
        if "poison the job" in record.text:
            raise ValueError("poisoned on purpose")
