"""Settings of all models, in the section `models.litellm`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from memhost.settings import Secret, setting

Effort = Literal["", "none", "minimal", "low", "medium", "high"]
"""Words for how much a model thinks, as LiteLLM takes them; empty: as it does by itself."""

Purpose = Literal["extraction", "repair", "summary", "view", "dedup", "enrichment", "query", "plugin"]
"""Purposes of calls, as the host names them."""


class LiteLLMSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Calls of models; keys and addresses of providers are in the environment, under the providers' names."""

    timeout_seconds: Annotated[
        float, setting("Time limit of one try of a model call, seconds.", env=("LLM_TIMEOUT_SECONDS",), gt=0)
    ] = 60.0
    max_concurrency: Annotated[
        int, setting("Most model calls at once in a process.", env=("LLM_MAX_CONCURRENCY",), ge=1)
    ] = 8
    max_wait_seconds: Annotated[
        float,
        setting(
            "Longest wait before a failed call is tried again, seconds; a provider that asks for more counts as "
            "unavailable at once.",
            env=("LLM_MAX_WAIT_SECONDS",),
            ge=0,
        ),
    ] = 20.0
    temperature: Annotated[
        float,
        setting("Temperature of language models, where the model takes one.", env=("LLM_TEMPERATURE",), ge=0, le=2),
    ] = 0.0
    reasoning_effort: Annotated[
        Effort,
        setting(
            "How much models that reason may think before they answer, where the model takes that; empty leaves it to "
            "the model.",
            env=("LLM_REASONING_EFFORT",),
        ),
    ] = ""
    reasoning_efforts: Annotated[
        dict[Purpose, Effort],
        setting("The same for calls of one purpose, where it differs.", env=("LLM_REASONING_EFFORTS",)),
    ] = {}
    reasoning_tokens: Annotated[
        int,
        setting(
            "Tokens by which the limit of an answer grows for models that reason, as room to think.",
            env=("LLM_REASONING_TOKENS",),
            ge=0,
        ),
    ] = 4000
    structured_output: Annotated[
        Literal["auto", "schema", "json", "off"],
        setting(
            "How answers of a known form are asked for: bound to their schema, as any JSON, or by the prompt alone; "
            "auto is the first of these that the model takes.",
            env=("LLM_STRUCTURED_OUTPUT",),
        ),
    ] = "auto"
    fallbacks: Annotated[
        tuple[str, ...],
        setting("Language models to try in this order while the first is unavailable.", env=("GENERATION_FALLBACKS",)),
    ] = ()
    aws_region: Annotated[
        str, setting("Region of Bedrock; empty leaves it to AWS_REGION_NAME and AWS_REGION.", env=("REGION_NAME",))
    ] = ""
    embedding_dimensions: (
        Annotated[
            int,
            setting(
                "Vector length; models that can shorten their vectors are asked for it. Unset: the model's own.",
                env=("EMBEDDING_DIMENSIONS",),
                ge=1,
            ),
        ]
        | None
    ) = None
    unknown_dimensions: (
        Annotated[
            int,
            setting(
                "Vector length of embedding models whose length is not known, where embedding_dimensions is unset.",
                env=("REDISVL_VECTOR_DIMENSIONS",),
                ge=1,
            ),
        ]
        | None
    ) = None
    embedding_api_key: Annotated[
        Secret, setting("Key for embeddings alone, instead of the provider's.", env=("EMBEDDING_API_KEY",))
    ] = Secret("")
    embedding_api_base: Annotated[
        str, setting("Address for embeddings alone, instead of the provider's.", env=("EMBEDDING_API_BASE",))
    ] = ""
    embedding_batch_size: Annotated[
        int, setting("Most texts in one embedding request.", env=("EMBEDDING_BATCH_SIZE",), ge=1, le=2048)
    ] = 128
    embedding_cache_size: Annotated[
        int, setting("Vectors kept in memory by their text; 0 keeps none.", env=("EMBEDDING_CACHE_SIZE",), ge=0)
    ] = 10_000
    rerank_api_key: Annotated[
        Secret, setting("Key for reranking alone, instead of the provider's.", env=("RERANK_API_KEY",))
    ] = Secret("")
    rerank_api_base: Annotated[
        str, setting("Address for reranking alone, instead of the provider's.", env=("RERANK_API_BASE",))
    ] = ""
