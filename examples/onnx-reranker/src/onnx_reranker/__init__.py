"""Reranks searches with a cross-encoder on this machine, through ONNX Runtime."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from memhost import hookimpl
from memhost.errors import ConfigurationError
from memhost.ports import Reranker
from memhost.specs import ModelSpec, OpenContext, RerankerSpec


class OnnxSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an operator may set: [models.onnx] in memhost.toml."""

    folder: Annotated[str, Meta(description="Folder with model.onnx and tokenizer.json of a cross-encoder.")] = ""
    tokens: Annotated[int, Meta(ge=16, le=8192, description="Tokens of query and text that the model reads.")] = 512
    batch: Annotated[int, Meta(ge=1, le=256, description="Texts in one run of the model.")] = 16
    threads: Annotated[int, Meta(ge=0, le=256, description="Threads of a run; 0 leaves it to ONNX Runtime.")] = 0


@asynccontextmanager
async def open_onnx(settings: OnnxSettings, context: OpenContext) -> AsyncIterator[Reranker]:
    """Load the model; nothing is downloaded.

    Raises:
        ConfigurationError: The folder lacks one of the files.
    """
    folder = Path(settings.folder)
    missing = [name for name in ("model.onnx", "tokenizer.json") if not (folder / name).is_file()]
    if not settings.folder or missing:
        raise ConfigurationError(
            "RERANKER=onnx needs the folder of a cross-encoder with model.onnx and tokenizer.json; set ONNX_FOLDER"
            + (f" ({folder} lacks {' and '.join(missing)})." if settings.folder else ".")
        )
    from onnx_reranker.model import CrossEncoder  # imports ONNX Runtime

    model = CrossEncoder(folder, settings)
    try:
        yield model
    finally:
        await model.aclose()


@hookimpl
def memhost_models() -> Sequence[ModelSpec]:
    """Offer `onnx`: RERANKER=onnx."""
    return [
        RerankerSpec(
            name="onnx",
            summary="A cross-encoder on this machine, through ONNX Runtime.",
            open=open_onnx,
            settings=OnnxSettings,
        )
    ]
