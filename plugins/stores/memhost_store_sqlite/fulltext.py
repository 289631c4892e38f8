"""The full-text leg and the statistics of terms.

A posting list is the row numbers of the memories in reach that hold a term: the scope's token and the term
are intersected inside FTS5. From these lists come the document frequencies of exactly this scope (what others
write changes no ranking and shows in no number), a first ranking by the weights of the terms present, and,
for the best of those, BM25 from the terms themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import apsw
import numpy as np
import numpy.typing as npt

from memhost.models import TextMatch
from memhost.storekit import K1, B, Phrase, occurrences, rarity, required_phrases, scored_phrases
from memhost_store_sqlite.batch_read import load_words
from memhost_store_sqlite.codec import Ids, Words, among, pack_ids, parse_ids, phrase_query
from memhost_store_sqlite.posting_cache import PostingView
from memhost_store_sqlite.scopes import Reach
from memhost_store_sqlite.top_k import Admission, best

POSTING_LIMIT = 20_000
"""A term in more memories of the scope than this is `frequent`: its list is cut here and its frequency estimated
from the share of row numbers that the cut list spans. Such terms weigh little; they score, but find, only where
rarer terms do not find enough."""

TOKENS_PER_QUERY = 200
_SPAN = 1 << 20
"""Row numbers from the lowest to the highest of a query's lists, up to which each has a place of its own."""
RESCORED = 256
"""At least so many of the first ranking are scored exactly."""

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Posting:
    """Where a phrase occurs. `frequency` is the number of memories, estimated if the list was cut."""

    rids: Ids
    frequency: int
    cut: bool


@dataclass
class Postings:
    """The posting lists of one call, each read once."""

    connection: apsw.Connection
    reach: Reach
    kept: PostingView | None = None
    _known: dict[Phrase, Posting] = field(default_factory=dict)

    @cached_property
    def alone(self) -> bool:
        """Tell whether everything in the file is in reach, so that scopes need not be intersected with terms."""
        if self.reach.column != "tenant":
            return False
        tenants = "SELECT count(*) FROM (SELECT 1 FROM scopes WHERE kind = 0 LIMIT 2)"
        return int(self.connection.execute(tenants).get) == 1

    def of(self, phrase: Phrase) -> Posting:
        """The posting list of a phrase or single term, at most `POSTING_LIMIT` long."""
        if phrase not in self._known:
            rids = self._cut(phrase)
            cut = len(rids) >= POSTING_LIMIT
            self._known[phrase] = Posting(rids, self._estimate(rids) if cut else len(rids), cut)
        return self._known[phrase]

    def _cut(self, phrase: Phrase) -> Ids:
        if self.kept is None or len(self.reach.tokens) > TOKENS_PER_QUERY:
            return self._read(phrase, POSTING_LIMIT)
        return self.kept.rids(phrase, POSTING_LIMIT, lambda each, after: self._read(each, POSTING_LIMIT, after))

    def whole(self, phrase: Phrase) -> Ids:
        """The whole posting list, however long."""
        posting = self.of(phrase)
        return self._read(phrase, -1) if posting.cut else posting.rids

    def _read(self, phrase: Phrase, limit: int, after: int = -1) -> Ids:
        parts = []
        for scope in ("",) if self.alone else scope_queries(self.reach):
            listed = self.connection.execute(
                "SELECT group_concat(rowid) FROM (SELECT rowid FROM words WHERE words MATCH ? AND rowid > ? LIMIT ?)",
                (f"{scope}terms : {phrase_query(phrase)}", after, limit),
            ).get
            parts.append(parse_ids(listed))
        return parts[0] if len(parts) == 1 else np.sort(np.concatenate(parts))

    def _estimate(self, rids: Ids) -> int:
        newest = self.connection.execute("SELECT max(rid) FROM memories").get or 0
        first, last = int(rids.min()), int(rids.max())
        share = (last - first + 1) / max(newest - first + 1, 1)
        return min(self.reach.documents, int(len(rids) / share))


def scope_queries(reach: Reach) -> Iterator[str]:
    """FTS5 conditions that together cover the reach, without overlap."""
    for start in range(0, len(reach.tokens), TOKENS_PER_QUERY):
        tokens = " OR ".join(f'"{token}"' for token in reach.tokens[start : start + TOKENS_PER_QUERY])
        yield f"scope : ({tokens}) AND "


def frequencies(postings: Postings, terms: Sequence[str]) -> dict[str, int]:
    """Return the number of memories in reach that contain each term."""
    return {term: postings.of((term,)).frequency for term in terms}


@dataclass(slots=True)
class TextLeg:
    """The result of the full-text leg: scores by row number, the number of matches, and rows with damaged terms."""

    scores: dict[int, float]
    total: int
    damaged: set[int] = field(default_factory=set)


def search(
    postings: Postings, match: TextMatch, limit: int, admission: Admission, *, count: bool, rough: bool = False
) -> TextLeg:
    """The best `limit` memories by BM25, ties by id; `rough` scores only tell which terms occur, not how often."""
    required, units = required_phrases(match), scored_phrases(match)
    found, scores = _rank(postings, units, required, exhaustive=count, enough=max(2 * limit, RESCORED))
    total = admission.count(found) if count else 0
    if rough:
        chosen = best(found, scores, admission, limit)[:limit]
        return TextLeg(dict(zip(found[chosen].tolist(), scores[chosen].tolist(), strict=True)), total)
    chosen = best(found, scores, admission, max(2 * limit, RESCORED))
    words, damaged = load_words(postings.connection, found[chosen])
    exact = _bm25(postings, units, words)
    order = sorted(exact, key=lambda rid: (-exact[rid], words[rid].id))[:limit]
    return TextLeg({rid: exact[rid] for rid in order}, total, damaged)


def _rank(
    postings: Postings,
    units: Sequence[Phrase],
    required: Sequence[Phrase],
    *,
    exhaustive: bool,
    enough: int,
) -> tuple[Ids, Scores]:
    """Row numbers that match, with the summed weights of the units known to occur in them."""
    rarest_first = sorted(units, key=lambda unit: postings.of(unit).frequency)
    rids: list[Ids] = []
    weights: list[Scores] = []
    reached = 0
    for unit in rarest_first:
        posting = postings.of(unit)
        if posting.cut and not exhaustive and not required and reached >= enough:
            break
        members = postings.whole(unit) if exhaustive or required else posting.rids
        rids.append(members)
        weights.append(np.full(len(members), rarity(postings.reach.documents, posting.frequency)))
        reached += len(members)
    if not rids:
        return np.empty(0, dtype=np.int64), np.empty(0)
    found, scores = _summed(np.concatenate(rids), np.concatenate(weights))
    for phrase in required:
        keep = among(found, postings.whole(phrase))
        found, scores = found[keep], scores[keep]
    return found, scores


def _summed(rids: Ids, weights: Scores) -> tuple[Ids, Scores]:
    """Each row number once, ascending, with the sum of its weights, which are above zero."""
    if not len(rids):
        return rids, weights
    first = int(rids.min())
    if int(rids.max()) - first < _SPAN:
        sums = np.bincount(rids - first, weights).astype(np.float64, copy=False)
        places = np.flatnonzero(sums)
        return places + first, sums[places]
    found, places = np.unique(rids, return_inverse=True)
    return found, np.bincount(places, weights, len(found)).astype(np.float64)


def _bm25(postings: Postings, units: Sequence[Phrase], words: dict[int, Words]) -> dict[int, float]:
    reach = postings.reach
    average = reach.length / reach.documents if reach.length else 1.0
    terms = {rid: word.terms for rid, word in words.items()}
    norms = {rid: K1 * (1 - B + B * len(held) / average) for rid, held in terms.items()}
    scores = dict.fromkeys(words, 0.0)
    chosen = pack_ids(words)
    for unit in units:
        posting = postings.of(unit)
        weight = rarity(reach.documents, posting.frequency) * (K1 + 1)
        holders = chosen if posting.cut else chosen[among(chosen, posting.rids)]
        for rid in holders.tolist():
            count = occurrences(terms[rid], unit)
            scores[rid] += weight * count / (count + norms[rid])
    return scores
