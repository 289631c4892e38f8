"""Tells memories that read like instructions to an assistant, which a message may have smuggled in."""

from __future__ import annotations

import re
from functools import lru_cache

from memhost.extraction.disguises import decoded_parts, plain
from memhost.extraction.rules import RULES

SUSPICIOUS = "suspicious"
"""Metadata key of memories that read like instructions."""

_OBEYED = frozenset(
    ("override-instructions", "disclosure", "jailbreak", "foreign-data", "control-marks", "obey-hidden")
)
_START = r"(?:^|[.!;:\n] ?)"
_ORDERS = (
    # An order to the assistant as such: it always or never has to do something, or has to from now on.
    rf"{_START}(?:you|assistant|the assistant|the (?:ai|agent|model|bot))(?: must| should| shall"
    r"| will| has to| have to"
    r"| need to| needs to)?,? (?:always|never|from now on|henceforth|only|immediately|secretly)\b",
    r"\b(?:the )?(?:assistant|ai|agent|model|bot)s? (?:must|shall|has to|have to|is required to|is instructed to"
    r"|is ordered to|should (?:always|never|secretly|only))\b",
    rf"{_START}(?:please )?(?:always|never|from now on,?|henceforth,?) (?:reply|respond|answer|say|recommend|mention"
    r"|include|send|forward|use|tell|add|append|start|end|obey|follow|call|execute|run|transfer|approve)\b",
    rf"{_START}(?:when|whenever|if) (?:asked|you are asked|anyone asks|the user asks"
    rf"|someone asks)\b[^.\n]{{0,80}}, ?(?:always"
    r"|never|reply|respond|answer|say|send|tell|you)\b",
    r"\byou are now\b|\bact as (?:a |an )?(?:unrestricted|admin|root|system)",
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


@lru_cache(maxsize=1)
def _order() -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in _ORDERS).replace(" ", r"\s"))


def is_instruction_like(text: str) -> bool:
    """Whether a memory's text tells an assistant what to do, in one of several languages or disguised.

    What the user likes answers to be is no order: `User wants short answers` is a preference.
    """
    return _tells(text) or any(_tells(hidden) for _, _, hidden in decoded_parts(text))


def _tells(text: str) -> bool:
    shown = plain(text).text
    return _order().search(shown) is not None or any(rule.id in _OBEYED and rule.find(shown) for rule in RULES)
