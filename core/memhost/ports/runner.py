"""The port of a job runner: what calls background hooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from memhost.models import Job


class JobDispatcher(Protocol):
    """The host's side: knows how to run one claimed job to its end."""

    async def claim(self, limit: int) -> list[Job]:
        """Claim at most `limit` due jobs."""
        ...

    async def run(self, job: Job) -> None:
        """Run a claimed job: call its hook within its time limit, then commit, retry or bury it. Never raises."""
        ...

    async def seconds_to_next(self) -> float | None:
        """Seconds until the next job is due (0 if one is due now), None if there is none."""
        ...

    async def sweep(self) -> None:
        """Periodic housekeeping: start schedules that are due, remove what expired. Never raises."""
        ...


class JobRunner(Protocol):
    """Runs jobs from the store's outbox.

    The outbox is the truth: a runner only decides where and when `JobDispatcher.run` is called. It checks the outbox by
    itself now and then, since the process that was to announce a job may have died. A runner that was not started only
    passes announcements on to the processes where it was. The conformance suite `memhost.testing.runner` is the
    definition of this port.
    """

    async def start(self, dispatcher: JobDispatcher) -> None:
        """Begin to run jobs; returns at once."""
        ...

    def notify(self, jobs: Sequence[Job]) -> None:
        """These jobs have just been committed; empty where a job became due and it is not known which.

        Called on the event loop. It neither blocks nor fails: a job that could not be announced waits in the outbox.
        """
        ...

    async def stop(self) -> None:
        """Finish running jobs within the configured grace, hand the rest back to the outbox, and return."""
        ...
