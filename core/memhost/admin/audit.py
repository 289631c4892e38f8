"""The record of administration: an entry of the chain, an event that plugins receive, and a line in the log."""

from __future__ import annotations

import logging

from memhost import logs
from memhost.events import Administered
from memhost.integrity import Keyring
from memhost.integrity.certificates import fingerprint
from memhost.jobs.outbox import Outbox
from memhost.models import Actor, Change, Scope, WriteBatch, acted_by
from memhost.operations.table import Call
from memhost.ports import Clock, Store

logger = logging.getLogger(__name__)

_MAX_NOTE = 200
"""Characters of an entry's note."""

_ERASING = ("delete_user",)
"""Operations whose target is a user who is erased."""


class AuditTrail:
    """Writes down who asks for what, before it is done: nothing is done without its record."""

    def __init__(self, store: Store, outbox: Outbox, clock: Clock, keys: Keyring | None = None) -> None:
        self._store = store
        self._keys = keys
        self._outbox = outbox
        self._clock = clock

    async def record(self, call: Call, action: str, target: str) -> None:
        """Record that the caller asks for the action on the target.

        Raises:
            StoreUnavailable: The entry could not be stored; the action must not happen.
        """
        now, caller = self._clock.now(), call.caller
        event = Administered(
            tenant=caller.bounds.tenant,
            subject=caller.subject,
            action=action,
            target=target,
            at=now,
            request_id=call.request_id,
        )
        logs.log(logger, logging.INFO, "administered", subject=caller.subject, action=action, request=call.request_id)
        jobs = self._outbox.jobs("administered", event, tenant=event.tenant, now=now)
        note = Change(kind="administered", at=0, note=f"{action} {self._named(action, target)}"[:_MAX_NOTE].strip())
        with acted_by(Actor(caller.subject, caller.credential, call.door, action, call.request_id)):
            await self._store.commit(Scope(tenant=event.tenant), WriteBatch(add_jobs=jobs, notes=[note]))
        self._outbox.committed(jobs)

    def _named(self, action: str, target: str) -> str:
        """Name the target; a user who is erased leaves no name in the chain, only what finds it again."""
        return f"user {fingerprint(target, self._keys)}" if action in _ERASING else target
