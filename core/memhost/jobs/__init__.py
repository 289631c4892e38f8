"""Background work: contexts, dispatching, schedules, and what operators see of them."""

from memhost.jobs.dispatcher import Dispatcher
from memhost.jobs.loop import JobLoop
from memhost.jobs.schedules import EMBED_MEMORIES, Schedules, intervals
from memhost.jobs.service import JobService
from memhost.jobs.waking import WaitingForModels
from memhost.jobs.workers import Workers

__all__ = [
    "EMBED_MEMORIES",
    "Dispatcher",
    "JobLoop",
    "JobService",
    "Schedules",
    "WaitingForModels",
    "Workers",
    "intervals",
]
