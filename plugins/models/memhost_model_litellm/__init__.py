"""Model plugin `litellm`: language models, embedders and rerankers of many providers, by their LiteLLM names.

Neither loading nor opening the plugin imports LiteLLM (the one exception: an embedding model of unknown vector length
is asked for it); it is imported in a thread when the first call is made.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from memhost import hookimpl
from memhost.errors import ConfigurationError
from memhost.specs import EmbedderSpec, LanguageModelSpec, ModelSpec, OpenContext, RerankerSpec
from memhost_model_litellm.settings import LiteLLMSettings

if TYPE_CHECKING:
    from memhost_model_litellm.embedder import LiteLLMEmbedder
    from memhost_model_litellm.language import LiteLLMModel
    from memhost_model_litellm.reranker import LiteLLMReranker


@asynccontextmanager
async def open_language_model(settings: LiteLLMSettings, context: OpenContext) -> AsyncIterator[LiteLLMModel]:
    """Make the client; nothing is asked, and keys are not checked.

    Raises:
        ConfigurationError: No model is named.
        MissingExtra: LiteLLM is not installed.
    """
    from memhost_model_litellm import library
    from memhost_model_litellm.calls import Calls
    from memhost_model_litellm.language import LiteLLMModel

    library.require("The language model plugin litellm")
    if not context.model:
        raise ConfigurationError("LLM=litellm needs a model; set LLM_MODEL, for instance to openai/gpt-5-mini.")
    library.enter()
    model = LiteLLMModel(context.model, settings, Calls(settings, context.clock))
    try:
        yield model
    finally:
        await model.aclose()


@asynccontextmanager
async def open_embedder(settings: LiteLLMSettings, context: OpenContext) -> AsyncIterator[LiteLLMEmbedder]:
    """Make the client; a model whose vector length is unknown is asked for it.

    Raises:
        ConfigurationError: No model is named, it gives no embeddings, or its vector length cannot be learnt.
        MissingExtra: LiteLLM is not installed.
    """
    from memhost_model_litellm import library
    from memhost_model_litellm.calls import Calls
    from memhost_model_litellm.embedder import LiteLLMEmbedder
    from memhost_model_litellm.spaces import canonical, dimensions_of

    library.require("The embedding plugin litellm")
    model = canonical(context.model)
    own = dimensions_of(model)
    dimensions = settings.embedding_dimensions or own or settings.unknown_dimensions or 0
    shorten = own is not None and dimensions != own
    library.enter()
    calls = Calls(settings, context.clock)
    embedder = LiteLLMEmbedder(
        model=model, dimensions=dimensions, settings=settings, calls=calls, meter=context.meter, shorten=shorten
    )
    try:
        if not dimensions:
            await embedder.probe()
        yield embedder
    finally:
        await embedder.aclose()


@asynccontextmanager
async def open_reranker(settings: LiteLLMSettings, context: OpenContext) -> AsyncIterator[LiteLLMReranker]:
    """Make the client; nothing is asked, and keys are not checked.

    Raises:
        ConfigurationError: No model is named, or without its provider.
        MissingExtra: LiteLLM is not installed.
    """
    from memhost_model_litellm import library
    from memhost_model_litellm.calls import Calls
    from memhost_model_litellm.reranker import LiteLLMReranker

    library.require("The reranking plugin litellm")
    if "/" not in context.model:
        given = f"RERANKER={context.model or 'litellm'}"
        raise ConfigurationError(
            f"{given} needs a model with its provider; set RERANK_MODEL, for instance to cohere/rerank-v3.5."
        )
    library.enter()
    calls = Calls(settings, context.clock)
    reranker = LiteLLMReranker(name=context.model, settings=settings, calls=calls, meter=context.meter)
    try:
        yield reranker
    finally:
        await reranker.aclose()


@hookimpl
def memhost_models() -> Sequence[ModelSpec]:
    """Offer `litellm`, which opens any model of any provider."""
    return [
        LanguageModelSpec(
            name="litellm",
            summary="Language models of many providers, by their LiteLLM names (openai/gpt-5-mini, ollama/llama3).",
            open=open_language_model,
            settings=LiteLLMSettings,
            any_model=True,
        ),
        EmbedderSpec(
            name="litellm",
            summary="Embedding models of many providers, by their LiteLLM names (text-embedding-3-small).",
            open=open_embedder,
            settings=LiteLLMSettings,
            any_model=True,
        ),
        RerankerSpec(
            name="litellm",
            summary="Reranking models of many providers, by their LiteLLM names (cohere/rerank-v3.5).",
            open=open_reranker,
            settings=LiteLLMSettings,
            any_model=True,
        ),
    ]
