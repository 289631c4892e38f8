"""Which of the languages with word lists a text is in."""

from __future__ import annotations

import re
from typing import Literal

Language = Literal["en", "de", "fr", "es"]

_WORD = re.compile(r"[^\W\d_]+")


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COMMON: dict[Language, frozenset[str]] = {
    "en": _set(
        """
        the a an and or of to is was are were be been will would has have had in on at with for from that this i my
        we our you it he she they his her their not does did do said likes there
        yesterday today tomorrow last next ago
        """
    ),
    "de": _set(
        """
        der die das ein eine einen einem einer und oder von zu zum zur ist war sind waren wird werden hat habe haben
        hatte im in am an vor mit für aus auf bei beim dass ich mein meine wir unser sie er es ihm ihr nicht dort hier
        nach möchte mag wurde sich den dem des
        gestern heute morgen vorgestern übermorgen letzte letzten letztes nächste nächsten
        """
    ),
    "fr": _set(
        """
        le la les un une des et ou de du au aux est était sont sera seront a ont avait dans en sur avec pour que qui
        je j ai mon ma mes nous notre il elle ils elles son sa ses ne pas ce cette là ici chez l d s y me va vais
        suis hier demain aujourd dernier dernière prochain prochaine il
        """
    ),
    "es": _set(
        """
        el la los las un una unos y o de del al es era son será fue ha han había en con por para que yo mi mis nosotros
        nuestro él ella ellos su sus no allí aquí se lo le me voy va muy está fui tengo tiene vive
        a ayer hoy mañana anoche hace pasado pasada próximo próxima
        """
    ),
}


def languages_of(text: str) -> list[Language]:
    """The languages that the text may be in, by its commonest words; several if it is too short to tell.

    Empty for a text that is not in Latin letters.
    """
    letters = [letter for letter in text if letter.isalpha()]
    if sum(letter < "\u0250" for letter in letters) * 2 <= len(letters):
        return []
    words = [word.lower() for word in _WORD.findall(text)]
    counts = {language: sum(word in common for word in words) for language, common in _COMMON.items()}
    most = max(counts.values())
    return [language for language, count in counts.items() if count == most]
