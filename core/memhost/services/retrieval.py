"""The search pipeline: candidates from the store, scores by mode, one total order, a page of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from memhost.analysis import analyse_query, query_terms, stems, without_quoted
from memhost.models import CandidateQuery, Condition, MemoryHit, Scope, TextMatch, Vector
from memhost.ports import Embedder, Store
from memhost.ranking import RankingWeights
from memhost.services.recency import Recency
from memhost.services.scoring import Scored, hybrid_scores, keyword_scores, pipeline_scores, semantic_scores
from memhost.settings.schema import SearchSettings

Mode = Literal["pipeline", "semantic", "keyword", "hybrid"]


@dataclass(slots=True, frozen=True, kw_only=True)
class SearchPlan:
    """One search with text. `recency`, if set, ranks all candidates before the page is cut."""

    mode: Mode
    text: str
    conditions: tuple[Condition, ...]
    limit: int
    offset: int
    alpha: float
    max_distance: float | None
    explain: bool
    recency: Recency | None

    @property
    def end(self) -> int:
        """Offset behind the page."""
        return self.offset + self.limit


@dataclass(slots=True, frozen=True)
class Found:
    """A page of hits, and how many matches there are in all."""

    hits: list[MemoryHit]
    total: int


class Retriever:
    """Finds memories in four modes.

    Pipeline and hybrid rank the best candidates of both legs, a fixed number whatever the page; behind these
    comes whatever else matches by vector distance. So pages neither repeat nor skip.
    """

    def __init__(self, store: Store, embedder: Embedder, settings: SearchSettings, weights: RankingWeights) -> None:
        self._store = store
        self._embedder = embedder
        self._settings = settings
        self._weights = weights

    async def find(self, scope: Scope, plan: SearchPlan) -> Found:
        """The page that the plan asks for."""
        if plan.mode == "keyword":
            return await self._keyword(scope, plan)
        if plan.mode == "semantic":
            return await self._semantic(scope, plan)
        if plan.mode == "hybrid":
            return await self._hybrid(scope, plan)
        return await self._pipeline(scope, plan)

    async def _semantic(self, scope: Scope, plan: SearchPlan) -> Found:
        query = CandidateQuery(
            conditions=plan.conditions,
            vector=await self._embed(plan.text),
            vector_limit=self._depth(plan),
            max_distance=plan.max_distance,
            count=True,
        )
        found = await self._store.candidates(scope, query)
        return _page(semantic_scores(found.hits), plan, found.total)

    async def _keyword(self, scope: Scope, plan: SearchPlan) -> Found:
        match = keyword_match(plan.text)
        if match is None:
            return Found([], 0)
        query = CandidateQuery(conditions=plan.conditions, text=match, text_limit=self._depth(plan), count=True)
        found = await self._store.candidates(scope, query)
        return _page(keyword_scores(found.hits), plan, found.total)

    async def _hybrid(self, scope: Scope, plan: SearchPlan) -> Found:
        vector = await self._embed(plan.text)
        text = keyword_match(plan.text, phrases_required=True)
        found = await self._store.candidates(scope, self._both_legs(plan, text, vector))
        scored = hybrid_scores(found, vector, text, plan.alpha)
        if text is not None and text.required:
            return _page(scored, plan, len(scored))
        return await self._with_rest(scope, plan, vector, scored, set(), found.total)

    async def _pipeline(self, scope: Scope, plan: SearchPlan) -> Found:
        query = analyse_query(plan.text)
        vector = await self._embed(query.embedding_text if self._embedder.local else plan.text)
        terms = tuple(query_terms(query))
        wanted = self._both_legs(
            plan,
            TextMatch(any_of=terms) if terms else None,
            vector,
            neighbours=self._settings.neighbours,
            rough_text=True,  # the ranking counts the words itself
            statistics_for=query.terms,
        )
        found = await self._store.candidates(scope, wanted)
        scored, doubles = pipeline_scores(query, vector, found, plan.conditions, self._weights, explain=plan.explain)
        return await self._with_rest(scope, plan, vector, scored, doubles, found.total - len(doubles))

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

    async def _with_rest(
        self, scope: Scope, plan: SearchPlan, vector: Vector, scored: list[Scored], left_out: set[str], total: int
    ) -> Found:
        """A page of the scored matches and, behind them, the others by distance."""
        if plan.end <= len(scored) or len(scored) >= total:
            return _page(scored, plan, max(total, len(scored)))
        known = left_out | {item.record.id for item in scored}
        query = CandidateQuery(conditions=plan.conditions, vector=vector, vector_limit=plan.end + len(left_out))
        rest = await self._store.candidates(scope, query)
        last = scored[-1].score if scored else 1.0
        behind = []
        for item in semantic_scores(hit for hit in rest.hits if hit.memory.record.id not in known):
            score = min(last, item.score)
            behind.append(Scored(item.record, 1.0 - score, score, "hybrid", item.parts))
        return _page(scored, plan, total, behind)

    async def _embed(self, text: str) -> Vector:
        vectors = await self._embedder.embed([text])
        return np.asarray(vectors[0], dtype=np.float32)

    def _depth(self, plan: SearchPlan) -> int:
        return plan.end if plan.recency is None else max(plan.end, self._settings.candidates)


def keyword_match(text: str, *, phrases_required: bool = False) -> TextMatch | None:
    """The full-text condition of keyword search: any word, or quoted phrases; None if nothing is searchable."""
    query = analyse_query(text)
    if phrases_required:
        words = tuple(dict.fromkeys(query.all_terms))
        return TextMatch(any_of=words, required=query.phrases) if words else None
    words = tuple(dict.fromkeys(stems(without_quoted(text))))
    return TextMatch(any_of=words, phrases=query.phrases) if words or query.phrases else None


def _page(scored: Sequence[Scored], plan: SearchPlan, total: int, behind: Sequence[Scored] = ()) -> Found:
    """The page of the matches in order; recency, if it ranks all, reorders what was scored."""
    ordered = list(scored)
    recency = plan.recency
    if recency is not None:
        ordered.sort(key=lambda item: recency.score(item.record, item.dist), reverse=True)
    page = [*ordered, *behind][plan.offset : plan.end]
    return Found([item.hit(explain=plan.explain) for item in page], total)
