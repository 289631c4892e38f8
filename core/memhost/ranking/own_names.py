"""Names of the user whose memories are searched: `What does Mia drink?` means `User drinks black coffee`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import numpy as np

from memhost.ranking.columns import Columns
from memhost.ranking.types import Flags, Floats
from memhost.text.analysis import AnalysedQuery
from memhost.text.tokens import tokenize
from memhost.text.unicode_forms import fold

_START = 400
"""Characters of a memory in which a name is sought."""


_USER = (
    r"(?:(?:the )?user|(?:der |die )?nutzer(?:in)?|l'utilisat(?:eur|rice)|(?:el |la )?usuari[oa]|l'utente"
    r"|(?:o |a )?usuari[oa]|пользовател\w*|用户|用戶|ユーザー)"
)
_SUBJECT = re.compile(rf"{_USER}(?!\w|'s|的|の)|(?:用户|用戶|ユーザー[はが])(?!的|の)")
"""A memory whose subject is the user."""
_SPEAKS_OF_USER = re.compile(rf"(?<!\w){_USER}")
_NAMING = re.compile(
    r"(?:the )?user(?:'s (?:\w+ )?(?:name|nickname) is| is (?:called|named)| (?:\w+ )?to be (?:called|addressed as)"
    r"| goes by(?: the name(?: of)?)?| introduced (?:him|her|them)self as)\s+"
    r"|my name is\s+|(?:please |always )?call me\s+|i(?:'m| am) (?:called|named)\s+|(?:ich heisse|mein name ist)\s+"
    r"|(?:der |die )?nutzer(?:in)? heisst\s+|l'utilisat(?:eur|rice) s'appelle\s+|je m'appelle\s+"
    r"|(?:el |la )?usuari[oa] se llama\s+|me llamo\s+|l'utente si chiama\s+|mi chiamo\s+"
    r"|(?:o |a )?usuari[oa] (?:se chama|chama-se)\s+|(?:eu )?me chamo\s+|пользователя зовут\s+|меня зовут\s+"
    r"|用户(?:的名字)?(?:是|叫)|我叫|ユーザーの名前は"
)
"""A memory or a turn that says the user's name, which stands right behind the match."""


def speaks_of_user(text: str) -> bool:
    """Tell whether a statement speaks of the user, as those that strategies make call the person: "User", "用户"."""
    return _SPEAKS_OF_USER.search(fold(text)) is not None


def own_subjects(query: AnalysedQuery, columns: Columns) -> tuple[Floats, set[str]]:
    """Return 1 for each memory of a user whom the query names, and the stems of those names.

    A user's own names are known from what names them (`User wants to be called Mia`), from the label of their turns
    (`Mia: ...`, if theirs all have the same), and from their id. A name that a memory of the user uses of somebody else
    (`User's daughter Mia`) is not theirs alone, and nothing changes.
    """
    found = np.zeros(len(columns))
    asked = {name for name in query.names if len(name) > 1}
    named: set[str] = set()
    if not asked:
        return found, named
    turn = columns.position >= 0
    telling_of_user = columns.of_user | ~turn
    for owner in set(columns.owner.tolist()):
        of_owner = columns.owner == owner
        told = np.flatnonzero(of_owner & telling_of_user)
        plain = list(zip(told.tolist(), columns.remembered(_plain, told), strict=True))
        holding = {i: text for name in asked for i, text in plain if name in text}
        naming = columns.remembered(_named_in, np.array(list(holding), dtype=np.int64))
        telling = dict(zip(holding, naming, strict=True))
        known = _labels(columns, of_owner & turn) | set().union(*naming)
        names = (known | _words(columns.owners[owner] if owner >= 0 else None)) & asked
        others = {i: text for i, text in holding.items() if turn[i] or _SPEAKS_OF_USER.search(text)} if names else {}
        own = {name for name in names if not _is_in(name, others, telling)}
        if own:
            named |= {term for term, word in zip(query.terms, query.words, strict=True) if word in own}
            found[of_owner & turn & columns.of_user & (columns.speaker < 0)] = 1.0  # a label tells more
            statements = np.flatnonzero(of_owner & ~turn)
            found[statements] = columns.remembered(_is_of_user, statements)
    return found, named


def _is_in(name: str, texts: Mapping[int, str], telling: Mapping[int, Collection[str]]) -> bool:
    """Tell whether one of the texts has the name as a word, and is not what names the user so."""
    sought = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    return any(
        name in text and name not in telling.get(i, ()) and sought.search(text) is not None for i, text in texts.items()
    )


def _words(text: str | None) -> set[str]:
    """The words of a name; none of an id that is more than a name."""
    words = tokenize(text) if text and len(text) < 64 else []
    return set(words) if len(words) <= 3 and all(word.isalpha() for word in words) else set()


def _labels(columns: Columns, turns: Flags) -> set[str]:
    """The words of the one label that turns of the user carry; none where they carry several, or others carry it."""
    pairs = set(zip(columns.speaker[turns].tolist(), columns.of_user[turns].tolist(), strict=True))
    users = [label for label, of_user in pairs if of_user and label >= 0 and columns.speakers[label]]
    return _words(columns.speakers[users[0]]) if len(users) == 1 and (users[0], False) not in pairs else set()


def _named_in(text: str) -> Collection[str]:
    """The words of the name that a text gives the user; none if it names nobody."""
    text = _plain(text)[:200].strip()
    match = _NAMING.match(text)
    if match is None:
        return ()
    words = tokenize(re.split(r"[.,;:!?()\n]| and | not | by | und | et | y | e ", text[match.end() :], maxsplit=1)[0])
    return words[:3]


def _plain(text: str) -> str:
    """The start of a text, folded."""
    return fold(text[:_START])


def _is_of_user(text: str) -> bool:
    """Tell whether the subject of a memory is the user."""
    return _SUBJECT.match(fold(text[:80]).strip()) is not None
