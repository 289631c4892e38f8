"""Vectors of memories that have none: embedders that are not local do not hold up writes, and embedders change."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from memhost.events import VectorsMissing
from memhost.jobs.outbox import Outbox
from memhost.models import Scope, SessionKey, StoredMemory, WriteBatch
from memhost.ports import Clock, Embedder, Store
from memhost.storage.paging import walk
from memhost.storage.replace_unchanged import replace_unchanged
from memhost.text.recalled.own_text import found_by
from memhost.usage.ledger import charged_to, charged_to_owners

logger = logging.getLogger(__name__)

_AT_ONCE = 200
"""Most memories of one job: few requests of an embedder, and little to do again if it fails."""


class MissingVectors:
    """Embeds what has no vector yet. Until then it is found by its words."""

    def __init__(self, *, store: Store, embedder: Embedder, outbox: Outbox, clock: Clock) -> None:
        self._store = store
        self._embedder = embedder
        self._outbox = outbox
        self._clock = clock

    async def request(self, tenant: str) -> int:
        """Make a job for every few of the tenant's memories without a vector; return the number of memories.

        Asked again while jobs wait, it adds none for the same memories.
        """
        total, ids = 0, list[str]()
        async for memory in walk(self._store, Scope(tenant=tenant)):
            if memory.vector is None:
                ids.append(memory.record.id)
            if len(ids) == _AT_ONCE:
                total += await self._request(tenant, ids)
                ids = []
        return total + await self._request(tenant, ids)

    async def _request(self, tenant: str, ids: Sequence[str]) -> int:
        if ids:
            event = VectorsMissing(tenant=tenant, ids=tuple(ids))
            key = f"{tenant}:{ids[0]}"
            jobs = self._outbox.jobs("vectors_missing", event, tenant=tenant, now=self._clock.now(), key=key)
            await self._store.commit(Scope(tenant=tenant), WriteBatch(add_jobs=jobs))
            self._outbox.committed(jobs)
        return len(ids)

    async def embed(self, tenant: str, ids: Sequence[str]) -> int:
        """Embed the memories without a vector, in one request; return their number.

        Raises:
            ModelUnavailable: The embedder does not answer.
        """
        scope = Scope(tenant=tenant)
        waiting = [memory for memory in await self._store.get_memories(scope, ids) if memory.vector is None]
        if not waiting:
            return 0
        texts = [found_by(memory) for memory in waiting]
        owners = [(memory.record.namespace, memory.record.user_id) for memory in waiting]
        with charged_to(SessionKey(tenant, "", "", "")), charged_to_owners(owners):
            vectors = iter(await self._embedder.embed([text for text in texts if text]) if any(texts) else ())
        nothing = np.zeros(self._embedder.dimensions, dtype=np.float32)
        made = {
            memory.record.id: (memory.lead, next(vectors) if text else nothing)
            for memory, text in zip(waiting, texts, strict=True)
        }

        def with_vector(memory: StoredMemory) -> StoredMemory | None:
            lead, vector = made[memory.record.id]
            return replace(memory, vector=vector) if memory.vector is None and memory.lead == lead else None

        await replace_unchanged(self._store, scope, waiting, with_vector)
        logger.info("memories.embedded", extra={"fields": {"tenant": tenant, "memories": len(waiting)}})
        return len(waiting)
