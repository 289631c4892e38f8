"""The result of the last verification of the store, for `ready` and `doctor` of every process that serves it."""

from __future__ import annotations

import logging
from datetime import datetime

import msgspec

from memhost.errors import MemhostError
from memhost.integrity.watch import TamperWatch, counted
from memhost.logs import log
from memhost.models import DEFAULT_TENANT, Document, Scope, WriteBatch
from memhost.ports import Clock, Store

logger = logging.getLogger(__name__)

_KIND, _ID = "verification", "last"
_HOME = Scope(tenant=DEFAULT_TENANT)


class LastVerification(msgspec.Struct, frozen=True, kw_only=True):
    """The last verification of the store, by whichever process.

    Attributes:
        at: When it began.
        found: How many things it found that are not what the server wrote.
    """

    at: datetime
    found: int


class IntegrityState:
    """Knows what is not as the server wrote it: what the last verification found, and what reads met since.

    The verification is kept in the store, since `memhost verify` is mostly another process than the server.
    """

    def __init__(self, *, store: Store, watch: TamperWatch, clock: Clock) -> None:
        self._store = store
        self._watch = watch
        self._clock = clock

    def now(self) -> datetime:
        """The time that a verification begins at."""
        return self._clock.now()

    async def note(self, found: int, began: datetime) -> None:
        """Keep what a verification found; a store that cannot be written is logged: the report counts for more."""
        body = msgspec.json.encode(LastVerification(at=began, found=found))
        document = Document(kind=_KIND, id=_ID, tenant=DEFAULT_TENANT, body=body, updated_at=began)
        try:
            await self._store.commit(_HOME, WriteBatch(put_documents=[document]))
        except MemhostError as error:
            log(logger, logging.WARNING, "integrity.verification_not_kept", error=error.message)

    async def last(self) -> LastVerification | None:
        """The last verification, None if there was none yet.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        document = await self._store.get_document(_HOME, _KIND, _ID, self._clock.now())
        return None if document is None else msgspec.json.decode(document.body, type=LastVerification)

    async def trouble(self) -> str:
        """Tell what is not as the server wrote it; empty if nothing is known of.

        What reads met counts until a later verification finds nothing.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        last, parts = await self.last(), []
        if last is not None and last.found:
            things = "1 thing that is" if last.found == 1 else f"{last.found} things that are"
            parts.append(f"the verification of {last.at:%Y-%m-%d %H:%M} UTC found {things} not what the server wrote")
        met = self._watch.last
        if met is not None and not (last is not None and not last.found and last.at >= met):
            parts.append(f"not what the server wrote: {counted(self._watch.seen)}, met since the start")
        return "; ".join(parts)
