"""Embedder `static`: word vectors shipped in the package; no key, no download, no network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING

from memhost import hookimpl
from memhost.specs import EmbedderSpec, NoSettings, OpenContext

if TYPE_CHECKING:
    from memhost_model_static.embedder import StaticEmbedder


@cache
def _loaded() -> StaticEmbedder:
    """The model, loaded once; hosts of one process can share it, since it keeps nothing of what it embeds."""
    from memhost_model_static.embedder import StaticEmbedder

    return StaticEmbedder()


@asynccontextmanager
async def open_static(_settings: NoSettings, _context: OpenContext) -> AsyncIterator[StaticEmbedder]:
    """Load the weights, the first time."""
    yield _loaded()


@hookimpl
def memhost_models() -> Sequence[EmbedderSpec]:
    """Offer `static`."""
    return [
        EmbedderSpec(
            name="static",
            summary="model2vec word vectors distilled from all-MiniLM-L6-v2, 256 dimensions, on the CPU.",
            open=open_static,
        )
    ]
