"""The rules of a batch: the checks of `Store.commit`, given what the store holds.

Each of them changes nothing. A store that applies batches with `RowStore` or `Touched` calls none of them itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from memhost.errors import DocumentGone, Forbidden, IdTaken, LeaseLost, MemoryChanged, StoreMismatch, VersionMismatch
from memhost.models import MAX_ACCESSES, AccessMark, Document, MemoryRecord, Scope, WriteBatch
from memhost.storekit.values import Owner, holds, owner_of

Named = tuple[str | None, int | None]
"""An embedder and its dimensions."""


def check_scope(scope: Scope, batch: WriteBatch) -> None:
    """Refuse what can be refused without looking into the store.

    Raises:
        Forbidden: Something that the batch puts or adds lies outside the scope.
    """
    if any(job.tenant != scope.tenant for job in batch.add_jobs):
        raise Forbidden("A job belongs to another tenant than the call.")
    if any(not scope.allows(*owner_of(memory.record)) for memory in batch.put_memories):
        raise Forbidden("A memory in the batch is outside the caller's scope.")
    if batch.put_session and not scope.covers(batch.put_session.key):
        raise Forbidden("The session in the batch is outside the caller's scope.")
    if any(not holds(scope, document) for document in batch.put_documents):
        raise Forbidden("A document in the batch is outside the caller's scope.")


def check_owners(scope: Scope, batch: WriteBatch, stored: Mapping[str, Owner]) -> None:
    """Check who owns the ids of `put_memories`.

    Args:
        scope: The caller's.
        batch: Its deletions count as done.
        stored: Owners of the tenant's memories with ids of the batch, by id.

    Raises:
        IdTaken: Some belong to another owner.
    """
    gone = {each for each in batch.delete_memories if each in stored and scope.allows(*stored[each])}
    owners = {each: owner for each, owner in stored.items() if each not in gone}
    taken = []
    for memory in batch.put_memories:
        name, owner = memory.record.id, owner_of(memory.record)
        before = owners.setdefault(name, owner)
        moves = name in batch.moved_ids and scope.allows(*before)
        if not moves and (before[:2] != owner[:2] or (name in batch.guarded_ids and before != owner)):
            taken.append(name)
        owners[name] = owner
    if taken:
        raise IdTaken(taken)


def check_versions(batch: WriteBatch, versions: Mapping[str, int]) -> None:
    """Check which versions the memories of a batch have.

    Args:
        batch: What is to be written.
        versions: Versions of the memories that are there, by id.

    Raises:
        MemoryChanged: Some are not those that the batch expects.
    """
    changed = [name for name, version in batch.if_versions.items() if versions.get(name, 0) != version]
    if changed:
        raise MemoryChanged(changed, {name: versions.get(name, 0) for name in changed})


def next_version(batch: WriteBatch, current: int) -> int:
    """The version that the session of the batch gets; 0 if it puts none.

    Args:
        batch: What is to be written.
        current: Version of the stored session; 0 if there is none, it has expired, or the batch deletes it.

    Raises:
        VersionMismatch: It is not the expected one.
    """
    if batch.put_session is None:
        return 0
    if batch.expect_version is not None and batch.expect_version != current:
        raise VersionMismatch("The session changed since it was read; read it again and repeat the write.")
    return batch.put_session.version if batch.restored else current + 1


def check_documents(scope: Scope, batch: WriteBatch, living: Callable[[str, str], Document | None]) -> None:
    """Check the documents that the batch requires and puts.

    Args:
        scope: The caller's.
        batch: What is to be written.
        living: Gives the living document of the tenant with a kind and id, anywhere in the tenant.

    Raises:
        DocumentGone: A required one is missing.
        Forbidden: One would replace one that lies outside the scope.
    """
    for kind, name in batch.require_documents:
        required = living(kind, name)
        if required is None or not holds(scope, required):
            raise DocumentGone(f"The {kind} {name} that this write depends on no longer exists; nothing was changed.")
    for document in batch.put_documents:
        existing = living(document.kind, document.id)
        if existing is not None and not holds(scope, existing):
            raise Forbidden("A document in the batch is outside the caller's scope.")


def lease_lost() -> LeaseLost:
    """The error for a `complete_job` that does not run under its lease."""
    return LeaseLost("The job's lease has ended; the job's effects were not stored.")


def mark_access(record: MemoryRecord, mark: AccessMark) -> None:
    """Count that the memory was found, at most once an interval."""
    lately = record.last_accessed > mark.at - timedelta(seconds=mark.interval_s)
    if mark.interval_s <= 0 or record.access_count == 0 or not lately:
        record.access_count = min(record.access_count + 1, MAX_ACCESSES)
        record.last_accessed = max(record.last_accessed, mark.at)


def other_embedder(where: str, stored: Named, wanted: Named) -> StoreMismatch:
    """The error for a store (`where`: which) that holds vectors of another embedder than the server's."""
    return StoreMismatch(
        f"{where} holds vectors of the embedder {stored[0]} ({stored[1]} dimensions), but the server uses {wanted[0]} "
        f"({wanted[1]}); start the server once with --reindex, or run `memhost reindex`, to replace the vectors; or "
        "configure the former embedder again."
    )
