"""The record of administration: an event that plugins receive, and a line in the log."""

from __future__ import annotations

import logging

from memhost import logs
from memhost.events import Administered
from memhost.jobs.outbox import Outbox
from memhost.models import Scope, WriteBatch
from memhost.operations.table import Call
from memhost.ports import Clock, Store

logger = logging.getLogger(__name__)


class AuditTrail:
    """Writes down who asks for what, before it is done: nothing is done without its record."""

    def __init__(self, store: Store, outbox: Outbox, clock: Clock) -> None:
        self._store = store
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
        if jobs:
            await self._store.commit(Scope(tenant=event.tenant), WriteBatch(add_jobs=jobs))
            self._outbox.committed(jobs)
