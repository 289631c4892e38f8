"""Which memories wait for a review, and where.

A statement that is trusted less than the user, and is of a sensitive kind or contradicts what is trusted more, becomes
a document instead of a memory: nothing that reads memories meets it. Beside it stands a document with the hash of its
text, by which a repetition is recognised, also after it was refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, get_args

import msgspec

from memhost.errors import ReviewLimitReached
from memhost.events import MemoriesHeld
from memhost.extraction.screening.sensitive.kinds import Kind, kinds_of
from memhost.jobs.outbox import Outbox
from memhost.logs import log
from memhost.memories.records import content_hash, derived_id, unique
from memhost.memories.trust import CONTRADICTS, is_above, level_of
from memhost.metrics import Metrics, ReviewOutcome
from memhost.models import (
    TURN_STRATEGY,
    Actor,
    Document,
    HeldMemories,
    MemoryRecord,
    Review,
    Scope,
    Trust,
    WriteBatch,
    acting,
)
from memhost.models.trust import lowest, rank
from memhost.operations.table import Call
from memhost.ports import Store
from memhost.secrets.requests import letters
from memhost.settings.schema import MemorySettings
from memhost.storage.bound_documents import by_prefix, document_scope

logger = logging.getLogger(__name__)

KIND, TEXT_KIND = "review", "review_text"
"""Kinds of the documents: what waits, and the hashes of what waits or was refused."""

Reason = Literal[Kind, "contradicts"]
REASONS: tuple[Reason, ...] = get_args(Reason)

REFUSED = b""
"""Body of the document with the hash of a text that was refused; of one that waits it is the id of the memory."""

_AT_ONCE = 4_000
"""Characters that are judged on the event loop: a few milliseconds. More are in a thread."""

_OWNERS, _PAGE = 20, 1_000
_GRACE = timedelta(days=7)
"""Time in which the periodic task finds what nobody decided on."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One memory that waits.

    Attributes:
        memory: The memory as it would be stored.
        held_at: Since when it waits.
        reasons: Why.
        would_change: Ids of stored memories that it would change or contradict.
        by: Who stored it.
    """

    memory: MemoryRecord
    held_at: datetime
    reasons: tuple[Reason, ...]
    would_change: tuple[str, ...] = ()
    by: Actor = Actor()


class Waits(msgspec.Struct, frozen=True):
    """An entry, and the document that holds it."""

    document: Document
    entry: Entry


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A memory that is to wait, and why."""

    record: MemoryRecord
    reasons: tuple[Reason, ...]
    would_change: tuple[str, ...] = ()


class Staged(msgspec.Struct, frozen=True, kw_only=True):
    """Memories that were to wait, and what became of them.

    Attributes:
        waiting: Those that wait now, as answers show them, by the id that was given; of a repetition the first one.
        refused: Those whose text was refused, and that are not kept, by id.
        fresh: Ids of those that did not wait before.
        over: Those that are not kept, because as many of their owner wait as may, by id.
    """

    waiting: dict[str, MemoryRecord] = {}
    refused: dict[str, MemoryRecord] = {}
    fresh: list[str] = []
    over: dict[str, MemoryRecord] = {}

    def find(self, memory_id: str) -> MemoryRecord | None:
        """The memory that was given under that id, as answers show it; None if it neither waits nor was refused."""
        return self.waiting.get(memory_id) or self.refused.get(memory_id)

    def of(self, memory_id: str) -> MemoryRecord:
        """The memory that was given under that id, which waits or was refused."""
        return self.waiting[memory_id] if memory_id in self.waiting else self.refused[memory_id]

    def joined(self, other: Staged) -> Staged:
        """Both together."""
        return Staged(
            waiting=self.waiting | other.waiting,
            refused=self.refused | other.refused,
            fresh=[*self.fresh, *other.fresh],
            over=self.over | other.over,
        )


_decoder = msgspec.msgpack.Decoder(Entry)


def is_sensitive(record: MemoryRecord, kinds: Iterable[str]) -> tuple[Reason, ...]:
    """Tell of which of the kinds the memory is, if it is trusted less than its user; its tags are read as well."""
    if rank(level_of(record)) >= rank("user"):
        return ()
    found: set[Kind] = set(kinds_of(record.text))
    if record.extraction_strategy == TURN_STRATEGY:  # what was said, without the role in front of it
        found |= kinds_of(record.text.partition(": ")[2])
    for tag in (*record.topics, *record.entities):
        # A key may name what the text sets: the topic `identity.role` of the text "superadmin".
        found |= kinds_of(f"{tag}: {record.text[:_VALUE]}" if _KEY.fullmatch(tag) else tag)
    found |= {kind for value in record.metadata.values() if isinstance(value, str) for kind in _of_form(value)}
    return tuple(reason for reason in REASONS if reason in found and reason in kinds)


_KEY, _VALUE = re.compile(r"\w{1,40}[._]\w[\w.]{0,80}"), 200


def _of_form(value: str) -> frozenset[Kind]:
    """The kinds of a value of metadata, which is the application's own: only what leaves its place counts."""
    kinds = kinds_of(value)
    return frozenset(("instruction",)) if "instruction" in kinds else frozenset()


class Waiting:
    """Tells which memories wait, and keeps them.

    Args:
        store: Where they are kept.
        settings: The kinds that wait, and for how long.
        outbox: Makes the events; None for what calls no plugins.
        metrics: Where it is told how many wait; None for what is not measured.
    """

    def __init__(
        self,
        *,
        store: Store,
        settings: MemorySettings,
        outbox: Outbox | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._outbox = outbox
        self._kinds = frozenset(settings.review_kinds)
        self._days = settings.review_expire_days
        self.limit = settings.review_limit

    async def part(
        self, tenant: str, records: Sequence[MemoryRecord], stored: Container[str] = ()
    ) -> tuple[list[MemoryRecord], list[Held]]:
        """The memories that may be stored, and those that are to wait.

        Turns of people and of the assistant are evidence, and do not wait; what programs, tools and pages say is a
        statement of theirs. What says the same as a memory of its id that was approved is in neither list: there is
        nothing to be done.

        Args:
            tenant: Whose memories they are.
            records: The memories.
            stored: Ids that need no judgement.
        """
        low = rank("user")
        doubtful = [
            each for each in records if rank(level_of(each)) < low and each.id not in stored and not _is_said(each)
        ]
        if not doubtful:
            return list(records), []
        held = await self._judged(doubtful)
        names = {each.record.id for each in held}
        known = await self._store.get_memories(Scope(tenant=tenant), list(names)) if names else []
        hashes = {each.record.id: each.record.memory_hash for each in known if rank(level_of(each.record)) >= low}
        waits = [each for each in held if hashes.get(each.record.id, "") != each.record.memory_hash]
        return [record for record in records if record.id not in names], waits

    async def _judged(self, records: Sequence[MemoryRecord]) -> list[Held]:
        read = [(record.text, record.topics, record.entities, record.metadata) for record in records]
        if letters(read, _AT_ONCE) <= _AT_ONCE:
            return self._judge(records)
        return await asyncio.to_thread(self._judge, records)

    def _judge(self, records: Sequence[MemoryRecord]) -> list[Held]:
        found = []
        for record in records:
            against = record.metadata.get(CONTRADICTS) or ()
            reasons: tuple[Reason, ...] = is_sensitive(record, self._kinds)
            if against:
                reasons = (*reasons, "contradicts")
            if reasons:
                found.append(Held(record=record, reasons=reasons, would_change=tuple(map(str, against))))
        return found

    async def stage(self, batch: WriteBatch, tenant: str, held: Sequence[Held], now: datetime) -> Staged:
        """Add to the batch what keeps the memories; what waits already is not kept twice.

        Of an owner of whom as many wait as may, no more are kept (`Staged.over`): the caller tells whoever stores them.
        """
        staged = Staged()
        if not held:
            return staged
        expires_at = now + timedelta(days=self._days) + _GRACE if self._days else None
        texts: dict[str, MemoryRecord] = {}
        fresh, names = staged.fresh, dict[Scope, set[str]]()
        for each in held:
            name = each.record.memory_hash or content_hash(each.record)
            known = texts.get(name)
            document = await self._store.get_document(Scope(tenant=tenant), TEXT_KIND, name, now)
            if document is not None and document.body == REFUSED:
                refused = Entry(memory=each.record, held_at=now, reasons=each.reasons)
                staged.refused[each.record.id] = shown(refused, "refused")
                continue
            if known is None and document is not None and (first := document.body.decode()) != each.record.id:
                owner = _owner_scope(tenant, each.record)
                found = await self.find(owner, [first], now)
                known = shown(found[first].entry) if first in found else None
            if known is not None:
                staged.waiting[each.record.id] = known
                continue
            if not await self._has_room(batch, tenant, each.record, now, names):
                staged.over[each.record.id] = each.record
                continue
            entry = Entry(
                memory=each.record, held_at=now, reasons=each.reasons, would_change=each.would_change, by=acting()
            )
            texts[name] = staged.waiting[each.record.id] = shown(entry)
            if document is None or document.body.decode() != each.record.id:
                fresh.append(each.record.id)
            body = msgspec.msgpack.encode(entry)
            for kind, key, kept in ((KIND, _name(each.record), body), (TEXT_KIND, name, each.record.id.encode())):
                batch.put_documents.append(_document(kind, key, kept, tenant, each.record, now, expires_at))
        if self._outbox is not None:
            batch.add_jobs += self._outbox.memory_jobs("memories_held", MemoriesHeld, fresh, tenant=tenant, now=now)
        return staged

    def committed(self, staged: Staged) -> None:
        """Tell that what was staged is stored now, and count what was not kept."""
        if staged.over:
            log(logger, logging.WARNING, "reviews.limit_reached", not_kept=len(staged.over), limit=self.limit)
        counts: tuple[tuple[ReviewOutcome, int], ...] = (("held", len(staged.fresh)), ("over_limit", len(staged.over)))
        for outcome, count in counts:
            if self._metrics is not None and count:
                self._metrics.reviewed(outcome, count)

    def require_room(self, staged: Staged) -> None:
        """Return if all that was staged is kept; for what is committed whole or not at all.

        Raises:
            ReviewLimitReached: As many of the owner wait as may.
        """
        if staged.over:
            self.committed(Staged(over=staged.over))
        refuse_over(staged, self.limit)

    async def _has_room(
        self, batch: WriteBatch, tenant: str, record: MemoryRecord, now: datetime, names: dict[Scope, set[str]]
    ) -> bool:
        """Tell whether one more of the owner may wait. `names` are those of the documents of what waits, by owner."""
        if not self.limit:
            return True
        owner = _owner_scope(tenant, record)
        if owner not in names:
            leaving = {name for kind, name in batch.delete_documents if kind == KIND}
            names[owner] = await self._names(owner, now) - leaving
        known, name = names[owner], _name(record)
        if name not in known and len(known) >= self.limit:
            return False
        known.add(name)
        return True

    async def _names(self, owner: Scope, now: datetime) -> set[str]:
        """Names of the documents of what waits of an owner, without what nobody decided on in time."""
        names, after = set[str](), ""
        while True:
            page = await self._store.list_documents(owner, KIND, now, after=after, limit=_PAGE)
            names |= {document.id for document in page if not self._ended(document.updated_at, now)}
            if len(page) < _PAGE:
                return names
            after = page[-1].id

    async def find(self, bounds: Scope, ids: Sequence[str], now: datetime) -> dict[str, Waits]:
        """Return what waits under these ids inside the bounds; the latest of an id that several owners use."""
        documents = await by_prefix(self._store, bounds, KIND, map(_prefix, ids), now, _OWNERS)
        found: dict[str, Waits] = {}
        for name in ids:
            here = [each for each in self.inside(bounds, documents[_prefix(name)], now) if each.entry.memory.id == name]
            if here:
                found[name] = max(here, key=lambda each: each.entry.held_at)
        return found

    def inside(self, bounds: Scope, documents: Iterable[Document], now: datetime) -> list[Waits]:
        """Return what waits in these documents, inside the bounds; without what nobody decided on in time."""
        found = [self.read(document) for document in documents]
        return [each for each in found if _allows(bounds, each.entry.memory) and not self.is_over(each.entry, now)]

    def read(self, document: Document) -> Waits:
        """Read what waits in a document."""
        return Waits(document, _decoder.decode(document.body))

    def is_over(self, entry: Entry, now: datetime) -> bool:
        """Tell whether nobody decided in time."""
        return self._ended(entry.held_at, now)

    def _ended(self, held_at: datetime, now: datetime) -> bool:
        return self._days > 0 and held_at + timedelta(days=self._days) <= now

    def deadline(self, entry: Entry) -> datetime | None:
        """When it counts as refused; None: never."""
        return entry.held_at + timedelta(days=self._days) if self._days else None

    async def names_of(self, bounds: Scope, ids: Sequence[str], now: datetime) -> dict[str, list[tuple[str, str]]]:
        """(kind, id) of what keeps what waits under these ids: an explicit delete removes it too."""
        return {name: names_in(waits) for name, waits in (await self.find(bounds, ids, now)).items()}

    async def of_edit(
        self, record: MemoryRecord, before: MemoryRecord, editor: Trust, channel: Trust | None = None
    ) -> Held | None:
        """The edited memory, if the edit is to wait: what it changes is judged as the editor's."""
        new = msgspec.structs.replace(
            record,
            text=record.text if record.text != before.text else "",
            topics=[tag for tag in record.topics if tag not in before.topics],
            entities=[tag for tag in record.entities if tag not in before.entities],
            metadata={name: value for name, value in record.metadata.items() if before.metadata.get(name) != value},
            trust=lowest((level_of(record), editor)),
        )
        says = new.text or new.topics or new.entities or new.metadata
        if says and (held := await self._judged([new])):
            return Held(record=record, reasons=held[0].reasons, would_change=(before.id,))
        return self.of_lower(record, before, channel)

    def of_lower(self, record: MemoryRecord, before: MemoryRecord, channel: Trust | None) -> Held | None:
        """The memory that would take the place of another, if it is to wait: a caller who is bound to less wrote it.

        What leaves the text and the trust as they are does not wait: other metadata, `pinned`. A program without a
        channel may correct what it reads; what it writes is trusted as an agent's from then on.
        """
        lowered = rank(level_of(record)) < rank(level_of(before))
        if not is_above(before, channel) or (record.text == before.text and not lowered):
            return None
        return Held(record=record, reasons=("contradicts",), would_change=(before.id,))

    async def edited(self, batch: WriteBatch, waits: Waits, record: MemoryRecord, now: datetime) -> Staged:
        """Add to the batch what waits with other contents."""
        batch.require_documents.append((KIND, waits.document.id))
        batch.delete_documents += [
            name
            for name in names_in(waits)
            if name not in ((KIND, _name(record)), (TEXT_KIND, record.memory_hash or content_hash(record)))
        ]
        judged = await self._judged([record])
        reasons = judged[0].reasons if judged else waits.entry.reasons
        held = Held(record=record, reasons=reasons, would_change=waits.entry.would_change)
        staged = await self.stage(batch, waits.document.tenant, [held], now)
        staged.fresh.clear()
        return staged


def _is_said(record: MemoryRecord) -> bool:
    """Tell whether it is a turn of those who talk with each other."""
    return record.extraction_strategy == TURN_STRATEGY and level_of(record) in ("operator", "user", "assistant")


async def ids_of(store: Store, bounds: Scope, now: datetime) -> set[str]:
    """Ids of all memories that wait inside the bounds."""
    documents = await store.list_documents(document_scope(bounds), KIND, now)
    entries = [_decoder.decode(document.body) for document in documents]
    return {entry.memory.id for entry in entries if _allows(bounds, entry.memory)}


_NOT_READ = ("created_at", "updated_at", "last_accessed", "persisted_at", "access_count")
"""Fields in which a memory differs that is brought once more as it waits."""


def hash_of(entry: Entry) -> str:
    """Digest of what a review decides on, 32 hex digits: another text, owner, tag or piece of metadata makes another.

    An approval names it, so that nobody approves what was put in the place of what they read.
    """
    said = msgspec.to_builtins(shown(entry))
    body = msgspec.json.encode({name: said[name] for name in said if name not in _NOT_READ}, order="deterministic")
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def names_in(waits: Waits) -> list[tuple[str, str]]:
    """(kind, id) of the documents of what waits."""
    record = waits.entry.memory
    return [(KIND, waits.document.id), (TEXT_KIND, record.memory_hash or content_hash(record))]


def refusal(waits: Waits, now: datetime) -> Document:
    """The document by which the refused text is recognised for as long as it could have waited."""
    record, document = waits.entry.memory, waits.document
    name = record.memory_hash or content_hash(record)
    kept = document.expires_at - document.updated_at if document.expires_at is not None else None
    return _document(TEXT_KIND, name, REFUSED, document.tenant, record, now, now + kept if kept is not None else None)


def shown(entry: Entry, state: Literal["pending", "refused"] = "pending") -> MemoryRecord:
    """The memory as answers show it."""
    review = Review(state=state, reasons=list(entry.reasons), would_change=list(entry.would_change))
    metadata = {name: value for name, value in entry.memory.metadata.items() if name != CONTRADICTS}
    return msgspec.structs.replace(entry.memory, review=review, metadata=metadata)


def status_of(record: MemoryRecord) -> Literal["pending", "refused"]:
    """The status of a memory that was not stored."""
    return "refused" if record.review is not None and record.review.state == "refused" else "pending"


def refuse_over(staged: Staged, limit: int, given: int = 1, taken: Sequence[str] = ()) -> None:
    """Return if all of the memories of a call are kept.

    Args:
        staged: What became of those that were to wait.
        limit: How many of an owner may wait.
        given: Number of the memories of the call, without those of `taken`.
        taken: Ids of memories that were not stored because another owner uses them.

    Raises:
        ReviewLimitReached: Some are not.
    """
    if staged.over:
        raise ReviewLimitReached(sorted(staged.over), limit, stored=given - len(staged.over), taken=taken)


def tell(call: Call, staged: Staged) -> None:
    """Tell the caller which memories of the call wait, were refused, or are not kept."""
    call.notices += notices(staged)
    found = HeldMemories(
        pending=unique([record.id for record in staged.waiting.values()]),
        refused=unique(list(staged.refused)),
        not_kept=unique(list(staged.over)),
    )
    call.held = found if found != HeldMemories() else call.held


def notices(staged: Staged) -> list[tuple[str, str]]:
    """The notices of a call whose memories wait, or were refused; each names at most three."""
    found = []
    if staged.waiting:
        said = f"{_named(staged.waiting)} until somebody approves it (memhost review list, GET /v1/memory-reviews)."
        found.append(("held", f"Waiting for a review, and not part of any search or prompt: {said}"))
    if staged.refused:
        found.append(("refused", f"Not stored, because a review refused the same text: {_named(staged.refused)}."))
    if staged.over:
        told = "as many of their owner wait as may (REVIEW_LIMIT); decide on those first (memhost review list)"
        found.append(("review_limit", f"Not kept for a review, because {told}: {_named(staged.over)}."))
    return found


def _named(records: Mapping[str, MemoryRecord]) -> str:
    told = []
    for name, record in list(records.items())[:3]:
        reasons = ", ".join(record.review.reasons) if record.review is not None else ""
        told.append(f"{name} ({reasons})" if record.id == name else f"{name} (repeats {record.id})")
    more = f" and {len(records) - len(told)} more" if len(records) > len(told) else ""
    return ", ".join(told) + more


def _document(
    kind: str, name: str, body: bytes, tenant: str, record: MemoryRecord, now: datetime, expires_at: datetime | None
) -> Document:
    return Document(
        kind=kind,
        id=name,
        tenant=tenant,
        namespace=record.namespace or "",
        user=record.user_id or "",
        body=body,
        updated_at=now,
        expires_at=expires_at,
    )


def _owner_scope(tenant: str, record: MemoryRecord) -> Scope:
    return Scope(tenant=tenant, namespaces=(record.namespace or "",), users=(record.user_id or "",))


def _allows(bounds: Scope, record: MemoryRecord) -> bool:
    return bounds.allows(record.namespace, record.user_id, record.session_id)


def _name(record: MemoryRecord) -> str:
    return _prefix(record.id) + derived_id(record.namespace or "", record.user_id or "")


def _prefix(memory_id: str) -> str:
    return f"{memory_id}|"
