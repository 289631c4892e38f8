"""A run of a strategy, seen from outside: questions, embeddings, memories, and how long it holds the loop."""

from __future__ import annotations

from collections.abc import Coroutine, Generator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from memhost.ports import Draft, ExtractionContext, ExtractionTools, ModelRequest, ModelStrategy, Turn
from memhost.testing.models import ScriptedModel, WordEmbedder


@dataclass(kw_only=True)
class Run:
    """A run of a strategy.

    Attributes:
        drafts: What it returned.
        questions: The messages of each call of the model, as they came.
        embedded: Texts of which it wanted vectors.
        steps: Seconds that it held the event loop, each time.
    """

    drafts: list[Draft] = field(default_factory=list)
    questions: list[list[dict[str, Any]]] = field(default_factory=list)
    embedded: list[str] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)

    @property
    def asked(self) -> str:
        """Everything that was sent to a model."""
        said = [str(message.get("content")) for question in self.questions for message in question]
        return "\n".join([*said, *self.embedded])


class _Embedder(WordEmbedder):
    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self._run.embedded.extend(texts)
        return await super().embed(texts)


class _Stepwise:
    """Awaits a coroutine, and notes how long each of its steps takes: between them the loop is free for others."""

    def __init__(self, coroutine: Coroutine[Any, Any, list[Draft]], steps: list[float]) -> None:
        self._coroutine = coroutine
        self._steps = steps

    def __await__(self) -> Generator[Any, Any, list[Draft]]:
        error: BaseException | None = None
        while True:
            began = perf_counter()
            try:
                waits_for = self._coroutine.throw(error) if error else self._coroutine.send(None)
            except StopIteration as end:
                return cast("list[Draft]", end.value)
            finally:
                self._steps.append(perf_counter() - began)
            try:
                yield waits_for
                error = None
            except BaseException as raised:  # noqa: BLE001 - passed on to the coroutine, which decides
                error = raised


async def observed(strategy: Any, turns: Sequence[Turn], context: ExtractionContext, answer: str) -> Run:
    """Run a strategy on turns; the model answers everything with `answer`."""
    run = Run()
    run.drafts = await _Stepwise(_extract(strategy, turns, context, answer, run), run.steps)
    return run


async def _extract(
    strategy: Any, turns: Sequence[Turn], context: ExtractionContext, answer: str, run: Run
) -> list[Draft]:
    if strategy.immediate:
        return cast("list[Draft]", await strategy.extract(turns, context))
    if not hasattr(strategy, "extract"):
        return _parsed(strategy, turns, context, answer, run)
    model = ScriptedModel()
    model.rule = lambda _asked: answer
    try:
        tools = ExtractionTools(embedder=_Embedder(run), llm=model)
        return cast("list[Draft]", await strategy.extract(turns, context, tools))
    finally:
        run.questions.extend(asked.messages for asked in model.calls)


def _parsed(
    strategy: ModelStrategy, turns: Sequence[Turn], context: ExtractionContext, answer: str, run: Run
) -> list[Draft]:
    request: ModelRequest | None = strategy.prepare(turns, context)
    if request is None:
        return []
    run.questions.append([dict(message) for message in request.messages])
    parsed = strategy.parse(answer, turns, context)
    if parsed.repair is not None:
        run.questions.append([{"role": "user", "content": parsed.repair}])
        parsed = strategy.parse(answer, turns, context, parsed)
    return parsed.drafts
