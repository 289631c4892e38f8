"""Which of the languages with word lists a text is in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from memhost.text.words import word_set

Language = Literal["en", "de", "fr", "es", "it", "pt", "ru", "zh", "ja"]

_WORD = re.compile(r"[^\W\d_]+")


_COMMON: dict[Language, frozenset[str]] = {
    "en": word_set(
        """
        the a an and or of to is was are were be been will would has have had in on at with for from that this i my
        we our you it he she they his her their not does did do said likes there
        yesterday today tomorrow last next ago
        """
    ),
    "de": word_set(
        """
        der die das ein eine einen einem einer und oder von zu zum zur ist war sind waren wird werden hat habe haben
        hatte im in am an vor mit für aus auf bei beim dass ich mein meine wir unser sie er es ihm ihr nicht dort hier
        nach möchte mag wurde sich den dem des
        gestern heute morgen vorgestern übermorgen letzte letzten letztes nächste nächsten
        """
    ),
    "fr": word_set(
        """
        le la les un une des et ou de du au aux est était sont sera seront a ont avait dans en sur avec pour que qui
        je j ai mon ma mes nous notre il elle ils elles son sa ses ne pas ce cette là ici chez l d s y me va vais
        suis hier demain aujourd dernier dernière prochain prochaine il
        """
    ),
    "es": word_set(
        """
        el la los las un una unos y o de del al es era son será fue ha han había en con por para que yo mi mis nosotros
        nuestro él ella ellos su sus no allí aquí se lo le me voy va muy está fui tengo tiene vive
        a ayer hoy mañana anoche hace pasado pasada próximo próxima
        """
    ),
    "it": word_set(
        """
        il lo la i gli le un uno una e o di del della dei al alla è sono era ha ho hanno aveva in con per che non si mi
        mio mia ci nel nella sul da dal come più molto qui lui lei ieri oggi domani scorso scorsa prossimo prossima fa
        sarà siamo abbiamo andato andata vado
        """
    ),
    "pt": word_set(
        """
        o a os as um uma e ou de do da dos das no na nos nas ao à é são era foi tem tenho teve em com por para que
        não se me meu minha ele ela seu sua mais muito aqui eu fui vou está ontem hoje amanhã passado passada
        próximo próxima atrás há usuário
        """
    ),
}


def languages_of(text: str) -> list[Language]:
    """The languages that the text may be in, by its commonest words; several if it is too short to tell.

    Empty for a text in a script whose languages are not told apart here.
    """
    letters = [letter for letter in text if letter.isalpha()]
    if sum(letter < "\u0250" for letter in letters) * 2 <= len(letters):
        return _by_script(letters)
    words = [word.lower() for word in _WORD.findall(text)]
    counts = {language: sum(word in common for word in words) for language, common in _COMMON.items()}
    most = max(counts.values())
    return [language for language, count in counts.items() if count == most]


def _by_script(letters: Sequence[str]) -> list[Language]:
    """Japanese where there is kana, Chinese for Han letters, Russian for Cyrillic ones."""
    if any("\u3040" <= letter <= "\u30ff" for letter in letters):
        return ["ja"]
    han = sum("\u4e00" <= letter <= "\u9fff" for letter in letters)
    cyrillic = sum("\u0400" <= letter <= "\u04ff" for letter in letters)
    if not letters or max(han, cyrillic) * 2 <= len(letters):
        return []
    return ["zh"] if han > cyrillic else ["ru"]


def common_words(language: Language) -> frozenset[str]:
    """The commonest words of a language, which say little of what a text is about."""
    return _COMMON.get(language, frozenset())
