"""Tells another service what happens, as signed HTTP requests.

Each event is one job of this plugin: what cannot be delivered is tried again with growing waits, then kept as a dead
letter (`memhost jobs list --state dead`). The id of the job goes along, so that the receiver sees a repetition.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import Annotated, Any

import httpx
import msgspec

from memhost import event_options, hookimpl
from memhost.events import (
    Administered,
    HeadSigned,
    JobContext,
    MemoriesDeleted,
    MemoriesHeld,
    MemoriesStored,
    MemoriesSuperseded,
    MemoriesUpdated,
    ReviewDecided,
    SessionIdle,
    SessionUpdated,
)
from memhost.settings import setting
from memhost.specs import SettingsSpec

MEMHOST_API = (1, 1)
TIMEOUT_S = 10.0


class WebhooksSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an operator may set: [plugins.webhooks] in memhost.toml."""

    url: Annotated[str, setting("Address that gets a POST for each event; empty: none is sent.")] = ""
    secret: Annotated[str, setting("Signs each request: X-Memhost-Signature is its HMAC-SHA256.", secret=True)] = ""
    events: Annotated[tuple[str, ...], setting("Events to send, such as memories_stored; empty sends all.")] = ()


@hookimpl
def memhost_settings() -> Sequence[SettingsSpec]:
    """The section of the configuration."""
    return [SettingsSpec(name="webhooks", settings=WebhooksSettings)]


async def send(name: str, event: Any, context: JobContext) -> None:
    """Send one event; what is raised makes the job be tried again."""
    settings: WebhooksSettings = context.plugin_settings
    if not settings.url or (settings.events and name not in settings.events):
        return
    body = msgspec.json.encode({"event": name, "id": context.job_id, "at": context.now, "data": event})
    headers = {"content-type": "application/json"}
    if settings.secret:
        headers["x-memhost-signature"] = hmac.digest(settings.secret.encode(), body, "sha256").hex()
    async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
        answer = await client.post(settings.url, content=body, headers=headers)
        answer.raise_for_status()


@hookimpl
@event_options(timeout_s=2 * TIMEOUT_S)
async def memhost_session_updated(event: SessionUpdated, context: JobContext) -> None:
    """A session was written."""
    await send("session_updated", event, context)


@hookimpl
@event_options(timeout_s=2 * TIMEOUT_S)
async def memhost_session_idle(event: SessionIdle, context: JobContext) -> None:
    """A conversation seems to be over."""
    await send("session_idle", event, context)


@hookimpl
@event_options(timeout_s=2 * TIMEOUT_S)
async def memhost_memories_stored(event: MemoriesStored, context: JobContext) -> None:
    """There are new memories."""
    await send("memories_stored", event, context)


@hookimpl
@event_options(timeout_s=2 * TIMEOUT_S)
async def memhost_memories_updated(event: MemoriesUpdated, context: JobContext) -> None:
    """Memories were edited."""
    await send("memories_updated", event, context)


@hookimpl
@event_options(timeout_s=2 * TIMEOUT_S)
async def memhost_memories_superseded(event: MemoriesSuperseded, context: JobContext) -> None:
    """Facts were replaced by newer ones."""
    await send("memories_superseded", event, context)


@hookimpl
@event_options(timeout_s=2 * TIMEOUT_S)
async def memhost_memories_held(event: MemoriesHeld, context: JobContext) -> None:
    """Memories wait for a review."""
    await send("memories_held", event, context)


@hookimpl
@event_options(timeout_s=2 * TIMEOUT_S)
async def memhost_review_decided(event: ReviewDecided, context: JobContext) -> None:
    """Somebody decided on one of them, or nobody in time."""
    await send("review_decided", event, context)


@hookimpl
@event_options(timeout_s=2 * TIMEOUT_S)
async def memhost_memories_deleted(event: MemoriesDeleted, context: JobContext) -> None:
    """Memories are gone."""
    await send("memories_deleted", event, context)


@hookimpl
@event_options(timeout_s=2 * TIMEOUT_S)
async def memhost_head_signed(event: HeadSigned, context: JobContext) -> None:
    """The audit log has a new end: whoever keeps it notices when the store is rolled back."""
    await send("head_signed", event, context)


@hookimpl
@event_options(timeout_s=2 * TIMEOUT_S)
async def memhost_administered(event: Administered, context: JobContext) -> None:
    """Somebody administers: for an audit log elsewhere."""
    await send("administered", event, context)
