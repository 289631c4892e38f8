"""Ids of memories that went into others: both ids answer with the one that stays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from memhost.memories.records import derived_id
from memhost.models import Document, MemoryRecord, Scope, StoredMemory
from memhost.ports import Store
from memhost.storage.bound_documents import by_prefix, document_scope

KIND = "alias"

_OWNERS = 20
_MAX_STEPS = 8
"""Number of merged memories that are followed, each merged into the next."""


class _Alias(msgspec.Struct, frozen=True):
    gone: str
    stays: str


_decoder = msgspec.msgpack.Decoder(_Alias)


def documents(tenant: str, gone: Iterable[MemoryRecord], stays: Mapping[str, str], now: datetime) -> list[Document]:
    """Documents that lead from each memory that goes to the one that stays, to be committed with what joins them.

    Args:
        tenant: Whose memories they are.
        gone: The memories that go.
        stays: Id of the memory that stays, by the id of the one that goes.
        now: The current time.
    """
    return [
        Document(
            kind=KIND,
            id=_prefix(record.id) + derived_id(record.namespace or "", record.user_id or ""),
            tenant=tenant,
            namespace=record.namespace or "",
            user=record.user_id or "",
            body=msgspec.msgpack.encode(_Alias(record.id, stays[record.id])),
            updated_at=now,
        )
        for record in gone
    ]


async def find(store: Store, bounds: Scope, memory_id: str, now: datetime) -> StoredMemory | None:
    """The memory inside the bounds that has this id, or into which the one that had it went; None if there is none."""
    met: set[str] = set()
    wanted = [memory_id]
    while wanted and len(met) < _MAX_STEPS:
        name = wanted.pop(0)
        if name in met:
            continue
        if found := await store.get_memories(bounds, [name]):
            return found[0]
        met.add(name)
        wanted += [alias.stays for _, alias in (await _aliases(store, bounds, [name], now))[name]]
    return None


async def leading(store: Store, bounds: Scope, ids: Sequence[str], now: datetime) -> set[str]:
    """Those of the ids whose memories went into others."""
    return {name for name, told in (await _aliases(store, bounds, ids, now)).items() if told}


async def led_to(store: Store, bounds: Scope, now: datetime) -> set[str]:
    """Ids of the memories inside the bounds into which others went that had an id of their own."""
    found = await store.list_documents(document_scope(bounds), KIND, now)
    return {_decoder.decode(document.body).stays for document in found}


async def names_of(store: Store, bounds: Scope, ids: Sequence[str], now: datetime) -> list[tuple[str, str]]:
    """(kind, id) of the documents that lead on from these ids: an explicit delete removes them too."""
    found = await _aliases(store, bounds, ids, now)
    return [(KIND, name) for told in found.values() for name, _ in told]


async def _aliases(
    store: Store, bounds: Scope, ids: Sequence[str], now: datetime
) -> dict[str, list[tuple[str, _Alias]]]:
    documents = await by_prefix(store, bounds, KIND, map(_prefix, ids), now, _OWNERS)
    found = {}
    for memory_id in ids:
        # Owners that one after another used one id have each their own; the latest counts first.
        latest = sorted(documents[_prefix(memory_id)], key=lambda document: document.updated_at, reverse=True)
        told = [(document.id, _decoder.decode(document.body)) for document in latest]
        found[memory_id] = [(name, alias) for name, alias in told if alias.gone == memory_id]
    return found


def _prefix(memory_id: str) -> str:
    return f"{memory_id}|"
