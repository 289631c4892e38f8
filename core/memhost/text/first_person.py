"""A question about a speaker, put as that speaker would: what they said of themselves says `I`, not their name.

An embedder of whole sentences puts "When did Ana visit Rome?" near to whatever mentions Ana, and "When did I visit
Rome?" near to "I was in Rome last week". English only: that is what it was measured on (docs/benchmarks.md).
"""

from __future__ import annotations

import re
from collections.abc import Collection

from memhost.text.analysis import AnalysedQuery
from memhost.text.languages import ENGLISH
from memhost.text.temporal.dates import QUOTED
from memhost.text.unicode_forms import fold
from memhost.text.words import SELF_WORDS, STOP_WORDS, word_set

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*['\u2019]?")
_POSSESSIVE = re.compile(r"['\u2019]s?$")
_ASKS = word_set(
    """
    what when where who whom whose which why how did does do is are was were has have had can could will would
    """
)
"""Words of which an English question has at least one; a short text whose language nobody can tell need not."""
_ADDRESSED = word_set(
    """
    you your yours youre youve youd youll yourself
    """
)
_NAMES_OTHERS = word_set(
    """
    named called name saint st like the a an my your his her their our
    """
)
"""Words in front of a name which is then not that of the speaker, or no name."""
_OBJECT = word_set(
    """
    to with for from about of by at than near behind beside around without on gave give told tell asked ask
    helped met meeting
    """
)
_BEFORE = {"does": "do", "is": "am", "has": "have", "are": "am"}
_AFTER = {"is": "am", "has": "have", "does": "do"}
_MOST = 1000  # characters of a question; what is longer is no question about one person


def possible_speakers(query: AnalysedQuery) -> tuple[str, ...]:
    """Return the words of the query, folded, that could name a speaker; none if it would not be put otherwise."""
    if query.language != ENGLISH or len(query.text) > _MOST:
        return ()
    words = [_base(match.group()) for match in _WORD.finditer(query.text)]
    plain = {word.replace("'", "") for word in words}
    if not plain & _ASKS or plain & SELF_WORDS or plain & _ADDRESSED:
        return ()
    cased = query.text != query.text.lower()
    found = (
        word
        for place, (match, word) in enumerate(zip(_WORD.finditer(query.text), words, strict=True))
        if len(word) > 1 and word not in STOP_WORDS and (match.group()[0].isupper() if cased or place == 0 else True)
    )
    return tuple(dict.fromkeys(found)) if cased else tuple(word for word in dict.fromkeys(found) if len(word) > 2)


def in_first_person(query: AnalysedQuery, speakers: Collection[str]) -> str:
    """The query as the one speaker would ask it whom it names; the query as it is if it names none, or several.

    Args:
        query: The question.
        speakers: Those of `possible_speakers` that are words of the name of somebody who speaks.
    """
    text = query.text
    tokens = list(_WORD.finditer(text))
    quoted = [match.span() for match in QUOTED.finditer(text)]
    named = [place for place, token in enumerate(tokens) if _base(token.group()) in speakers]
    if any(start < tokens[place].start() < end for place in named for start, end in quoted):
        return text
    mentions = _mentions(text, tokens, named)
    if not mentions or not _one_person([{_base(tokens[place].group()) for place in each} for each in mentions]):
        return text
    if any(_of_something_else(text, tokens, each) for each in mentions):
        return text
    changes: dict[int, str] = {}
    for each in mentions:
        changes |= _changes(text, tokens, each)
    out, end = [], 0
    for place, word in sorted(changes.items()):
        token = tokens[place]
        out += [text[end : token.start()].rstrip() if not word else text[end : token.start()], word]
        end = token.end()
    return "".join([*out, text[end:]])


def _base(word: str) -> str:
    """The word folded, without the ending of a possessive."""
    return fold(_POSSESSIVE.sub("", word)).replace("\u2019", "'")


def _mentions(text: str, tokens: list[re.Match[str]], named: list[int]) -> list[list[int]]:
    """Places of names, those side by side together: first name and surname."""
    found: list[list[int]] = []
    for place in named:
        if found and found[-1][-1] == place - 1 and _beside(text, tokens, place - 1):
            found[-1].append(place)
        else:
            found.append([place])
    return found


def _beside(text: str, tokens: list[re.Match[str]], place: int) -> bool:
    """Tell whether only blanks are between this word and the next."""
    return text[tokens[place].end() : tokens[place + 1].start()].isspace()


def _one_person(mentions: list[set[str]]) -> bool:
    longest = max(mentions, key=len)
    return all(each <= longest for each in mentions)


def _of_something_else(text: str, tokens: list[re.Match[str]], mention: list[int]) -> bool:
    """Tell whether a name is part of a longer one (Caroline Islands, Lake Caroline), or not used as a name."""
    first, last = mention[0], mention[-1]
    if first > 0 and _beside(text, tokens, first - 1):
        before = tokens[first - 1].group()
        if fold(before) in _NAMES_OTHERS or (first > 1 and before[0].isupper()):
            return True
    if last + 1 < len(tokens) and _beside(text, tokens, last):
        return tokens[last + 1].group()[0].isupper() and not _POSSESSIVE.search(tokens[last].group())
    return False


def _changes(text: str, tokens: list[re.Match[str]], mention: list[int]) -> dict[int, str]:
    """New words by place: the pronoun, and forms of the verb beside it."""
    first, last = mention[0], mention[-1]
    found = dict.fromkeys(mention, "")
    before = fold(tokens[first - 1].group()) if first else ""
    if _POSSESSIVE.search(tokens[last].group()):
        return found | {first: "my"}
    if before in _OBJECT:
        return found | {first: "me"}
    if before in _BEFORE:
        found[first - 1] = _BEFORE[before] if tokens[first - 1].group()[0].islower() else _BEFORE[before].title()
    elif last + 1 < len(tokens) and fold(tokens[last + 1].group()) in _AFTER:
        found[last + 1] = _AFTER[fold(tokens[last + 1].group())]
    return found | {first: "I"}
