"""The parts of a context, before it has a format: stable parts first, what depends on the query last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from memhost.context.evidence import Evidence
from memhost.models import Scope, Trust
from memhost.models.trust import lowest


class StableLines(msgspec.Struct, frozen=True):
    """Lines of the stable part, each on one line, in an order that stays while nothing else changes.

    Attributes:
        rules: Standing rules: what the user has told assistants to do or not to do, always.
        profile: What is known of the user, whatever the question.
    """

    rules: Sequence[str] = ()
    profile: Sequence[str] = ()


class StableSource(Protocol):
    """Who knows the standing rules and the profile of a scope."""

    async def lines(self, scope: Scope, session_id: str | None) -> StableLines:
        """The lines of a scope, for an agent that is in a session: those first that shall stay if room is short."""
        ...


class NothingStanding:
    """Knows neither standing rules nor a profile."""

    async def lines(self, scope: Scope, session_id: str | None) -> StableLines:
        """No lines."""
        del scope, session_id
        return StableLines()


class Item(msgspec.Struct, kw_only=True):
    """A passage of the context under one number: one memory, or turns that follow each other."""

    ref: int
    said: str
    evidence: list[Evidence]

    @property
    def verified(self) -> bool:
        """Tell whether it may be read as what is known, and not as what somebody claims."""
        return self.evidence[0].verified

    @property
    def trust(self) -> Trust:
        """The trust of the least trusted of its evidence."""
        return lowest(each.trust for each in self.evidence)

    @property
    def source(self) -> str:
        """Where it comes from, if that is not the user and the speaker does not say so; of several turns each says."""
        return self.evidence[0].source if len(self.evidence) == 1 else ""

    @property
    def event(self) -> str:
        """When it happened, if that is known."""
        return self.evidence[0].event

    @property
    def until(self) -> str:
        """Until when it holds, if that is known."""
        return self.evidence[0].until

    @property
    def outdated(self) -> str:
        """The facts of it that no longer hold."""
        return "; ".join(dict.fromkeys(item.outdated for item in self.evidence if item.outdated))


class Parts(msgspec.Struct, kw_only=True):
    """The parts of a context in their order.

    Attributes:
        about: What this is, and how to read it.
        people: Who is who.
        rules: Standing rules.
        profile: What is known of the user.
        today: Today's date. It begins what may change from call to call.
        items: The evidence, in order of time: first what is known, then what is not verified.
        notes: What the reader should know of the evidence, as that nothing fits.
    """

    about: str
    people: str = ""
    rules: Sequence[str] = ()
    profile: Sequence[str] = ()
    today: str
    items: list[Item] = []
    notes: Sequence[str] = ()
