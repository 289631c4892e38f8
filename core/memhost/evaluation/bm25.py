"""Plain BM25 over the turns of a conversation: the floor that a server has to beat.

It shares nothing with the server's own analysis, so that its figures stay when that changes.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import snowballstemmer

K1 = 1.2
B = 0.75
"""The usual parameters (Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009, section 3.3)."""

_STEMMERS = {
    "ar": "arabic", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish", "fi": "finnish",
    "fr": "french", "hi": "hindi", "hu": "hungarian", "it": "italian", "nl": "dutch", "no": "norwegian",
    "pt": "portuguese", "ro": "romanian", "ru": "russian", "sv": "swedish", "tr": "turkish",
}  # fmt: skip
# Thai and Lao, kana, Han and Hangul are cut into pairs of characters; words of other scripts are stemmed.
_UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"
_WORD = re.compile(f"[{_UNSPACED}]+|(?:(?![{_UNSPACED}])[\\w\u0900-\u0963])+")


def terms(text: str, language: str) -> list[str]:
    """Stems of the words in order; texts in scripts without spaces give pairs of characters."""
    found: list[str] = []
    for word in _WORD.findall(text.lower()):
        if re.match(f"[{_UNSPACED}]", word):
            found += [word[place : place + 2] for place in range(len(word) - 1)] or [word]
        else:
            found.append(word)
    name = _STEMMERS.get(language.partition("-")[0].lower())
    return list(snowballstemmer.stemmer(name).stemWords(found)) if name else found


def bm25(texts: Sequence[str], queries: Sequence[str], language: str, most: int = 100) -> Iterator[list[int]]:
    """For each query the places of at most `most` texts that share a word with it, best first."""
    documents = [terms(text, language) for text in texts]
    lengths = np.array([len(document) for document in documents], dtype=np.float64)
    norm = K1 * (1 - B + B * lengths / max(1.0, float(lengths.mean())))
    postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for place, document in enumerate(documents):
        for term, count in Counter(document).items():
            postings[term].append((place, count))
    for query in queries:
        score = np.zeros(len(documents))
        for term in sorted(set(terms(query, language))):
            held = postings.get(term, [])
            rarity = math.log1p((len(documents) - len(held) + 0.5) / (len(held) + 0.5))
            for place, count in held:
                score[place] += rarity * count * (K1 + 1) / (count + norm[place])
        yield [int(place) for place in np.argsort(-score, kind="stable")[:most] if score[place] > 0]
