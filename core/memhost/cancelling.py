"""Ending tasks that may be in a library that swallows a cancellation."""

from __future__ import annotations

import asyncio
from typing import Any

_AGAIN_S = 0.2


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks, and return when they have ended; their exceptions stay with the tasks.

    Once is not always enough: redis-py, for one, loses a cancellation that comes while it looks whether a connection
    is still alive.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_S)
