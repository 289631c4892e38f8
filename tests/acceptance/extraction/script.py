"""The form of a conversation file. README.md beside this module explains it; unknown keys are errors."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

DATA = Path(__file__).parents[2] / "data" / "facts_over_time"

Topic = Literal[
    "change",
    "order",
    "dating",
    "evidence",
    "recalled",
    "agents",
    "instructions",
    "speakers",
    "corrections",
    "cascade",
    "profile",
    "sloppy",
]
Manner = Literal[
    "fence", "prose", "thinking", "comma", "case", "python", "bare", "ids", "dates", "words", "cut", "repeated"
]
Kind = Literal["fact", "preference", "instruction", "action"]


class Turn(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A turn: `[key, role, text]`, then the speaker's name and the local time of day, where they are given.

    `{{context}}`, `{{context:xml}}`, `{{context:json}}` and `{{prompt}}` in the text stand for what memhost itself
    gives as context, or as memory prompt, for the rest of the text at that time.
    """

    key: str
    role: str
    text: str
    name: str | None = None
    at: str | None = None


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"sources": "from"}):
    """A memory of the model's answer. At most one of `same`, `replaces` and `adds`; without them it is new.

    Attributes:
        text: The statement.
        sources: Keys of the turns that it is said to come from.
        type: `semantic` or `episodic`.
        date: When it happened, in the form that a good model writes; `end` of a span.
        same: Text of the known memory that says the same.
        replaces: Text of the known memory that it ends.
        since: Local day since when the new state holds, where it was said.
        adds: Text of the known memory to which it adds a detail.
        whole: With `adds`: one statement with everything that both say.
        number: With a relation: a number that the model gives and that no known memory has.
        saw: What the model must have read in a new line to give the item at all.
        heard: Name that a new line must have as its speaker for the model to give the item at all.
        kind: What kind of memory it is; `scope` says where an instruction counts, if not everywhere.
        speaker: Name of who said or did it.
        subject: What a preference is about; `polarity` likewise.
    """

    text: str
    sources: list[str]
    type: Literal["semantic", "episodic"] = "semantic"
    date: str | None = None
    end: str | None = None
    same: str | None = None
    replaces: str | None = None
    since: str | None = None
    adds: str | None = None
    whole: str | None = None
    number: int | None = None
    confidence: float = 0.95
    kind: Kind = "fact"
    scope: str | None = None
    speaker: str | None = None
    saw: str | None = None
    heard: str | None = None
    subject: str | None = None
    polarity: str | None = None
    topics: list[str] = []
    entities: list[str] = []


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A thing that happens: turns of a session are sent and extracted, turns are edited or deleted.

    Attributes:
        session: The session.
        at: Local time of the first turn, `2026-03-02 18:00`; each further turn is a minute later.
        sent: Local time at which the step reaches the server, where that is later: an import, a backfill.
        turns: Turns that join the session.
        items: The memories that the model gives when it reads the turns of this step.
        manner: The manner in which the model answers in this step; none: as asked.
        edit: New texts of earlier turns, by key.
        remove: Keys of turns whose memories are deleted.
    """

    session: str
    at: str
    sent: str | None = None
    turns: list[Turn] = []
    items: list[Item] = []
    manner: list[Manner] = []
    edit: dict[str, str] = {}
    remove: list[str] = []

    def times(self, zone: str) -> list[datetime]:
        """When each turn is said."""
        start = local(self.at, zone)
        return [
            local(f"{self.at[:10]} {turn.at}", zone) if turn.at else start + timedelta(minutes=number)
            for number, turn in enumerate(self.turns)
        ]


def local(text: str, zone: str) -> datetime:
    """The moment of a local time, `2026-03-02 18:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


class Statement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"sources": "from"}):
    """A statement that is looked for by a pattern, and what must be known of it (days are local, `2026-03-02`).

    Attributes:
        text: Pattern of the statement.
        said: Day on which it was said.
        since: First day on which it holds.
        until: Day on which it ceased to hold.
        event: Day, month or year of its event, as exact as said; `end` of a span.
        precision: `minute`, `day`, `month` or `year`.
        by: Name of who said it.
        trust: Whose word it is: `user`, `assistant`, `tool`.
        kind: What kind of memory it is.
        sources: Keys of the turns that support it: these and no others.
    """

    text: str
    sources: list[str] | None = None
    said: str | None = None
    since: str | None = None
    until: str | None = None
    event: str | None = None
    end: str | None = None
    precision: str | None = None
    by: str | None = None
    trust: str | None = None
    kind: Kind | None = None


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question, and patterns of texts that must or must not be found.

    Attributes:
        q: The question.
        first: Pattern of the best hit.
        not_first: Pattern that the best hit must not fit.
        has: Patterns, each of a hit among the first ten.
        hasnt: Patterns that no hit among the first ten fits.
        as_of: Local time for which it is asked.
        shown: Patterns that the context for the question must have.
        hidden: Patterns that the context must not have.
    """

    q: str
    first: str | None = None
    not_first: str | None = None
    has: list[str] = []
    hasnt: list[str] = []
    as_of: str | None = None
    shown: list[str] = []
    hidden: list[str] = []


class Expected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The outcome: see README.md. `kept`, `apart`, `never` and `doubted` are about what must not happen.

    Attributes:
        now: Statements that hold.
        past: Statements that held, and are history.
        kept: Statements that hold still, although something might have ended, merged or dropped them.
        apart: Pairs of patterns whose statements hold as two memories.
        one: Patterns that exactly one statement that holds fits.
        never: Patterns that no statement fits, whether it holds or held.
        doubted: Patterns of statements that are not stored, or in doubt and out of every context.
        ask: Questions.
        profile: Patterns, each of a line of the user's profile as the context shows it.
        profile_lacks: Patterns that no line of the profile fits.
        rules: Patterns, each of a line of the standing rules as the context shows them.
        rules_lack: Patterns that no standing rule fits.
    """

    now: list[Statement | str] = []
    past: list[Statement | str] = []
    kept: list[Statement | str] = []
    apart: list[tuple[str, str]] = []
    one: list[str] = []
    never: list[str] = []
    doubted: list[str] = []
    ask: list[Ask] = []
    profile: list[str] = []
    profile_lacks: list[str] = []
    rules: list[str] = []
    rules_lack: list[str] = []


class Conversation(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A conversation file. `name` is its folder, which is the language, and its own name."""

    about: str
    topic: Topic
    user: str
    steps: list[Step]
    expect: Expected
    zone: str = "UTC"
    strategy: str = "discrete"
    asked: str | None = None
    name: str = ""

    @property
    def language(self) -> str:
        """The language, as a code of two letters."""
        return self.name.partition("/")[0]


@cache
def conversations() -> tuple[Conversation, ...]:
    """All conversations, by language and name.

    Raises:
        ValueError: A file does not have the form, or points to a turn that does not exist.
    """
    found = []
    for path in sorted(DATA.glob("*/*.json")):
        try:
            each = msgspec.json.decode(path.read_bytes(), type=Conversation)
        except msgspec.DecodeError as error:
            raise ValueError(f"{path}: {error}") from error
        each.name = f"{path.parent.name}/{path.stem}"
        _check(each)
        found.append(each)
    return tuple(found)


def _check(conversation: Conversation) -> None:
    """Refuse what would pass without a word: unknown keys of turns, relations to texts that nobody gave."""
    keys: set[str] = set()
    given: set[str] = set()
    last = conversation.steps[-1]
    for step in conversation.steps:
        fresh = [turn.key for turn in step.turns]
        if len(set(fresh)) < len(fresh) or keys.intersection(fresh):
            raise ValueError(f"{conversation.name}: a key stands for two turns")
        keys.update(fresh)
        named = {*step.edit, *step.remove, *(key for item in step.items for key in item.sources)}
        if missing := sorted(named - keys):
            raise ValueError(f"{conversation.name}: no such turn: {', '.join(missing)}")
        if asked := [each for each in _sources(conversation.expect) if not set(each) <= keys and step is last]:
            raise ValueError(f"{conversation.name}: no such turns: {asked}")
        for item in step.items:
            target = item.same or item.replaces or item.adds
            if target is not None and target not in given:
                raise ValueError(f"{conversation.name}: nobody gave the known memory: {target}")
            if bool(item.adds) != bool(item.whole):
                raise ValueError(f"{conversation.name}: adds and whole belong together: {item.text}")
            given.update({item.text, item.whole or item.text})


def _sources(expected: Expected) -> list[list[str]]:
    """The turns that statements are expected to rest on."""
    given = (*expected.now, *expected.past, *expected.kept)
    return [each.sources for each in given if isinstance(each, Statement) and each.sources is not None]
