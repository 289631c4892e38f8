"""Whose code failed, and where: the line of the plugin's own code, whatever library raised at the end."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType


def causes(error: BaseException) -> list[BaseException]:
    """The error and what caused it, the first cause first."""
    found: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in found:
        found.insert(0, cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return found


def frames(error: BaseException) -> Iterator[tuple[FrameType, str]]:
    """The frames of the error and its causes, each with its file and line, the innermost first."""
    for each in causes(error):
        for frame, line in reversed([*traceback.walk_tb(each.__traceback__)]):
            yield frame, f"{Path(frame.f_code.co_filename).name}:{line}"


def place_in(error: BaseException, module: str) -> str:
    """File and line of the innermost frame in the package of that module; empty if it has none."""
    package = module.partition(":")[0].partition(".")[0]
    for frame, place in frames(error):
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] == package:
            return place
    return ""


def at_start(error: BaseException, module: str) -> str:
    """Describe what a plugin raised while the server starts, and where in its own code.

    Its sentence is told: nobody has said anything yet that it could quote.
    """
    place = place_in(error, module)
    sentence = f"{type(error).__name__}: {error}".rstrip(": ")
    return f"{sentence} ({place})" if place and place.partition(":")[0] not in sentence else sentence
