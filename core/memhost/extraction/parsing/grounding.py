"""Checks that a memory's text can be understood alone: no pronoun, time or place that points outside of it."""

from __future__ import annotations

import re
from datetime import date

import msgspec

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

    Checks English, German, French and Spanish; quoted parts are left alone.
    A pronoun counts as resolved if a name or a person that it can refer to comes before it; rules cannot tell which
    person it is.

    Args:
        text: The text of a memory.
        dated: It is known when it happened: then words for time point to nothing unknown.
    """
    languages = languages_of(text)
    if not languages:
        return []
    shown = QUOTED.sub(lambda quoted: " " * len(quoted[0]), text)
    words = next((_WORDS[language] for language in languages if language in _WORDS), None)
    if words is None:
        return []
    found = [] if dated else [(each.start, each.text) for each in find_relative(text, _ANY_DAY)]
    for phrase in words.phrases:
        found += [(match.start(), match[0]) for match in re.finditer(phrase, shown, re.IGNORECASE)]
    found += _pointing(shown, words)
    return list(dict.fromkeys(word for _, word in sorted(found)))


def _pointing(text: str, words: PointingWords) -> list[tuple[int, str]]:
    found = []
    user = named = person = False
    begins = True
    for match in _TOKEN.finditer(text):
        word, low = match[0], match[0].lower().replace("’", "'")
        if low in words.own and not (low == "i" and word != "I"):
            found.append((match.start(), word))
        elif low in words.persons or (low == "her" and _is_object(text, match.end())):
            if not (named or person):
                found.append((match.start(), word))
        elif low in words.possessives:
            if not (named or person or user):
                found.append((match.start(), word))
        elif low in words.places:
            if not named and not _EXISTS.match(text, match.start()):
                found.append((match.start(), word))
        elif low in _USER:
            user = True
        elif word[0].isupper() and not (begins and low in words.opening):
            named = named or not words.capitals or len(word) > 1
        elif low.removesuffix("'s") in words.people:
            person = True
        begins = text[match.end() : match.end() + 1] in (".", "!", "?", ":")
    return found


def _is_object(text: str, end: int) -> bool:
    """Tell whether `her` is an object (met her at noon) and not a possessive (her car)."""
    return (
        re.match(r"\s*(?:$|[.,;:!?)]|(?:at|in|on|to|for|with|and|about|from|every|when|because)\b)", text[end:])
        is not None
    )
