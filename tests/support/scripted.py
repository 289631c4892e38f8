"""A plugin with a language model that answers as a test says, and an embedder that is not local."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import numpy.typing as npt

from memhost import hookimpl
from memhost.errors import ModelUnavailable
from memhost.ports import Completion
from memhost.specs import EmbedderSpec, LanguageModelSpec, ModelSpec, NoSettings, OpenContext
from tests.support.model_server import DIMENSIONS, vector

POINT = EntryPoint(name="scripted", value="tests.support.scripted", group="memhost")
WITH_MODEL = {"LLM": "scripted", "ENABLE_DISCRETE_MEMORY_EXTRACTION": "false"}
"""Settings of a host that uses the model for everything but extraction."""

WITH_EMBEDDER = {"EMBEDDER": "remote"}

Given = str | Exception
Rule = Callable[["Asked"], Given]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A call as it came."""

    messages: list[dict[str, Any]]
    model: str | None
    purpose: str
    schema: dict[str, Any] | None
    max_tokens: int | None

    @property
    def prompt(self) -> str:
        """All texts, in order, a line each."""
        return "\n".join(str(message["content"]) for message in self.messages)


@dataclass
class Script:
    """What the models answer, and what they were asked. `answers` come first, then the rule."""

    answers: deque[Given] = field(default_factory=deque)
    rule: Rule = lambda _asked: "a summary"
    calls: list[Asked] = field(default_factory=list)
    embedder_down: bool = False
    embedded: list[list[str]] = field(default_factory=list)
    before_answer: Callable[[Asked], Any] | None = None

    def of(self, purpose: str) -> list[Asked]:
        """The calls for a purpose."""
        return [call for call in self.calls if call.purpose == purpose]


SCRIPT = Script()


def reset() -> Script:
    """Forget everything; the script, for a test to fill."""
    SCRIPT.__init__()  # type: ignore[misc]
    return SCRIPT


class ScriptedModel:
    """A `memhost.ports.LanguageModel`."""

    name = "scripted-model"

    async def complete(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        model: str | None = None,
        purpose: str = "plugin",
        schema: dict[str, Any] | None = None,
        max_tokens: int | None = None,
    ) -> Completion:
        asked = Asked(messages=list(messages), model=model, purpose=purpose, schema=schema, max_tokens=max_tokens)
        SCRIPT.calls.append(asked)
        if SCRIPT.before_answer is not None:
            await SCRIPT.before_answer(asked)
        given = SCRIPT.answers.popleft() if SCRIPT.answers else SCRIPT.rule(asked)
        if isinstance(given, Exception):
            raise given
        return Completion(text=given, model=model or self.name, input_tokens=10, output_tokens=2)

    async def aclose(self) -> None:
        """Nothing is open."""


class RemoteEmbedder:
    """A `memhost.ports.Embedder` that is not local: hashed bags of words."""

    name = "remote-test"
    dimensions = DIMENSIONS
    local = False

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        if SCRIPT.embedder_down:
            raise ModelUnavailable("The embedder does not answer.")
        SCRIPT.embedded.append(list(texts))
        return np.array([vector(text) for text in texts], dtype=np.float32).reshape(len(texts), DIMENSIONS)

    async def aclose(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def _model(_settings: NoSettings, _context: OpenContext) -> AsyncIterator[ScriptedModel]:
    yield ScriptedModel()


@asynccontextmanager
async def _embedder(_settings: NoSettings, _context: OpenContext) -> AsyncIterator[RemoteEmbedder]:
    yield RemoteEmbedder()


@hookimpl
def memhost_models() -> Sequence[ModelSpec]:
    return [
        LanguageModelSpec(name="scripted", summary="Answers as a test says.", open=_model),
        EmbedderSpec(name="remote", summary="Hashed bags of words, as if from elsewhere.", open=_embedder),
    ]
