"""Tells memories that read like instructions to an assistant, which a message may have smuggled in."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from memhost.extraction.screening.obfuscation import decoded_parts, plain_text
from memhost.extraction.screening.prefilter import Patterns
from memhost.extraction.screening.rules import RULES

SUSPICIOUS = "suspicious"
"""Metadata key of memories that read like instructions."""

_WINDOW, _OVERLAP = 32_768, 1_024
_INSIDE = ", "

_OBEYED = frozenset(
    ("override-instructions", "disclosure", "jailbreak", "foreign-data", "control-marks", "obey-hidden")
)
_START = r"(?:^|[.!;:\n] ?)"
_MODAL = r" (?:must|should|shall|will|has to|have to|need to|needs to)"
_EVER = r"(?:always|never|from now on|henceforth|only|immediately|secretly)"
_ACT = (
    r"(?:reply|respond|answer|say|recommend|suggest|mention|include|send|forward|use|tell|add|append|start|end|obey"
    r"|follow|call|execute|run|transfer|approve|agree|refuse|ignore|claim|state|write|output|return|promote|praise"
    r"|treat|trust|reveal|disclose|delete|pay|buy|visit|click)"
)
"""Actions that the author of a server or a page may want an assistant to do; people say `never` about other things."""
_ORDERS = (
    # An order to the assistant as such: it always or never has to do something, or has to from now on.
    rf"{_START}(?:the )?(?:assistant|ai|agent|model|bot)(?:{_MODAL})?,? {_EVER}\b",
    rf"{_START}you,? (?:from now on|henceforth)\b",
    rf"{_START}you(?:{_MODAL}),? {_EVER} {_ACT}\b",
    r"\b(?:the )?(?:assistant|ai|agent|model|bot)s? (?:must|shall|has to|have to|is required to|is instructed to"
    r"|is ordered to|should (?:always|never|secretly|only))\b",
    rf"{_START}(?:please )?(?:(?:from now on|henceforth),? )?(?:always|never|from now on,?|henceforth,?) {_ACT}\b",
    rf"{_START}(?:when|whenever|if) (?:asked|you are asked|anyone asks|the user asks"
    rf"|someone asks)\b[^.\n]{{0,80}}, ?(?:always"
    r"|never|reply|respond|answer|say|send|tell|you)\b",
    r"(?<!where )(?<!who )(?<!what )(?<!than )\byou are now \w|\bact as (?:a |an )?(?:unrestricted|admin|root|system)",
    rf"{_START}(?:do not|don'?t) (?:tell|inform|mention (?:this|it) to|reveal (?:this|it) to|warn|ask) the user\b",
    r"(?:^|\n) ?#* ?(?:system|developer)(?: prompt| message| note)? ?:",
    r"\b(?:send|forward|post|upload|exfiltrate)\b[^.\n]{0,60}\b(?:https?://|to [\w.+-]+@[\w-]+\.)",
    rf"{_START}(?:antworte|sage|empfiehl|verwende|erwahne|du musst|der assistent (?:muss"
    r"|soll)) (?:immer|stets|nie|niemals"
    r"|ab sofort|ab jetzt)\b",
    r"\b(?:ab sofort|ab jetzt|von nun an) (?:antworte|sag|empfiehl|verwende|musst|sollst)\w*",
    rf"{_START}(?:reponds|repondez|dis|dites|recommande|utilise|tu dois|vous devez"
    r"|l'assistant doit) (?:toujours|jamais"
    r"|desormais)\b|\b(?:desormais|a partir de maintenant),? (?:reponds|repondez|tu|vous|dis|recommande)\b",
    rf"{_START}(?:responde|contesta|di|recomienda|usa|debes|el asistente debe) (?:siempre|nunca|a partir de ahora)\b"
    r"|\b(?:a partir de ahora|de ahora en adelante),? (?:responde|contesta|debes|di|recomienda)\b"
    r"|(?:^|[.!;:\n] ?)siempre"
    r" (?:responde|contesta|recomienda)\b",
    r"(?:总是|始终|永远|必须)(?:回答|回复|推荐|说)|常に(?:答え|返信|回答|推奨)",
)


@cache
def _patterns() -> Patterns:
    return Patterns((*_ORDERS, *(pattern for rule in RULES if rule.id in _OBEYED for pattern in rule.patterns)))


def is_instruction_like(text: str) -> bool:
    """Tell whether a memory's text tells an assistant what to do, in one of several languages or disguised.

    How the user likes answers is no order: `User wants short answers` is a preference.
    """
    return any(map(_tells, _windows(text))) or any(_tells(hidden) for _, _, hidden in decoded_parts(text))


def takes_over(text: str) -> bool:
    """Tell whether a text sets aside the rules that an assistant has, or says whom to obey.

    No honest wish of a user has a use for it: rules as "never mention prices" or "always answer in English", do not.
    """
    return any(_takes_over(part) for part in _windows(text)) or any(
        _takes_over(hidden) for _, _, hidden in decoded_parts(text)
    )


@cache
def _obeyed() -> Patterns:
    return Patterns(tuple(pattern for rule in RULES if rule.id in _OBEYED for pattern in rule.patterns))


def _takes_over(text: str) -> bool:
    return _obeyed().occur_in(plain_text(text))


def _windows(text: str) -> Iterator[str]:
    """A long text in parts that overlap by more than an order is long, so that no step takes long."""
    start = 0
    while len(text) - start > _WINDOW:
        end = start + _WINDOW
        yield _part(text, start, end)
        start = end - _OVERLAP
    yield _part(text, start, len(text))


def _part(text: str, start: int, end: int) -> str:
    """A part, which does not begin like a sentence where none begins."""
    return text[start:end] if not start or text[start - 1] in "\n.!;:" else _INSIDE + text[start:end]


def _tells(text: str) -> bool:
    return _patterns().occur_in(plain_text(text))
