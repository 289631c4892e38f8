"""Whose words a question asks for: those of the one who asks, or what was said to them."""

from __future__ import annotations

import re
from typing import Literal

from memhost.text.languages import ENGLISH
from memhost.text.temporal.dates import QUOTED
from memhost.text.unicode_forms import fold

Perspective = Literal["own", "other", ""]

_SELF = {
    "en": r"\b(?:i|i'm|i've|i'd|i'll|me|my|myself|we|we've|our|ours)\b",
    "de": r"\b(?:ich|mir|mich|mein(?:e[mnrs]?)?|wir|uns|unser(?:e[mnrs]?)?)\b",
    "fr": r"\b(?:je|moi|mon|ma|mes|nous|notre|nos)\b|\b(?:j|m)'",
    "es": r"\b(?:yo|me|mi|mis|mio|mia|nosotros|nuestr\w+)\b",
    "it": r"\b(?:io|mi|mio|mia|miei|mie|noi|nostr\w+)\b",
    "pt": r"\b(?:eu|me|meu|minha|meus|minhas|nos|noss\w+)\b",
    "nl": r"\b(?:ik|mij|me|mijn|wij|we|ons|onze)\b",
    "ru": r"\b(?:я|мне|меня|мной|мо[йяеёиюг]\w*|мы|нам|нас|наш\w*)\b",
    "tr": r"\b(?:ben|bana|beni|bende|benim|biz|bize|bizim)\b",
    "pl": r"\b(?:ja|mnie|mi|moj\w*|moj|moja|my|nam|nas|nasz\w*)\b",
    "zh": "我",
    "ja": "私|僕|俺|わたし|ぼく",
    "ko": r"(?:^|\s)(?:나|내|저|제|우리)(?:는|가|의|를|에게|게|도)?(?=\s|$)",
}
_SAYING = (
    r"recommend\w*|suggest\w*|advis\w*|t(?:ell|old)|sa(?:y|id)|mention\w*|g(?:i|a)ven?|give|explain\w*|propos\w*"
    r"|describ\w*|list\w*|show\w*|provid\w*|shar\w*|wr(?:i|o)te\w*|t(?:each|aught)|offer\w*|introduc\w*"
)
_OTHER = {
    "en": (
        rf"\b(?:did|have|had) (?:you|the assistant) (?:\w{{1,20}} )?(?:{_SAYING})\b"
        r"|\b(?:you|the assistant) (?:\w{1,20} )?(?:recommended|suggested|advised|told|said|mentioned|gave|explained"
        r"|proposed|described|listed|showed|provided|shared|offered|taught|introduced|wrote)\b"
        r"|\byour (?:\w{1,20} )?(?:recommendations?|suggestions?|advice|explanations?|answers?|tips?|opinions?)\b"
    ),
    "de": (
        r"\b(?:hast|hattest) du\b.{0,60}\b(?:empfohlen|vorgeschlagen|geraten|gesagt|erzahlt|genannt|erklart|erwahnt)\b"
        r"|\bdu\b.{0,60}\b(?:empfohlen|vorgeschlagen|geraten|gesagt|erzahlt|genannt|erklart|erwahnt) (?:hast|hattest)\b"
        r"|\bdeine? (?:empfehlung\w*|vorschlag\w*|rat|tipps?|erklarung\w*|antwort\w*)\b"
    ),
    "fr": (
        r"\b(?:tu|vous) (?:m'|me |nous )?(?:as|avais|avez|aviez)? ?"
        r"(?:recommande|suggere|conseille|dit|propose|explique|mentionne)\w*\b"
    ),
    "es": r"\bme (?:recomendaste|sugeriste|aconsejaste|dijiste|contaste|propusiste|explicaste|mencionaste|diste)\b",
    "it": r"\bmi (?:hai|avevi) (?:consigliat|raccomandat|suggerit|dett|propost|spiegat|menzionat|dat)\w*\b",
    "pt": r"\b(?:voce|tu)\b.{0,60}\b(?:recomend|suger|disse|aconselh|prop[ou]|explic|mencion)\w*",
    "ru": (
        r"\bты\b.{0,60}\b(?:(?:по)?рекомендовал|(?:по)?советовал|сказал|говорил|предложил|предлагал|рассказал"
        r"|упомянул|объяснил)\w*"
    ),
    "zh": (
        "(?:你|您)(?:之前|以前|曾经|曾經|曾|上次|都|还|還|给我|給我|向我|跟我|对我|為我|为我)*"
        "(?:推荐|推薦|建议|建議|说|說|告诉|告訴|提到|提过|提過|介绍|介紹|讲|講|提供)"
    ),
    "ja": "(?:勧め|すすめ|薦め|教え|言っ|話し|提案し)て(?:くれ|くださ|いた|た)",
}
_OWN_SAYING = re.compile(
    r"\b(?:i|we) (?:\w{1,20} )?"
    r"(?:mentioned|said|told|brought up|asked|shared|described|discussed|talked|recommended|suggested)\b"
    r"|\bich\b.{0,60}\b(?:gesagt|erwahnt|erzahlt|gefragt|empfohlen) (?:habe|hatte)\b"
    r"|(?<![给給向跟對对為为])我(?:之前|以前|曾经|曾)?(?:说|告诉|提到|推荐|提过)"
)
_SELF_OF = {language: re.compile(pattern) for language, pattern in _SELF.items()}
_OTHER_OF = {language: re.compile(pattern) for language, pattern in _OTHER.items()}
_CAPITAL = re.compile(r"(?<=[^\W\d_]\s)(?!I\b)[A-ZÀ-ÞА-ЯЁ][^\W\d_]*")
"""A word with a capital behind another word; `I` has one everywhere."""
_READ = 1000  # characters at the start of a query


def perspective_of(query: str, language: str = ENGLISH) -> Perspective:
    """Tell whose words the query asks for.

    Args:
        query: the question.
        language: its ISO 639-1 code; other languages than those of the tables above tell nothing.

    Returns:
        ``own`` if it is about the one who asks ("my budget"), ``other`` if it asks what the assistant has said ("what
        did you recommend"), else nothing.
    """
    said = _without_titles(query[:_READ])
    text = fold(said)
    other = _OTHER_OF.get(language)
    if other is not None and other.search(text) and not _OWN_SAYING.search(text):
        return "other"
    own = _SELF_OF.get(language)
    return "own" if own is not None and own.search(text) else ""


def _without_titles(query: str) -> str:
    """The query without quoted titles, and without words with a capital: `My Fair Lady` is not what is mine."""
    query = QUOTED.sub(" ", query)
    return query if query.isupper() else _CAPITAL.sub(" ", query)
