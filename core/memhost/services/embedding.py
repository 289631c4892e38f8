"""Vectors of memories that were stored without: embedders that are not local do not hold up writes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from memhost.models import Scope, SessionKey, StoredMemory
from memhost.ports import Embedder, Store
from memhost.services.replacing import replace_unchanged
from memhost.services.usage import charged_to, charged_to_owners

logger = logging.getLogger(__name__)


class MissingVectors:
    """Embeds what has no vector yet. Until then it is found by its words."""

    def __init__(self, store: Store, embedder: Embedder) -> None:
        self._store = store
        self._embedder = embedder

    async def embed(self, tenant: str, ids: Sequence[str]) -> int:
        """Embed those of the memories that have no vector, in one request; how many there were.

        Raises:
            ModelUnavailable: The embedder does not answer.
        """
        scope = Scope(tenant=tenant)
        waiting = [memory for memory in await self._store.get_memories(scope, ids) if memory.vector is None]
        if not waiting:
            return 0
        owners = [(memory.record.namespace, memory.record.user_id) for memory in waiting]
        with charged_to(SessionKey(tenant, "", "", "")), charged_to_owners(owners):
            vectors = await self._embedder.embed([memory.record.text[memory.lead :] for memory in waiting])
        made = {memory.record.id: (memory.lead, vector) for memory, vector in zip(waiting, vectors, strict=True)}

        def with_vector(memory: StoredMemory) -> StoredMemory | None:
            lead, vector = made[memory.record.id]
            return replace(memory, vector=vector) if memory.vector is None and memory.lead == lead else None

        await replace_unchanged(self._store, scope, waiting, with_vector)
        logger.info("memories.embedded", extra={"fields": {"tenant": tenant, "memories": len(waiting)}})
        return len(waiting)
