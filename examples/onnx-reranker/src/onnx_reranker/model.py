"""The cross-encoder: query and text as one input, one number out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

if TYPE_CHECKING:
    from onnx_reranker import OnnxSettings


class CrossEncoder:
    """Scores pairs in a thread of its own, so that one search does not take all cores from the next."""

    def __init__(self, folder: Path, settings: OnnxSettings) -> None:
        self.name = f"onnx:{folder.name}"
        self._batch = settings.batch
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = settings.threads
        self._session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {each.name for each in self._session.get_inputs()}
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(settings.tokens, strategy="longest_first")
        self._tokenizer.enable_padding()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="onnx-reranker")

    async def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """A score from 0 to 1 for each text."""
        loop = asyncio.get_running_loop()
        scores: list[float] = []
        # One batch after the other: a search whose time is up is cancelled between two of them.
        for start in range(0, len(texts), self._batch):
            pairs = [(query, text) for text in texts[start : start + self._batch]]
            scores += await loop.run_in_executor(self._thread, self._run, pairs)
        return scores

    async def aclose(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _run(self, pairs: list[tuple[str, str]]) -> list[float]:
        encoded = self._tokenizer.encode_batch(pairs)
        given: dict[str, Any] = {
            "input_ids": [each.ids for each in encoded],
            "attention_mask": [each.attention_mask for each in encoded],
            "token_type_ids": [each.type_ids for each in encoded],
        }
        feed = {name: np.asarray(rows, dtype=np.int64) for name, rows in given.items() if name in self._inputs}
        (logits, *_) = self._session.run(None, feed)
        return probabilities(np.asarray(logits, dtype=np.float64)).tolist()


def probabilities(logits: np.ndarray) -> np.ndarray:
    """One probability a row: of a single logit its logistic, of two (no, yes) the softmax of the second."""
    rows = logits.reshape(len(logits), -1)
    if rows.shape[1] > 2:
        raise ValueError(f"the model gives {rows.shape[1]} numbers for a pair; a cross-encoder gives one or two")
    margin = rows[:, 0] if rows.shape[1] == 1 else rows[:, 1] - rows[:, 0]
    return 1.0 / (1.0 + np.exp(-np.clip(margin, -60.0, 60.0)))
