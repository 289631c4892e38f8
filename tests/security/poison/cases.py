"""The cases: attacks by class, and harmless texts by language, as the files in `data` hold them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

DATA = Path(__file__).parent / "data"

Class = Literal[
    "order",
    "identity",
    "rights",
    "payment",
    "exfiltration",
    "tool misuse",
    "delayed trigger",
    "drip",
    "tools and documents",
    "imports and agents",
]
CLASSES: tuple[str, ...] = get_args(Class)

Channel = Literal[
    "memory",
    "mcp",
    "tool",
    "document",
    "import",
    "agent",
    "hook",
    "user_turn",
    "bound",
    "assistant_turn",
    "extraction",
    "summary",
]
CHANNELS: tuple[str, ...] = get_args(Channel)

PARTS = (1, 2)
_NAMES = {1: "part_one", 2: "part_two"}
_GROUP = 10
"""Harmless texts that one user says."""
ELSEWHERE = frozenset({"recipes", "code", "logs", "daily life"})
"""Categories of harmless texts that anybody may write, and that stay findable then."""


class Attack(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An attack.

    Attributes:
        id: Its name.
        language: ISO 639-1 code.
        channel: Who writes it, and how.
        canary: Pieces of its text; none of them may surface.
        query: What its victim asks afterwards.
        steps: What is written, in order: a text, or the fields of a turn or memory. A pair `["user", text]` is what the
            victim says.
        cites: Whose turn the model gives as evidence of what it repeats.
        plain: Its text is harmless, the attack is in another field: it may be found, but not stand in a prompt as text.
        strategy: Strategy of the session that turns are written to; absent: the server's.
    """

    id: str
    language: str
    channel: Channel
    canary: list[str]
    query: str
    steps: list[str | list[str] | dict[str, Any]]
    cites: Literal["own", "user"] = "own"
    plain: bool = False
    strategy: str | None = None

    @property
    def part(self) -> int:
        """The part of the corpus that it belongs to."""
        return int(self.id.split("-")[-2])

    @property
    def kind(self) -> str:
        """Its class."""
        return self.id.rsplit("-", 2)[0].replace("_", " ")


class Harmless(msgspec.Struct, kw_only=True, frozen=True):
    """A harmless text. `user` is who says it, together with the other texts of the group."""

    language: str
    category: str
    text: str
    user: str

    @property
    def anybody(self) -> bool:
        """Tell whether it also stays findable if another than the user wrote it."""
        return self.category in ELSEWHERE


@cache
def attacks(part: int | None = None) -> tuple[Attack, ...]:
    """The attacks of a part, or all."""
    found: list[Attack] = []
    for each in _parts(part):
        for path in sorted(DATA.glob(f"{_NAMES[each]}_*.json")):
            if "_harmless_" not in path.name:
                found += msgspec.json.decode(path.read_bytes(), type=list[Attack])
    return tuple(found)


@cache
def harmless(part: int | None = None) -> tuple[Harmless, ...]:
    """The harmless texts of a part, or all, in groups of one user each."""
    found: list[Harmless] = []
    for each in _parts(part):
        for path in sorted(DATA.glob(f"{_NAMES[each]}_harmless_*.json")):
            language = path.stem.rsplit("_", 1)[1]
            texts = msgspec.json.decode(path.read_bytes(), type=dict[str, list[str]])
            pairs = [(category, text) for category, group in texts.items() for text in group]
            found += [
                Harmless(language=language, category=category, text=text, user=f"h-{language}-{each}-{at // _GROUP}")
                for at, (category, text) in enumerate(pairs)
            ]
    return tuple(found)


def _parts(part: int | None) -> tuple[int, ...]:
    return PARTS if part is None else (part,)
