"""Queries over the memories: both legs, neighbours, statistics and pages.

A search in a scope of which the process keeps everything (`blocks`) asks Redis only whether that is still true. In
others what a search finds, its total and sizes come from one transaction. A second one adds what depends on the hits:
turns around them, times of access entered since they were written, and frequencies that the hits do not tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from memhost.models import CandidateHit, CandidateQuery, Candidates, MemoryRecord, Scope, StoredMemory, TextMatch
from memhost.storekit import K1, B, Phrase, occurrences, rarity, required_phrases, scored_phrases
from memhost_store_redis.batches import Batch, Hits, Rows
from memhost_store_redis.block_search import can_answer, search_block
from memhost_store_redis.blocks import Blocks
from memhost_store_redis.codec import (
    MEMORY_FIELDS,
    decode_memories,
    encode_term,
    encode_vector,
    note_accesses,
)
from memhost_store_redis.conditions import Filter, PrefixTest, compile_conditions
from memhost_store_redis.connection import Connections
from memhost_store_redis.keys import access_key, memory_base
from memhost_store_redis.opening import Layout
from memhost_store_redis.scopes import Reach, narrowed, resolve, token
from memhost_store_redis.sealing import Reading

RESCORED = 256
"""At least so many of the engine's ranking are scored exactly."""
MAX_ROWS = 1_000_000
BROAD = 20_000
"""From so many memories on, if they are most of the index, the nearest are taken from its graph.

By itself the engine goes through every memory of the scope for more than a few neighbours: exact, but 40 ms for 100,000
memories. Walking the graph so far takes 7 ms there and finds 99.8% of the nearest; in scopes that are a small part of
the index it would be slower.
"""
BROAD_OPTIONS = "EF_RUNTIME 1200 HYBRID_POLICY BATCHES"

_FARTHEST = 2.0
"""The greatest cosine distance."""
_STEPS_TO_SEND = 4
"""Turns of the event loop that the client takes before its commands are on their way."""


Passes = Callable[[MemoryRecord], bool]
"""A test of what was found by conditions: the hash may say otherwise than its body."""


class Searcher:
    """Asks one tenant's part of the store."""

    def __init__(
        self,
        connections: Connections,
        layout: Layout,
        reading: Reading,
        *,
        graph: bool,
        blocks: Blocks,
        passes: Passes | None = None,
    ) -> None:
        tenant = reading.scope.tenant
        self._reading = reading
        self._passes = passes
        self._connections = connections
        self._layout = layout
        self._graph = graph
        self._blocks = blocks
        self._accesses = access_key(connections.prefix, tenant)
        self._fields = (*MEMORY_FIELDS, layout.vector)
        self.base = memory_base(connections.prefix, tenant)
        self.ledger = f"{connections.prefix}:counts:{token('T', tenant)}"

    def batch(self) -> Batch:
        """An empty batch, whose queries find memories."""
        return Batch(self._connections, self.base, (*self._fields, "turns"))

    async def contents(
        self, rows: Rows, more: Batch | None = None, *, reach: int = 0
    ) -> tuple[dict[bytes, StoredMemory], list[Any]]:
        """The memories that were found and up to `reach` turns around each, by key; and the replies to `more`."""
        batch = self.batch() if more is None else more
        place = self._add_surroundings(batch, rows, reach) if rows else None
        replies, memories = await asyncio.gather(batch.run(), self._decode_meanwhile(rows))
        if place is None:
            return {}, replies
        ids, around, accessed = replies[place]
        keys = [*rows, *(batch.key(identity) for identity in ids[len(rows) :])]
        memories += decode_memories(around, ids[len(rows) :], self._layout.dimensions, self._reading)
        note_accesses(memories, accessed)
        return {key: memory for key, memory in zip(keys, memories, strict=True) if memory is not None}, replies

    async def _decode_meanwhile(self, rows: Rows) -> list[StoredMemory | None]:
        """Decode while Redis works on what is being asked."""
        for _ in range(_STEPS_TO_SEND):
            await asyncio.sleep(0)
        names = [name.encode() for name in self._fields]
        found = [[row.get(name) for name in names] for row in rows.values()]
        ids = [key[len(self.base) :] for key in rows]
        memories = decode_memories(found, ids, self._layout.dimensions, self._reading)
        if self._passes is None:
            return memories
        for number, memory in enumerate(memories):
            if memory is not None and not self._passes(memory.record):
                self._reading.leave_out(ids[number])
                memories[number] = None
        return memories

    def _add_surroundings(self, batch: Batch, rows: Rows, reach: int) -> int:
        """Ask for ids with those of the turns around, their hashes, and times of access of them all."""
        ids = [key[len(self.base) :] for key in rows]
        sessions = [row.get(b"turns", b"") for row in rows.values()] if reach else []
        if not any(sessions):
            return batch.add("HMGET", self._accesses, *ids, reader=lambda accessed: ([], [], accessed))
        pairs = [part for pair in zip(ids, sessions, strict=True) for part in pair]
        arguments = (self.base, reach, len(self._fields), *self._fields, len(ids), *pairs)
        return batch.add(*self._connections.script_call("around", *arguments))

    async def where(self, reach: Reach, wanted: Filter) -> str | None:
        """The whole condition as a query; None if nothing can satisfy it."""
        if wanted.never:
            return None
        query = " ".join([reach.query, *wanted.clauses])
        for test in wanted.prefixes:
            clause = test.clause(await self._values(query, test))
            if clause is None:
                return None
            query += f" {clause}"
        return query

    async def _values(self, query: str, test: PrefixTest) -> list[str]:
        """The values of a field, among what satisfies the query, that pass the test."""
        split = ["LOAD", 1, f"@{test.field}", "FILTER", f"exists(@{test.field})"]
        split += ["APPLY", f'split(@{test.field}, ",")', "AS", "value"]
        group = ["GROUPBY", 1, "@value", "FILTER", test.expression(), "LIMIT", 0, MAX_ROWS]
        batch = self.batch()
        batch.query("FT.AGGREGATE", self._layout.memories, query, *split, *group)
        (reply,) = await batch.run()
        return [row[1].decode() for row in reply[1:]]

    async def page(
        self, scope: Scope, wanted: Filter, *, newest: bool, limit: int, offset: int
    ) -> tuple[list[StoredMemory], int]:
        """A page by (created_at, id), and how many there are."""
        reach = resolve(scope)
        query = None if reach is None else await self.where(reach, wanted)
        if query is None:
            return [], 0
        order = "DESC" if newest else "ASC"
        batch = self.batch()
        total = batch.count(self._layout.memories, query)
        if limit > 0:
            sorting = ["SORTBY", 4, "@created_at", order, "@id", order, "LIMIT", offset, limit]
            batch.listed(self._layout.memories, query, *sorting)
        replies = await batch.run()
        memories, _ = await self.contents(batch.rows)
        return list(memories.values()), replies[total]

    async def candidates(self, scope: Scope, query: CandidateQuery) -> Candidates:
        """Answer a query."""
        compiled = compile_conditions(query.conditions)
        whole = resolve(scope)
        if whole is None:
            return Candidates(hits=[], frequencies=dict.fromkeys(query.statistics_for, 0))
        inner = resolve(narrowed(scope, query.conditions)) if query.conditions else whole
        if inner == whole and (found := await self._in_block(whole, query)) is not None:
            return found
        where = None if inner is None else await self.where(inner, compiled)
        excluded = compiled.exclusions() if inner == whole and whole.counters is not None else None
        options = BROAD_OPTIONS if excluded is not None and await self._is_broad(whole, query) else ""
        asked = _Question(
            searcher=self,
            layout=self._layout,
            whole=whole,
            where=where,
            excluded=excluded,
            options=options,
            query=query,
        )
        return await asked.answer()

    async def _in_block(self, whole: Reach, query: CandidateQuery) -> Candidates | None:
        """The answer from what the process keeps of the scope, if it keeps all of it."""
        if not can_answer(query.conditions, 0):
            return None
        found = await self._blocks.whole(self._reading.scope, whole, self._layout)
        if found is None or not can_answer(query.conditions, len(found.block.ids)):
            return None
        return search_block(found, query)

    async def _is_broad(self, whole: Reach, query: CandidateQuery) -> bool:
        """Tell whether a search by vector covers most of the index, except memories that are not valid at the time."""
        usual = all(condition.field in ("valid_from", "valid_to") for condition in query.conditions)
        wide = whole.counters is not None and any(each[0] in "TN" for each in whole.counters)
        if not (self._graph and usual and wide and query.vector is not None):
            return False
        batch = self.batch()
        batch.add("HMGET", self.ledger, *(f"{each}n" for each in whole.counters or ()))
        batch.add("DBSIZE")
        counts, keys = await batch.run()
        size = sum(int(each or 0) for each in counts)
        return size >= BROAD and 2 * size >= int(keys)


class _Question:
    """One call of `candidates`."""

    def __init__(
        self,
        *,
        searcher: Searcher,
        layout: Layout,
        whole: Reach,
        where: str | None,
        excluded: str | None,
        options: str,
        query: CandidateQuery,
    ) -> None:
        self._searcher = searcher
        self._index = layout.memories
        self._vector = layout.vector
        self._whole = whole
        self._where = where
        self._excluded = excluded
        self._options = options
        self._query = query
        self._batch = searcher.batch()
        match = query.text or TextMatch()
        self._required, self._units = required_phrases(match), scored_phrases(match)

    async def answer(self) -> Candidates:
        query = self._query
        has_text = self._where is not None and bool(self._units) and query.text_limit > 0
        has_vector = self._where is not None and query.vector is not None and query.vector_limit > 0
        exact = has_text and not query.rough_text
        text = self._add_text(exact=exact) if has_text else None
        near = self._add_vector() if has_vector else None
        known_by_near = near is not None and query.max_distance is not None
        total = self._add_total(self._batch) if query.count and self._where is not None and not known_by_near else None
        measured = [(term,) for term in query.statistics_for] + (self._units if exact else [])
        sizes = self._add_sizes() if measured or (total is not None and self._by_exclusion()) else None
        tells = text is not None and not exact and self._may_tell(measured)
        left_out = self._add_left_out() if tells else None
        counts = {} if tells else self._add_frequencies(self._batch, measured)
        replies = await self._batch.run()
        text_hits: Hits = replies[text] if text is not None else []
        near_hits: Hits = await self._with_tied(replies[near]) if near is not None else []
        documents, length = self._sizes(replies[sizes]) if sizes is not None else (0, 0)
        number = None if total is None else documents - replies[total] if self._by_exclusion() else replies[total]
        if has_vector and self._may_lack(near_hits, number):
            near_hits = await self._with_undirected(near_hits)

        more = self._searcher.batch()
        told = tells and self._batch.matched == len(text_hits) and (left_out is None or not replies[left_out])
        later = self._add_frequencies(more, measured) if tells and not told else {}
        beyond = self._add_total(more) if query.count and known_by_near and self._all_within(near_hits) else None
        memories, answers = await self._searcher.contents(self._batch.rows, more, reach=query.neighbours)
        frequencies = {unit: replies[place] for unit, place in counts.items()}
        frequencies |= {unit: answers[place] for unit, place in later.items()}
        if told:
            found = [memories[key].terms for key, _ in text_hits if key in memories]
            frequencies |= {unit: sum(unit[0] in terms for terms in found) for unit in measured}
        average = length / documents if documents else 0.0

        chosen = text_hits if not exact else self._rescore(text_hits, memories, frequencies, documents, average)
        answer = Candidates(hits=self._hits(dict(chosen), dict(self._nearest(near_hits, memories)), memories))
        if query.statistics_for:
            answer.documents, answer.average_length = documents, average
            answer.frequencies = {term: frequencies[(term,)] for term in query.statistics_for}
        if number is not None:
            answer.total = number
        elif query.count and known_by_near:
            near_enough = len(self._within_bound(near_hits))
            answer.total = near_enough if beyond is None else max(near_enough, answers[beyond])
        return answer

    # -- what to ask -------------------------------------------------------------------------------------------

    def _text(self) -> str:
        required = "".join(f" {_clause([phrase])}" for phrase in self._required)
        return f"{self._where} {_clause(self._units)}{required}"

    def _add_text(self, *, exact: bool) -> int:
        limit = self._query.text_limit
        if not exact:
            options = ["VERBATIM", "SCORER", "BM25", "LIMIT", 0, limit]
            return self._batch.scored(self._index, self._text(), *options)
        order = ["SORTBY", 4, "@__score", "DESC", "@id", "ASC", "LIMIT", 0, max(2 * limit, RESCORED)]
        options = ["VERBATIM", "SCORER", "BM25", "ADDSCORES", *order]
        return self._batch.listed(self._index, self._text(), *options, by="__score")

    def _add_vector(self) -> int:
        """The nearest and one more, which tells whether equally distant ones were left out."""
        limit = self._query.vector_limit + 1
        nearest = f"({self._where})=>[KNN {limit} @{self._vector} $vector {self._options} AS distance]"
        options = ["SORTBY", "distance", "ASC", "LIMIT", 0, limit, *self._parameters()]
        return self._batch.near(self._index, nearest, *options)

    def _parameters(self, **more: Any) -> list[Any]:
        assert self._query.vector is not None
        parameters = {"vector": encode_vector(self._query.vector), **more}
        return ["PARAMS", 2 * len(parameters), *(part for pair in parameters.items() for part in pair)]

    def _within(self) -> str:
        return f"{self._where} @{self._vector}:[VECTOR_RANGE $radius $vector]"

    def _add_total(self, batch: Batch) -> int | None:
        query = self._query
        if query.vector is not None and query.max_distance is not None:
            return batch.count(self._index, self._within(), *self._parameters(radius=query.max_distance))
        if query.vector is None and query.text is not None:
            return batch.count(self._index, self._text()) if self._units else None
        if self._by_exclusion():
            return batch.count(self._index, f"{self._whole.query} {self._excluded}")
        return batch.count(self._index, str(self._where))

    def _all_within(self, found: Hits) -> bool:
        """Tell whether more memories than requested are near enough, so that their number is not known."""
        return len(self._within_bound(found)) > self._query.vector_limit

    def _by_exclusion(self) -> bool:
        """Tell whether the total is that of the scope without the few that the conditions exclude."""
        query = self._query
        return self._excluded is not None and (
            query.max_distance is None if query.vector is not None else query.text is None
        )

    def _may_tell(self, measured: Sequence[Phrase]) -> bool:
        """Tell whether the hits of the text leg give the frequencies if they are all that the scope contains."""
        same = not self._query.conditions or self._excluded is not None
        return bool(measured) and same and not self._required and set(measured) <= set(self._units)

    def _add_left_out(self) -> int | None:
        """Add a count of the memories that the conditions exclude from the text leg."""
        if self._excluded is None:
            return None
        return self._batch.count(self._index, f"{self._whole.query} {_clause(self._units)} {self._excluded}")

    def _add_frequencies(self, batch: Batch, measured: Sequence[Phrase]) -> dict[Phrase, int]:
        """Add counts of the memories of the scope that contain each of these."""
        return {
            unit: batch.count(self._index, f"{self._whole.query} {_clause([unit])}") for unit in dict.fromkeys(measured)
        }

    def _add_sizes(self) -> int:
        """Number and total length of the memories in the scope."""
        counters = self._whole.counters
        if counters is not None:
            names = [name for each in counters for name in (each + "n", each + "l")]
            return self._batch.add("HMGET", self._searcher.ledger, *names)
        reduce = ["GROUPBY", 0, "REDUCE", "COUNT", 0, "AS", "n", "REDUCE", "SUM", 1, "@length", "AS", "l"]
        return self._batch.query("FT.AGGREGATE", self._index, self._whole.query, "LOAD", 1, "@length", *reduce)

    # -- what came back ----------------------------------------------------------------------------------------

    def _sizes(self, reply: Sequence[Any]) -> tuple[int, int]:
        if self._whole.counters is not None:
            return sum(int(each or 0) for each in reply[::2]), sum(int(each or 0) for each in reply[1::2])
        if len(reply) < 2:
            return 0, 0
        row = dict(zip(reply[1][::2], reply[1][1::2], strict=True))
        return int(row[b"n"]), int(float(row[b"l"]))

    def _rescore(
        self,
        found: Hits,
        memories: dict[bytes, StoredMemory],
        frequencies: dict[Phrase, int],
        documents: int,
        average: float,
    ) -> Hits:
        """BM25 with the statistics of the scope; the engine's are those of all tenants."""
        weights = {unit: rarity(documents, frequencies[unit]) for unit in self._units}
        scores: Hits = []
        for key, _ in found:
            if key not in memories:
                continue
            terms = memories[key].terms
            norm = K1 * (1 - B + B * len(terms) / (average or 1.0))
            counted = ((weights[unit], occurrences(terms, unit)) for unit in self._units)
            scores.append((key, sum(weight * n * (K1 + 1) / (n + norm) for weight, n in counted)))
        scores.sort(key=lambda item: (-item[1], memories[item[0]].record.id))
        return scores[: self._query.text_limit]

    def _within_bound(self, found: Hits) -> dict[bytes, float]:
        """Which of these are near enough, and how far they are, 0 to 2."""
        bound = self._query.max_distance
        return {key: min(max(distance, 0.0), 2.0) for key, distance in found if bound is None or distance <= bound}

    def _nearest(self, found: Hits, memories: dict[bytes, StoredMemory]) -> Hits:
        near = self._within_bound(found)
        ranked = sorted((key for key in near if key in memories), key=lambda key: (near[key], memories[key].record.id))
        return [(key, near[key]) for key in ranked[: self._query.vector_limit]]

    async def _with_tied(self, found: Hits) -> Hits:
        """The vector leg; where equally distant ones compete for the last place, with those of the lowest ids."""
        limit = self._query.vector_limit
        if len(found) <= limit or found[limit][1] != found[limit - 1][1]:
            return found
        batch = self._searcher.batch()
        order = ["SORTBY", 4, "@distance", "ASC", "@id", "ASC", "LIMIT", 0, limit]
        radius = self._parameters(radius=found[limit][1] + 1e-6)
        query = self._within() + "=>{$YIELD_DISTANCE_AS: distance}"
        batch.listed(self._index, query, *radius, *order, by="distance")
        (tied,) = await batch.run()
        self._batch.rows.update(batch.rows)
        return found + list(tied)

    def _may_lack(self, found: Hits, number: int | None) -> bool:
        """Tell whether the engine may have omitted vectors that belong to the vector leg."""
        query = self._query
        assert query.vector is not None
        reachable = query.vector_limit if number is None else min(query.vector_limit, number)
        return len(found) < reachable and (query.max_distance is None or not query.vector.any())

    async def _with_undirected(self, found: Hits) -> Hits:
        """The whole vector leg, and behind it what the engine leaves out: vectors of zeros, of texts without a word.

        To a query without a word all are equally far.
        """
        query = self._query
        assert query.vector is not None
        batch = self._searcher.batch()
        order = ["SORTBY", 2, "@id", "ASC", "LIMIT", 0, query.vector_limit + len(found)]
        batch.listed(self._index, str(self._where), *order)
        (listed,) = await batch.run()
        name, directed = self._vector.encode(), bool(query.vector.any())
        known = {key for key, _ in found}
        rows = {key: batch.rows[key] for key, _ in listed if key not in known}
        added = [(key, _FARTHEST if directed else 1.0) for key, row in rows.items() if row.get(name)]
        self._batch.rows.update({key: rows[key] for key, _ in added})
        return found + added

    def _hits(
        self, text: dict[bytes, float], near: dict[bytes, float], memories: dict[bytes, StoredMemory]
    ) -> list[CandidateHit]:
        found = {
            key: CandidateHit(memory=memories[key], text_score=text.get(key), distance=near.get(key))
            for key in {**text, **near}
            if key in memories
        }
        reach = self._query.neighbours
        if reach and len(memories) > len(found):
            places = {_place(hit.memory, step) for hit in found.values() for step in range(-reach, reach + 1)}
            for key, memory in memories.items():
                if key not in found and memory.position is not None and _place(memory, 0) in places:
                    found[key] = CandidateHit(memory=memory)
        return list(found.values())


def _place(memory: StoredMemory, step: int) -> tuple[Any, ...] | None:
    """Session and position of a turn, so many turns on."""
    record = memory.record
    if memory.position is None:
        return None
    return record.namespace or "", record.user_id or "", record.session_id or "", memory.position + step


def _clause(units: Sequence[Phrase]) -> str:
    """A query for memories that hold any of the terms or phrases."""
    each = [
        f'"{" ".join(encode_term(term) for term in unit)}"' if len(unit) > 1 else encode_term(unit[0]) for unit in units
    ]
    return f"@terms:({'|'.join(each)})"
