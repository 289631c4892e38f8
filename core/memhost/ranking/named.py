"""The speaker whom a query names: by the names that turns carry, or by whom turns greet."""

from __future__ import annotations

import re

import numpy as np

from memhost.ranking.columns import Columns
from memhost.ranking.types import Flags, Floats, Ints
from memhost.text.analysis import AnalysedQuery
from memhost.text.tokens import stem, tokenize
from memhost.text.words import GREETING_WORDS

_GREETINGS = sorted({stem(word) for word in GREETING_WORDS})
_WORD = re.compile(r"\w+")


def named_speakers(query: AnalysedQuery, columns: Columns) -> tuple[Floats, set[str]]:
    """Return 1 for each memory of the one speaker that the query names, and the stems of all speakers' names."""
    words = {number: columns.speaker_words(number) for number in _present(columns.speaker) if columns.speakers[number]}
    if not words:
        return _named_role(query, columns)
    asked = set(tokenize(query.text))
    named = [number for number, own in words.items() if not asked.isdisjoint(own)]
    stems = {each for own in words.values() for each in own.values()}
    found = np.zeros(len(columns))
    if len(named) != 1:
        return found, stems
    turn = columns.position >= 0
    found[turn & (columns.speaker == named[0])] = 1.0
    if not turn.all():
        for word in words[named[0]].values():
            found[~turn & columns.words.holding([word])] = 1.0
    return found, stems


def _present(numbers: Ints) -> list[int]:
    """The numbers that occur, from 0."""
    return np.flatnonzero(np.bincount(numbers + 1)[1:]).tolist()


def _named_role(query: AnalysedQuery, columns: Columns) -> tuple[Floats, set[str]]:
    """Tell from greetings which role a name in the query belongs to, where turns carry no speaker's name.

    A person who is greeted ("Hey Ana!") is not the speaker: a name greeted at least twice, and only by turns of one of
    two roles, is the other role's.
    """
    found = np.zeros(len(columns))
    if not query.names:
        return found, set()
    turn = columns.position >= 0
    roles = [number for number in _present(columns.role[turn]) if columns.roles[number]]
    if len(roles) != 2:
        return found, set()
    greeting = np.isin(columns.words.at(0), [columns.words.vocabulary.numbers.get(word, -2) for word in _GREETINGS])
    others: dict[str, int] = {}
    for name in query.names:
        by = columns.role[_greeting(columns, greeting, stem(name))]
        if len(by) > 1 and (by == by[0]).all() and by[0] in roles:
            others[name] = roles[1 - roles.index(by[0])]
    if len(set(others.values())) == 1:
        found[turn & (columns.role == next(iter(others.values())))] = 1.0
    return found, {stem(name) for name in others}


def _greeting(columns: Columns, greeting: Flags, name: str) -> Ints:
    """The rows that open by greeting somebody of that name, with a word between at most."""
    words = columns.words
    sought = words.vocabulary.numbers.get(name, -2)
    second = words.at(1)
    found = greeting & (second == sought)
    for row in np.flatnonzero(greeting & ~found & (words.at(2) == sought)).tolist():
        found[row] = _WORD.fullmatch(words.vocabulary.words[second[row]]) is not None
    return np.flatnonzero(found)
