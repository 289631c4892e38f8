"""Leaves out of a turn the recalled memories that came back in it: nobody said them."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

import msgspec

from memhost.models import MemoryType, Message, StoredMemory
from memhost.text.recalled.blocks import Line, enclosed, listed

_HINTS = (
    "memor",
    "remember",
    "(said ",
    "facts",
    "fakten",
    "about the user",
    "about user",
    "about this user",
    "on the user",
    "regarding",
    "today is ",
    "context",
    "erinnerung",
    "souvenirs",
    "connus",
    "conocidos",
    "recuerdos",
    "ricordi",
    "lembran",
    "воспомин",
    "память",
    "herinner",
    "wspomn",
    "anılar",
    "기억",
    "faits",
    "informa",
    "datos",
    "hechos",
    "fatti",
    "fatos",
    "факт",
    "сведен",
    "記憶",
    "回忆",
    "ユーザーに",
    "関連する記憶",
    "关于用户",
    "记忆",
)
"""Without one of these words, in small letters, a text holds no block."""
_HINTS_IN_ASCII = tuple(filter(str.isascii, _HINTS))

_LEAD = re.compile(r"(?:[ \t]*>)*([ \t]*)")
_CODE_FENCE = re.compile(r"(?:```|~~~)[\w-]*\s*")
_BLANKS = re.compile(r"\n[ \t>]*\n(?:[ \t>]*\n)+")


def own_text(text: str) -> str:
    """The text without blocks of recalled memories; the same text if it holds none.

    Blocks are contexts and memory prompts of this server in each format, also cut at the end, indented, quoted or in
    code; and what other systems write around memories: named elements and marks, and lists under headings that say
    that they are recalled or about the user. What a user writes of memories or in lists of their own stays.
    """
    low = text.lower()
    if not any(map(low.__contains__, _HINTS_IN_ASCII if low.isascii() else _HINTS)):
        return text
    lines = list(_lines(text))
    bare = "\n".join(line.text for line in lines)
    spans = _united([*enclosed(bare), *listed(lines)])
    if not spans:
        return text
    starts = [line.bare for line in lines]
    kept, end = [], 0
    for first, last in _with_code_fences(spans, lines):
        kept.append(text[end : _place(first, lines, starts, opens=True)])
        end = _place(last, lines, starts)
    kept.append(text[end:])
    return _BLANKS.sub("\n\n", "".join(kept)).strip()


def without_recalled(message: Message) -> Message:
    """The message with `own_text` as its content; the very same message if that changes nothing."""
    text = own_text(message.content)
    return message if text is message.content else msgspec.structs.replace(message, content=text)


def found_by(memory: StoredMemory) -> str:
    """The text by which a memory is found: behind role and name, and of a turn without what was recalled in it."""
    text = memory.record.text[memory.lead :]
    return own_text(text) if memory.record.memory_type is MemoryType.MESSAGE else text


def _lines(text: str) -> Iterator[Line]:
    start = bare = 0
    for line in text.split("\n"):
        match = _LEAD.match(line)
        assert match is not None
        rest = line[match.end() :].rstrip("\r")
        yield Line(start, match.end(), len(match[1]), rest, bare)
        start += len(line) + 1
        bare += len(rest) + 1


def _place(offset: int, lines: Sequence[Line], starts: Sequence[int], *, opens: bool = False) -> int:
    """The place in the text of an offset in the bare lines; in front of what leads a line where a span opens it."""
    line = lines[bisect_right(starts, offset) - 1]
    inside = offset - line.bare
    return line.start if opens and not inside else line.start + line.lead + inside


def _united(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found


def _with_code_fences(spans: Sequence[tuple[int, int]], lines: Sequence[Line]) -> Iterator[tuple[int, int]]:
    """The spans, those that are all of a block of code together with the lines that open and close it."""
    full = [line for line in lines if line.text.strip()]
    starts = [line.bare for line in full]
    for first, last in spans:
        before, behind = bisect_left(starts, first) - 1, bisect_right(starts, last)
        alone = before >= 0 and starts[before] + len(full[before].text) < first and behind < len(full)
        if alone and all(_CODE_FENCE.fullmatch(full[at].text) for at in (before, behind)):
            yield starts[before], starts[behind] + len(full[behind].text)
        else:
            yield first, last
