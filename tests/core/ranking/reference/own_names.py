"""Names of the user whose memories are searched: `What does Mia drink?` means `User drinks black coffee`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from memhost.ranking.own_names import _NAMING, _SPEAKS_OF_USER, _START, _SUBJECT
from memhost.ranking.types import Candidate, Floats
from memhost.text.analysis import AnalysedQuery
from memhost.text.speakers import is_user
from memhost.text.tokens import tokenize
from memhost.text.unicode_forms import fold


def own_subjects(query: AnalysedQuery, candidates: Sequence[Candidate]) -> tuple[Floats, set[str]]:
    """Return 1 for each memory of a user whom the query names, and the stems of those names.

    A user's own names are known from what names them (`User wants to be called Mia`), from the label of their turns
    (`Mia: ...`, if theirs all have the same), and from their id. A name that a memory of the user uses of somebody else
    (`User's daughter Mia`) is not theirs alone, and nothing changes.
    """
    found = np.zeros(len(candidates))
    asked = {name for name in query.names if len(name) > 1}
    named: set[str] = set()
    if not asked:
        return found, named
    users = {role for role in {candidate.role for candidate in candidates} if is_user(role)}  # each looked at once
    by_owner: dict[str | None, list[int]] = {}
    for i, candidate in enumerate(candidates):
        by_owner.setdefault(candidate.owner, []).append(i)
    for owner, members in by_owner.items():
        told = [i for i in members if candidates[i].position is None or candidates[i].role in users]
        plain = [(i, _plain(candidates[i].text)) for i in told]
        holding = {i: text for name in asked for i, text in plain if name in text}
        telling = {i: _named_in(text) for i, text in holding.items()}
        names = (_labels(candidates, members) | set().union(*telling.values()) | _words(owner)) & asked
        others = {i: text for i, text in holding.items() if _of_another(candidates[i], text)} if names else {}
        own = {name for name in names if not _is_in(name, others, telling)}
        if own:
            named |= {term for term, word in zip(query.terms, query.words, strict=True) if word in own}
            for i in members:
                found[i] = _is_users(candidates[i])
    return found, named


def _is_in(name: str, texts: Mapping[int, str], telling: Mapping[int, set[str]]) -> bool:
    """Tell whether one of the texts has the name as a word, and is not what names the user so."""
    sought = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    return any(
        name in text and name not in telling.get(i, ()) and sought.search(text) is not None for i, text in texts.items()
    )


def _words(text: str | None) -> set[str]:
    """The words of a name; none of an id that is more than a name."""
    words = tokenize(text) if text and len(text) < 64 else []
    return set(words) if len(words) <= 3 and all(word.isalpha() for word in words) else set()


def _labels(candidates: Sequence[Candidate], members: Sequence[int]) -> set[str]:
    """The words of the one label that turns of the user carry; none where they carry several, or others carry it."""
    labels: dict[str, set[str | None]] = {}
    for i in members:
        if candidates[i].position is not None and (speaker := candidates[i].speaker):
            labels.setdefault(speaker, set()).add(candidates[i].role)
    users = [label for label, roles in labels.items() if any(map(is_user, roles))]
    return _words(users[0]) if len(users) == 1 and all(map(is_user, labels[users[0]])) else set()


def _named_in(text: str) -> set[str]:
    """The words of the name that a text, folded, gives the user; none if it names nobody."""
    text = text[:200].strip()
    match = _NAMING.match(text)
    if match is None:
        return set()
    words = tokenize(re.split(r"[.,;:!?()\n]| and | not | by | und | et | y | e ", text[match.end() :], maxsplit=1)[0])
    return set(words[:3])


def _of_another(candidate: Candidate, text: str) -> bool:
    """Tell whether what tells of the user and mentions a name speaks of somebody beside them: any turn may."""
    return candidate.position is not None or _SPEAKS_OF_USER.search(text) is not None


def _plain(text: str) -> str:
    """The start of a text, folded."""
    return fold(text[:_START])


def _is_users(candidate: Candidate) -> float:
    """Return 1 for a turn of the user and for a memory whose subject is the user."""
    if candidate.position is not None:
        return float(is_user(candidate.role) and candidate.speaker is None)  # a label tells more
    return float(_SUBJECT.match(fold(candidate.text[:80]).strip()) is not None)
