"""English questions that ask for several things, which then lie in several memories."""

from __future__ import annotations

import re

from memhost.text.analysis import AnalysedQuery
from memhost.text.languages import ENGLISH
from memhost.text.words import word_set

_HELPERS = r"(?:has|have|had|does|do|did|is|are|was|were|can|could|will|would|should|might)"
_THINGS = re.compile(
    rf"\b(?:what|which|how many)\b(?P<asked>(?: +[^\W_][\w'’.-]*){{0,8}}?) +{_HELPERS}\b", re.IGNORECASE
)
"""The words between "which" and the verb: "which *two cities* has"."""
_KIND = re.compile(r"^(?:kind|type|sort|genre|form|variety|style) of ", re.IGNORECASE)
_BEHIND = re.compile(
    r"\b(?:to|for|with|from|of|in|at|about|that|who|on|by|related|regarding|besides|during|like)\b.*", re.IGNORECASE
)
"""The rest of the thing asked for, which stands behind it: "what *books* about cats"."""
_ARE = re.compile(
    r"^(?:so )?(?:what|which|who)(?:'re| are| were) (?:the |some |all |(?:[\w-]+['’]s?|his|her|their|my|your) )?"
    r"(?:[\w-]+ ){0,2}?(?P<asked>[\w-]+s)\b(?! *(?:doing|going|planning|trying))",
    re.IGNORECASE,
)
"""As in: What are Ana's hobbies?"""
_HAVE_DONE = re.compile(
    r"^(?:so |and )?(?:(?:what|who)(?: all| else)? (?:has|have) (?!to\b|been\b)(?:[\w'’-]+ ){1,4}?"
    r"(?:\w{2,}ed|\w+en(?<!been)|made|done|had|met|read|bought|lost|won|taught|told|said|sung|tried|felt|found|got|held"
    r"|kept|left|let|put|sent|sold|spent|built|caught|cut|heard|hurt|run|gone|worn|drawn|grown|shown|known|flown|begun"
    r"|swum|become)|where(?: all| else)? (?:has|have) (?!to\b)(?:[\w'’-]+ ){1,4}?(?:been|\w{2,}ed|\w+en|gone))\b",
    re.IGNORECASE,
)
"""As in: What has Ana painted so far?"""
_ALL = re.compile(
    r"^(?:please )?(?:list(?! price)|name(?! of)|enumerate)\b.*\b\w+s\b"
    r"|\b(?:list|name|tell me|show me|what are) (?:all|every)\b"
    r"|\bhow many (?:different|times)\b|\bin (?:what|which|how many) ways\b|\bwhat (?:else|all)\b",
    re.IGNORECASE,
)
_PLURALS = word_set("people children men women feet teeth mice geese activities hobbies")
_SINGULARS = word_set(
    """
    news series species status focus bus gas lens boss class dress address process success business illness fitness
    happiness progress kindness guess mess loss glass grass kiss miss pass press stress access express christmas
    thanksgiving texas paris always perhaps its his this thus plus minus us yes politics physics mathematics athletics
    economics headquarters whereabouts
    jeans trousers pants shorts tights pajamas pyjamas glasses sunglasses spectacles goggles binoculars scissors pliers
    tweezers headphones earphones earbuds
    years months weeks days hours minutes seconds miles kilometers kilometres meters metres dollars euros pounds kilos
    kilograms grams degrees inches pages steps calories
    """
)
"""Words that end like plurals and are none, pairs that are one thing, and units, of which one number is asked for."""


def asks_for_several(query: AnalysedQuery) -> bool:
    """Tell whether a question in English asks for several things (Which cities has Ana visited?).

    Told by form: a plural behind what or which, what somebody has done so far, lists, and numbers of things. A question
    in the singular, and one about a measure (how many hours), asks for one.
    """
    if query.language != ENGLISH:
        return False
    text = query.text
    if _ALL.search(text) or _HAVE_DONE.search(text):
        return True
    are = _ARE.search(text)
    if are is not None and _is_plural(are["asked"]):
        return True
    return any(_names_several(asked["asked"].strip()) for asked in _THINGS.finditer(text))


def _names_several(asked: str) -> bool:
    """Tell whether the words between "what" and the verb name things in the plural."""
    words = _BEHIND.sub("", _KIND.sub("", asked)).split()
    return bool(words) and _is_plural(words[-1])


def _is_plural(word: str) -> bool:
    small = word.lower()
    if small in _PLURALS:
        return True
    return (
        len(small) > 3
        and small.endswith("s")
        and not small.endswith(("ss", "us", "is", "'s", "’s"))
        and (small not in _SINGULARS)
    )
