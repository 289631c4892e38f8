"""Waiting for something to become true, with a deadline and without guessing how long it takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], Awaitable[bool]], *, limit_s: float = 15.0, every_s: float = 0.02) -> None:
    """Return as soon as the condition holds.

    Raises:
        AssertionError: It did not hold within `limit_s` seconds.
    """
    deadline = time.monotonic() + limit_s
    while not await condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{getattr(condition, '__name__', 'the condition')} did not hold within {limit_s:g} s")
        await asyncio.sleep(every_s)
