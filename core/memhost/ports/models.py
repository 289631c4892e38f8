"""The ports of models: embedders, language models and rerankers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec
import numpy as np
import numpy.typing as npt


class ModelUse(msgspec.Struct, frozen=True, kw_only=True):
    """One request to a provider, as it is metered.

    Attributes:
        model: The model that answered.
        input_tokens: Tokens sent, counted by the provider where it tells.
        output_tokens: Tokens of the answer.
        cost_usd: Price in US dollars; None if it is not known.
        failed: The provider did not answer.
        seconds: Time until the answer; None if it was not measured.
        purpose: What it was for; empty for embeddings.
    """

    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    failed: bool = False
    seconds: float | None = None
    purpose: str = ""


Meter = Callable[[ModelUse], None]
"""Takes note of a request to a provider; called on the event loop, never blocks or raises."""


class Embedder(Protocol):
    """Turns texts into vectors.

    Attributes:
        name: Identity of the vector space, with its version; vectors of different names are never compared.
        dimensions: Length of each vector.
        local: True if embedding needs no network; then memories are embedded inside the write that stores them,
            otherwise in a background job right after it.
    """

    name: str
    dimensions: int
    local: bool

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of the texts: float32, shape (len(texts), dimensions), rows of unit length.

        A text without any known token gives a row of zeros. The work runs off the event loop. An embedder that is
        not local tells `OpenContext.meter` of each request it makes.

        Raises:
            ModelUnavailable: The provider does not answer.
            ModelRefused: The provider does not take one of the texts. The server then asks for the others without it,
                and for that one in passages.
        """
        ...

    async def aclose(self) -> None:
        """Release connections and memory."""
        ...


@runtime_checkable
class Vocabulary(Protocol):
    """An optional ability of an embedder: to tell whether it knows words at all.

    An embedder of whole sentences need not; one that adds up the vectors of words gives noise for words that it
    spells out of fragments, and a search that nothing else supports then says that nothing fits.
    """

    def knows_any(self, words: Sequence[str]) -> bool:
        """Tell whether at least one of the words has a meaning of its own to the embedder."""
        ...


@runtime_checkable
class LanguageBound(Protocol):
    """An optional declaration of an embedder: it knows some languages only.

    The ranking then uses its vectors only for queries in these; for others the distances of such an embedder are noise
    that pulls answers down.

    Attributes:
        languages: ISO 639-1 codes.
    """

    languages: frozenset[str]


@runtime_checkable
class SentenceReader(Protocol):
    """An optional declaration of an embedder: it reads whole sentences, and not bags of words.

    Searches by the whole pipeline then embed the question itself. One that names a single known speaker is put in the
    first person ("When did Ana visit Rome?" as "When did I visit Rome?"), as speakers tell of themselves. The weights
    of the vectors get factors (`RankingWeights.sentences`). Without the declaration a local embedder gets the words of
    a query that carry its topic, another one the question as asked.

    Attributes:
        reads_sentences: Always true.
    """

    reads_sentences: Literal[True]


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of a language model, with what it cost in tokens and US dollars (None: the price is not known).

    `cut` tells that the answer ran into its limit: `answer` if its text ends there, `thinking` if the model spent the
    limit on thinking and gave no text.
    """

    text: str
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    cut: Literal["", "answer", "thinking"] = ""


@runtime_checkable
class SelfChecking(Protocol):
    """A language model that can tell, without asking its provider, why it could not work."""

    async def problems(self, model: str) -> list[str]:
        """Return the problems of the configuration for that model, a sentence each that says what to do."""
        ...


class LanguageModel(Protocol):
    """Completes chat messages.

    Attributes:
        name: The model used where a call names none.
    """

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
            ModelRefused: The provider or the model declines this content; asking again changes nothing.
            BudgetExceeded: A budget of the operator is used up; no call was made.
        """
        ...

    async def aclose(self) -> None:
        """Release connections."""
        ...


class Reranker(Protocol):
    """Reads a query together with the texts that a search found, and tells how well each answers it.

    It sees the best candidates of the pipeline (`RERANK_POOL`), not the page, so the first page may hold what the
    pipeline ranked far below. Without its answer, searches keep the order of the pipeline.

    Attributes:
        name: The model, for messages and metrics.
    """

    name: str

    async def rerank(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """A score for each text, in the order of the texts: 0 (does not answer the query) to 1 (answers it).

        A text's score does not depend on the others: pages of one search are asked for apart. The work runs off the
        event loop. A reranker behind a network tells `OpenContext.meter` of each request it makes.

        Raises:
            ModelUnavailable: The provider does not answer.
            ModelRefused: The provider does not take the query or one of the texts.
        """
        ...

    async def aclose(self) -> None:
        """Release connections and memory."""
        ...
