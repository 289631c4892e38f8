"""English words that mean alike (`wed`: `bride`, `marriage`, `ceremony`), by their stems.

``tools/near_words.py`` makes the list from the word vectors of the embedder `static` and from WordNet, which keeps out
names, numbers, units, and words of which one excludes the other (hot and cold, uncle and cousin). It is read when the
first English query comes: 0.7 MB, about 10 ms.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType

_FLOOR = 0.3
"""Cosine of words that have nothing to do with each other: nearness is counted from there."""
_NOTHING: Mapping[str, float] = MappingProxyType({})


def near_words(stem: str) -> Mapping[str, float]:
    """Return the stems near in meaning to an English stem, each with its nearness, above 0 up to 1; most have some."""
    line = _lines().get(stem)
    return _NOTHING if line is None else _read(line)


@lru_cache(maxsize=1024)
def _read(line: str) -> Mapping[str, float]:
    pairs = (each.split("=") for each in line.split(" "))
    return MappingProxyType({stem: (int(cosine) / 100.0 - _FLOOR) / (1.0 - _FLOOR) for stem, cosine in pairs})


@cache
def _lines() -> Mapping[str, str]:
    text = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8")
    return dict(line.split(" ", 1) for line in text.splitlines())
