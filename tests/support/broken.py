"""The misbehaviour of a broken plugin, for each hook."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from memhost.hooks import event_options
from memhost.specs import SettingsSpec
from memhost.testing.polling import until

RELEASED = threading.Event()
"""Set when the tests are over: what hangs in threads ends."""

NOW: dict[str, str] = {}
"""What the broken plugin of an event hook does now, by the hook; nothing if it is not there."""

TOLD = threading.Event()
"""Set when somebody has told of the plugin that blocks."""

LEFT: list[asyncio.Task[None]] = []
LIMIT_S = 0.1
MANY = 100


class Empty(msgspec.Struct, frozen=True):
    """Settings of nobody."""


# -- registration --------------------------------------------------------------------------------------------


def _endless() -> Iterator[SettingsSpec]:
    number = 0
    while True:
        number += 1
        yield SettingsSpec(name=f"leak{number}", settings=Empty)


def _raises() -> Any:
    raise ValueError("broken on purpose")


def _exits() -> Any:
    raise SystemExit(3)


def _hangs() -> Any:
    RELEASED.wait()


def _blocks() -> Any:
    while not RELEASED.is_set():
        time.sleep(0.05)  # as a loop that now and then lets others run


def _nonsense() -> Any:
    return 5


def _nonsense_inside() -> Any:
    return [SettingsSpec(name="nonsense", settings=5), object()]  # type: ignore[arg-type]


REGISTRATION: dict[str, tuple[Callable[[], Any], str]] = {
    "raises": (_raises, "broken on purpose"),
    "exits": (_exits, "SystemExit"),
    "hangs": (_hangs, "took longer than"),
    "blocks": (_blocks, "took longer than"),
    "leaks": (_endless, ""),
    "nonsense": (_nonsense, "TypeError"),
    "nonsense-inside": (_nonsense_inside, "TypeError"),
}
"""What a broken registration hook does, and what its row then says."""


def registration(behaviour: str) -> Callable[[], Any]:
    """A new function that behaves so."""

    def hook() -> Any:
        return REGISTRATION[behaviour][0]()

    return hook


# -- events --------------------------------------------------------------------------------------------------

EVENT = ("raises", "exits", "cancels", "hangs", "hangs-on", "blocks", "leaks", "nonsense", "nonsense-inside")


def event(hook: str) -> Callable[..., Any]:
    """An implementation of an event hook that does what `NOW` says."""

    @event_options(timeout_s=LIMIT_S)
    async def implementation(**given: Any) -> Any:
        behaviour = NOW.get(hook)
        return await _EVENT[behaviour](**given) if behaviour else None

    return implementation


async def _raise(**_: Any) -> None:
    raise ValueError("broken on purpose")


async def _exit(**_: Any) -> None:
    raise SystemExit(3)


async def _cancel(**_: Any) -> None:
    raise asyncio.CancelledError


async def _hang(**_: Any) -> None:
    await asyncio.sleep(3600)


async def _hang_on(**_: Any) -> None:
    waiting = True
    while waiting and not RELEASED.is_set():
        try:
            await asyncio.sleep(0.5)
            waiting = False
        except asyncio.CancelledError:
            continue


async def _block(**_: Any) -> None:
    TOLD.wait(10)


async def _leak(**given: Any) -> Any:
    LEFT.extend(asyncio.create_task(_linger()) for _ in range(MANY))
    grown = given.get("memories", given.get("hits"))
    return None if grown is None else grown * 50


async def _linger() -> None:
    await asyncio.sleep(3600)


async def _nonsense_answer(**given: Any) -> Any:
    if "event" in given:
        given["context"].put_document(5, "text")
    return 5


async def _nonsense_parts(**given: Any) -> Any:
    if "event" in given:
        given["context"].delete_memories([object()])
        return None
    if (write := given.get("write")) is not None:
        write.content.messages = [7]
        return write
    if "hits" in given or "memories" in given:
        return [object()]
    given["search"].limit = -1
    return given["search"]


_EVENT: dict[str, Callable[..., Any]] = {
    "raises": _raise,
    "exits": _exit,
    "cancels": _cancel,
    "hangs": _hang,
    "hangs-on": _hang_on,
    "blocks": _block,
    "leaks": _leak,
    "nonsense": _nonsense_answer,
    "nonsense-inside": _nonsense_parts,
}


async def end_leaks() -> None:
    """End what was left behind."""
    for task in LEFT:
        task.cancel()
    await until(_ended)
    LEFT.clear()


async def _ended() -> bool:
    return all(task.done() for task in LEFT)
