"""Finds secrets in what a store holds already, and masks them: those written before they were masked on the way in.

Everything is looked at in pages. What is masked is indexed again, and its former states that hold secrets are removed,
each in a commit that fails or waits where somebody else writes the same; so a server may run meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import msgspec

from memhost.admin.export_import import MemoryLine, index_lines
from memhost.admin.migration_tables import Documents, Jobs, Memories, MigrationTable, Sessions
from memhost.errors import VersionMismatch
from memhost.messages.masking import masked_session
from memhost.models import Change, Document, Job, JobState, Scope, StoredMemory, StoredSession, WriteBatch
from memhost.ports import Clock, Embedder, KeepsHistory, SecureDelete, Store
from memhost.secrets import Findings, Masker, masked_record
from memhost.storekit import to_micros
from memhost.usage.ledger import charged_to, payer_within

_TRIES = 5
_PAGE = 200
MOST_TOLD = 1000
"""Places that a report names."""

_NEVER_CHANGED = ("plugin:",)
"""Beginnings of kinds of documents whose bytes belong to plugins: what they hold may be what they work with."""


class FoundSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret that is stored.

    Attributes:
        tenant: Whose.
        what: `memory`, `session`, `document`, `job` or `version`.
        id: Id of that.
        user: Its user, if any.
        where: Path of the field in it, with dots.
        kind: Kind of the secret.
        masked: Whether it was masked (of a version: removed).
        stays: Whether no scan masks it: it is in an id, or in what a plugin keeps.
    """

    tenant: str
    what: str
    id: str
    user: str | None = None
    where: str
    kind: str
    masked: bool = False
    stays: bool = False


class ScanReport(msgspec.Struct, kw_only=True):
    """The result of a scan.

    Attributes:
        looked_at: Number of things of each sort that were read.
        found: Secrets found.
        masked: Those of them that are masked or removed now.
        staying: Those that no scan masks.
        versions_removed: Former versions that held some, and are removed now.
        secrets: The first `MOST_TOLD` of them.
    """

    looked_at: dict[str, int] = {}
    found: int = 0
    masked: int = 0
    staying: int = 0
    versions_removed: int = 0
    secrets: list[FoundSecret] = []


class SecretScan:
    """Looks for secrets in a store.

    Args:
        store: The store.
        embedder: Makes the vectors of masked memories; None where nothing is masked.
        masker: Finds and masks.
        clock: Time.
        mask: Whether what is found is masked.
    """

    def __init__(self, *, store: Store, embedder: Embedder | None, masker: Masker, clock: Clock, mask: bool) -> None:
        self._store = store
        self._embedder = embedder
        self._masker = masker
        self._clock = clock
        self._mask = mask and embedder is not None
        self.report = ScanReport()

    async def tenant(self, tenant: str) -> None:
        """Look through everything of a tenant.

        Raises:
            StoreUnavailable: The store does not answer.
            ModelUnavailable: The embedder does not answer; what was masked before stays so.
        """
        scope, now = Scope(tenant=tenant), self._clock.now()
        looks: tuple[tuple[type[MigrationTable[Any]], Callable[[Scope, Sequence[Any]], Awaitable[None]]], ...] = (
            (Memories, self._memories),
            (Sessions, self._sessions),
            (Documents, self._documents),
            (Jobs, self._jobs),
        )
        for shelf, look in looks:
            async for page in shelf(self._store, tenant, now).pages():
                self._count(shelf.name, len(page))
                await look(scope, page)
        if isinstance(self._store, KeepsHistory):
            await self._versions(self._store, scope)

    async def finish(self) -> ScanReport:
        """Remove the rests of what was masked from the files of the store; the report."""
        if self.report.masked and isinstance(self._store, SecureDelete):
            await self._store.scrub()
        return self.report

    def _count(self, name: str, number: int) -> None:
        self.report.looked_at[name] = self.report.looked_at.get(name, 0) + number

    def _note(self, findings: Findings, *, stays: bool = False, masked: bool | None = None, **about: Any) -> None:
        """Add what was found in one thing to the report; ids stay as they are."""
        masks = (self._mask if masked is None else masked) and not stays
        for places, done, kept in ((findings.places, masks, stays), (findings.ids, False, True)):
            number = findings.count if places is findings.places else len(places)
            self.report.found += number
            self.report.masked += number if done else 0
            self.report.staying += number if kept else 0
            for where, kind in places[: MOST_TOLD - len(self.report.secrets)]:
                path = ".".join(map(str, where))
                self.report.secrets.append(FoundSecret(**about, where=path, kind=kind, masked=done, stays=kept))

    async def _memories(self, scope: Scope, page: Sequence[StoredMemory]) -> None:
        changed: list[tuple[StoredMemory, StoredMemory]] = []
        for memory in page:
            findings = Findings()
            record = masked_record(memory.record, self._masker, findings)
            speaker = self._masker.value(memory.speaker, findings, ("speaker",))
            if not findings.count and not findings.ids:
                continue
            about: dict[str, Any] = {"what": "memory", "id": record.id, "user": record.user_id, "tenant": scope.tenant}
            self._note(findings, **about)
            if self._mask and findings.count:
                line = MemoryLine(memory=record, speaker=speaker, role=memory.role, position=memory.position)
                assert self._embedder is not None
                with charged_to(payer_within(scope)):
                    changed += [(memory, new) for new in await index_lines([line], self._embedder)]
        await self._replace(scope, changed)

    async def _replace(self, scope: Scope, changed: Sequence[tuple[StoredMemory, StoredMemory]]) -> None:
        """Store masked memories, but those that somebody has changed since: these were masked by who wrote them."""
        if not changed:
            return
        now = await self._store.get_memories(scope, [old.record.id for old, _ in changed])
        current = {memory.record.id: memory.record for memory in now}
        wanted = [new for old, new in changed if _same(current.get(old.record.id), old)]
        if wanted:
            await self._store.commit(scope, WriteBatch(put_memories=wanted))

    async def _sessions(self, scope: Scope, page: Sequence[StoredSession]) -> None:
        for session in page:
            await self._session(scope, session)

    async def _session(self, scope: Scope, session: StoredSession) -> None:
        for _ in range(_TRIES):
            findings = Findings()
            masked = masked_session(session, self._masker, findings)
            self._masker.value(session.key, findings)
            try:
                if self._mask and masked is not session:
                    await self._store.commit(scope, WriteBatch(put_session=masked, expect_version=session.version))
            except VersionMismatch:
                fresh = await self._store.get_session(scope, session.key, self._clock.now())
                if fresh is None:
                    return
                session = fresh
                continue
            key = session.key
            self._note(findings, what="session", id=key.session, user=key.user or None, tenant=scope.tenant)
            return

    async def _documents(self, scope: Scope, page: Sequence[Document]) -> None:
        for document in page:
            await self._document(scope, document)

    async def _document(self, scope: Scope, document: Document) -> None:
        findings = Findings()
        body = masked_bytes(document.body, self._masker, findings)
        stays = document.kind.startswith(_NEVER_CHANGED)
        if self._mask and not stays and body is not document.body:
            new = msgspec.structs.replace(document, body=body)
            await self._store.commit(scope, WriteBatch(put_documents=[new]))
        about: dict[str, Any] = {
            "id": f"{document.kind}/{document.id}",
            "user": document.user or None,
            "tenant": scope.tenant,
        }
        self._note(findings, stays=stays, what="document", **about)

    async def _jobs(self, scope: Scope, page: Sequence[Job]) -> None:
        for job in page:
            await self._job(scope, job)

    async def _job(self, scope: Scope, job: Job) -> None:
        findings = Findings()
        payload = masked_bytes(job.payload, self._masker, findings)
        error = self._masker.value(job.last_error, findings, ("last_error",))
        masks = self._mask and job.state is not JobState.RUNNING
        if masks and findings.count:
            new = msgspec.structs.replace(job, payload=payload, last_error=error)
            await self._store.commit(scope, WriteBatch(add_jobs=[new], restored=True))
        self._note(findings, masked=masks, what="job", id=job.id, tenant=scope.tenant)

    async def _versions(self, store: KeepsHistory, scope: Scope) -> None:
        """Former states of memories: one with a secret is removed, and the chain says so."""
        after = 0
        while entries := await store.list_entries(scope, after=after, limit=_PAGE):
            after = entries[-1].seq
            gone: list[int] = []
            for seq in (entry.seq for entry in entries if entry.has_former):
                self._count("versions", 1)
                former, findings = await store.former_state(scope, seq), Findings()
                if former is None:
                    continue
                self._masker.value([former.record, former.speaker], findings)
                if findings.count:
                    name, user = f"{former.record.id}#{seq}", former.record.user_id
                    self._note(findings, what="version", id=name, user=user, tenant=scope.tenant)
                    gone.append(seq)
            if gone and self._mask:
                why = Change(kind="redacted", at=to_micros(self._clock.now()), note="secrets")
                self.report.versions_removed += await store.drop_former(scope.tenant, gone, why)


def masked_bytes(body: bytes, masker: Masker, findings: Findings) -> bytes:
    """The body of a document, JSON or msgpack, with its secrets masked; the same if it holds none or is neither."""
    for decode, encode in _formats(body):
        try:
            value = decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
            continue
        masked = masker.value(value, findings)
        return body if masked is value else encode(masked)
    masker.value(body.decode(errors="replace"), findings)
    return body


def _formats(body: bytes) -> Iterable[tuple[Any, Any]]:
    if body[:1] in (b"{", b"[", b'"'):
        yield msgspec.json.decode, msgspec.json.encode
    yield msgspec.msgpack.decode, msgspec.msgpack.encode


def _same(current: Any, old: StoredMemory) -> bool:
    return current is not None and current.text == old.record.text and current.updated_at == old.record.updated_at
