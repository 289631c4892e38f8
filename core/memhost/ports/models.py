"""The ports of models: embedders and language models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt


class Embedder(Protocol):
    """Turns texts into vectors.

    Attributes:
        name: Identity of the vector space, with its version; vectors of different names are never compared.
        dimensions: Length of each vector.
        local: True if embedding needs no network; then memories are embedded inside the write that stores them.
    """

    name: str
    dimensions: int
    local: bool

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of the texts: float32, shape (len(texts), dimensions), rows of unit length.

        A text without any known token gives a row of zeros. The work runs off the event loop.

        Raises:
            ModelUnavailable: The provider does not answer.
        """
        ...

    async def aclose(self) -> None:
        """Release connections and memory."""
        ...


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of a language model, with what it cost in tokens."""

    text: str
    model: str
    input_tokens: int = 0
    output_tokens: int = 0


class LanguageModel(Protocol):
    """Completes chat messages."""

    name: str

    async def complete(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        model: str | None = None,
        purpose: str = "plugin",
        schema: dict[str, Any] | None = None,
        max_tokens: int | None = None,
    ) -> Completion:
        """The model's answer to `messages` (`role` and `content` each).

        Args:
            messages: The conversation, oldest first.
            model: Another model than the configured one.
            purpose: What the call is for, used in metering.
            schema: JSON schema that the answer must obey, where the provider can enforce it.
            max_tokens: Upper bound of the answer.

        Raises:
            ModelUnavailable: The provider does not answer, or refuses for its limits.
        """
        ...

    async def aclose(self) -> None:
        """Release connections."""
        ...
