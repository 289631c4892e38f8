import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from memhost import hookimpl
from memhost.ports import Completion
from memhost.specs import EmbedderSpec, LanguageModelSpec, ModelSpec, NoSettings, OpenContext, RerankerSpec


class WordHashes:
    """Texts that share words are near each other."""

    name, dimensions, local = "acme-words-1", 256, True

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        found = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in zip(found, texts, strict=True):
            for word in text.lower().split():
                row[zlib.crc32(word.encode()) % self.dimensions] += 1.0
            row /= max(float(np.linalg.norm(row)), 1e-9)
        return found

    async def aclose(self) -> None:
        pass


class Echo:
    """Answers with what it was asked last."""

    name = "acme-echo"

    async def complete(self, messages: Sequence[dict[str, Any]], **options: Any) -> Completion:
        return Completion(text=messages[-1]["content"], model=self.name)

    async def aclose(self) -> None:
        pass


class Overlap:
    """The share of the query's words that a text has."""

    name = "acme-overlap-1"

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        asked = set(query.lower().split())
        return [len(asked & set(text.lower().split())) / max(1, len(asked)) for text in texts]

    async def aclose(self) -> None:
        pass


@asynccontextmanager
async def open_words(settings: NoSettings, context: OpenContext) -> AsyncIterator[WordHashes]:
    yield WordHashes()


@asynccontextmanager
async def open_echo(settings: NoSettings, context: OpenContext) -> AsyncIterator[Echo]:
    yield Echo()


@asynccontextmanager
async def open_overlap(settings: NoSettings, context: OpenContext) -> AsyncIterator[Overlap]:
    yield Overlap()


@hookimpl
def memhost_models() -> Sequence[ModelSpec]:
    return [
        EmbedderSpec(name="acme-words", summary="Hashed words.", open=open_words),
        LanguageModelSpec(name="acme-echo", summary="Echoes.", open=open_echo),
        RerankerSpec(name="acme-overlap", summary="Words in common.", open=open_overlap),
    ]
