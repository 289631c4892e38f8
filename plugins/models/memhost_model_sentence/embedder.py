"""The base of both sentence embedders: threads, a limit of characters, rows of unit length."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from memhost.errors import ConfigurationError

_AT_ONCE = 8
"""Texts that a thread embeds before other requests have their turn."""
_MOST_THREADS = 4

Vectors = npt.NDArray[np.float32]
Encode = Callable[[Sequence[str]], Vectors]
"""Vectors of texts, shape (texts, dimensions); called from several threads at once."""


class SentenceEmbedder:
    """Embeds texts with a model of whole sentences; safe to use from several tasks.

    Attributes:
        name: name and version of the model, kept with every vector that it made.
        dimensions: length of a vector.
        local: always true: no text leaves the process.
        reads_sentences: always true: queries come as questions, not as words.
        languages: ISO 639-1 codes of those that the model knows.
    """

    local = True
    reads_sentences: Literal[True] = True

    def __init__(self, *, name: str, dimensions: int, languages: frozenset[str], reads: int, encode: Encode) -> None:
        """Take over a loaded model.

        Args:
            name: Identity of the vector space.
            dimensions: Length of a vector.
            languages: ISO 639-1 codes.
            reads: Characters that count; the rest of a longer text is left out. The mean of the vectors of passages
                was measured instead, and finds less (docs/benchmarks.md).
            encode: The model.
        """
        self.name = name
        self.dimensions = dimensions
        self.languages = languages
        self._reads = reads
        self._encode = encode
        workers = max(1, min(_MOST_THREADS, os.cpu_count() or 1))
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="sentences")

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of the texts.

        Returns:
            float32, shape ``(len(texts), dimensions)``, each row of length one; a blank text gives a row of zeros.
        """
        loop = asyncio.get_running_loop()
        rows = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        # One share after the other: a large write leaves threads to the searches beside it, and can be cancelled.
        for start in range(0, len(texts), _AT_ONCE):
            share = texts[start : start + _AT_ONCE]
            rows[start : start + len(share)] = await loop.run_in_executor(self._threads, self.embed_now, share)
        return rows

    async def aclose(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def embed_now(self, texts: Sequence[str]) -> Vectors:
        """Do what :meth:`embed` does, in the calling thread."""
        rows = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        begun = [text[: self._reads] for text in texts]
        filled = [place for place, text in enumerate(begun) if text.strip()]
        if filled:
            rows[filled] = self._encode([begun[place] for place in filled])
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / np.maximum(lengths, 1e-12), dtype=np.float32)


def verify(path: Path, sha256: str, package: str) -> None:
    """Compare a file of a package with the one that was measured.

    Raises:
        ConfigurationError: It is missing, or another one: its vectors would be others under the same name.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigurationError(f"{path} of {package} cannot be read: {error}. Reinstall {package}.") from error
    if found != sha256:
        raise ConfigurationError(
            f"{path} has SHA-256 {found}, not {sha256}: it was damaged, or {package} carries another model now."
            f" Install the version of {package} that memhost's extras ask for."
        )
