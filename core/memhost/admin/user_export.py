"""A user's own export: everything that is stored about one user, in pages.

What is exported is what `erasure` removes: memories with their former states, sessions, and all documents under the
user's name (trash, waiting turns, kept answers, usage, what plugins keep), views and their results, tasks, jobs.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from memhost.admin.erasure import concerns
from memhost.errors import Forbidden, InvalidRequest, Tampered
from memhost.history.entries import shown
from memhost.jobs.tasks import Tasks
from memhost.models import Document, Scope
from memhost.operations.responses import SummaryView, SummaryViewPartitionResult
from memhost.operations.table import Call
from memhost.operations.users import ExportedItem, ExportUser, GetProfile, UserExportPage
from memhost.ports import Clock, KeepsHistory, Store
from memhost.profile.service import ProfileService
from memhost.settings.schema import MemorySettings
from memhost.storage.bound_documents import BoundDocuments, document_scope
from memhost.usage.ledger import UsageLedger

_NOT_PLAIN = ("view", "task", "partition")
"""First words of kinds of documents that are exported in a form of their own."""

_JOBS = 500

Page = tuple[list[ExportedItem], str]
"""Items, and the place of the next page in their section; empty at its end."""


class UserExports:
    """Reads all of a user, section by section, inside the caller's bounds."""

    def __init__(
        self, *, store: Store, ledger: UsageLedger, profile: ProfileService, settings: MemorySettings, clock: Clock
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._profile = profile
        self._settings = settings
        self._clock = clock
        self._views = BoundDocuments(store, "view", SummaryView)
        self._tasks = Tasks(store, clock)

    async def page(self, call: Call, request: ExportUser) -> UserExportPage:
        """A page of what is stored about the user.

        Raises:
            Forbidden: The caller is bound to sessions, and cannot reach all of a user.
            InvalidRequest: `after` is no place of an export.
        """
        bounds = call.caller.bounds
        if bounds.sessions is not None:
            raise Forbidden(
                "A credential that is bound to sessions cannot export a user, because a user has more data than "
                "sessions."
            )
        scope = bounds.narrow(user=request.user_id, namespace=request.namespace or None)
        if () in (scope.users, scope.namespaces):
            return UserExportPage(items=[], next=None)
        sections = self._sections(call, request, scope)
        section, _, place = request.after.partition("|")
        names = list(sections)
        if section and section not in sections:
            raise InvalidRequest("`after` is no place of an export: send `next` of the page before.")
        at = names.index(section) if section else 0
        while True:
            items, following = await sections[names[at]](place, request.limit)
            if following:
                return UserExportPage(items=items, next=f"{names[at]}|{following}")
            at, place = at + 1, ""
            if at == len(names):
                return UserExportPage(items=items, next=None)
            if items:
                return UserExportPage(items=items, next=f"{names[at]}|")

    def _sections(
        self, call: Call, request: ExportUser, scope: Scope
    ) -> dict[str, Callable[[str, int], Awaitable[Page]]]:
        async def memories(place: str, limit: int) -> Page:
            return await self._memories(scope, _number(place), limit)

        async def versions(place: str, limit: int) -> Page:
            return await self._versions(scope, _number(place), limit)

        async def sessions(place: str, limit: int) -> Page:
            return await self._sessions(scope, _number(place), limit)

        async def documents(place: str, limit: int) -> Page:
            return await self._documents(scope, place, limit)

        async def jobs(place: str, _limit: int) -> Page:
            return await self._jobs(scope, _number(place))

        async def profile(place: str, limit: int) -> Page:
            return await self._profile_page(call, request, _number(place), min(limit, 200))

        async def views(_place: str, _limit: int) -> Page:
            return await self._view_items(scope, request.user_id), ""

        return {
            "memories": memories,
            "versions": versions,
            "sessions": sessions,
            "documents": documents,
            "views": views,
            "jobs": jobs,
            "profile": profile,
        }

    async def _memories(self, scope: Scope, skip: int, limit: int) -> Page:
        found, total = await self._store.list_memories(scope, order="oldest", limit=limit, offset=skip)
        items = [
            _item(
                "memory",
                memory.record.id,
                {
                    **msgspec.to_builtins(memory.record),
                    "version": memory.version,
                    "speaker": memory.speaker,
                    "role": memory.role,
                },
            )
            for memory in found
        ]
        return items, str(skip + limit) if skip + limit < total else ""

    async def _versions(self, scope: Scope, after: int, limit: int) -> Page:
        """Entries about the user's memories, with the states before them that are kept, and about sessions."""
        if not isinstance(self._store, KeepsHistory):
            return [], ""
        entries = await self._store.list_entries(scope, after=after, limit=limit)
        items = []
        for entry in entries:
            before = await self._store.former_state(scope, entry.seq) if entry.has_former else None
            content = {"change": shown(entry), "before": None if before is None else before.record}
            name = entry.change.memory if entry.change is not None else ""
            if entry.change is not None and not name:
                if entry.change.kind == "session":
                    items.append(_item("change", entry.change.owner[2], msgspec.to_builtins(content["change"])))
                continue
            items.append(_item("version", name, msgspec.to_builtins(content)))
        return items, str(entries[-1].seq) if len(entries) == limit else ""

    async def _sessions(self, scope: Scope, skip: int, limit: int) -> Page:
        now, items = self._clock.now(), []
        keys, total = await self._store.list_sessions(scope, now, limit=limit, offset=skip)
        for key in keys:
            try:
                session = await self._store.get_session(scope, key, now)
            except Tampered:  # the call's notices tell of it
                continue
            if session is not None:
                items.append(_item("session", key.session, msgspec.to_builtins(session)))
        return items, str(skip + limit) if skip + limit < total else ""

    async def _documents(self, scope: Scope, place: str, limit: int) -> Page:
        now, within = self._clock.now(), document_scope(scope)
        await self._ledger.flush()
        kind, _, after = place.partition("\n")
        for each in await self._store.document_kinds(within, now):
            if each.partition(":")[0] in _NOT_PLAIN or each < kind:
                continue
            start = after if each == kind else ""
            found = await self._store.list_documents(within, each, now, after=start, limit=limit)
            if found:
                return [_of_document(document) for document in found], f"{each}\n{found[-1].id}"
        return [], ""

    async def _view_items(self, scope: Scope, user: str) -> list[ExportedItem]:
        """The user's own views and tasks, and results of any view that are about the user alone."""
        now, tenant = self._clock.now(), Scope(tenant=scope.tenant)
        own = {item.content.id: item.content for item in await self._views.list_all(scope, now)}
        items = [_item("view", name, msgspec.to_builtins(view)) for name, view in own.items()]
        for item in await self._views.list_all(tenant, now):
            name = item.content.id
            for document in await self._store.list_documents(tenant, f"partition:{name}", now):
                result = msgspec.msgpack.decode(document.body, type=SummaryViewPartitionResult)
                if name in own or _is_about(result, scope, user):
                    items.append(_item("view_result", document.id, msgspec.to_builtins(result)))
        tasks = await self._tasks.by_key(scope)
        return [*items, *(_item("task", key, msgspec.to_builtins(task.content)) for key, task in tasks.items())]

    async def _jobs(self, scope: Scope, skip: int) -> Page:
        found, total = await self._store.list_jobs(Scope(tenant=scope.tenant), limit=_JOBS, offset=skip)
        items = [
            _item("job", job.id, {"event": job.event, "state": job.state.value, "content": _plain(job.payload)})
            for job in found
            if concerns(job, scope)
        ]
        return items, str(skip + _JOBS) if skip + _JOBS < total else ""

    async def _profile_page(self, call: Call, request: ExportUser, skip: int, limit: int) -> Page:
        if not self._settings.long_term_memory:
            return [], ""
        asked = GetProfile(user_id=request.user_id, namespace=request.namespace, limit=limit, offset=skip)
        found = await self._profile.get(call, asked)
        items = [_item("profile", facet.subject, msgspec.to_builtins(facet)) for facet in found.facets]
        if not skip:
            items += [_item("rule", rule.id, msgspec.to_builtins(rule)) for rule in found.rules]
        return items, str(skip + limit) if skip + limit < found.total else ""


def _number(place: str) -> int:
    if place and not (place.isdecimal() and len(place) < 19):
        raise InvalidRequest("`after` is no place of an export: send `next` of the page before.")
    return int(place or 0)


def _item(kind: str, name: str, content: Any) -> ExportedItem:
    return ExportedItem(kind=kind, id=name, content=content)


def _of_document(document: Document) -> ExportedItem:
    kind = document.kind.partition(":")[0]
    at: datetime = document.updated_at
    content = {"kind": document.kind, "updated_at": msgspec.to_builtins(at), "body": _plain(document.body)}
    return _item(_NAMES.get(kind, kind), document.id, content)


_NAMES = {"pending": "waiting_turn", "plugin": "plugin_document"}


def _plain(body: bytes) -> Any:
    """The content as JSON has it; text or base64 where it is no msgpack."""
    try:
        return msgspec.to_builtins(msgspec.msgpack.decode(body), str_keys=True)
    except (msgspec.MsgspecError, ValueError, TypeError):
        pass
    try:
        return body.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}


def _is_about(result: SummaryViewPartitionResult, scope: Scope, user: str) -> bool:
    """Tell whether a result is of a group of this user's memories inside the scope, and of nobody else's."""
    namespaces: Sequence[str] | None = scope.namespaces
    inside = namespaces is None or result.group.get("namespace") in namespaces
    return result.group.get("user_id") == user and inside
