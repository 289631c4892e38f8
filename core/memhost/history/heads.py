"""The heads of the chains outside of the store, in a file and with plugins, so that an older copy is recognised."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

from memhost.cancelling import cancel
from memhost.errors import ConfigurationError, MemhostError
from memhost.events import HeadSigned
from memhost.integrity import Keyring
from memhost.integrity.certificates import canonical, sign
from memhost.integrity.keys import NONE, default_file, write_file
from memhost.integrity.watch import TamperWatch
from memhost.jobs.outbox import Outbox
from memhost.logs import log
from memhost.models import Finding, Head, Scope, WriteBatch
from memhost.ports import Clock, KeepsHistory, Store

logger = logging.getLogger(__name__)

EVERY_S = 2.0
"""Longest time that a head waits to be published, seconds."""


class HeadKeeper:
    """Publishes heads, and compares with those that were published.

    Args:
        store: The store; without history nothing is done.
        keys: The server's keys, which sign the file.
        setting: `INTEGRITY_HEAD_FILE`: a path, `none`, or empty for a file beside the user's key.
        watch: Told of what does not agree.
        outbox: Makes the jobs for plugins that keep heads.
        clock: Time.
    """

    def __init__(
        self,
        *,
        store: Store,
        keys: Keyring | None,
        setting: str,
        watch: TamperWatch,
        outbox: Outbox,
        clock: Clock,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._clock = clock
        self._keys = keys
        self._setting = setting
        self._watch = watch
        self._published: dict[str, Head] = {}
        self.path: Path | None = None
        self.findings: list[Finding] = []

    async def _find_file(self, place: str) -> None:
        info = await self._store.info()
        if not isinstance(self._store, KeepsHistory) or self._keys is None or self._setting == NONE or not info.durable:
            return
        where = str(info.details.get("path") or f"{info.engine} {info.details.get('index')} {place}")
        self.path = self._file(where)

    def _file(self, where: str) -> Path | None:
        if self._setting:
            return Path(self._setting).expanduser()
        try:
            folder = default_file().parent / "heads"
        except ConfigurationError:
            log(logger, logging.WARNING, "integrity.no_head_file", set="INTEGRITY_HEAD_FILE")
            return None
        return folder / f"{blake2b(where.encode(), digest_size=10).hexdigest()}.json"

    async def compare(self) -> list[Finding]:
        """Compare the chains with the published heads; the findings are kept and told.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        self.findings = []
        self._watch.seen.pop("chain", None)
        if self.path is None or not isinstance(self._store, KeepsHistory):
            return []
        try:
            known = await asyncio.to_thread(self._read)
        except ValueError as error:
            self._found("", "", f"The file of the published heads, {self.path}, is not what the server wrote: {error}.")
            known = {}
        heads = await self._store.heads()
        if known and not heads and not any((await self._store.info()).counts.values()):
            # Somebody started afresh at the same place: there is nothing that could pass for what was there before.
            entries = {tenant: head.seq for tenant, head in known.items()}
            log(logger, logging.WARNING, "integrity.started_afresh", file=str(self.path), entries=str(entries))
            self._published = {}
            await self._try_to_write({})
            return []
        for tenant, head in known.items():
            link = await self._store.link_at(tenant, head.seq)
            if link is None:
                last = heads.get(tenant, Head()).seq
                self._found(tenant, str(head.seq), f"{head.seq} entries were published, but the chain ends at {last}.")
            elif link != head.link:
                self._found(tenant, str(head.seq), "Another entry was published under this number.")
        self._published = known
        if self.findings:
            self._watch("chain", [finding.tenant for finding in self.findings])
            log(logger, logging.ERROR, "integrity.rolled_back", file=str(self.path), fix="memhost verify")
        return self.findings

    def _found(self, tenant: str, name: str, detail: str) -> None:
        finding = Finding(kind="rolled_back", what="entry", tenant=tenant, id=name, detail=detail)
        self.findings.append(finding)

    async def publish(self) -> None:
        """Write the heads and tell plugins, if they have moved; not over heads that the store has lost.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        listened = self._keys is not None and self._outbox.wants("head_signed")
        if self.findings or not isinstance(self._store, KeepsHistory) or not (self.path or listened):
            return
        heads = await self._store.heads()
        if heads == self._published:
            return
        if self.path is not None:
            await asyncio.to_thread(self._write, heads)
        if listened:
            for tenant, head in heads.items():
                if head != self._published.get(tenant):
                    await self._tell(tenant, head)
        self._published = heads

    async def _tell(self, tenant: str, head: Head) -> None:
        """Write the jobs that bring a head to plugins; one that still waits with an earlier head is replaced."""
        now = self._clock.now()
        fields = {"kind": "head", "tenant": tenant, "seq": head.seq, "link": head.link.hex(), "at": now.isoformat()}
        signed = sign(fields, self._keys)
        del signed["sha256"]
        jobs = self._outbox.jobs("head_signed", HeadSigned(**signed), tenant=tenant, now=now, key=tenant)
        await self._store.commit(Scope(tenant=tenant), WriteBatch(add_jobs=jobs))
        self._outbox.committed(jobs)

    async def accept(self) -> None:
        """Take the store as it stands for the published state."""
        self.findings = []
        self._published = {}
        self._watch.seen.pop("chain", None)
        await self.publish()

    @asynccontextmanager
    async def publishing(self, place: str, *, adopt: bool = False) -> AsyncIterator[None]:
        """Compare, then publish while the block runs, and at its end.

        Args:
            place: The data folder, which tells this store from others.
            adopt: Take the store as it stands.
        """
        await self._find_file(place)
        await (self.accept() if adopt else self.compare())

        async def run() -> None:
            while True:
                await asyncio.sleep(EVERY_S)
                await self._try_to_publish()

        task = asyncio.create_task(run())
        try:
            yield
        finally:
            await cancel(task)
            await self._try_to_publish()
            for tenant, head in self._published.items():
                log(logger, logging.INFO, "integrity.head", tenant=tenant, entry=head.seq, link=head.link.hex())

    async def _try_to_write(self, heads: dict[str, Head]) -> None:
        try:
            await asyncio.to_thread(self._write, heads)
        except OSError as error:
            log(logger, logging.WARNING, "integrity.head_not_published", error=str(error))

    async def _try_to_publish(self) -> None:
        try:
            await self.publish()
        except (MemhostError, OSError) as error:
            log(logger, logging.WARNING, "integrity.head_not_published", error=str(error))

    def _read(self) -> dict[str, Head]:
        """Return the published heads; none where there is no file.

        Raises:
            ValueError: The file is not what a server with these keys wrote.
        """
        assert self.path is not None
        try:
            content: Any = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ValueError(error.strerror) from error
        if not isinstance(content, dict) or not isinstance(content.get("signature"), str):
            raise ValueError("it is not signed")
        signature = content.pop("signature")
        ring = self._keys.known(str(content.get("key"))) if self._keys else None
        if ring is None:
            raise ValueError(f"it was signed with another key, {content.get('key')}")
        if not hmac.compare_digest(_signature(content, ring), signature):
            raise ValueError("its signature is wrong")
        return {tenant: Head(int(seq), bytes.fromhex(link)) for tenant, (seq, link) in content["heads"].items()}

    def _write(self, heads: dict[str, Head]) -> None:
        assert self.path is not None
        assert self._keys is not None
        content: dict[str, Any] = {
            "key": self._keys.id,
            "heads": {tenant: [head.seq, head.link.hex()] for tenant, head in heads.items()},
        }
        signed = {**content, "signature": _signature(content, self._keys)}
        write_file(self.path, json.dumps(signed, indent=1) + "\n")


def _signature(content: dict[str, Any], keys: Keyring) -> str:
    return hmac.digest(keys.key("chain"), b"heads " + canonical(content), "sha256").hex()
