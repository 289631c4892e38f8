"""The table of core's own maintenance tasks."""

from __future__ import annotations

from memhost.consolidation import maintenance as consolidation
from memhost.extraction.pipeline import maintenance as extraction
from memhost.history import maintenance as history
from memhost.memories import maintenance as memories
from memhost.sessions import maintenance as sessions
from memhost.specs import MaintenanceTask
from memhost.views import maintenance as views


def core_tasks() -> tuple[MaintenanceTask, ...]:
    """Return the maintenance tasks of core, which each subject lists in its `maintenance.py`."""
    rooms = (memories, extraction, consolidation, sessions, views, history)
    return tuple(task for room in rooms for task in room.TASKS)
