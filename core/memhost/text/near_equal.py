"""Tells whether two texts say the same word for word, but for a capital letter, a comma, a full stop or a greeting."""

from __future__ import annotations

import re
from unicodedata import category

from memhost.text.unicode_forms import normal_form

_EDGES = ".,!;:…。、，！；：।۔،؛()"
"""Signs at the edge of a word of letters that change nothing of what is said; a question mark does."""
_ASKING = "?？؟"
_ENDS = ".!?…。！？؟।۔"
_INSIDE = "-'’，、。！"
"""Signs inside of words, which count: hyphens and apostrophes, and what parts words in scripts without spaces."""
_FIRST_PERSON = frozenset({"I", "I'm", "I've", "I'd", "I'll"})
_GREETING = re.compile(
    r"(?:hi|hey|hello|hallo|hej|hei|moin|servus|guten (?:morgen|tag|abend)|good (?:morning|afternoon|evening)"
    r"|bonjour|salut|bonsoir|hola|buenos d[ií]as|buenas (?:tardes|noches)|ciao|buongiorno|buonasera|ol[áa]|bom dia"
    r"|boa (?:tarde|noite)|hoi|goedemorgen|cześć|dzień dobry|ahoj|dobrý den|привет|здравствуйте|добрый (?:день|вечер)"
    r"|merhaba|selam|γεια|γεια σου|नमस्ते|مرحبا|שלום|你好|您好|こんにちは|おはようございます|안녕하세요)"
    r"(?: (?:there|again|zusammen|everyone|all|à tous|a todos|a tutti|allerseits))?\s*[,!.，。！、،]+\s*",
    re.IGNORECASE,
)
_EXACT = re.compile(r"[\"“”„«»‹›「」『』`*_|<>=\t\n\r\x0b\x0c\u2028\u2029]|(?<!\w)['’]|['’](?!\w)")
"""Signs of quotes, code, lists and verse, where each sign and each space may count."""
_FEWEST_WORDS, _FEWEST_LETTERS = 3, 6
"""Shorter texts ("Yes!", "OK.") answer something else each time."""
_LONGEST = 2_000
_SIGNS = re.compile(r"[\W_]+")
_SIGNS_OF_ASCII = bytes(code for code in range(128) if not chr(code).isalnum())
_BEHIND = _EDGES + _ASKING + " \t\n\r"
_TAIL, _ENDING = 300, 100
"""Characters that an ending is read from, of which some may be signs or marks, and letters that it has at most."""


def near_form(text: str) -> str:
    """The form that texts have in common if they differ in nothing that changes what is said.

    Set aside are: white space between words, signs at the edges of words of letters (no question mark), a capital at
    the beginning of a sentence (and that of "I"), Unicode's forms of one text (NFC), and a greeting in front, if a sign
    parts it from the rest. Everything else counts: numbers with their signs, words in capitals or with capitals inside
    (IT, aBcD9), negations, accents, hyphens, emoji. Short texts, long ones, and such with quotes, lines or code count
    as they are.

    Args:
        text: What was said, without the role and the speaker in front.

    Returns:
        The form, or the text itself where it counts as it is.
    """
    if len(text) > _LONGEST:
        return text
    plain = normal_form("NFC", text).strip()
    if _EXACT.search(plain):
        return text
    said = _GREETING.sub("", plain, count=1) if _GREETING.match(plain) else plain
    words = _words(said)
    letters = sum(sign.isalnum() for word in words for sign in word)
    unspaced = any("\u3040" <= sign <= "\u9fff" for sign in said)
    if (letters < _FEWEST_LETTERS) if unspaced else (len(words) < _FEWEST_WORDS):
        return text
    return " ".join(words)


def ending(text: str) -> str:
    """The last letters and digits of a text, in small letters: texts with equal endings may have one `near_form`.

    It takes a small part of the time, and can be kept as a number, so that the form is made of few.
    """
    tail = text.rstrip(_BEHIND)[-_TAIL:]
    if len(tail) < _TAIL and (greeted := _GREETING.match(tail)) is not None:
        tail = tail[greeted.end() :]
    if tail.isascii():  # a tenth of the time of the pattern
        return tail.lower().encode().translate(None, _SIGNS_OF_ASCII).decode()[-_ENDING:]
    return _SIGNS.sub("", normal_form("NFC", tail).lower())[-_ENDING:]


def _words(said: str) -> list[str]:
    """The words without what does not count; a word with anything but letters inside stays as it is."""
    words = []
    begins = True
    for word in said.split():
        bare = word.strip(_EDGES)
        asked = bare.rstrip(_ASKING)
        if asked and _is_plain(asked):
            lowered = asked.lower() if begins or asked in _FIRST_PERSON else asked
            capitals = asked[1:] != asked[1:].lower()  # IT, aBcD9
            words.append((asked if capitals else lowered) + ("?" if asked != bare else ""))
        elif bare:
            words.append(word)
        begins = word[-1] in _ENDS
    return words


def _is_plain(word: str) -> bool:
    return all(sign in _INSIDE or category(sign)[0] in "LM" for sign in word)
