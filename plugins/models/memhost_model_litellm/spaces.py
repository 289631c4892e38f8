"""Embedding models: their names, and how long their vectors are, without asking anybody."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from pathlib import Path

import msgspec

from memhost.errors import ConfigurationError
from memhost.logs import log

logger = logging.getLogger(__name__)

DIMENSIONS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
    "amazon.titan-embed-text-v1": 1536,
    "amazon.titan-embed-text-v2:0": 1024,
    "amazon.titan-embed-image-v1": 1024,
    "cohere.embed-english-v3": 1024,
    "cohere.embed-multilingual-v3": 1024,
    "embed-english-v3.0": 1024,
    "embed-english-light-v3.0": 384,
    "embed-multilingual-v3.0": 1024,
    "embed-multilingual-light-v3.0": 384,
    "mistral-embed": 1024,
    "codestral-embed": 1536,
    "gemini-embedding-001": 3072,
    "text-embedding-004": 768,
    "text-embedding-005": 768,
    "text-multilingual-embedding-002": 768,
    "voyage-3": 1024,
    "voyage-3-large": 1024,
    "voyage-3-lite": 512,
    "voyage-3.5": 1024,
    "voyage-3.5-lite": 1024,
    "jina-embeddings-v3": 1024,
    "nomic-embed-text": 768,
    "mxbai-embed-large": 1024,
    "all-minilm": 384,
    "all-MiniLM-L6-v2": 384,
    "bge-m3": 1024,
    "snowflake-arctic-embed": 1024,
    "embeddinggemma": 768,
}
"""Length of the vectors of well-known models, by name without the provider's."""


def canonical(model: str) -> str:
    """The name in LiteLLM's form with its provider, so that one model has one name.

    Raises:
        ConfigurationError: The name is missing, or is of a provider without embeddings.
    """
    if not model:
        raise ConfigurationError(
            "EMBEDDER=litellm needs a model; set EMBEDDING_MODEL, for instance to text-embedding-3-small."
        )
    if model.startswith(("anthropic/", "claude")):
        raise ConfigurationError(
            f"Anthropic has no embedding models, so EMBEDDING_MODEL={model} cannot be used; set it to another "
            "provider's (text-embedding-3-small, voyage/voyage-3.5), or to static, which needs no key."
        )
    if model.startswith(("amazon.titan-embed", "cohere.embed")):
        log(logger, logging.WARNING, "embedder.name", given=model, meant=f"bedrock/{model}")
        return f"bedrock/{model}"
    if model.startswith("text-embedding-") and model in DIMENSIONS and not model.startswith("text-embedding-00"):
        return f"openai/{model}"
    return model


class _Listed(msgspec.Struct):
    output_vector_size: float | None = None


def dimensions_of(model: str) -> int | None:
    """Length of the model's own vectors by the table or by LiteLLM's list, None if neither has it."""
    name = model.rpartition("/")[2]
    own = DIMENSIONS.get(name) or DIMENSIONS.get(name.partition(":")[0])
    if own is not None:
        return own
    listed = _list()
    found = listed.get(model) or listed.get(model.partition("/")[2])
    return int(found.output_vector_size) if found is not None and found.output_vector_size else None


def _list() -> dict[str, _Listed]:
    """LiteLLM's list of models, read from its file: its import would take seconds. Empty if it has none there."""
    package = find_spec("litellm")
    for folder in (package.submodule_search_locations or ()) if package is not None else ():
        file = Path(folder) / "model_prices_and_context_window_backup.json"
        try:
            return msgspec.json.decode(file.read_bytes(), type=dict[str, _Listed])
        except (OSError, msgspec.DecodeError):
            continue
    return {}
