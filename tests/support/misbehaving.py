"""A plugin whose hook does what the test sets."""

from __future__ import annotations

import asyncio
import time
from importlib.metadata import EntryPoint
from typing import Any

from memhost import event_options, hookimpl

MEMHOST_API = (1, 1)
POINT = EntryPoint(name="misbehaving", value="tests.support.misbehaving", group="memhost")
BEHAVIOUR = {"now": "well"}


@hookimpl
@event_options(timeout_s=0.05)
async def memhost_before_search(search: Any) -> Any:
    behaviour = BEHAVIOUR["now"]
    if behaviour == "raises":
        raise ValueError("broken")
    if behaviour == "hangs":
        await asyncio.sleep(60)
    if behaviour == "blocks":
        time.sleep(0.06)  # noqa: ASYNC251 - it must block
    if behaviour == "nonsense":
        return 5
    return None
