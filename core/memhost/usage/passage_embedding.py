"""Vectors of texts that an embedder behind a network does not take as they are: too long, or declined."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from memhost.errors import ModelRefused
from memhost.ports import Embedder
from memhost.text.passages import passages
from memhost.usage.wrapped_embedder import WrappedEmbedder

if TYPE_CHECKING:
    import numpy.typing as npt

logger = logging.getLogger(__name__)

SHORTEST = 200
"""Letters of a passage that no embedder is asked to take in parts: if it declines so few, it is for what they say."""

MAX_PASSAGES = 256
"""Passages of one text that are embedded; later ones do not count in its vector."""


class PassageEmbedder(WrappedEmbedder):
    """An embedder that divides what is too long for it, and keeps one text from costing the others their vectors.

    A text that it declines is embedded in passages; its vector is their mean, weighed by length and brought to unit
    length. A text that it declines even in short passages gets zeros, which are near to nothing, if the request has
    other texts: it is found by its words.
    """

    def __init__(self, embedder: Embedder) -> None:
        super().__init__(embedder)
        self._taken = 0  # letters of the longest passage of a declined text that it took; 0 before any

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of the texts; see `memhost.ports.Embedder`.

        Raises:
            ModelRefused: It declines the only text also in passages.
            ModelUnavailable: The provider does not answer.
        """
        try:
            return await self._embedder.embed(texts)
        except ModelRefused:
            if len(texts) == 1:
                return (await self._in_passages(texts[0])).reshape(1, self.dimensions)
        rows = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        # By length, so that those that are too long come together and the others cost few requests.
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        await self._halves(texts, order, rows)
        return rows

    async def _halves(self, texts: Sequence[str], indices: Sequence[int], rows: npt.NDArray[np.float32]) -> None:
        half = len(indices) // 2
        for part in (indices[:half], indices[half:]):
            try:
                rows[part] = await self._embedder.embed([texts[index] for index in part])
            except ModelRefused as error:
                if len(part) > 1:
                    await self._halves(texts, part, rows)
                    continue
                try:
                    rows[part[0]] = await self._in_passages(texts[part[0]])
                except ModelRefused:
                    logger.warning("embedding.refused", extra={"fields": {"error": error.message}})

    async def _in_passages(self, text: str) -> npt.NDArray[np.float32]:
        """The mean of the vectors of its passages, the longest that the embedder takes.

        Raises:
            ModelRefused: It does not take short ones either.
        """
        letters = self._taken if 0 < self._taken < len(text) else -(-len(text) // 2)
        while True:
            parts = passages(text, max(letters, SHORTEST))[:MAX_PASSAGES]
            try:
                rows = await self._embedder.embed(parts)
            except ModelRefused:
                if letters <= SHORTEST:
                    raise
                letters //= 2
                continue
            self._taken = max(letters, SHORTEST)
            weights = np.array([len(part) for part in parts], dtype=np.float32)
            mean = weights @ np.asarray(rows, dtype=np.float32)
            return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32)
