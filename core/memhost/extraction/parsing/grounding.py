"""Checks that a memory's text can be understood alone: no pronoun, time or place that points outside of it."""

from __future__ import annotations

import re
from datetime import date

import msgspec

from memhost.extraction.parsing.vague_references import vague
from memhost.text.temporal.dates import QUOTED, find_relative
from memhost.text.temporal.languages import Language, languages_of

_TOKEN = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_ANY_DAY = date(2026, 1, 5)
_USER = frozenset({"user", "user's", "users", "user’s"})


class PointingWords(msgspec.Struct, frozen=True, kw_only=True):
    """Words of one language that point to something.

    Attributes:
        own: Of the first person: who speaks is not known to a reader.
        persons: Of the third person: need a name or a person in front of them.
        possessives: Need a name, a person or the user in front of them.
        places: Need a name in front of them.
        phrases: Regular expressions of words that nothing in the text can resolve.
        people: Nouns for persons that a pronoun can refer to.
        capitals: Whether only names have capitals inside a sentence.
        opening: Common words that begin sentences, and so have a capital without being names.
    """

    own: frozenset[str]
    persons: frozenset[str]
    possessives: frozenset[str]
    places: frozenset[str]
    phrases: tuple[str, ...]
    people: frozenset[str]
    capitals: bool = True
    opening: frozenset[str] = frozenset()


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PLACE_NOUNS = _set(
    """
    company office house home flat apartment city town village country school university shop store restaurant café
    cafe bar hotel hospital park gym club library museum station airport beach island farm church studio factory
    clinic camp garden plot allotment field room cabin cottage kitchen street valley lake area
    entreprise bureau maison appartement ville village pays école université magasin hôpital parc musée
    bibliothèque gare plage empresa oficina casa piso ciudad pueblo país escuela universidad tienda hospital parque
    biblioteca museo playa
    """
)
"""Nouns for places that `there` can refer to."""
_PERSON_ENDINGS = tuple("father mother brother sister daughter grandson mate friend woman sman person".split())  # noqa: SIM905
"""Endings of English nouns for persons: `stepfather`, `flatmate`, `salesman`."""
_SPOKEN = re.compile(r"\w\s*:\s[^.!?]*$")
"""Behind a colon somebody may be quoted."""
_CALLED = re.compile(
    r"\b(?:called|named|titled|nicknamed|heißt|namens|genannt|appelée?s?|nommée?s?|llamad[oa]s?|se llama|s'appelle)\s$"
)
_TITLE = re.compile(r"\s(?:[A-Z]\w+|of|the|and|in)\s[A-Z]\w+|\s[A-Z]\w+\s(?:of|the|and)\s[A-Z]")
_NAME_BEHIND = re.compile(r",?\s[A-Z]\w|[.!?,]|$")
_EXPLAINED = re.compile(r"\s*\([A-ZÄÖÜÉ][\w .-]*\)|[^.!?:;,()]{0,30}:\s[A-ZÄÖÜÉ]\w+|,?\s(?:in|at|en|à)\s[A-ZÄÖÜÉ]\w+")
_OVER_THERE = re.compile(r"\s(?:over|up|down|back|out)\s")


_WORDS: dict[Language, PointingWords] = {
    "en": PointingWords(
        own=_set("i i'm i've i'd i'll me my mine myself we we're we've us our ours"),
        persons=_set("he him himself she herself he's she's"),
        possessives=_set("his her hers they them their theirs themselves they're"),
        places=_set("there here"),
        phrases=(
            r"\b(?:over|up|down|back) there\b",
            r"\b(?:at|in|to|from) (?:that|this) (?:place|caf[eé]|restaurant|shop|city|town|bar|hotel|park)\b",
        ),
        people=_set(
            """
            brother sister mother father mom mum dad son daughter wife husband partner friend boss colleague coworker
            manager doctor dentist teacher neighbour neighbor uncle aunt cousin grandmother grandfather grandma grandpa
            nephew niece girlfriend boyfriend fiancé fiancée roommate landlord therapist coach client customer parents
            parent children child kids kid baby boy girl man woman person people someone somebody team family dog cat
            pet friends colleagues siblings twins couple company
            """
        ),
        opening=_set("the a an in on at since after before when while as if but and or his her their there this that"),
    ),
    "de": PointingWords(
        own=_set("ich mich mir mein meine meinen meinem meiner wir uns unser unsere unseren unserem"),
        persons=_set("er ihm ihn"),
        possessives=_set("sein seine seinen seinem seiner ihre ihren ihrem ihrer"),
        places=_set("dort dorthin hier"),
        phrases=(r"\bda drüben\b",),
        people=frozenset(),
        capitals=False,
        opening=_set("der die das ein eine in im am seit nach vor wenn als und aber"),
    ),
    "fr": PointingWords(
        own=_set("je j'ai moi mon ma mes nous notre nos"),
        persons=_set("elle lui celui-ci celle-ci"),
        possessives=_set("son sa ses leur leurs eux elles"),
        places=_set("ici là-bas"),
        phrases=(),
        people=_set(
            """
            frère soeur sœur mère père fils fille femme mari ami amie patron patronne collègue médecin voisin voisine
            oncle tante cousin cousine enfant enfants parents bébé chien chat équipe famille personne professeur chef
            """
        ),
        opening=_set("le la les un une dans en depuis après avant quand et mais"),
    ),
    "es": PointingWords(
        own=_set("yo mi mis mí nosotros nosotras nuestro nuestra nuestros nuestras"),
        persons=_set("él ella"),
        possessives=_set("su sus ellos ellas"),
        places=_set("aquí allí allá ahí"),
        phrases=(),
        people=_set(
            """
            hermano hermana madre padre hijo hija esposa esposo marido mujer amigo amiga jefe jefa colega médico médica
            vecino vecina tío tía primo prima niño niña niños padres bebé perro perra gato gata equipo familia persona
            """
        ),
        opening=_set("el la los las un una en desde después antes cuando y pero"),
    ),
}
_EXISTS = re.compile(
    r"there(?:['’]s|\s+(?:is|are|was|were|be|been|will|has|have|had|must|may|might|can|could|should|would|seems?)\b)",
    re.IGNORECASE,
)


def unresolved(text: str, *, dated: bool = False) -> list[str]:
    """Return the words of the text that point to something outside of it, as written, each once, in order.

    Checks pronouns of English, German, French and Spanish, and what is sure in further languages (`vague`); quoted
    parts and names of several words (`My Little Pony`) are left alone. A pronoun counts as resolved if a name or a
    person that it can refer to comes before it; rules cannot tell which person it is.

    Args:
        text: The text of a memory.
        dated: It is known when it happened: then words for time point to nothing unknown.
    """
    shown = QUOTED.sub(lambda quoted: " " * len(quoted[0]), text)
    found = list(vague(shown))
    words = next((_WORDS[language] for language in languages_of(text) if language in _WORDS), None)
    if words is None:
        return _in_order(found)
    found += [] if dated else [(each.start, each.text) for each in find_relative(text, _ANY_DAY)]
    for phrase in words.phrases:
        found += [(match.start(), match[0]) for match in re.finditer(phrase, shown, re.IGNORECASE)]
    found += _pointing(shown, words)
    return _in_order(found)


def _in_order(found: list[tuple[int, str]]) -> list[str]:
    """The words by place, each once; of words in one place the longest."""
    longest = {start: max((word for at, word in found if at == start), key=len) for start, _ in found}
    return list(dict.fromkeys(word for _, word in sorted(longest.items())))


_RESOLVED_BY: dict[str, frozenset[str]] = {
    "own": frozenset(),
    "person": frozenset({"name", "person"}),
    "possessive": frozenset({"name", "person", "user"}),
    "place": frozenset({"name", "place"}),
}
"""The things before a word that resolve it, by its kind."""


def _pointing(text: str, words: PointingWords) -> list[tuple[int, str]]:
    found = []
    seen: set[str] = set()
    begins = True
    for match in _TOKEN.finditer(text):
        word, low = match[0], match[0].lower().replace("’", "'")
        kind = _kind(text, match, low, words)
        if kind in ("own", "place") and _is_in_a_name(text, match, words, begins=begins):
            seen.add("name")
        elif kind is not None:
            if not (seen & _RESOLVED_BY[kind] or _is_clear(text, match, kind)):
                found.append((match.start(), word))
        elif low in _USER:
            seen.add("user")
        elif word[0].isupper() and not (begins and low in words.opening):
            seen |= {"name"} if not words.capitals or len(word) > 1 else set()
        elif low.removesuffix("'s") in words.people or (words.capitals and low.endswith(_PERSON_ENDINGS)):
            seen.add("person")
        if low in _PLACE_NOUNS and not _OVER_THERE.match(text, match.end()):
            seen.add("place")
        begins = text[match.end() : match.end() + 1] in (".", "!", "?", ":")
    return found


def _kind(text: str, match: re.Match[str], low: str, words: PointingWords) -> str | None:
    """The kind of a word that points to something; None if it does not."""
    if low in words.own and not (low == "i" and match[0] != "I"):
        return "own"
    if low in words.persons or (low == "her" and _is_object(text, match.end())):
        return "person"
    return "possessive" if low in words.possessives else "place" if low in words.places else None


def _is_clear(text: str, match: re.Match[str], kind: str) -> bool:
    """Tell whether what stands around a word says what it means: quoted speech, `there is`, `ihm (Emil)`."""
    if kind == "own":
        return _SPOKEN.search(text, 0, match.start()) is not None
    if kind == "place" and _EXISTS.match(text, match.start()):
        return True
    return _EXPLAINED.match(text, match.end()) is not None


def _is_in_a_name(text: str, match: re.Match[str], words: PointingWords, *, begins: bool) -> bool:
    """Tell whether a word is part of a name: `My Little Pony`, `US Steel`, `We Are Scientists`, `called Mine`."""
    word, behind = match[0], text[match.end() :]
    if not word[0].isupper() or word == "I":
        return False
    if _CALLED.search(text, 0, match.start()) or (len(word) > 1 and word.isupper() and not text.isupper()):
        return True
    if not words.capitals:
        return False
    return _TITLE.match(behind) is not None if begins else _NAME_BEHIND.match(behind) is not None


def _is_object(text: str, end: int) -> bool:
    """Tell whether `her` is an object (met her at noon) and not a possessive (her car)."""
    return (
        re.match(r"\s*(?:$|[.,;:!?)]|(?:at|in|on|to|for|with|and|about|from|every|when|because)\b)", text[end:])
        is not None
    )
