"""Queries over the memories: both legs, neighbours, statistics and pages, each from one run of `search.lua`."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from memhost.models import CandidateHit, CandidateQuery, Candidates, Scope, StoredMemory, TextMatch
from memhost_store_redis.codec import MEMORY_FIELDS, decode_memories, encode_term, encode_vector, tags
from memhost_store_redis.conditions import Filter, PrefixTest, compile_conditions
from memhost_store_redis.keys import memory_base
from memhost_store_redis.opening import Layout
from memhost_store_redis.scopes import Reach, narrowed, resolve, token

K1, B = 1.2, 0.3
"""BM25: saturation of repeated terms, and strength of the length normalisation (low suits short turns)."""
RESCORED = 256
"""At least so many of the engine's ranking are scored exactly."""
MOST_ROWS = 1_000_000

Phrase = tuple[str, ...]
Run = Callable[..., Awaitable[Any]]
Hits = list[tuple[bytes, float]]


@dataclass(slots=True)
class Batch:
    """Commands for one run of the script; each is known by its place."""

    timeout_ms: int
    arguments: list[Any] = field(default_factory=list)
    size: int = 0

    def add(self, reader: str, *command: Any) -> int:
        """Add a command, whose reply `reader` of the script reads."""
        self.arguments += [reader, len(command), *command]
        self.size += 1
        return self.size - 1

    def query(self, reader: str, name: str, index: str, query: str, *options: Any) -> int:
        """Add FT.SEARCH or FT.AGGREGATE. Its time limit is the caller's, who then gets an error, not a part."""
        return self.add(reader, name, index, query, *options, "TIMEOUT", self.timeout_ms, "DIALECT", 2)

    def count(self, index: str, query: str, *options: Any, reader: str = "total") -> int:
        """Add the counting of all that satisfy a query."""
        return self.query(reader, "FT.SEARCH", index, query, "NOCONTENT", "VERBATIM", "LIMIT", 0, 0, *options)


class Searcher:
    """Asks one tenant's part of the store."""

    def __init__(self, run: Run, prefix: str, layout: Layout, timeout_s: float, tenant: str) -> None:
        self._run = run
        self._prefix = prefix
        self._layout = layout
        self._timeout_ms = int(timeout_s * 1000)
        self._tenant = tenant
        self.base = memory_base(prefix, tenant)

    def batch(self) -> Batch:
        """An empty batch."""
        return Batch(self._timeout_ms)

    async def ask(
        self, batch: Batch, *, reach: int = 0, load: bool = True
    ) -> tuple[list[Any], dict[bytes, StoredMemory]]:
        """Replies to the commands, and the memories that they and `reach` found, by key."""
        fields = (*MEMORY_FIELDS, self._layout.vector) if load else ()
        replies, keys, contents = await self._run(
            "search", self.base, reach, len(fields), *fields, batch.size, *batch.arguments
        )
        memories = decode_memories(contents, self._layout.dimensions)
        return replies, {key: memory for key, memory in zip(keys, memories, strict=False) if memory is not None}

    async def where(self, reach: Reach, wanted: Filter) -> str | None:
        """The whole condition as a query; None if nothing can satisfy it."""
        if wanted.never:
            return None
        query = " ".join([reach.query, *wanted.clauses])
        for test in wanted.prefixes:
            values = await self._values(query, test)
            if not values:
                return None
            query += f" @{test.field}:{tags(values)}"
        return query

    async def _values(self, query: str, test: PrefixTest) -> list[str]:
        """The values of a field, among what satisfies the query, that pass the test."""
        split = ["LOAD", 1, f"@{test.field}", "FILTER", f"exists(@{test.field})"]
        split += ["APPLY", f'split(@{test.field}, ",")', "AS", "value"]
        group = ["GROUPBY", 1, "@value", "FILTER", test.expression(), "LIMIT", 0, MOST_ROWS]
        batch = self.batch()
        batch.query("plain", "FT.AGGREGATE", self._layout.memories, query, *split, *group)
        (reply,), _ = await self.ask(batch, load=False)
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
            batch.query("listed", "FT.AGGREGATE", self._layout.memories, query, *sorting)
        replies, memories = await self.ask(batch)
        return list(memories.values()), int(replies[total])

    async def candidates(self, scope: Scope, query: CandidateQuery) -> Candidates:
        """Answer a query."""
        compiled = compile_conditions(query.conditions)
        whole = resolve(scope)
        if whole is None:
            return Candidates(hits=[], frequencies=dict.fromkeys(query.statistics_for, 0))
        inner = resolve(narrowed(scope, query.conditions)) if query.conditions else whole
        where = None if inner is None else await self.where(inner, compiled)
        excluded = compiled.exclusions() if inner == whole and whole.counters is not None else None
        asked = _Question(self, self._layout, self._tenant, whole, where, excluded, query)
        return await asked.answer()


class _Question:
    """One call of `candidates`."""

    def __init__(
        self,
        searcher: Searcher,
        layout: Layout,
        tenant: str,
        whole: Reach,
        where: str | None,
        excluded: str | None,
        query: CandidateQuery,
    ) -> None:
        self._searcher = searcher
        self._index = layout.memories
        self._vector = layout.vector
        self._whole = whole
        self._where = where
        self._excluded = excluded
        self._query = query
        self._batch = searcher.batch()
        self._ledger = f"{searcher.base.rpartition(':m:')[0]}:counts:{token('T', tenant)}"
        match = query.text or TextMatch()
        self._required = [phrase for phrase in match.required if phrase]
        units = [(term,) for term in match.any_of] + [phrase for phrase in match.phrases if phrase]
        self._units: list[Phrase] = list(dict.fromkeys(units or self._required))

    async def answer(self) -> Candidates:
        query = self._query
        has_text = self._where is not None and bool(self._units) and query.text_limit > 0
        has_vector = self._where is not None and query.vector is not None and query.vector_limit > 0
        exact = has_text and not query.rough_text
        text = self._add_text(exact=exact) if has_text else None
        near = self._add_vector() if has_vector else None
        total = self._add_total() if query.count and self._where is not None else None
        measured = [(term,) for term in query.statistics_for] + (self._units if exact else [])
        sizes = self._add_sizes() if measured or (total is not None and self._by_exclusion()) else None
        counts = self._add_frequencies(measured, rough=text is not None and not exact)
        replies, memories = await self._searcher.ask(self._batch, reach=query.neighbours)
        text_hits = _numbers(replies[text]) if text is not None else []
        found = [memories[key].terms for key, _ in text_hits if key in memories]
        frequencies = {
            unit: int(replies[place]) if replies[place] >= 0 else sum(unit[0] in terms for terms in found)
            for unit, place in counts.items()
        }
        documents, length = self._sizes(replies[sizes]) if sizes is not None else (0, 0)
        average = length / documents if documents else 0.0

        chosen = text_hits if not exact else self._rescore(text_hits, memories, frequencies, documents, average)
        near_hits = await self._nearest(_numbers(replies[near]), memories) if near is not None else []
        answer = Candidates(hits=self._hits(dict(chosen), dict(near_hits), memories))
        if query.statistics_for:
            answer.documents, answer.average_length = documents, average
            answer.frequencies = {term: frequencies[(term,)] for term in query.statistics_for}
        if total is not None:
            number = int(replies[total])
            answer.total = documents - number if self._by_exclusion() else number
        return answer

    # -- what to ask -------------------------------------------------------------------------------------------

    def _text(self) -> str:
        required = "".join(f" {_clause([phrase])}" for phrase in self._required)
        return f"{self._where} {_clause(self._units)}{required}"

    def _add_text(self, *, exact: bool) -> int:
        limit = self._query.text_limit
        if not exact:
            options = ["NOCONTENT", "WITHSCORES", "VERBATIM", "SCORER", "BM25", "LIMIT", 0, limit]
            return self._batch.query("scored", "FT.SEARCH", self._index, self._text(), *options)
        order = ["SORTBY", 4, "@__score", "DESC", "@id", "ASC", "LIMIT", 0, max(2 * limit, RESCORED)]
        options = ["VERBATIM", "SCORER", "BM25", "ADDSCORES", *order]
        return self._batch.query("ranked", "FT.AGGREGATE", self._index, self._text(), *options)

    def _add_vector(self) -> int:
        """The nearest and one more, which tells whether equally distant ones were left out."""
        limit = self._query.vector_limit + 1
        nearest = f"({self._where})=>[KNN {limit} @{self._vector} $vector AS distance]"
        options = ["SORTBY", "distance", "ASC", "RETURN", 1, "distance", "LIMIT", 0, limit, *self._parameters()]
        return self._batch.query("near", "FT.SEARCH", self._index, nearest, *options)

    def _parameters(self, **more: Any) -> list[Any]:
        assert self._query.vector is not None
        parameters = {"vector": encode_vector(self._query.vector), **more}
        return ["PARAMS", 2 * len(parameters), *(part for pair in parameters.items() for part in pair)]

    def _within(self) -> str:
        return f"{self._where} @{self._vector}:[VECTOR_RANGE $radius $vector]"

    def _add_total(self) -> int | None:
        query = self._query
        if query.vector is not None and query.max_distance is not None:
            return self._batch.count(self._index, self._within(), *self._parameters(radius=query.max_distance))
        if query.vector is None and query.text is not None:
            return self._batch.count(self._index, self._text()) if self._units else None
        if self._by_exclusion():
            return self._batch.count(self._index, f"{self._whole.query} {self._excluded}")
        return self._batch.count(self._index, str(self._where))

    def _by_exclusion(self) -> bool:
        """Whether the total is that of the scope without the few that the conditions exclude."""
        query = self._query
        return self._excluded is not None and (
            query.max_distance is None if query.vector is not None else query.text is None
        )

    def _add_frequencies(self, measured: Sequence[Phrase], *, rough: bool) -> dict[Phrase, int]:
        """How many memories of the scope hold each of these, unless the hits of the text leg tell it."""
        told = rough and not self._required and set(measured) <= set(self._units)
        if told and measured:
            everything = f"{self._whole.query} {_clause(self._units)}"
            self._batch.count(self._index, everything, reader="complete")
        reader = "frequency" if told else "total"
        return {
            unit: self._batch.count(self._index, f"{self._whole.query} {_clause([unit])}", reader=reader)
            for unit in dict.fromkeys(measured)
        }

    def _add_sizes(self) -> int:
        """Number and total length of the memories in the scope."""
        counters = self._whole.counters
        if counters is not None:
            names = [name for each in counters for name in (each + "n", each + "l")]
            return self._batch.add("plain", "HMGET", self._ledger, *names)
        reduce = ["GROUPBY", 0, "REDUCE", "COUNT", 0, "AS", "n", "REDUCE", "SUM", 1, "@length", "AS", "l"]
        return self._batch.query("plain", "FT.AGGREGATE", self._index, self._whole.query, "LOAD", 1, "@length", *reduce)

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
        weights = {
            unit: math.log(1 + (max(documents - frequencies[unit], 0) + 0.5) / (frequencies[unit] + 0.5))
            for unit in self._units
        }
        scores: Hits = []
        for key, _ in found:
            if key not in memories:
                continue
            terms = memories[key].terms
            norm = K1 * (1 - B + B * len(terms) / (average or 1.0))
            counted = ((weights[unit], _occurrences(terms, unit)) for unit in self._units)
            scores.append((key, sum(weight * n * (K1 + 1) / (n + norm) for weight, n in counted)))
        scores.sort(key=lambda item: (-item[1], memories[item[0]].record.id))
        return scores[: self._query.text_limit]

    async def _nearest(self, found: Hits, memories: dict[bytes, StoredMemory]) -> Hits:
        """The vector leg; where equally distant ones compete for the last place, those with the lowest ids."""
        limit = self._query.vector_limit
        if len(found) > limit and found[limit][1] == found[limit - 1][1]:
            found += await self._tied(found[limit][1], memories)
        bound = self._query.max_distance
        near = {key: min(max(distance, 0.0), 2.0) for key, distance in found if bound is None or distance <= bound}
        ranked = sorted((key for key in near if key in memories), key=lambda key: (near[key], memories[key].record.id))
        return [(key, near[key]) for key in ranked[:limit]]

    async def _tied(self, radius: float, memories: dict[bytes, StoredMemory]) -> Hits:
        batch = self._searcher.batch()
        order = ["SORTBY", 4, "@distance", "ASC", "@id", "ASC", "LIMIT", 0, self._query.vector_limit]
        query = self._within() + "=>{$YIELD_DISTANCE_AS: distance}"
        batch.query("measured", "FT.AGGREGATE", self._index, query, *order, *self._parameters(radius=radius + 1e-6))
        (reply,), more = await self._searcher.ask(batch, reach=self._query.neighbours)
        memories |= more
        return _numbers(reply)

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


def _occurrences(terms: Phrase, phrase: Phrase) -> int:
    if len(phrase) == 1:
        return terms.count(phrase[0])
    size = len(phrase)
    return sum(terms[start : start + size] == phrase for start in range(len(terms) - size + 1))


def _numbers(hits: Sequence[Any]) -> Hits:
    return [(key, float(number)) for key, number in hits]
