"""`candidates`: both legs, neighbours and statistics from one view of the store."""

from __future__ import annotations

import apsw
import numpy as np

from memhost.models import CandidateHit, CandidateQuery, Candidates, Scope
from memhost.storekit import agreement
from memhost_store_sqlite import fulltext, vectors
from memhost_store_sqlite.batch_read import load
from memhost_store_sqlite.block_search import search_block
from memhost_store_sqlite.blocks import Blocks
from memhost_store_sqlite.codec import Ids, pack_ids, parse_ids
from memhost_store_sqlite.conditions import compile_conditions, narrowed
from memhost_store_sqlite.fulltext import Postings, TextLeg
from memhost_store_sqlite.listing import admitted, count, count_holding
from memhost_store_sqlite.posting_cache import PostingCache
from memhost_store_sqlite.scopes import Reach, Sql, owners_of, resolve
from memhost_store_sqlite.sealing import Reading
from memhost_store_sqlite.top_k import Admission
from memhost_store_sqlite.vector_cache import VectorCache

KNOWN_LIMIT = 20_000
"""Where all matches are counted and no more memories than this are in reach, the conditions are checked once for all of
them instead of once for each leg and once for the count."""


def candidates(
    connection: apsw.Connection,
    reading: Reading,
    query: CandidateQuery,
    cache: VectorCache,
    postings_kept: PostingCache,
    blocks: Blocks,
    scan_rows: int,
) -> Candidates:
    """Answer a query; the caller has opened a transaction."""
    scope = reading.scope
    conditions = compile_conditions(query.conditions, scope.tenant)
    whole = resolve(connection, scope)
    if whole is None:
        return Candidates(hits=[], frequencies=dict.fromkeys(query.statistics_for, 0))
    inner = narrowed(scope, query.conditions)
    if inner == scope and (block := blocks.block(connection, reading, whole)) is not None:
        return search_block(connection, reading, whole, query, block)
    reach = whole if inner == scope else resolve(connection, inner)
    statistics = Postings(connection, whole, postings_kept.view(connection, whole))
    answer = Candidates(hits=[])
    if reach is not None:
        postings = statistics if reach is whole else Postings(connection, reach, postings_kept.view(connection, reach))
        chosen = cache if reach.documents > scan_rows else None
        answer = _find(connection, inner, reach, query, conditions, postings, chosen, reading)
    if query.statistics_for:
        answer.documents = whole.documents
        answer.average_length = whole.length / whole.documents
        answer.frequencies = fulltext.frequencies(statistics, query.statistics_for)
    return answer


def _find(
    connection: apsw.Connection,
    scope: Scope,
    reach: Reach,
    query: CandidateQuery,
    conditions: Sql,
    postings: Postings,
    cache: VectorCache | None,
    reading: Reading,
) -> Candidates:
    nearness_counts = query.vector is not None and query.max_distance is not None
    count_all = query.count and not nearness_counts and (query.text is None or query.vector is not None)
    known: Ids | None = None
    if count_all and conditions[0] and reach.documents <= KNOWN_LIMIT:
        known = admitted(connection, reach, conditions)
    admission = Admission(connection, conditions, known)
    text = TextLeg({}, 0)
    if query.text is not None:
        counted = query.count and query.vector is None
        text = fulltext.search(postings, query.text, query.text_limit, admission, rough=query.rough_text, count=counted)
    near: dict[int, float] = {}
    total = text.total
    if query.vector is not None:
        leg = vectors.search(connection, scope, reach, query, admission, cache)
        near, total = leg.distances, leg.total
    if count_all:
        total = _count(connection, scope, reach, query, conditions) if known is None else len(known)
    found = list(dict.fromkeys([*text.scores, *near]))
    around = _neighbours(connection, found, query.neighbours)
    # Rows whose terms are damaged are read as well: that notes them as left out.
    memories = load(connection, [*found, *around, *text.damaged], reading, agreement(query.conditions), set(found))
    hits = [
        CandidateHit(memory=memory, text_score=text.scores.get(rid), distance=near.get(rid))
        for rid, memory in memories.items()
    ]
    return Candidates(hits=hits, total=total)


def _count(connection: apsw.Connection, scope: Scope, reach: Reach, query: CandidateQuery, conditions: Sql) -> int:
    """Return the number of memories in reach that satisfy the conditions."""
    total = None
    if reach.column != "session":
        owners = pack_ids(owner for owner, _ in owners_of(connection, scope))
        total = count_holding(connection, owners, reach.documents, query.conditions)
    return count(connection, reach, conditions) if total is None else total


def _neighbours(connection: apsw.Connection, found: list[int], reach: int) -> list[int]:
    """Turns of the same sessions at most `reach` positions away from what was found."""
    if reach <= 0 or not found:
        return []
    rids = pack_ids(found)
    listed = connection.execute(
        "SELECT group_concat(DISTINCT n.rid) FROM carray(?) c CROSS JOIN memories m ON m.rid = c.value "
        "CROSS JOIN memories n ON n.session = m.session AND n.position BETWEEN m.position - ? AND m.position + ?",
        (apsw.carray(rids), reach, reach),
    ).get
    around: list[int] = np.setdiff1d(parse_ids(listed), rids).tolist()
    return around
