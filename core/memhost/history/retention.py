"""Removing former versions whose time is over, or of which there are too many."""

from __future__ import annotations

from datetime import timedelta

from memhost.models import Change
from memhost.ports import Clock, KeepsHistory, Store
from memhost.settings.schema import MemorySettings

_PAGE = 1000


class Retention:
    """Keeps the former versions that the settings ask for."""

    def __init__(self, *, store: Store, settings: MemorySettings, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock

    async def prune(self, tenant: str) -> int:
        """Remove former versions of a tenant that are too old or too many; return how many."""
        if not isinstance(self._store, KeepsHistory):
            return 0
        keep, days = self._settings.versions_keep, self._settings.versions_keep_days
        before = None if days is None else self._clock.now() - timedelta(days=days)
        removed = 0
        while keep is not None or before is not None:
            old = await self._store.old_former(tenant, before=before, keep=keep, limit=_PAGE)
            if old:
                removed += await self._store.drop_former(tenant, old, Change(kind="pruned", at=0))
            if len(old) < _PAGE:
                break
        return removed
