"""The part of a message that a model is shown: all of what was said, the ends of long code and logs."""

from __future__ import annotations

import re

from memhost.models import Message
from memhost.text.conversation import readable
from memhost.text.speakers import is_background

BACKGROUND_LETTERS = 1000
"""Characters of a tool's or system message that the model is shown."""

_MOST_CODE, _FIRST_CODE, _LAST_CODE = 30, 20, 5
"""Lines of a block of code that are shown whole; of a longer one the first and the last that are shown."""
_MOST_LOG, _FIRST_LOG, _LAST_LOG = 12, 4, 4
"""The same of lines of a log that follow each other."""

_FENCE = re.compile(r"[ ]{0,3}(```+|~~~+)")
_LEVEL = r"(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|ERR|FATAL|CRITICAL|SEVERE|PANIC)"
_LOG = re.compile(
    rf"\s*(?:[\[(]?{_LEVEL}[\])]?[:\s|]"
    rf"|.{{0,50}}\d\d:\d\d:\d\d.{{0,40}}?[\s\[(|]{_LEVEL}[\s\])|:]"
    r"|at [\w$.<>]+\(.*\)$|File \".+\", line \d+|\.{3} \d+ more$|goroutine \d+ \["
    r"|(?:npm|yarn|pip|cargo|gradle) (?:ERR!|WARN|notice) )"
)
"""A line that a program wrote: with a level in capitals, or a frame of a trace. The time of day alone tells nothing:
transcripts of chats have it too."""


def shown_to_model(message: Message) -> str:
    """The text of a message as models get it to extract from; what is stored stays whole.

    Of tools' and system messages it is the beginning. Of all others it is everything, except the middle of a long block
    of code between fences and of a long run of a log's lines, where a line says how much was left out.
    """
    text = readable(message)
    if is_background(message):
        return text if len(text) <= BACKGROUND_LETTERS else text[:BACKGROUND_LETTERS] + " [...]"
    lines = text.split("\n")
    return text if len(lines) <= _MOST_LOG else "\n".join(_shortened(lines))


def _shortened(lines: list[str]) -> list[str]:
    found: list[str] = []
    block: list[str] = []
    fence = ""
    for line in lines:
        mark = _FENCE.match(line)
        if fence:
            if mark is not None and mark[1].startswith(fence):
                found += [*_ends(block, _MOST_CODE, _FIRST_CODE, _LAST_CODE), line]
                block, fence = [], ""
            else:
                block.append(line)
        elif mark is not None:
            found += [*_ends(block, _MOST_LOG, _FIRST_LOG, _LAST_LOG), line]
            block, fence = [], mark[1]
        elif _LOG.match(line):
            block.append(line)
        else:
            found += [*_ends(block, _MOST_LOG, _FIRST_LOG, _LAST_LOG), line]
            block = []
    # A fence that nothing closes may be anything.
    return found + (block if fence else _ends(block, _MOST_LOG, _FIRST_LOG, _LAST_LOG))


def _ends(lines: list[str], most: int, first: int, last: int) -> list[str]:
    if len(lines) <= most:
        return lines
    return [*lines[:first], f"[... {len(lines) - first - last} lines]", *lines[-last:]]
