"""Candidates: full text by BM25, vectors by cosine, and neighbours."""

from __future__ import annotations

from pgvector import HalfVector

from memhost import storekit as kit
from memhost.models import CandidateHit, CandidateQuery, Candidates, Scope, TextMatch
from pgvector_store.rows import Cursor, Sql, fetch, inside, lexeme, load, tsquery

STATISTICS = """
SELECT count(*), coalesce(avg(length), 0)::float8,
array(SELECT (SELECT count(*) FROM memories WHERE words @@ unit::tsquery AND {0}) FROM unnest(%s::text[]) unit)
FROM memories WHERE {0}"""
# BM25 with k1 = 1.2 and b = 0.3; a phrase counts as one more term, that occurs once
BY_TEXT = """
WITH corpus AS MATERIALIZED (SELECT count(*) AS n, greatest(avg(length), 1) AS average FROM memories WHERE {0}),
units AS MATERIALIZED (
  SELECT word, unit, ln(1 + (n - holders + 0.5) / (holders + 0.5)) AS weight
  FROM corpus, unnest(%s::text[], %s::tsquery[]) u(word, unit),
  LATERAL (SELECT count(*) AS holders FROM memories WHERE words @@ unit AND {0}) h
)
SELECT key, (
  SELECT round(sum(weight * times * 2.2 / (times + 1.2 * (0.7 + 0.3 * length / average)))::numeric, 9)::float8
  FROM corpus, units LEFT JOIN unnest(words) held ON held.lexeme = word,
  LATERAL (SELECT coalesce(cardinality(held.positions), (words @@ unit)::int)::float8 AS times) t
) AS score FROM memories WHERE words @@ %s::tsquery AND {1} ORDER BY score DESC, id LIMIT %s"""
# without the fence, and with sorting made expensive by WALK, the planner goes through the HNSW index
BY_VECTOR = """
SELECT key, greatest(distance, 0) FROM (
  SELECT key, id, vector <=> %s AS distance FROM (SELECT * FROM memories WHERE {0} AND vector IS NOT NULL {1}) fitting
) measured WHERE distance <= %s ORDER BY distance, id LIMIT %s"""
WALK = """
SELECT set_config('hnsw.iterative_scan', 'strict_order', true), set_config('hnsw.ef_search', '200', true),
set_config('hnsw.max_scan_tuples', '200000', true), set_config('enable_sort', 'off', true)"""
NEIGHBOURS = """
SELECT DISTINCT n.key FROM memories f JOIN memories n
ON n.owner = f.owner AND n.position BETWEEN f.position - %s AND f.position + %s
WHERE f.key = ANY(%s) AND n.key <> ALL(%s)"""


async def candidates(cursor: Cursor, scope: Scope, query: CandidateQuery, exact_rows: int) -> Candidates:
    reach, fitting, match = inside(scope), inside(scope, query.conditions), query.text or TextMatch()
    required, units = kit.required_phrases(match), kit.scored_phrases(match)
    condition = " & ".join([f"({' | '.join(map(tsquery, units))})", *map(tsquery, required)]) if units else ""
    texts, distances, near = {}, {}, []
    if units:
        words = [lexeme(unit[0]) if len(unit) == 1 else None for unit in units]
        asked = [*reach[1], words, [*map(tsquery, units)], *reach[1], condition, *fitting[1], query.text_limit]
        texts = dict(await fetch(cursor, BY_TEXT.format(reach[0], fitting[0]), asked))
    if query.vector is not None:
        distances = await _nearest(cursor, fitting, query, exact_rows)
    found = [*texts | distances]
    if query.neighbours:
        near = await fetch(cursor, NEIGHBOURS, [query.neighbours, query.neighbours, found, found])
    memories = await load(cursor, scope, [*found, *(key for (key,) in near)])
    hits = [
        CandidateHit(memory=memory, text_score=texts.get(key), distance=distances.get(key))
        for key, memory in memories.items()
    ]
    answer = Candidates(hits=hits)
    if terms := query.statistics_for:
        sql, held = STATISTICS.format(reach[0]), [tsquery((term,)) for term in terms]
        ((answer.documents, answer.average_length, counts),) = await fetch(cursor, sql, [*reach[1], held, *reach[1]])
        answer.frequencies = dict(zip(terms, counts, strict=True))
    if query.count:
        answer.total = await _total(cursor, fitting, query, condition)
    return answer


async def _nearest(cursor: Cursor, fitting: Sql, query: CandidateQuery, exact_rows: int) -> dict[bytes, float]:
    where, values = fitting
    some = f"SELECT count(*) FROM (SELECT FROM memories WHERE {where} LIMIT %s) first"
    ((fitting_rows,),) = await fetch(cursor, some, [*values, exact_rows + 1])
    if fitting_rows > exact_rows:
        await cursor.execute(WALK)
    sql = BY_VECTOR.format(where, "OFFSET 0" if fitting_rows <= exact_rows else "")
    most = 2.1 if query.max_distance is None else query.max_distance
    return dict(await fetch(cursor, sql, [HalfVector(query.vector), *values, most, query.vector_limit]))


async def _total(cursor: Cursor, fitting: Sql, query: CandidateQuery, condition: str) -> int:
    where, values = fitting
    if query.vector is None and query.text is not None:
        where, values = f"{where} AND words @@ %s::tsquery", [*values, condition]
    elif query.vector is not None and query.max_distance is not None:
        where, values = f"{where} AND vector <=> %s <= %s", [*values, HalfVector(query.vector), query.max_distance]
    ((total,),) = await fetch(cursor, f"SELECT count(*) FROM memories WHERE {where}", values)
    return total
