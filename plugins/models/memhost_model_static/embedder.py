"""The static embedder: token vectors from a table, averaged; no key, no download, no model to run.

A text's vector is the mean of its tokens' vectors, scaled to length one (model2vec, https://github.com/MinishLab/model2vec).
The table was distilled from all-MiniLM-L6-v2 by ``tools/distill_static.py`` and is shipped beside this module. It is
memory-mapped as int8; only the rows of the tokens at hand are turned into floats, so the process pays for the pages
that it touches.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain, pairwise
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from memhost_model_static.tokens import Tokens

WEIGHTS = Path(__file__).parent / "weights"
"""Folder of the shipped model."""

MAX_TOKENS = 2048
"""Tokens of a text that count; the rest of a longer text is left out of its vector."""

_INLINE_TEXTS, _INLINE_CHARACTERS = 4, 1000
"""Texts, and characters of all of them, that take about as long as handing them to a thread: 0.1 ms."""
_MEANING = 4  # letters from which on a part of a word carries meaning
_CHUNK_TOKENS = 16384  # rows turned into floats at a time: 16 MiB at 256 dimensions

Vectors = npt.NDArray[np.float32]


class ModelFileError(RuntimeError):
    """A file of the model is missing or is not the file that was shipped."""


class _File(msgspec.Struct, frozen=True):
    sha256: str
    bytes: int


class _Manifest(msgspec.Struct, frozen=True):
    name: str
    dimensions: int
    tokens: int
    files: dict[str, _File]


class StaticEmbedder:
    """Embeds texts with the model in ``folder``; safe to use from several tasks and threads.

    Attributes:
        name: name and version of the model, kept with every vector that it made.
        dimensions: length of a vector.
        local: always true: no text leaves the process.
        languages: English alone.
    """

    local = True
    languages = frozenset({"en"})
    """Those of the model that the table was distilled from."""

    def __init__(self, folder: Path = WEIGHTS, *, verify: bool = True) -> None:
        """Load the model (about 50 ms).

        Args:
            folder: where ``MANIFEST.json`` and the files that it lists are.
            verify: compare the files' SHA-256 with the manifest (about 10 ms of it).

        Raises:
            ModelFileError: a file is missing or differs; the message names it.
        """
        manifest = _read_manifest(folder)
        if verify:
            _verify(folder, manifest)
        self.name = manifest.name
        self.dimensions = manifest.dimensions
        self._rows: npt.NDArray[np.int8] = np.load(folder / "embeddings.npy", mmap_mode="r", allow_pickle=False)
        self._scales: Vectors = np.load(folder / "rows.npy", allow_pickle=False)[0]
        if self._rows.shape != (manifest.tokens, manifest.dimensions) or self._scales.shape != (manifest.tokens,):
            raise ModelFileError(f"{folder / 'embeddings.npy'} does not have the shape that MANIFEST.json gives.")
        self._tokens = Tokens(folder)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors of ``texts``.

        Returns:
            float32, shape ``(len(texts), dimensions)``, each row of length one; a text without a known token (an empty
            one, for instance) gives a row of zeros. The same text always gives the same row, whatever texts are beside
            it.
        """
        if len(texts) <= _INLINE_TEXTS and sum(map(len, texts)) <= _INLINE_CHARACTERS:
            return self.embed_now(texts)
        return await asyncio.to_thread(self.embed_now, texts)

    def knows_any(self, words: Sequence[str]) -> bool:
        """Tell whether a word is in the vocabulary, or mostly made of parts of four or more letters.

        The vectors of shorter parts are those of any word that holds them: their sum means nothing.
        """
        return any(self._knows(word) for word in words)

    def _knows(self, word: str) -> bool:
        tokens = self._tokens.ids(word, MAX_TOKENS)
        if not tokens or self._tokens.unknown in tokens:
            return False
        sizes = [self._tokens.letters(token) for token in tokens]
        return (len(sizes) == 1 and sizes[0] > 1) or 2 * sum(size for size in sizes if size >= _MEANING) >= sum(sizes)

    async def aclose(self) -> None:
        """Do nothing: the mapped file goes with the object."""

    def embed_now(self, texts: Sequence[str]) -> Vectors:
        """Do what :meth:`embed` does, in the calling thread."""
        out: Vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for start, lists in self._token_ids(texts):
            filled = [i for i, ids in enumerate(lists) if ids]
            if not filled:
                continue
            ends = [*accumulate(len(lists[i]) for i in filled)]
            ids = np.fromiter(chain.from_iterable(lists), dtype=np.int64, count=ends[-1])
            vectors = self._rows[ids] * self._scales[ids, None]
            # Text by text: `np.add.reduceat` goes down each column by itself, and takes ten times as long.
            sums = np.empty((len(filled), self.dimensions), dtype=np.float32)
            for row, (first, end) in enumerate(pairwise((0, *ends))):
                np.add.reduce(vectors[first:end], axis=0, out=sums[row])
            norms = np.linalg.norm(sums, axis=1, keepdims=True)
            out[start + np.asarray(filled)] = sums / np.maximum(norms, 1e-12)
        return out

    def _token_ids(self, texts: Sequence[str]) -> Iterator[tuple[int, list[list[int]]]]:
        """Yield (index of the first text, token ids of each text) for runs of at most about 16,384 tokens."""
        begin, batch, total = 0, list[list[int]](), 0
        unknown = self._tokens.unknown
        for place, text in enumerate(texts):
            ids = [token for token in self._tokens.ids(text, MAX_TOKENS) if token != unknown]
            if batch and total + len(ids) > _CHUNK_TOKENS:
                yield begin, batch
                begin, batch, total = place, [], 0
            batch.append(ids)
            total += len(ids)
        if batch:
            yield begin, batch


def _read_manifest(folder: Path) -> _Manifest:
    path = folder / "MANIFEST.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise ModelFileError(
            f"The static model's manifest {path} cannot be read: {error}. Reinstall memhost."
        ) from error


def _verify(folder: Path, manifest: _Manifest) -> None:
    for name, expected in manifest.files.items():
        path = folder / name
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ModelFileError(
                f"The static model's file {path} cannot be read: {error}. Reinstall memhost."
            ) from error
        if found != expected.sha256:
            raise ModelFileError(
                f"The static model's file {path} has SHA-256 {found}, not {expected.sha256}: it was damaged or"
                " replaced. Reinstall memhost."
            )
