"""Reranking models of any provider that LiteLLM knows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from time import perf_counter
from typing import Any

from memhost.errors import ModelRefused
from memhost.ports import Meter, ModelUse
from memhost_model_litellm import library
from memhost_model_litellm.calls import BadRequest, Calls, ensure_loaded
from memhost_model_litellm.language import cost
from memhost_model_litellm.settings import LiteLLMSettings


class LiteLLMReranker:
    """A reranking model behind a network.

    Blank texts are not sent and score 0: providers decline them.

    Args:
        name: The model by its LiteLLM name, with its provider.
        settings: Key and address.
        calls: Limits and tries.
        meter: Receives each request.
    """

    def __init__(self, *, name: str, settings: LiteLLMSettings, calls: Calls, meter: Meter) -> None:
        self.name = name
        self._settings = settings
        self._calls = calls
        self._meter = meter

    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """A score from 0 to 1 for each text, in the order of the texts; see `memhost.ports.Reranker`.

        Raises:
            ModelUnavailable: The provider does not answer, or not with scores.
            ModelRefused: It does not take the query or one of the texts.
        """
        scores = [0.0] * len(texts)
        sent = [place for place, text in enumerate(texts) if text.strip()]
        if sent and query.strip():
            found = await self._request(query, [texts[place] for place in sent])
            for place, score in zip(sent, found, strict=True):
                scores[place] = score
        return scores

    async def aclose(self) -> None:
        """Release connections."""
        await library.leave()

    async def _request(self, query: str, texts: list[str]) -> list[float]:
        litellm = await ensure_loaded(self.name)
        began = 0.0

        async def request() -> tuple[Any, list[float]]:
            nonlocal began
            began = perf_counter()
            answer = await litellm.arerank(
                model=self.name, query=query, documents=texts, top_n=len(texts), **self._options()
            )
            return answer, _scores(answer, len(texts))

        def failed() -> None:
            use = ModelUse(model=self.name, failed=True, seconds=perf_counter() - began, purpose="reranking")
            self._meter(use)

        try:
            scores: list[float]
            answer, scores = await self._calls.run(self.name, request, failed)
        except BadRequest as error:
            raise ModelRefused(error.message) from error
        self._meter(
            ModelUse(
                model=self.name,
                input_tokens=_tokens(answer),
                cost_usd=cost(litellm, self.name, answer),
                seconds=perf_counter() - began,
                purpose="reranking",
            )
        )
        return scores

    def _options(self) -> dict[str, Any]:
        # LiteLLM's rerank passes what it does not know on to the provider.
        options = {"timeout": self._calls.options["timeout"], "max_retries": 0, "return_documents": False}
        if self._settings.rerank_api_key:
            options["api_key"] = str(self._settings.rerank_api_key)
        if self._settings.rerank_api_base:
            options["api_base"] = self._settings.rerank_api_base
        return options


def _scores(answer: Any, count: int) -> list[float]:
    """The scores in the order of the texts.

    Some models give logits instead of probabilities; the logistic function keeps their order and brings them to 0 to 1.

    Raises:
        ValueError: There is not one score for each text.
    """
    found: dict[int, float] = {int(item["index"]): float(item["relevance_score"]) for item in answer.results or ()}
    if sorted(found) != list(range(count)) or not all(map(math.isfinite, found.values())):
        raise ValueError(f"The answer does not contain {count} scores.")
    scores = [found[place] for place in range(count)]
    if min(scores) < 0 or max(scores) > 1:
        return [1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, score)))) for score in scores]
    return scores


def _tokens(answer: Any) -> int:
    """Tokens that the provider counted; 0 where it does not tell."""
    meta = getattr(answer, "meta", None) or {}
    told = meta.get("tokens") or {}
    return int(told.get("input_tokens") or (meta.get("billed_units") or {}).get("total_tokens") or 0)
