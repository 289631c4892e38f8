"""Verifying the whole store, one at a time; and certificates of erasure."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import perf_counter
from typing import Any

from memhost.errors import Busy, Forbidden, InvalidRequest, Unsupported
from memhost.history.entries import keeping
from memhost.history.heads import HeadKeeper
from memhost.history.last_verification import IntegrityState
from memhost.integrity import Keyring
from memhost.integrity.certificates import check
from memhost.models import Entry, Scope, Verification
from memhost.operations.history import (
    CertificateCheck,
    ChainEnd,
    CheckCertificate,
    TamperFinding,
    VerificationReport,
)
from memhost.operations.table import Call, Nothing
from memhost.ports import KeepsHistory, Store


class Verifying:
    """Compares what is stored with its seals and with the chain.

    Attributes:
        store: The store.
        state: What is known of edits behind the server's back.
    """

    def __init__(self, *, store: Store, keys: Keyring | None, heads: HeadKeeper, state: IntegrityState) -> None:
        self.store = store
        self.state = state
        self._heads = heads
        self._keys = keys
        self._lock = asyncio.Lock()

    async def verify(self, call: Call, _request: Nothing) -> VerificationReport:
        """Verify everything of all tenants; what it finds is kept for `ready`.

        Raises:
            Forbidden: The caller does not administer the server.
            Busy: It is being verified already.
            Unsupported: The store keeps no history.
        """
        if not call.caller.runs_server:
            raise Forbidden(
                "Verifying concerns the whole server: only an operator or admin of the default tenant may do it."
            )
        kept = keeping(self.store)
        if self._lock.locked():
            raise Busy("The store is being verified already; try again when that is done.")
        async with self._lock:
            started = perf_counter()
            report = await self._verified(kept)
            return _shown(report, perf_counter() - started)

    async def seal_again(self) -> int:
        """Make all seals and links with the current key, if everything is what the server wrote; how many memories.

        Raises:
            InvalidRequest: Something is not what the server wrote.
            Unsupported: The store keeps no history.
        """
        kept = keeping(self.store)
        async with self._lock:
            if found := (await self._verified(kept)).found:
                raise InvalidRequest(
                    f"{found} things are not what the server wrote: look at them with memhost verify before everything "
                    "is sealed again."
                )
            sealed = await kept.seal_anew()
            await self._heads.accept()
        return sealed

    async def _verified(self, kept: KeepsHistory) -> Verification:
        began = self.state.now()
        report = await kept.verify()
        for finding in await self._heads.compare():
            report.report(finding)
        await self.state.note(report.found, began)
        return report

    async def check_certificate(self, call: Call, request: CheckCertificate) -> CertificateCheck:
        """Tell whether this server signed a certificate or a head, and its log has the entry that it names."""
        certificate = request.certificate
        try:
            wrong = check(certificate, self._keys)
        except InvalidRequest as error:
            wrong = error.message
        if wrong:
            return CertificateCheck(valid=False, signed=False, recorded=False, detail=wrong)
        if certificate.get("kind") == "head":
            return await self._check_head(call.caller.bounds.tenant, certificate)
        entry = await self._entry(call.caller.bounds.tenant, certificate)
        if entry is None:
            detail = "The signature is right, but the log of this tenant has no such erasure at that place."
            return CertificateCheck(valid=False, signed=True, recorded=False, detail=detail)
        return CertificateCheck(valid=True, signed=True, recorded=True, detail=_certified(certificate))

    async def _check_head(self, tenant: str, head: Mapping[str, Any]) -> CertificateCheck:
        """Compare a signed head with the chain of the tenant."""
        seq, wrong = int(head["seq"]), ""
        link = None
        if head["tenant"] == tenant:  # of other tenants the caller learns nothing
            link = await keeping(self.store).link_at(tenant, seq)
        if link is None:
            wrong = f"The log of this tenant has no entry {seq}: it was rolled back, or the head is another tenant's."
        elif self._keys is not None and head["key"] != self._keys.id:
            wrong = "It is older than the last rotation of the key, which made all links again: compare a newer one."
        elif link.hex() != head["link"]:
            wrong = f"The log of this tenant has another entry {seq}: it was rolled back, and went on from there."
        detail = wrong or f"Entry {seq} of the log is the one that was its end at {head['at']}."
        return CertificateCheck(valid=not wrong, signed=True, recorded=not wrong, detail=detail)

    async def _entry(self, tenant: str, certificate: Mapping[str, Any]) -> Entry | None:
        place, name = certificate.get("entry"), certificate.get("id")
        if not isinstance(place, int) or place < 1:
            return None
        try:
            kept = keeping(self.store)
        except Unsupported:  # it keeps no log, so it has not recorded the erasure
            return None
        found = await kept.list_entries(Scope(tenant=tenant), after=place - 1, limit=1)
        if not found or found[0].seq != place or (change := found[0].change) is None:
            return None
        named = change.kind == "erased" and change.note.startswith(f"certificate {name} ")
        if not named:
            return None
        # Keys that were rotated make other links; the signature, and the entry itself, say the same.
        moved = self._keys is not None and certificate.get("key") != self._keys.id
        return found[0] if moved or found[0].link.hex() == certificate.get("link") else None


def _certified(certificate: Mapping[str, Any]) -> str:
    return (
        f"All data of the user {certificate.get('user_id')} was erased at {certificate.get('erased_at')}; entry "
        f"{certificate.get('entry')} of the log records it."
    )


def _shown(report: Verification, seconds: float) -> VerificationReport:
    return VerificationReport(
        ok=report.found == 0,
        keyed=report.keyed,
        memories=report.memories,
        entries=report.entries,
        sessions=report.sessions,
        documents=report.documents,
        found=report.found,
        findings=[
            TamperFinding(kind=each.kind, what=each.what, tenant=each.tenant, id=each.id, detail=each.detail)
            for each in report.findings
        ],
        heads=[
            ChainEnd(tenant=tenant, seq=head.seq, link=head.link.hex()) for tenant, head in sorted(report.heads.items())
        ],
        duration_s=round(seconds, 3),
    )
