"""Resources: sessions, memories and summaries by address. `_` means an empty part."""

from __future__ import annotations

from typing import Any

import msgspec

from memhost.errors import NotFound
from memhost.operations.content import Document
from memhost.operations.working_memory import GetSession
from memhost.text.recalled.fence import visible_json
from memhost_mcp.offers import Offer
from memhost_mcp.tool_context import ToolContext
from memhost_mcp.tools.everyday import read_session
from memhost_mcp.tools.long_term import read_memory
from memhost_mcp.tools.views import GetSummary, get_summary


class SessionAddress(msgspec.Struct, kw_only=True):
    """A session."""

    namespace: str
    user_id: str
    session_id: str


class RecordAddress(msgspec.Struct, kw_only=True):
    """A memory."""

    id: str


class ProfileAddress(msgspec.Struct, kw_only=True):
    """The profile of a user."""

    namespace: str
    user_id: str


class SummaryAddress(msgspec.Struct, kw_only=True):
    """A summary: `partition` is `field=value` pairs joined by commas."""

    view: str
    partition: str


def _part(value: str) -> str | None:
    return None if value == "_" else value


def _json(value: Any) -> Document:
    text = visible_json(msgspec.json.encode(value).decode())
    return Document(uri="", media_type="application/json", text=text)


async def _session(context: ToolContext, address: SessionAddress) -> Document:
    named, user = _part(address.namespace), _part(address.user_id)
    view = await read_session(context, GetSession(session_id=address.session_id, namespace=named, user_id=user))
    if view is None:
        raise NotFound(f"Session {address.session_id} not found.")
    return _json(view)


async def _record(context: ToolContext, address: RecordAddress) -> Document:
    return _json(await read_memory(context, address.id))


async def _profile(context: ToolContext, address: ProfileAddress) -> Document:
    owner = context.owner(_part(address.namespace), _part(address.user_id))
    if not owner.user:
        raise NotFound("A profile is that of one user: name it in the address.")
    fields = {"namespace": owner.namespace, "user_id": owner.user, "limit": 200}
    return _json(await context.ask("get_profile", fields))


async def _summary(context: ToolContext, address: SummaryAddress) -> Document:
    pairs = [pair.partition("=") for pair in (_part(address.partition) or "").split(",") if pair]
    group = {name: value for name, _, value in pairs}
    return _json(await get_summary(context, GetSummary(view=address.view, group=group)))


RESOURCES = (
    Offer(
        name="session",
        description="A conversation. _ stands for no namespace or user.",
        arguments=SessionAddress,
        run=_session,
        access="read",
        address="memory://session/{namespace}/{user_id}/{session_id}",
    ),
    Offer(
        name="record",
        description="A memory.",
        arguments=RecordAddress,
        run=_record,
        access="read",
        address="memory://record/{id}",
    ),
    Offer(
        name="profile",
        description="What holds of a user, and standing rules. _ stands for every namespace.",
        arguments=ProfileAddress,
        run=_profile,
        access="read",
        address="memory://profile/{namespace}/{user_id}",
    ),
    Offer(
        name="summary",
        description="A summary of a view; the partition is field=value pairs joined by commas, or _.",
        arguments=SummaryAddress,
        run=_summary,
        access="read",
        address="memory://summary/{view}/{partition}",
    ),
)
