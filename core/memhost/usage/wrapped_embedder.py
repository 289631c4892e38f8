"""An embedder around another one, which shows through it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from memhost.ports import Embedder

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class WrappedEmbedder:
    """The base of embedders that do something about another one; whatever else that one has shows through."""

    def __init__(self, embedder: Embedder) -> None:
        self.name = embedder.name
        self.dimensions = embedder.dimensions
        self.local = embedder.local
        self._embedder = embedder
        # Optional protocols (`memhost.ports.Vocabulary`) look at attributes that are really there.
        vars(self).update({name: getattr(embedder, name) for name in dir(embedder) if _is_more(name)})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._embedder, name)

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of the texts; see `memhost.ports.Embedder`."""
        return await self._embedder.embed(texts)

    async def aclose(self) -> None:
        """Release what the embedder holds."""
        await self._embedder.aclose()


def _is_more(name: str) -> bool:
    return not name.startswith("_") and name not in ("name", "dimensions", "local", "embed", "aclose")
