"""Removes personal data before it is stored, and from queries and hits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from memhost import event_options, hookimpl
from memhost.events import RequestContext, SearchRequest, SessionWrite
from memhost.models import MemoryHit, MemoryRecord
from memhost.settings import setting
from memhost.specs import SettingsSpec

MEMHOST_API = (1, 1)


class RedactionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an operator may set: [plugins.redaction] in memhost.toml."""

    region: Annotated[str, setting("Country of phone numbers without a country code, such as DE.")] = "US"
    keep: Annotated[tuple[str, ...], setting("Kinds that are not taken out: email, phone, iban, card.")] = ()


@hookimpl
def memhost_settings() -> Sequence[SettingsSpec]:
    """The section of the configuration."""
    return [SettingsSpec(name="redaction", settings=RedactionSettings)]


@hookimpl
@event_options(on_failure="refuse", timeout_s=5)
async def memhost_before_session_write(write: SessionWrite, context: RequestContext) -> SessionWrite:
    """Redact the messages, the summary and the memories of a session."""
    from redaction.finding import redact

    content = write.content
    for message in content.messages:
        message.content = redact(message.content, context.plugin_settings)
    if content.context is not None:
        content.context = redact(content.context, context.plugin_settings)
    return write


@hookimpl
@event_options(on_failure="refuse", timeout_s=5)
async def memhost_before_memories_stored(memories: list[MemoryRecord], context: RequestContext) -> list[MemoryRecord]:
    """Redact the texts of memories."""
    from redaction.finding import redact

    for memory in memories:
        memory.text = redact(memory.text, context.plugin_settings)
    return memories


@hookimpl
@event_options(on_failure="refuse", timeout_s=5)
async def memhost_before_search(search: SearchRequest, context: RequestContext) -> SearchRequest:
    """Redact the question, which may go to an embedding provider; what is stored is written the same way."""
    from redaction.finding import redact

    search.text = redact(search.text, context.plugin_settings)
    return search


@hookimpl
@event_options(on_failure="refuse", timeout_s=5)
async def memhost_after_search(hits: list[MemoryHit], context: RequestContext) -> list[MemoryHit]:
    """Redact what was stored before the plugin was installed."""
    from redaction.finding import redact

    for hit in hits:
        hit.text = redact(hit.text, context.plugin_settings)
    return hits
