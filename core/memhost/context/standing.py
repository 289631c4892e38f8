"""The lines that stand in a context whatever is asked: the rules that the user gave, and the profile of the user."""

from __future__ import annotations

from memhost.context.parts import StableLines
from memhost.models import Scope
from memhost.ports import Clock
from memhost.profile.service import ProfileService, holds_here, profile_lines, rule_line

_MOST_RULES, _MOST_PROFILE = 40, 40
"""Lines of each, at most; there is room for fewer in a small budget."""


class Standing:
    """Knows the standing rules and the profile of the one user of a scope; nothing of a scope of several users."""

    def __init__(self, profile: ProfileService, clock: Clock) -> None:
        self._profile = profile
        self._clock = clock

    async def lines(self, scope: Scope, session_id: str | None) -> StableLines:
        """The lines of the user of a scope, in an order that does not change while nothing else does."""
        if scope.users is None or len(scope.users) != 1:
            return StableLines()
        rules = await self.rules(scope, session_id)
        facets = await self._profile.facets(scope, self._clock.now())
        return StableLines(rules=rules, profile=profile_lines(facets, _MOST_PROFILE))

    async def rules(self, scope: Scope, session_id: str | None) -> list[str]:
        """The rules that hold in a session, each once: those for everything, then those of the newest scope."""
        if scope.users is None or len(scope.users) != 1:
            return []
        found = await self._profile.rules(scope, self._clock.now())
        lines = [rule_line(rule) for rule in found if holds_here(rule, session_id)]
        return list(dict.fromkeys(lines))[:_MOST_RULES]
