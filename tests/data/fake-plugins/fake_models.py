"""A language model and an embedder "behind a network", and a background hook that asks the model about memories."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from memhost import hookimpl
from memhost.errors import ModelUnavailable
from memhost.events import JobContext, MemoriesStored
from memhost.ports import Completion, Meter, ModelUse
from memhost.specs import EmbedderSpec, LanguageModelSpec, OpenContext

INPUT, OUTPUT, COST = 100, 20, 0.25


class FakeModel:
    """Each answer takes 100 tokens and 20 of its own and costs 25 cents; `fail` in the prompt makes it fail."""

    def __init__(self) -> None:
        self.name = "fake-llm"
        self.calls = 0

    async def complete(self, messages: Sequence[dict[str, Any]], **options: Any) -> Completion:
        self.calls += 1
        if any("fail" in message["content"] for message in messages):
            raise ModelUnavailable("The provider is down.")
        model = options.get("model") or self.name
        cost = None if model == "unpriced" else COST
        return Completion(text="ok", model=model, input_tokens=INPUT, output_tokens=OUTPUT, cost_usd=cost)

    async def aclose(self) -> None:
        """Nothing to close."""


class FakeEmbedder:
    """Vectors that all point the same way; a request costs one token a text and a tenth of a cent."""

    name = "fake-embedder@1"
    dimensions = 4
    local = True

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self._meter(ModelUse(model="fake-embedder", input_tokens=len(texts), cost_usd=0.001, seconds=0.01))
        return np.full((len(texts), self.dimensions), 0.5, dtype=np.float32)

    async def aclose(self) -> None:
        """Nothing to close."""


@asynccontextmanager
async def _open_model(_settings: Any, _context: OpenContext) -> AsyncIterator[FakeModel]:
    yield FakeModel()


@asynccontextmanager
async def _open_embedder(_settings: Any, context: OpenContext) -> AsyncIterator[FakeEmbedder]:
    context.meter(ModelUse(model="fake-embedder", input_tokens=1, cost_usd=0.001))  # asks for its dimensions
    yield FakeEmbedder(context.meter)


@hookimpl
def memhost_models() -> Sequence[LanguageModelSpec | EmbedderSpec]:
    return [
        LanguageModelSpec(name="fake-llm", summary="Says ok.", open=_open_model),
        EmbedderSpec(name="fake-embedder", summary="One direction.", open=_open_embedder),
    ]


@hookimpl
async def memhost_memories_stored(event: MemoriesStored, context: JobContext) -> None:
    for record in await context.get_memories(event.ids):
        if "ask the model" in record.text and context.llm is not None:
            await context.llm.complete([{"role": "user", "content": record.text}], purpose="opinion")
