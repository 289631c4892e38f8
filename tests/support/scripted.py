"""A plugin with a language model that answers as the test sets, and an embedder that counts as remote."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import numpy.typing as npt

from memhost import hookimpl
from memhost.errors import ModelRefused, ModelUnavailable
from memhost.specs import EmbedderSpec, LanguageModelSpec, ModelSpec, NoSettings, OpenContext
from memhost.testing.models import Asked, Given, ScriptedModel
from tests.support.model_server import DIMENSIONS, vector

POINT = EntryPoint(name="scripted", value="tests.support.scripted", group="memhost")
WITH_MODEL = {"LLM": "scripted", "ENABLE_DISCRETE_MEMORY_EXTRACTION": "false"}
"""Settings of a host that uses the model for everything but extraction."""

WITH_EMBEDDER = {"EMBEDDER": "remote"}

Rule = Callable[[Asked], Given]


class Script(ScriptedModel):
    """What the models answer, and what they were asked.

    Attributes:
        embedder_down: Whether the embedder fails.
        longest: Letters of a text that the embedder takes; None for any number.
        embedded: The texts of each request for vectors.
        before_answer: Awaited before the language model answers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rule = lambda _asked: "a summary"
        self.embedder_down = False
        self.longest: int | None = None
        self.embedded: list[list[str]] = []
        self.before_answer: Callable[[Asked], Any] | None = None

    def of(self, purpose: str) -> list[Asked]:
        """The calls for a purpose."""
        return [call for call in self.calls if call.purpose == purpose]

    async def answer(self, asked: Asked) -> Given:
        """What is given for a call."""
        if self.before_answer is not None:
            await self.before_answer(asked)
        return await super().answer(asked)


SCRIPT = Script()


def reset() -> Script:
    """Forget everything; the script, for a test to fill."""
    SCRIPT.__init__()  # type: ignore[misc]
    return SCRIPT


class RemoteEmbedder:
    """A `memhost.ports.Embedder` that is not local: hashed bags of words."""

    name = "remote-test"
    dimensions = DIMENSIONS
    local = False

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        if SCRIPT.embedder_down:
            raise ModelUnavailable("The embedder does not answer.")
        if SCRIPT.longest is not None and any(len(text) > SCRIPT.longest for text in texts):
            raise ModelRefused("The text is too long.")
        SCRIPT.embedded.append(list(texts))
        return np.array([vector(text) for text in texts], dtype=np.float32).reshape(len(texts), DIMENSIONS)

    async def aclose(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def _model(_settings: NoSettings, _context: OpenContext) -> AsyncIterator[Script]:
    yield SCRIPT


@asynccontextmanager
async def _embedder(_settings: NoSettings, _context: OpenContext) -> AsyncIterator[RemoteEmbedder]:
    yield RemoteEmbedder()


@hookimpl
def memhost_models() -> Sequence[ModelSpec]:
    return [
        LanguageModelSpec(name="scripted", summary="Answers as a test says.", open=_model),
        EmbedderSpec(name="remote", summary="Hashed bags of words, as if from elsewhere.", open=_embedder),
    ]
