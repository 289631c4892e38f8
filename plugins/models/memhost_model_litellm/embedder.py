"""Embedding models of any provider that LiteLLM knows."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from memhost.errors import ConfigurationError, ModelRefused, ModelUnavailable
from memhost.ports import Meter, ModelUse
from memhost_model_litellm import library
from memhost_model_litellm.calls import BadRequest, Calls, ensure_loaded, provider_of
from memhost_model_litellm.language import cost
from memhost_model_litellm.settings import LiteLLMSettings

logger = logging.getLogger(__name__)

Vectors = npt.NDArray[np.float32]

_SURELY_SHORT = 500
"""Letters that every model takes."""

_BATCH_CHARACTERS = 200_000
"""Most characters of text in one request, to stay below the providers' limits for a whole request."""


class LiteLLMEmbedder:
    """An embedding model behind a network, with a cache.

    A text is asked for once, however many calls want it at the same time; equal texts share a vector. The name is
    the model with the length of its vectors.

    Args:
        model: The model in LiteLLM's form, with its provider.
        dimensions: Length that its vectors must have; 0 while it is not known.
        settings: Batches, cache, key and address.
        calls: Limits and tries.
        meter: Receives each request.
        shorten: Ask the model for vectors of `dimensions`, which are not its own.
    """

    local = False
    reads_sentences: Literal[True] = True

    def __init__(
        self,
        *,
        model: str,
        dimensions: int,
        settings: LiteLLMSettings,
        calls: Calls,
        meter: Meter,
        shorten: bool = False,
    ) -> None:
        self.name = f"{model}@{dimensions}"
        self.dimensions = dimensions
        self._model = model
        self._settings = settings
        self._calls = calls
        self._meter = meter
        self._shorten = shorten
        self._most = settings.embedding_batch_size  # texts of a request; fewer once a provider took only fewer
        self._cache: OrderedDict[bytes, Vectors] = OrderedDict()
        self._asked: dict[bytes, asyncio.Task[dict[bytes, Vectors]]] = {}

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of the texts: float32, shape `(len(texts), dimensions)`, rows of unit length.

        Blank texts give rows of zeros and are not sent.

        Raises:
            ModelUnavailable: The provider does not answer, or not with such vectors.
            ModelRefused: The provider does not take one of the texts: it is too long, or declined for what it says.
        """
        keys = [_key(text) if text.strip() else None for text in texts]
        wanted = {key: text for key, text in zip(keys, texts, strict=True) if key is not None}
        found = {key: self._cache[key] for key in wanted if key in self._cache}
        for key in found:
            self._cache.move_to_end(key)
        missing = {key: text for key, text in wanted.items() if key not in found}
        if missing:
            found |= await self._gather(missing)
        out: Vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, wish in enumerate(keys):
            if wish is not None:
                out[row] = found[wish]
        return out

    async def aclose(self) -> None:
        """End what is under way and release connections."""
        tasks = set(self._asked.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await library.leave()

    async def probe(self) -> None:
        """Learn the length of the vectors from the provider, by one request.

        Raises:
            ConfigurationError: It does not tell.
        """
        try:
            vectors = await self._request(["probe"])
        except ModelUnavailable as error:
            raise ConfigurationError(
                f"The length of the vectors of {self._model} is unknown, and asking the model failed: {error.message} "
                "Set EMBEDDING_DIMENSIONS to the length."
            ) from error
        self.dimensions = vectors.shape[1]
        self.name = f"{self._model}@{self.dimensions}"

    async def _gather(self, missing: dict[bytes, str]) -> dict[bytes, Vectors]:
        """Vectors of texts that are not in the cache: those on their way, and new requests for the others."""
        tasks = {self._asked[key] for key in missing if key in self._asked}
        fresh = {key: text for key, text in missing.items() if key not in self._asked}
        for batch in _batches(fresh, self._most):
            # A task of its own: a caller who is cancelled does not take it from the others.
            task = asyncio.create_task(self._ask(batch))
            task.add_done_callback(_retrieve)
            self._asked.update(dict.fromkeys(batch, task))
            tasks.add(task)
        await asyncio.wait(tasks)
        found: dict[bytes, Vectors] = {}
        for task in tasks:
            if task.cancelled():
                raise ModelUnavailable(f"{self._model} was closed.")
            found |= task.result()
        return found

    async def _ask(self, batch: dict[bytes, str]) -> dict[bytes, Vectors]:
        try:
            rows = await self._in_halves(list(batch.values()))
        finally:
            for key in batch:
                self._asked.pop(key, None)
        found = {key: row.copy() for key, row in zip(batch, rows, strict=True)}
        self._cache |= found
        while len(self._cache) > self._settings.embedding_cache_size:
            self._cache.popitem(last=False)
        return found

    async def _in_halves(self, texts: list[str]) -> Vectors:
        """Vectors of the texts: in one request, or in several where the provider takes only fewer in one.

        How many it takes it says in words of its own, or not at all: if it takes all the texts, and not together, it is
        their number, and that is remembered.

        Raises:
            BadRequest: It does not take one of them alone either.
        """
        if len(texts) > self._most:
            starts = range(0, len(texts), self._most)
            return np.concatenate([await self._in_halves(texts[at : at + starts.step]) for at in starts])
        try:
            return await self._request(texts)
        except BadRequest as error:
            half = -(-len(texts) // 2)
            if len(texts) == 1:
                raise
            told = error.message
        rows = [await self._in_halves(part) for part in (texts[:half], texts[half:])]
        if half < self._most:
            self._most = half
            fields = {"model": self._model, "texts": half, "error": told}
            advice = (
                f"memhost now sends fewer texts per request; set EMBEDDING_BATCH_SIZE={half}, or to the provider's "
                "limit"
            )
            logger.warning("embedding.batch_too_large", extra={"fields": {**fields, "detail": advice}})
        return np.concatenate(rows)

    async def _request(self, texts: list[str]) -> Vectors:
        litellm = await ensure_loaded(self._model)
        await asyncio.to_thread(_check_all, litellm, self._model, texts)

        began = 0.0

        async def request() -> tuple[Any, Vectors]:
            nonlocal began
            began = perf_counter()
            answer = await litellm.aembedding(model=self._model, input=texts, **self.request_options())
            return answer, _vectors(answer, len(texts))

        def failed() -> None:
            self._meter(ModelUse(model=self._model, failed=True, seconds=perf_counter() - began))

        try:
            answer, vectors = await self._calls.run(self._model, request, failed)
        except BadRequest as error:
            # A request for vectors has nothing but its texts that a provider may not take on one day and take on
            # another; where one is long, its length is the likeliest reason, however the provider puts it.
            if max(map(len, texts)) > _SURELY_SHORT:
                raise ModelRefused(error.message) from error
            raise
        use = ModelUse(
            model=self._model,
            input_tokens=int(getattr(getattr(answer, "usage", None), "prompt_tokens", 0) or 0),
            cost_usd=cost(litellm, self._model, answer),
            seconds=perf_counter() - began,
        )
        self._meter(use)
        if self.dimensions and vectors.shape[1] != self.dimensions:
            raise ModelUnavailable(
                f"{self._model} returns vectors of length {vectors.shape[1]}, not {self.dimensions}; correct "
                "EMBEDDING_DIMENSIONS."
            )
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(norms, 1e-12), dtype=np.float32)

    def request_options(self) -> dict[str, Any]:
        """Return the options of each request besides model and texts."""
        options = self._calls.options
        if self._shorten:
            options["dimensions"] = self.dimensions
        if self._settings.embedding_api_key:
            options["api_key"] = str(self._settings.embedding_api_key)
        if self._settings.embedding_api_base:
            options["api_base"] = self._settings.embedding_api_base
        if self._settings.aws_region and provider_of(self._model) in ("bedrock", "sagemaker"):
            options["aws_region_name"] = self._settings.aws_region
        return options


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Retrieve the result, so that a failure without a waiting caller is not reported as forgotten."""
    if not task.cancelled():
        task.exception()


def _batches(texts: dict[bytes, str], most: int) -> Iterator[dict[bytes, str]]:
    batch: dict[bytes, str] = {}
    size = 0
    for key, text in texts.items():
        if batch and (len(batch) == most or size + len(text) > _BATCH_CHARACTERS):
            yield batch
            batch, size = {}, 0
        batch[key] = text
        size += len(text)
    if batch:
        yield batch


def _check_all(litellm: Any, model: str, texts: list[str]) -> None:
    """Decline what is over the model's limit before it is sent; the limits of most models are not known.

    Raises:
        ModelRefused: One of the texts is too long.
    """
    limit = (library.facts(litellm, model) or {}).get("max_input_tokens")
    if limit and any(_is_longer(litellm, model, text, int(limit)) for text in texts):
        raise ModelRefused(f"The text is too long for {model}.")


def _is_longer(litellm: Any, model: str, text: str, limit: int) -> bool:
    if len(text.encode("utf-8", "surrogatepass")) <= limit:  # a token is a byte at least
        return False
    return len(litellm.encode(model=model, text=text)) > limit


def _vectors(answer: Any, count: int) -> Vectors:
    """The vectors of an answer in the order of the texts.

    Raises:
        ValueError: They are not `count` vectors of one length.
    """
    items = answer.data
    if not isinstance(items, list) or len(items) != count:
        raise ValueError(f"The answer does not contain {count} embeddings.")
    rows: list[Any] = [None] * count
    for place, item in enumerate(items):
        index = item.get("index")
        rows[place if index is None else index] = item["embedding"]
    vectors = np.asarray(rows, dtype=np.float64)
    if vectors.ndim != 2 or not vectors.shape[1] or not np.isfinite(vectors).all():
        raise ValueError("The answer's embeddings are not vectors of numbers.")
    return np.asarray(vectors, dtype=np.float32)
