"""A language model that answers as a test says, an embedder and a reranker that need no weights; all as a plugin.

A host uses them with the settings `LLM=scripted`, `EMBEDDER=words` and `RERANKER=words` (see `memhost.testing.hosts`).
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from memhost.hooks import hookimpl
from memhost.ports import Completion
from memhost.specs import EmbedderSpec, LanguageModelSpec, ModelSpec, NoSettings, OpenContext, RerankerSpec

Given = str | Exception


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A call of the model as it came."""

    messages: list[dict[str, Any]]
    model: str | None
    purpose: str
    schema: dict[str, Any] | None
    max_tokens: int | None

    @property
    def prompt(self) -> str:
        """All texts, in order, a line each."""
        return "\n".join(str(message["content"]) for message in self.messages)


class ScriptedModel:
    """A `memhost.ports.LanguageModel` that says what it was told to.

    Attributes:
        answers: What to answer, in order; an exception is raised.
        rule: Answers when `answers` is empty.
        calls: What was asked.
    """

    name = "scripted-model"

    def __init__(self) -> None:
        self.answers: deque[Given] = deque()
        self.rule: Callable[[Asked], Given] = lambda _asked: '{"memories": []}'
        self.calls: list[Asked] = []

    async def complete(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        model: str | None = None,
        purpose: str = "plugin",
        schema: dict[str, Any] | None = None,
        max_tokens: int | None = None,
    ) -> Completion:
        """The next answer; see `memhost.ports.LanguageModel`."""
        asked = Asked(messages=list(messages), model=model, purpose=purpose, schema=schema, max_tokens=max_tokens)
        self.calls.append(asked)
        given = await self.answer(asked)
        if isinstance(given, Exception):
            raise given
        return Completion(text=given, model=model or self.name, input_tokens=10, output_tokens=2)

    async def answer(self, asked: Asked) -> Given:
        """Return the scripted answer to a call."""
        return self.answers.popleft() if self.answers else self.rule(asked)

    async def aclose(self) -> None:
        """Nothing is open."""


class WordEmbedder:
    """A `memhost.ports.Embedder`: hashed bags of words, the same in every process, near for texts that share words."""

    name = "testing-words-1"
    local = True

    def __init__(self, dimensions: int = 64) -> None:
        self.dimensions = dimensions

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """A row for each text; see `memhost.ports.Embedder`."""
        rows = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.casefold()):
                digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
                row[int.from_bytes(digest[:4], "big") % self.dimensions] += 1.0 if digest[4] % 2 else -1.0
            if length := float(np.linalg.norm(row)):
                row /= length
        return rows

    async def aclose(self) -> None:
        """Nothing is open."""


class WordReranker:
    """A `memhost.ports.Reranker`: the share of the query's words that a text has.

    Attributes:
        calls: Query and texts of each call.
        answer: What happens instead, if set: called with query and texts.
    """

    name = "testing-words-1"

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[str]]] = []
        self.answer: Callable[[str, Sequence[str]], Sequence[float]] | None = None

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """A score for each text; see `memhost.ports.Reranker`."""
        self.calls.append((query, list(texts)))
        if self.answer is not None:
            return self.answer(query, texts)
        asked = set(re.findall(r"\w+", query.casefold()))
        held = [asked & set(re.findall(r"\w+", text.casefold())) for text in texts]
        return [len(words) / max(1, len(asked)) for words in held]

    async def aclose(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def _open_model(_settings: NoSettings, _context: OpenContext) -> AsyncIterator[ScriptedModel]:
    yield ScriptedModel()


@asynccontextmanager
async def _open_embedder(_settings: NoSettings, _context: OpenContext) -> AsyncIterator[WordEmbedder]:
    yield WordEmbedder()


@asynccontextmanager
async def _open_reranker(_settings: NoSettings, _context: OpenContext) -> AsyncIterator[WordReranker]:
    yield WordReranker()


@hookimpl
def memhost_models() -> Sequence[ModelSpec]:
    """Offer `scripted`, and `words` twice."""
    return [
        LanguageModelSpec(name="scripted", summary="Answers as a test says.", open=_open_model),
        EmbedderSpec(name="words", summary="Hashed bags of words.", open=_open_embedder),
        RerankerSpec(name="words", summary="Share of the query's words.", open=_open_reranker),
    ]
