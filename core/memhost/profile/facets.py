"""Groups the statements of an owner by what they are about: pure functions.

Nothing is guessed: statements are of one facet only if their subjects are the same words, and one replaces another only
if somebody said so. What holds of a facet may be several statements.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from memhost.extraction.kinds import ACTION, INSTRUCTION, kind_of, subject_of
from memhost.memories.trust import level_of
from memhost.models import MemoryRecord
from memhost.models.trust import rank
from memhost.ranking import speaks_of_user
from memhost.text.unicode_forms import normal_form

FacetName = tuple[str, str, str]
"""Namespace, user and subject."""


@dataclass(slots=True)
class Facet:
    """A facet of one owner: what holds, the newest first, and what held, the latest first."""

    subject: str
    current: list[MemoryRecord]
    past: list[MemoryRecord] = field(default_factory=list)

    @property
    def first_seen(self) -> datetime:
        """When it was first spoken of."""
        return min(record.sayings[0] for record in (*self.current, *self.past))

    @property
    def last_seen(self) -> datetime:
        """When what holds was last said."""
        return max(record.told_at for record in self.current)

    @property
    def sources(self) -> frozenset[str]:
        """Ids of the turns that say what holds."""
        return frozenset(source for record in self.current for source in record.source_ids)


def holds(record: MemoryRecord, now: datetime) -> bool:
    """Tell whether a memory holds now."""
    begun = record.valid_from is None or record.valid_from <= now
    return begun and (record.valid_to is None or record.valid_to > now)


def is_over(record: MemoryRecord, now: datetime) -> bool:
    """Tell whether a memory held, and holds no longer."""
    return record.valid_to is not None and record.valid_to <= now


def folded_subject(record: MemoryRecord) -> str:
    """Return what a statement is about: equal for subjects that differ in letter case, gaps or forms of a letter."""
    return " ".join(normal_form("NFKC", subject_of(record)).casefold().split())


def is_of_profile(record: MemoryRecord) -> bool:
    """Tell whether a memory may be in a profile.

    A strategy made it, of the user's own words, or somebody who is trusted as far edited it since; it speaks of the
    user; it is no rule, and nothing that an agent did.
    """
    return (
        (record.extractor is not None or record.edited_from is not None)
        and kind_of(record) not in (ACTION, INSTRUCTION)
        and rank(level_of(record)) >= rank("user")
        and speaks_of_user(record.text)
    )


def facets_of(records: Iterable[MemoryRecord], heirs: Mapping[str, MemoryRecord], now: datetime) -> list[Facet]:
    """The facets of which something holds, in the order in which they were first spoken of.

    An event that replaced a statement stands for its facet: after "User moved to Hamburg" the home is what it says.

    Args:
        records: Statements with a subject that may be in a profile, whether they hold or held.
        heirs: Other memories that replaced one of them, by id.
        now: The current time.
    """
    current: dict[FacetName, list[MemoryRecord]] = {}
    past: dict[FacetName, list[MemoryRecord]] = {}
    statements = list(records)
    known = {**heirs, **{record.id: record for record in statements}}
    for record in statements:
        name = _name_of(record)
        if holds(record, now):
            _add(current.setdefault(name, []), record)
        elif is_over(record, now):
            _add(past.setdefault(name, []), record)
            heir = _heir(record, known)
            if heir is None or not holds(heir, now) or not is_of_profile(heir):
                continue
            if folded_subject(heir):  # the facet has another name now
                _add(past.setdefault(_name_of(heir), []), record)
            else:
                _add(current.setdefault(name, []), heir)
    found = [
        Facet(
            subject=name[2],
            current=sorted(held, key=lambda each: (each.told_at, each.id), reverse=True),
            past=sorted(past.get(name, ()), key=lambda each: (each.valid_to or now, each.id), reverse=True),
        )
        for name, held in current.items()
    ]
    return sorted(found, key=lambda facet: (facet.first_seen, facet.subject, facet.current[0].id))


def ordered_rules(records: Sequence[MemoryRecord], scopes: Mapping[str, str]) -> list[MemoryRecord]:
    """Rules that hold everywhere, then those of each scope, the scope with the newest rule first; each oldest first.

    Args:
        records: The rules.
        scopes: The scope of each by id, empty for everywhere.
    """
    newest: dict[str, tuple[datetime, str]] = {}
    for record in records:
        scope = scopes[record.id]
        newest[scope] = max(newest.get(scope, (record.told_at, record.id)), (record.told_at, record.id))
    ranks = sorted((scope for scope in newest if scope), key=lambda scope: newest[scope], reverse=True)
    place = {scope: rank for rank, scope in enumerate(("", *ranks))}
    return sorted(records, key=lambda record: (place[scopes[record.id]], record.sayings[0], record.id))


def _name_of(record: MemoryRecord) -> FacetName:
    return record.namespace or "", record.user_id or "", folded_subject(record)


def _heir(record: MemoryRecord, known: Mapping[str, MemoryRecord]) -> MemoryRecord | None:
    """The last of those that replaced a memory one after the other."""
    seen = {record.id}
    heir = known.get(record.superseded_by or "")
    while heir is not None and heir.superseded_by is not None and heir.id not in seen:
        seen.add(heir.id)
        heir = known.get(heir.superseded_by)
    return heir


def _add(records: list[MemoryRecord], record: MemoryRecord) -> None:
    if all(each.id != record.id for each in records):
        records.append(record)
