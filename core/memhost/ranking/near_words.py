"""English words that mean alike (`wed`: `bride`, `marriage`, `ceremony`), by their stems.

``tools/near_words.py`` makes the list from the word vectors of the embedder `static` and from WordNet, which keeps out
names, numbers, units, and words of which one excludes the other (hot and cold, uncle and cousin); NOTICE has the
licences of both. It is read when the first English query comes: 0.7 MB, about 10 ms.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType

_FLOOR = 0.3
"""Cosine of words that have nothing to do with each other: nearness is counted from there."""
_NOTHING: Mapping[str, float] = MappingProxyType({})


@lru_cache(maxsize=1024)
def near_words(stem: str) -> Mapping[str, float]:
    """Return the stems near in meaning to an English stem, each with its nearness, above 0 up to 1; most have some."""
    data, starts = _table()
    sought = stem.encode("utf-8", "surrogatepass")
    place = bisect_left(starts, sought, key=lambda start: data[start : data.index(b" ", start)])
    start = starts[place] if place < len(starts) else len(data)
    if not data.startswith(sought + b" ", start):
        return _NOTHING
    pairs = (each.split("=") for each in data[start : data.index(b"\n", start)].decode().split(" ")[1:])
    return MappingProxyType({near: (int(cosine) / 100.0 - _FLOOR) / (1.0 - _FLOOR) for near, cosine in pairs})


@cache
def _table() -> tuple[bytes, array[int]]:
    """The file, and where each of its lines begins: much smaller than a dict of them."""
    data = Path(__file__).with_suffix(".txt").read_bytes()
    return data, array("I", [0, *(match.end() for match in re.finditer(rb"\n(?=.)", data))])
