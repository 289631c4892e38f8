"""The search pipeline: candidates from the store, scores by mode, one total order, a page of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Literal

import msgspec
import numpy as np

from memhost.memories.recency import Recency
from memhost.models import CandidateQuery, Candidates, Condition, MemoryHit, Scope, StoredMemory, TextMatch, Vector
from memhost.ports import Embedder, LanguageBound, SentenceReader, Store, Vocabulary
from memhost.ranking import RankingWeights
from memhost.search.explanation import Explainer
from memhost.search.facts.evidence import add_evidence
from memhost.search.facts.replaced import find_replaced
from memhost.search.facts.sources import Digests
from memhost.search.offload import Offload
from memhost.search.phases import Phases
from memhost.search.query_terms import read_query, sentence_to_embed
from memhost.search.reranking import Reranking
from memhost.search.scoring import (
    Scored,
    below_newer,
    hybrid_scores,
    keyword_scores,
    pipeline_scores,
    semantic_scores,
)
from memhost.search.trust_order import by_trust
from memhost.settings.schema import SearchSettings
from memhost.text.analysis import AnalysedQuery, query_terms, wholly_quoted, without_quoted
from memhost.text.temporal.asked import NOWHERE, Here
from memhost.text.tokens import stems

Mode = Literal["pipeline", "semantic", "keyword", "weighted"]
"""The ranking; `weighted` is the sum of both legs' scores that hybrid search with a named text scorer asks for."""

USUAL_ALPHA = 0.7
"""Share of the vectors where a search names none."""


@dataclass(slots=True, frozen=True, kw_only=True)
class SearchPlan:
    """One search with text. `recency`, if set, ranks all candidates before the page is cut."""

    mode: Mode
    text: str
    conditions: tuple[Condition, ...]
    limit: int
    offset: int
    alpha: float | None
    max_distance: float | None
    explain: bool
    recency: Recency | None
    min_score: float = 0.0
    phases: Phases = field(default_factory=Phases)
    here: Here = NOWHERE
    moment: datetime | None = None
    """When the matches hold; None: replaced facts are not looked for."""

    @property
    def end(self) -> int:
        """Offset behind the page."""
        return self.offset + self.limit


@dataclass(slots=True, frozen=True)
class Found:
    """A page of hits, how many matches there are in all, and whether any has something in common with the query."""

    hits: list[MemoryHit]
    total: int
    fits: bool = True
    unread: int = 0
    """Words of the query that were not looked up."""
    unranked: str = ""
    """Why the reranker did not put the hits in order; empty if it did, or if there is none."""
    unquoted: bool = False
    """No memory holds the quoted phrase that the query is, and the hits hold its words."""
    memories: Sequence[StoredMemory] = ()
    """The memories of the hits."""


class Retriever:
    """Finds memories in four modes.

    Pipeline and weighted search rank the best candidates of both legs, a fixed number whatever the page; behind these
    comes whatever else matches by vector distance. So pages neither repeat nor skip. With a least score nothing comes
    behind them.
    """

    def __init__(
        self,
        *,
        store: Store,
        embedder: Embedder,
        settings: SearchSettings,
        weights: RankingWeights,
        reranking: Reranking | None = None,
        digests: Digests = (),
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._reranking = reranking
        self._settings = settings
        self._weights = weights
        self._digests = digests
        self._offload = Offload()
        # Asked once: Python takes long to tell whether an object has the parts of a protocol.
        self._reads_sentences = isinstance(embedder, SentenceReader)
        self._languages = embedder if isinstance(embedder, LanguageBound) else None
        self._vocabulary = embedder if isinstance(embedder, Vocabulary) else None

    async def find(self, scope: Scope, plan: SearchPlan) -> Found:
        """The page that the plan asks for.

        A query that is one quoted phrase, which no memory holds, is sought by its words: many clients quote all that
        they send.
        """
        with self._offload.search():
            found = await self._by_mode(scope, plan)
            words = wholly_quoted(plan.text) if found.total == 0 and plan.mode in ("keyword", "weighted") else ""
            if not words:
                return found
            return replace(await self._by_mode(scope, replace(plan, text=words)), unquoted=True)

    async def _by_mode(self, scope: Scope, plan: SearchPlan) -> Found:
        if plan.mode == "keyword":
            return await self._keyword(scope, plan)
        if plan.mode == "semantic":
            return await self._semantic(scope, plan)
        if plan.mode == "weighted":
            return await self._weighted(scope, plan)
        return await self._pipeline(scope, plan)

    async def _semantic(self, scope: Scope, plan: SearchPlan) -> Found:
        query = CandidateQuery(
            conditions=plan.conditions,
            vector=(vector := await self._embed(plan.text, plan.phases)),
            vector_limit=self._depth(plan) + 1,
            max_distance=_closer(plan),
            count=True,
        )
        found = await self._candidates(scope, query, plan.phases)
        scored = semantic_scores(found.hits)
        # Fewer than were asked for are all: what has no vector yet is counted by the store, but cannot be given.
        page = _page(scored, plan, found.total if len(scored) > self._depth(plan) else len(scored))
        return _explained(page, plan, _memories(found), None, vector)

    async def _keyword(self, scope: Scope, plan: SearchPlan) -> Found:
        """Memories that hold a word of the query or its phrases, by what the ranking makes of words alone."""
        query, unread = await self._read(scope, plan)
        match = keyword_match(query)
        if match is None:
            return Found([], 0)
        wanted = CandidateQuery(
            conditions=plan.conditions,
            text=match,
            text_limit=max(self._settings.candidates, self._depth(plan)),
            neighbours=self._settings.neighbours,
            statistics_for=all_terms(query),
            count=True,
        )
        found = await self._candidates(scope, wanted, plan.phases)
        with plan.phases("rank"):
            most, explain = self._settings.candidates, plan.explain
            scores = partial(keyword_scores, query, found, most, self._weights, explain=explain)
            scored = await self._offload.run(scores)
            scored = by_trust(scored, all_terms(query), plan.end, found)
        page = replace(_page(scored, plan, found.total), unread=unread)
        return _explained(page, plan, _memories(found), query, None)

    async def _weighted(self, scope: Scope, plan: SearchPlan) -> Found:
        vector = await self._embed(plan.text, plan.phases)
        query, unread = await self._read(scope, plan)
        text = keyword_match(query, phrases_required=True)
        found = await self._candidates(scope, self._both_legs(plan, text, vector), plan.phases)
        scored = hybrid_scores(found, vector, text, USUAL_ALPHA if plan.alpha is None else plan.alpha)
        scored = by_trust(scored, all_terms(query), plan.end, found)
        if plan.min_score or (text is not None and text.required):
            page = _page(scored, plan, len(scored))
        else:
            left = self._reachable(found, scored, found.total)
            page = await self._with_rest(scope, plan, vector, scored, set(), left)
        return _explained(replace(page, unread=unread), plan, _memories(found), query, vector)

    async def _pipeline(self, scope: Scope, plan: SearchPlan) -> Found:
        query, unread = await self._read(scope, plan)
        vector = await self._embed(await self._to_embed(scope, plan, query, unread), plan.phases)
        terms, sought = tuple(query_terms(query)), all_terms(query)
        wanted = self._both_legs(
            plan,
            TextMatch(any_of=terms) if terms else None,
            vector,
            neighbours=self._settings.neighbours,
            rough_text=True,  # the ranking counts the words itself
            statistics_for=sought,
        )
        found = await self._candidates(scope, wanted, plan.phases)
        stored = _memories(found)
        with plan.phases("candidates"):
            made = stored if found.made else ()
            replaced = await find_replaced(self._store, scope, made, plan.moment, self._digests)
        words = (*query.words, *query.terms)
        read = self._languages is None or query.language in self._languages.languages
        with plan.phases("rank"):
            scores = partial(
                pipeline_scores,
                query,
                vector if read else None,
                found,
                plan.conditions,
                weighted_legs(self._weights, plan.alpha, sentences=self._reads_sentences),
                replaced=replaced,
                digests=self._digests,
                explain=plan.explain,
                understood=self._vocabulary is None or self._vocabulary.knows_any(words),
            )
            ranking = await self._offload.run(scores)
        matches, problem = ranking.matches, ""
        if self._reranking is not None:
            with plan.phases("rerank"):
                reranked = await self._reranking.apply(plan.text, matches)
            matches, problem = below_newer(reranked.matches), reranked.problem
        with plan.phases("rank"):
            matches = by_trust(matches, sought, plan.end, found)
        if plan.min_score:
            page = _page(matches, plan, len(matches))
        else:
            left = self._reachable(found, matches, found.total - len(ranking.left_out))
            page = await self._with_rest(scope, plan, vector, matches, ranking.left_out, left)
        with plan.phases("candidates"):
            newer = {record.id: record for record in replaced.heads.values()}
            read_already = (*stored, *replaced.added)
            await add_evidence(self._store, scope, page.hits, read_already, plan.text, newer, self._digests)
        page = replace(page, fits=ranking.fits, unread=unread, unranked=problem)
        ranked = [*stored, *replaced.added, *replaced.facts]
        return _explained(page, plan, ranked, query, vector if read else None)

    def _both_legs(
        self,
        plan: SearchPlan,
        text: TextMatch | None,
        vector: Vector,
        *,
        neighbours: int = 0,
        rough_text: bool = False,
        statistics_for: tuple[str, ...] = (),
    ) -> CandidateQuery:
        return CandidateQuery(
            conditions=plan.conditions,
            text=text,
            text_limit=self._settings.candidates,
            rough_text=rough_text,
            vector=vector,
            vector_limit=self._settings.candidates,
            neighbours=neighbours,
            statistics_for=statistics_for,
            count=True,
        )

    def _reachable(self, found: Candidates, scored: Sequence[Scored], total: int) -> int:
        """Return how many matches pages can show: the scored ones, or all if the vector leg has them all."""
        near = sum(hit.distance is not None for hit in found.hits)
        return total if near >= self._settings.candidates else len(scored)

    async def _with_rest(
        self, scope: Scope, plan: SearchPlan, vector: Vector, scored: list[Scored], left_out: set[str], total: int
    ) -> Found:
        """A page of the scored matches and, behind them, the others by distance."""
        if plan.end <= len(scored) or len(scored) >= total:
            return _page(scored, plan, max(total, len(scored)))
        known = left_out | {item.id for item in scored}
        limit = plan.end + len(left_out) + 1
        query = CandidateQuery(conditions=plan.conditions, vector=vector, vector_limit=limit)
        rest = await self._candidates(scope, query, plan.phases)
        last = scored[-1].score if scored else 1.0
        behind = []
        for item in semantic_scores(hit for hit in rest.hits if hit.memory.id not in known):
            score = min(last, item.score)
            behind.append(Scored(item.memory, 1.0 - score, score, "hybrid", item.parts))
        return _page(scored, plan, total if len(rest.hits) >= limit else len(scored) + len(behind), behind)

    async def _to_embed(self, scope: Scope, plan: SearchPlan, query: AnalysedQuery, unread: int) -> str:
        """The form of the query that this embedder wants (see `SentenceReader`)."""
        if unread:
            return plan.text
        if self._reads_sentences:
            with plan.phases("query"):
                return await sentence_to_embed(self._store, scope, query)
        return query.embedding_text if self._embedder.local else plan.text

    async def _read(self, scope: Scope, plan: SearchPlan) -> tuple[AnalysedQuery, int]:
        with plan.phases("query"):
            return await read_query(self._store, scope, plan.text, plan.here, self._offload)

    async def _candidates(self, scope: Scope, query: CandidateQuery, phases: Phases) -> Candidates:
        with phases("candidates"):
            return await self._store.candidates(scope, query)

    async def _embed(self, text: str, phases: Phases) -> Vector:
        with phases("embed"):
            vectors = await self._embedder.embed([text])
        return np.asarray(vectors[0], dtype=np.float32)

    def _depth(self, plan: SearchPlan) -> int:
        all_ranked = plan.recency is not None or (plan.min_score and plan.mode == "keyword")
        return max(plan.end, self._settings.candidates) if all_ranked else plan.end


def all_terms(query: AnalysedQuery) -> tuple[str, ...]:
    """The stems of the query's words in each language that it may be in."""
    return (*query.terms, *(term for others in query.others for term in others))


def weighted_legs(weights: RankingWeights, alpha: float | None, *, sentences: bool = False) -> RankingWeights:
    """The weights with the share of vectors that a search names, from 0 (words alone) to 1 (vectors alone).

    Below the usual share vectors count less than usual, above it words do.

    Args:
        weights: The weights of the server.
        alpha: The share; None for the usual one.
        sentences: The vectors are those of whole sentences, whose weights have factors of their own.
    """
    if alpha is None and not sentences:
        return weights
    near = 1.0 if alpha is None else min(1.0, alpha / USUAL_ALPHA)
    words = 1.0 if alpha is None else min(1.0, (1.0 - alpha) / (1.0 - USUAL_ALPHA))
    own, around = (weights.sentences, weights.sentences_around) if sentences else (1.0, 1.0)
    factors = {name: near * around for name in weights.__struct_fields__ if name.startswith("vector_")}
    factors |= {"vector": near * own, "centred": near * own, "vector_floor": 1.0, "alike": near, "alike_near": near}
    factors |= {
        name: words
        for name in weights.__struct_fields__
        if name.startswith("lexical") or name in ("coverage", "variants", "session", "session_several", "phrase")
    }
    changed = {name: factor * getattr(weights, name) for name, factor in factors.items()}
    return msgspec.structs.replace(weights, **changed)


def keyword_match(query: AnalysedQuery, *, phrases_required: bool = False) -> TextMatch | None:
    """The full-text condition of keyword search: any word, or quoted phrases; None if nothing is searchable."""
    words = tuple(dict.fromkeys([*query.all_terms, *(term for group in query.others for term in group)]))
    if phrases_required:
        return TextMatch(any_of=words, required=query.phrases) if words else None
    if query.phrases:  # whose words count together only
        loose = frozenset(stems(without_quoted(query.text), query.language))
        words = tuple(word for word in words if word in loose)
    return TextMatch(any_of=words, phrases=query.phrases) if words or query.phrases else None


def _explained(
    page: Found,
    plan: SearchPlan,
    ranked: Sequence[StoredMemory],
    query: AnalysedQuery | None,
    vector: Vector | None,
) -> Found:
    """The page, with sentences beside the parts of its scores where they are asked for."""
    if plan.explain:
        explainer = Explainer(ranked, query, vector)
        for hit in page.hits:
            hit.explanation = explainer.sentences(hit)
    return page


def _memories(found: Candidates) -> list[StoredMemory]:
    return [hit.memory for hit in found.hits]


def _closer(plan: SearchPlan) -> float | None:
    """The greatest distance of a search by meaning, where the score is what the distance leaves of 1."""
    if not plan.min_score:
        return plan.max_distance
    return min(1.0 - plan.min_score, 2.0 if plan.max_distance is None else plan.max_distance)


def _page(scored: Sequence[Scored], plan: SearchPlan, total: int, behind: Sequence[Scored] = ()) -> Found:
    """The page of the matches in order; recency, if it ranks all, reorders what was scored.

    With a least score the matches are those of the scored ones that reach it.
    """
    ordered = list(scored)
    if plan.min_score:
        ordered = [item for item in scored if item.score >= plan.min_score]
        total = total - len(scored) + len(ordered) if plan.mode == "semantic" else len(ordered)
    recency = plan.recency
    if recency is not None:
        ordered.sort(key=lambda item: recency.score(item.record, item.dist), reverse=True)
    page = [*ordered, *behind][plan.offset : plan.end]
    hits = [item.hit(explain=plan.explain) for item in page]
    return Found(hits, total, memories=[item.memory for item in page])
