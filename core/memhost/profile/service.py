"""Reads the profile of a user: facets and standing rules, from the memories that hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from memhost.extraction.kinds import INSTRUCTION, KIND, SUBJECT, THIS_SESSION, kind_of, scope_of
from memhost.memories.enabled import require_long_term_memory
from memhost.memories.nearest import STATEMENTS_ONLY
from memhost.models import Condition, MemoryRecord, MemoryType, Op, Scope
from memhost.models.trust import at_least
from memhost.operations.table import Call
from memhost.operations.users import GetProfile, PastStatement, Profile, ProfileFacet, ProfileStatement, StandingRule
from memhost.ports import Clock, Store
from memhost.profile.facets import Facet, facets_of, is_of_profile, ordered_rules
from memhost.settings.schema import MemorySettings
from memhost.text.recalled.fence import label, one_line

_MOST_STATEMENTS = 1_000
"""Statements with a subject, past ones among them, that are read: the newest."""
_MOST_RULES = 100
"""Standing rules that are read: the newest."""
_MOST_PAST = 20
"""Past statements of a facet that are shown."""
_ROUNDS = 4
"""Most steps from a past statement to the one that took its place last."""

_HAS_SUBJECT = (
    STATEMENTS_ONLY,
    Condition("memory_type", Op.ANY, (MemoryType.SEMANTIC.value,)),
    Condition(f"metadata.{SUBJECT}", Op.PREFIX, ("",)),
)


class ProfileService:
    """Answers `get_profile`, and says what contexts show whatever is asked.

    Nothing is kept beside the memories: what ends, is deleted or comes back is so in the profile at once.
    """

    def __init__(self, *, store: Store, settings: MemorySettings, clock: Clock, has_model: bool) -> None:
        self._store = store
        self._has_model = has_model
        self._settings = settings
        self._clock = clock

    async def get(self, call: Call, request: GetProfile) -> Profile:
        """The profile of a user within what the caller may read.

        Raises:
            LongTermMemoryDisabled: Long-term memory is off.
        """
        require_long_term_memory(self._settings)
        scope = call.caller.bounds.narrow(namespace=request.namespace or None, user=request.user_id)
        now = self._clock.now()
        facets = await self.facets(scope, now)
        facets.sort(key=lambda facet: (facet.last_seen, facet.subject), reverse=True)
        shown = facets[request.offset : request.offset + request.limit]
        return Profile(
            user_id=request.user_id,
            facets=[_facet(facet, now) for facet in shown],
            total=len(facets),
            rules=[_rule(record) for record in await self.rules(scope, now)],
            model=self._has_model,
        )

    async def facets(self, scope: Scope, now: datetime) -> list[Facet]:
        """The facets of the owners in a scope, in the order in which they were first spoken of."""
        found, _ = await self._store.list_memories(scope, _HAS_SUBJECT, limit=_MOST_STATEMENTS)
        records = [memory.record for memory in found if is_of_profile(memory.record)]
        known = {record.id: record for record in records}
        heirs: dict[str, MemoryRecord] = {}
        last: Iterable[MemoryRecord] = records
        for _ in range(_ROUNDS):
            missing = {record.superseded_by for record in last if record.superseded_by} - known.keys() - heirs.keys()
            if not missing:
                break
            last = [memory.record for memory in await self._store.get_memories(scope, sorted(missing))]
            heirs |= {record.id: record for record in last}
        return facets_of(records, heirs, now)

    async def rules(self, scope: Scope, now: datetime) -> list[MemoryRecord]:
        """The standing rules of the owners in a scope: those for everything, then those of the newest scope.

        Only what the user said is a rule, as far as is known from the roles of the turns that say it.
        """
        conditions = [
            Condition(f"metadata.{KIND}", Op.ANY, (INSTRUCTION,)),
            Condition("trust", Op.ANY, at_least("user")),
            Condition("valid_to", Op.NOT_LTE, (now,)),
            Condition("valid_from", Op.NOT_GT, (now,)),
        ]
        found, _ = await self._store.list_memories(scope, conditions, limit=_MOST_RULES)
        rules = [memory.record for memory in found if kind_of(memory.record) == INSTRUCTION]
        return ordered_rules(rules, {record.id: _where(record) for record in rules})


def holds_here(rule: MemoryRecord, session_id: str | None) -> bool:
    """Tell whether a rule holds in a session: one that was given for its own session holds in no other."""
    return scope_of(rule) != THIS_SESSION or rule.session_id == session_id


def rule_line(rule: MemoryRecord) -> str:
    """A rule with where it holds, unless its text says so."""
    text, scope = one_line(rule.text), scope_of(rule)
    told = not scope or scope == THIS_SESSION or scope.casefold() in text.casefold()
    return text if told else f"{label(scope)}: {text}"


def profile_lines(facets: Sequence[Facet], most: int) -> list[str]:
    """The statements of the facets, at most so many, in the order in which the facets were first spoken of.

    Where there are more, those of the facets that most turns speak of, and were spoken of last, are shown.
    """
    chosen = sorted(facets, key=lambda facet: (len(facet.sources), facet.last_seen), reverse=True)
    names = {id(facet) for facet in chosen[:most]}
    lines = [one_line(record.text) for facet in facets if id(facet) in names for record in facet.current]
    return list(dict.fromkeys(lines))[:most]


def _where(record: MemoryRecord) -> str:
    """The scope of a rule, apart from that of other sessions and namespaces."""
    scope = scope_of(record).casefold()
    return f"{scope} {record.session_id}" if scope == THIS_SESSION else scope


def _facet(facet: Facet, now: datetime) -> ProfileFacet:
    return ProfileFacet(
        subject=facet.subject,
        namespace=facet.current[0].namespace,
        statements=[
            ProfileStatement(
                id=record.id,
                text=record.text,
                kind=kind_of(record) or None,
                said_at=record.told_at,
                since=record.valid_from,
                evidence=len(set(record.source_ids)),
            )
            for record in facet.current
        ],
        evidence=len(facet.sources),
        first_seen=facet.first_seen,
        last_seen=facet.last_seen,
        history=[
            PastStatement(
                id=record.id,
                text=record.text,
                said_at=record.told_at,
                until=record.valid_to or now,
                superseded_by=record.superseded_by,
            )
            for record in facet.past[:_MOST_PAST]
        ],
    )


def _rule(record: MemoryRecord) -> StandingRule:
    return StandingRule(
        id=record.id,
        text=record.text,
        scope=scope_of(record) or None,
        namespace=record.namespace,
        session_id=record.session_id,
        said_at=record.told_at,
        evidence=len(set(record.source_ids)),
    )
