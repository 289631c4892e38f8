"""Memories that mean the same become one, and a changed fact replaces the old one."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import msgspec

from memhost.consolidation.closing import Change, reclosed, said_order, settled
from memhost.consolidation.judge import MAX_PAIRS, Judge, Judgement, Pair, Verdict
from memhost.consolidation.merging import Outcome, Wording, apply, shown
from memhost.consolidation.similarity import (
    can_change,
    can_merge,
    distance,
    has_something_in_common,
    may_end,
    same_trust,
)
from memhost.consolidation.wording import says_all
from memhost.errors import ModelUnavailable
from memhost.extraction.kinds import may_relate, may_replace, subject_of
from memhost.memories.derived.former import replaced_by
from memhost.memories.nearest import nearest, of_subject
from memhost.memories.records import content_hash
from memhost.memories.repetition import statement
from memhost.memories.trash import entries
from memhost.memories.trust import waits
from memhost.models import (
    Condition,
    Document,
    Op,
    Scope,
    SessionKey,
    StoredMemory,
    WriteBatch,
    new_id,
)
from memhost.operations.responses import Join
from memhost.ports import Completion, Draft, Embedder, Store
from memhost.settings.schema import MemorySettings
from memhost.storage.bound_documents import document_scope
from memhost.usage.model_calls import ModelCalls

JUDGED = "judged"
"""Kind of the documents that tell which pairs a model found to be distinct."""

_PAIRS_A_MEMORY = 15
_JUDGED_FOR = timedelta(days=7)


@dataclass(slots=True, kw_only=True)
class Resolution:
    """The changes that a commit has to contain; none of them is committed yet.

    Attributes:
        put: New memories that stay, and stored ones that changed or were replaced.
        made: Ids of those in `put` that are earlier times of facts which hold again.
        delete: Ids of stored memories that were merged into others.
        documents: Their entries in the trash, and marks of pairs that need no further judgement.
        superseded: Ids of memories that a newer fact replaced.
        updated: Ids of stored memories that others were merged into.
        joins: For each memory that stays, the memories merged into it.
        merged: Number of memories, new or stored, that were merged into others.
        judged: Pairs found distinct, as `pair_mark` names them.
        undecided: Pairs that nobody has judged.
        reached: False if the model could not be asked.
        llm_calls: Calls to the language model.
        answer: What it answered, None if it did not.
    """

    put: list[StoredMemory] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    delete: list[str] = field(default_factory=list)
    documents: list[Document] = field(default_factory=list)
    superseded: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    joins: list[Join] = field(default_factory=list)
    merged: int = 0
    judged: set[bytes] = field(default_factory=set)
    undecided: int = 0
    reached: bool = True
    llm_calls: int = 0
    answer: Completion | None = None

    def add_to(self, batch: WriteBatch) -> None:
        """Add everything to the batch that is to be committed."""
        batch.put_memories += self.put
        batch.delete_memories += self.delete
        batch.put_documents += self.documents


class SemanticDeduplication:
    """Finds near memories, and says with as few calls as possible what they are to each other."""

    def __init__(self, *, store: Store, embedder: Embedder, calls: ModelCalls, settings: MemorySettings) -> None:
        self._store = store
        self._embedder = embedder
        self._judge = Judge(calls)
        self._settings = settings

    @property
    def enabled(self) -> bool:
        """Tell whether memories with the same meaning are merged."""
        return self._settings.compact_semantic_duplicates

    @property
    def can_judge(self) -> bool:
        """Tell whether a language model is configured."""
        return self._judge.available

    async def resolve(
        self,
        owner: SessionKey,
        fresh: Sequence[StoredMemory],
        now: datetime,
        again: Sequence[tuple[StoredMemory, StoredMemory]] = (),
        repeated: Mapping[str, StoredMemory] | None = None,
        said: Mapping[str, Draft] | None = None,
        shown: Collection[str] = (),
    ) -> Resolution:
        """Decide about new memories of one owner, which have vectors, with at most one call to the language model.

        What a strategy says of a memory counts. The model is asked about those of which nobody said anything, and about
        those that are new to a strategy which did not see a stored one of the same subject. Without a language model
        these stay: no rule can tell whether two texts mean the same.

        Args:
            owner: Whose memories they are, and who pays; memories of other sessions of the owner count as well.
            fresh: The new memories, in the order in which they were said.
            now: The current time.
            again: New memories (of `fresh`) that say what a stored one says as well, each with that one. They become
                one, unless something else is known to have held in between.
            repeated: Stored memories that the new ones repeat, as these complete them, by id.
            said: The drafts of the memories, by id.
            shown: Ids of the stored memories that the strategy could see.
        """
        repeated, said = repeated or {}, said or {}
        if not self.enabled or not fresh:
            return Resolution(put=[*fresh, *repeated.values()])
        scope = Scope(tenant=owner.tenant, namespaces=(owner.namespace,), users=(owner.user,))
        new = {memory.record.id: memory for memory in fresh}
        told, answered = await self._told(scope, new, said, repeated)
        told += [(_pair(repeated.get(stored.record.id, stored), made, new), Verdict("same")) for made, stored in again]
        silent = [memory for name, memory in new.items() if name not in answered]
        pairs: list[Pair] = []
        if self.can_judge:
            unaware = [new[name] for name, draft in said.items() if name in new and draft.relation in ("new", "adds")]
            pairs = await self.pairs(scope, silent, now, new, repeated)
            pairs += await self._of_subjects(scope, unaware, now, new, shown)
        return await self.settle(scope, owner, pairs, now, fresh=new, again=True, told=told, repeated=repeated)

    async def pairs(
        self,
        scope: Scope,
        memories: Sequence[StoredMemory],
        now: datetime,
        fresh: Collection[str] = (),
        repeated: Mapping[str, StoredMemory] | None = None,
    ) -> list[Pair]:
        """Pairs of the memories with stored ones that may be about the same, each once: first the nearest of each.

        `fresh` are ids of those that are new: they are compared with what is stored under other ids, also with facts
        that have ended, but held later than the new one says (it was learnt late); and not with each other, because one
        answer that lists two facts has told them apart. One statement that is stored twice is no pair (see
        `repetition.compatible`). `repeated` are stored memories as they will be. No model is called.
        """
        found: dict[frozenset[str], tuple[int, Pair]] = {}
        for memory in filter(can_merge, memories):
            stored = await self._near(scope, memory, now, fresh)
            others = [(repeated or {}).get(other.record.id, other) for other in stored]
            able = [other for other in others if _can_pair(memory, other)]
            able.sort(key=lambda other: not can_merge(other))  # what has ended takes no place of what holds
            for place, other in enumerate(able[:_PAIRS_A_MEMORY]):
                pair = _pair(memory, other, fresh)
                found.setdefault(frozenset((pair.older.record.id, pair.newer.record.id)), (place, pair))
        return [pair for _, pair in sorted(found.values(), key=lambda each: (each[0], each[1].distance))]

    async def settle(
        self,
        scope: Scope,
        owner: SessionKey,
        pairs: Sequence[Pair],
        now: datetime,
        *,
        fresh: Mapping[str, StoredMemory] | None = None,
        ask: bool = True,
        again: bool = False,
        told: Sequence[tuple[Pair, Verdict]] = (),
        repeated: Mapping[str, StoredMemory] | None = None,
    ) -> Resolution:
        """Decide the pairs, and say what has to be committed.

        Args:
            scope: Where the stored memories are.
            owner: Who pays.
            pairs: The pairs of one owner.
            now: The current time.
            fresh: New memories by id; they come back in `put` unless they went into others.
            ask: Whether the language model may be asked, once.
            again: Pairs about which the model gives no usable answer are left for compaction to ask again.
            told: Pairs that are decided already.
            repeated: Stored memories as new ones complete them, by id; they come back in `put` as well.
        """
        fresh, repeated = fresh or {}, repeated or {}
        open_ = list(pairs)
        asked = open_[:MAX_PAIRS] if ask and self._judge.available else []
        judgement = await self._judge.ask(owner, asked) if asked else Judgement()
        decided = [*told, *((asked[index], verdict) for index, verdict in judgement.verdicts.items())]
        wordings = await self._worded(decided)
        unchanged = await self._unchanged(scope, [pair for pair, _ in decided], fresh, repeated)
        decided = [
            (Pair(unchanged[one], unchanged[other], pair.distance), verdict)
            for pair, verdict in decided
            if (one := pair.older.record.id) in unchanged and (other := pair.newer.record.id) in unchanged
        ]
        stored = unchanged.keys() - fresh.keys()
        furthest = self._settings.deduplication_distance_threshold
        outcome = apply(decided, wordings, stored, furthest, now)
        followed = await self._followed(scope, outcome.changes, unchanged)
        given = {**repeated, **fresh}
        resolution = self._resolution(scope.tenant, outcome, unchanged, given, fresh, followed, now)
        resolution.llm_calls = judgement.calls
        resolution.answer = judgement.answer
        resolution.reached = judgement.answered
        resolution.undecided = len(open_) - (len(asked) if judgement.answered else 0)
        resolution.judged = _distinct(asked, judgement, again) if judgement.answered else set()
        if resolution.judged:
            resolution.documents.append(_note(owner, resolution.judged, now))
        return resolution

    # -- parts -----------------------------------------------------------------------------------------

    async def _told(
        self,
        scope: Scope,
        fresh: Mapping[str, StoredMemory],
        said: Mapping[str, Draft],
        repeated: Mapping[str, StoredMemory],
    ) -> tuple[list[tuple[Pair, Verdict]], set[str]]:
        """Return what strategies say of new memories and known ones, and the ids of those of which they said something.

        "The same" is believed at once where the known memory has all of the new one: its text stays, and only the words
        of the new one go; otherwise a judge is asked as well. What has nothing in common with a known memory does not
        end it. What an agent did does not end what the user said, nor a rule of one project that of another
        (`may_replace`).
        """
        related = ("same", "replaces", "corrects")
        named = {name: said[name] for name in fresh if name in said and said[name].relation in related}
        ids = list(dict.fromkeys(known for draft in named.values() for known in draft.known))
        stored = await self._store.get_memories(scope, ids) if ids else []
        known = {each.record.id: repeated.get(each.record.id, each) for each in stored if can_change(each)}
        found = []
        told = {name for name in fresh if name in said and said[name].relation in ("new", "adds", *related)}
        for name, draft in named.items():
            for other in (known[each] for each in draft.known if each in known):
                pair = _pair(fresh[name], other, fresh)
                one, two = fresh[name].record, other.record
                able = may_replace(one, two) and has_something_in_common(fresh[name], other)
                if draft.relation == "replaces" and able:
                    found.append((pair, Verdict("update")))
                elif draft.relation == "corrects" and able and pair.older is other:  # not what was said later
                    found.append((pair, Verdict("correction")))
                elif draft.relation == "same" and may_relate(one, two) and says_all(two.text, one.text):
                    found.append((pair, _as_known(other, fresh[name])))
                else:
                    told.discard(name)
        return found, told

    async def _of_subjects(
        self,
        scope: Scope,
        memories: Sequence[StoredMemory],
        now: datetime,
        fresh: Collection[str],
        shown: Collection[str],
    ) -> list[Pair]:
        """Pairs of new memories with stored ones of the same subject that the strategy did not see."""
        found = []
        for memory in filter(can_merge, memories):
            subject = subject_of(memory.record)
            since = min(memory.record.held_from, now)
            others = await of_subject(self._store, scope, subject, since) if subject else []
            unseen = [other for other in others if other.record.id not in fresh and other.record.id not in shown]
            found += [_pair(memory, other, fresh) for other in unseen if _can_pair(memory, other)]
        return found

    async def _near(
        self, scope: Scope, memory: StoredMemory, now: datetime, fresh: Collection[str]
    ) -> list[StoredMemory]:
        """Stored memories near this one that hold; for a new one also those that ended after it began to hold.

        Of what ended before, a new one may correct what has been ended by something that was said later still.
        """
        record = memory.record
        if record.id not in fresh:
            return await self._nearest(scope, memory, now, fresh, Condition("valid_to", Op.NOT_LTE, (now,)))
        since = min(record.held_from, now)
        found = await self._nearest(scope, memory, now, fresh, Condition("valid_to", Op.NOT_LTE, (since,)))
        later = {each.record.id for each in found if each.record.told_at > record.told_at}
        if later:
            over = await self._nearest(scope, memory, now, fresh, Condition("valid_to", Op.LTE, (since,)))
            found += [each for each in over if each.record.superseded_by in later]
        return found

    async def _nearest(
        self, scope: Scope, memory: StoredMemory, now: datetime, fresh: Collection[str], valid: Condition
    ) -> list[StoredMemory]:
        record = memory.record
        found = await nearest(
            self._store,
            scope,
            record.text,
            memory.vector,
            now,
            subject=subject_of(record),
            entities=record.entities,
            most=_PAIRS_A_MEMORY + 1,
            valid=valid,
        )
        return [each for each in found if each.record.id not in fresh]

    async def _worded(self, decided: Iterable[tuple[Pair, Verdict]]) -> dict[str, Wording]:
        """Merged texts with their vectors, the others' embedded in one request, if the embedder answers."""
        merged = [(pair, verdict.text) for pair, verdict in decided if verdict.kind == "merge"]
        known = {each.record.text: each.vector for pair, _ in merged for each in (pair.older, pair.newer)}
        found = {text: Wording(text, known[text]) for _, text in merged if text in known}
        texts = list(dict.fromkeys(text for _, text in merged if text not in known))
        if not texts:
            return found
        try:
            vectors = await self._embedder.embed(texts)
        except ModelUnavailable:
            return found
        return found | {text: Wording(text, vector) for text, vector in zip(texts, vectors, strict=True)}

    async def _unchanged(
        self,
        scope: Scope,
        pairs: Iterable[Pair],
        fresh: Mapping[str, StoredMemory],
        repeated: Mapping[str, StoredMemory],
    ) -> dict[str, StoredMemory]:
        """The memories of the pairs as they are now, without those edited, pinned or deleted while we asked."""
        memories = {each.record.id: each for pair in pairs for each in (pair.older, pair.newer)}
        known = {name: memory for name, memory in memories.items() if name in fresh}
        for memory in await self._store.get_memories(scope, [name for name in memories if name not in fresh]):
            before, record = memories[memory.record.id].record, memory.record
            ended = record.superseded_by is not None and before.superseded_by is None
            as_before = ended or record.id in repeated or record.updated_at == before.updated_at
            if can_change(memory) and record.text == before.text and as_before:
                known[record.id] = repeated.get(record.id, memory)
        return known

    async def _followed(
        self, scope: Scope, changes: Sequence[Change], memories: Mapping[str, StoredMemory]
    ) -> dict[str, list[StoredMemory]]:
        """Stored facts that a fact had ended which was wrong, or is right since another time now, by its id."""
        names = {name for change in changes if change.never for name in (change.older, change.newer)}
        found: dict[str, list[StoredMemory]] = {}
        for memory in await replaced_by(self._store, scope, names & memories.keys()):
            found.setdefault(memory.record.superseded_by or "", []).append(memory)
        return found

    def _resolution(
        self,
        tenant: str,
        outcome: Outcome,
        memories: Mapping[str, StoredMemory],
        given: Mapping[str, StoredMemory],
        fresh: Collection[str],
        followed: Mapping[str, Sequence[StoredMemory]],
        now: datetime,
    ) -> Resolution:
        found = Resolution()
        put = dict(given)
        for joined in outcome.joined:
            kept = joined.kept.record.id
            put[kept] = joined.kept
            if kept not in fresh:
                found.updated.append(kept)
            for memory in joined.gone:
                put.pop(memory.record.id, None)
                if memory.record.id not in fresh:
                    found.delete.append(memory.record.id)
            found.merged += len(joined.gone)
            found.joins.append(shown(joined.kept, joined.gone))
            found.documents += entries(tenant, joined.gone, "merged", now, self._settings)
            if joined.previous is not None:
                found.documents += entries(tenant, [joined.previous], "reworded", now, self._settings)
        put = _ended(found, outcome, {**memories, **put}, put, fresh, followed, now)
        found.put = list(_waiting(found, outcome, memories, put, fresh, now).values())
        return found


def _ended(
    found: Resolution,
    outcome: Outcome,
    state: Mapping[str, StoredMemory],
    put: dict[str, StoredMemory],
    fresh: Collection[str],
    followed: Mapping[str, Sequence[StoredMemory]],
    now: datetime,
) -> dict[str, StoredMemory]:
    """Put what the changes leave different, and note in `found` what that is. `state` has all memories as they are."""
    for name, memory in settled(outcome.changes, state, now).items():
        put[name] = memory
        if name not in state:
            found.made.append(name)
        elif memory.record.superseded_by is not None:
            found.superseded.append(name)
        elif name not in fresh:
            found.updated.append(name)
    for change in outcome.changes:
        if change.never:
            right = put.get(change.newer) or state[change.newer]
            for memory in (*followed.get(change.older, ()), *followed.get(change.newer, ())):
                moved = reclosed(put.get(memory.record.id, memory), change.older, right, now)
                put[memory.record.id] = moved
                found.updated.append(memory.record.id)
    found.updated = [name for name in dict.fromkeys(found.updated) if name not in found.superseded]
    return put


def _waiting(
    found: Resolution,
    outcome: Outcome,
    memories: Mapping[str, StoredMemory],
    put: dict[str, StoredMemory],
    fresh: Collection[str],
    now: datetime,
) -> dict[str, StoredMemory]:
    """Put what contradicts something that is trusted more as what waits for a review, and note it in `found`."""
    for change in outcome.contradicting:
        memory, name = put.get(change.newer, memories[change.newer]), change.newer
        record = msgspec.structs.replace(waits(memory.record, [change.older]), updated_at=now)
        put[name] = replace(memory, record=record)
        if name not in fresh and name not in (*found.updated, *found.superseded):
            found.updated.append(name)
    return put


def pair_mark(pair: Pair) -> bytes:
    """Return the name of a pair of statements of one owner, whatever their ids; a changed text makes another pair."""
    hashes = sorted(content_hash(each.record) for each in (pair.older, pair.newer))
    return hashlib.sha256("".join(hashes).encode()).digest()[:16]


async def judged_pairs(store: Store, scope: Scope, now: datetime) -> set[bytes]:
    """Marks of the pairs inside the scope that were found distinct lately."""
    documents = await store.list_documents(document_scope(scope), JUDGED, now)
    return {mark for document in documents for mark in msgspec.msgpack.decode(document.body, type=list[bytes])}


def _distinct(asked: Sequence[Pair], judgement: Judgement, again: bool) -> set[bytes]:
    """Marks of the pairs that need not be asked about again."""
    missing = None if again else Verdict("distinct")
    verdicts = [judgement.verdicts.get(index, missing) for index in range(len(asked))]
    return {
        pair_mark(pair)
        for pair, verdict in zip(asked, verdicts, strict=True)
        if verdict is not None and verdict.kind == "distinct"
    }


def _note(owner: SessionKey, marks: Collection[bytes], now: datetime) -> Document:
    return Document(
        kind=JUDGED,
        id=new_id(),
        tenant=owner.tenant,
        namespace=owner.namespace,
        user=owner.user,
        body=msgspec.msgpack.encode(sorted(marks)),
        updated_at=now,
        expires_at=now + _JUDGED_FOR,
    )


def _as_known(known: StoredMemory, new: StoredMemory) -> Verdict:
    """The verdict on a new memory of which a known one says all: its words go, unless it is trusted further."""
    if same_trust((known, new)):
        return Verdict("merge", known.record.text)
    return Verdict("same" if may_end(known, new) else "distinct")


def _can_pair(memory: StoredMemory, other: StoredMemory) -> bool:
    """Tell whether a stored memory may change for what another says; one statement stored twice is no pair."""
    one, two = memory.record, other.record
    return (
        one.id != two.id and can_change(other) and may_relate(one, two) and statement(one.text) != statement(two.text)
    )


def _pair(one: StoredMemory, other: StoredMemory, fresh: Collection[str]) -> Pair:
    """The pair by when its statements were said; of one moment, the stored one is older."""
    older, newer = sorted(
        (one, other), key=lambda each: (each.record.told_at, each.record.id in fresh, said_order(each.record))
    )
    return Pair(older, newer, distance(one, other))
