"""Signs by which a text shows what it is for: addresses, accounts, commands, and forms that leave their place."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

from memhost.text.matching.literals import Screened, small

_URL = re.compile(
    r"(?<![\w.@-])(?:[a-z][a-z0-9+.-]{1,20}://[^\s<>\"']|www\.|(?:[a-z0-9-]{1,63}\.){1,6}"
    r"(?:example|com|net|org|io|dev|app|ai|co|info|biz|xyz|site|online|cloud|de|fr|es|it|nl|br|pt|ru|tr|cn|jp|kr|uk|test)"
    r"(?![\w-])(?!\.\w))",
    re.IGNORECASE,
)
_TAKES_ALONG = Screened(r"https?://[^\s?]{1,200}\?[^\s{<\[]{0,100}=[{<\[]{1,2}\s?[a-z]", re.IGNORECASE)
_PHONE = Screened(r"(?<![\w+])\+\d[\d ()/-]{6,18}\d")
_MAIL = Screened(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}\.\w")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,5}){2,9}(?![A-Za-z0-9])")
_DIGIT = re.compile(r"\d")
"""Every number of an account has one."""
_COIN = re.compile(r"(?<!\w)(?:bc1[a-z0-9]{20,60}|0x[0-9a-fA-F]{40}|[13][a-km-zA-HJ-NP-Z1-9]{26,34})(?!\w)")
_ACCOUNT = re.compile(
    r"(?<![\d.,:/\w-])(?:\d{2}-\d{2}-\d{2}(?!\d)|\d{2,4}-\d{4,8}|\d{4}(?: \d{4}){2,5}(?: \d{1,4})?"
    r"|\d{7,20})(?![\d.,:/-]|\w)"
)
_ENDING = re.compile(
    r"(?:\bend(?:s|ing)? (?:in|on|with)|\bendet (?:auf|mit)|\bse termine par|\bfinissant par|\btermina(?:da)? en"
    r"|\bche finisce con|\bfinal|\beindigt op|оканчива\w{1,6} на|\bile biten|尾号|末尾|下\d桁|끝자리)"
    r"\s{0,3}:?\s{0,3}\d{3,6}",
    re.IGNORECASE,
)
_COMMAND = (
    Screened(r"\|\s{0,4}(?:sudo\s{1,4})?(?:ba|z|da)?sh\b"),
    Screened(r"\brm\s{1,4}-\w{0,8}[rf]\w{0,8}\s{1,4}(?:--no-preserve-root|/(?!tmp)|~|\*|\$HOME)"),
    Screened(r"\bchmod\s{1,4}(?:-R\s{1,4})?(?:0?777|a\+rwx)\b"),
    Screened(r"\b(?:DROP|TRUNCATE)\s{1,4}(?:TABLE|DATABASE|SCHEMA)\b", re.IGNORECASE),
    Screened(r"\bgit\s{1,4}push\s{1,4}(?:--force(?![\w-])|-f\b)"),
    Screened(r"\bkubectl\s{1,4}delete\b"),
    Screened(r"\bmkfs\b|\bdd\s{1,4}if=|\bcurl\s{1,4}[^|\n]{0,80}-k\b|--insecure\b|--no-verify\b"),
)
_CALL = Screened(
    r"(?<![\w.-])(?:\w{1,30}_)?(?:delete|remove|wipe|drop|transfer|pay|send|export|approve|grant|handover|buy|order|refund|wire|unlock|purge"
    r"|disable|reset|publish|share|upload)_\w{1,40}(?![\w.])"
    r"|(?<![\w.-])\w{1,30}[_-](?:delete|wipe|transfer|payout|handover|refund|unlock|purge|export|approve)(?![\w.-])",
    re.IGNORECASE,
)
_MARKS = Screened(
    r"<\s{0,4}/?\s{0,4}(?:system|assistant|developer|instructions?|admin|prompt|guidance|tool_call|function_calls?|im_start|im_end)\b"
    r"|<\||\|>|\[/?(?:inst|system|memory_persist|override|admin)\b|<<sys>>"
    r"|(?:^|\n)\s{0,8}#{1,6}\s{0,4}"
    r"(?:system|instruction|new instructions?|assistant|override|directive)\w{0,3}"
    r"\s{0,4}:(?!\s{0,4}(?:ubuntu|linux|windows|macos|android|ios)\b)"
    r"|[\"']role[\"']\s{0,4}:\s{0,4}[\"'](?:system|assistant|developer|tool|admin\w{0,12})"
    r"|(?:^|[\n.;>\]|]|:\s)\s{0,8}(?:system|developer)(?: prompt| message| note)?\s{0,2}:\s{0,4}"
    r"(?!ubuntu|linux|windows|macos|android|ios|the\b)(?=\w)"
    r"|<!--[^>]{0,200}\b(?:assistants?|agents?|models?|bots?|ai)\b"
    r"|[\"'](?:assistant|system|system_prompt|instructions?|permissions)[\"']\s{0,4}:\s{0,4}[\"'\[{]",
    re.IGNORECASE,
)
_KEYS = Screened(
    r"(?:\b|_)(?:system[_.\s]prompt|(?:identity|user|agent|account|security|auth)[_.](?:roles?|permissions?|rights|scopes?"
    r"|persona|privileges?)|permissions|is_admin|auto_?approve|scope|requires?_(?:approval|confirmation)|guardrails|tool_policy)"
    r"\b[\"']?\s{0,2}[=:](?!=)",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"^\s{0,80}(?:if|for|while|def|class|import|from|return|assert|select|insert|update|const|let|var|function|public|private"
    r"|elif|else|try|except|with|raise|throw|print|echo|sudo|git|make|docker|npm|pip|cd|ls|rm|export|//|#!?|/\*|\$|>>>)(?=[\s({:]).{0,200}?"
    r"(?:[(){}\[\];=]|--?\w|/\w)",
    re.IGNORECASE,
)
_LOG = re.compile(
    r"^\s{0,8}(?:\[?\d{2,4}[-.:/]\d{2}\S{0,20}\s|(?:\S{1,12}\s)?(?:DEBUG|INFO|WARN(?:ING)?|ERROR|FATAL|CRITICAL|TRACE)\b|\w{1,20}\[\d+\]:)"
)
_HIDDEN = re.compile(r"[a-z][\u200b-\u200f\u2060-\u2064\ufeff\u00ad][a-z]|[\U000e0020-\U000e007f]{3}", re.IGNORECASE)
_LONGEST_WORD = 64
_WORDS = re.compile(r"[^\W\d_]+")


def has_address(text: str) -> bool:
    """Tell whether a place is named that something can be sent to: a URL, a domain, a mail address."""
    return _URL.search(text) is not None or _MAIL.search(text) is not None


def has_mail(text: str) -> bool:
    """Tell whether a mail address is named."""
    return _MAIL.search(text) is not None


def has_phone(text: str) -> bool:
    """Tell whether an international phone number is named."""
    return _PHONE.search(text) is not None


def takes_data_along(text: str) -> bool:
    """Tell whether it has a URL with a place for data in it: `https://…/p.png?d={conversation}`."""
    return _TAKES_ALONG.search(text) is not None


def has_account(text: str) -> bool:
    """Tell whether an account is named by its number: IBAN, wallet."""
    return _DIGIT.search(text) is not None and any(pattern.search(text) for pattern in (_IBAN, _COIN))


def has_number_of_account(text: str) -> bool:
    """Tell whether there is a number that is an account's if the text speaks of one."""
    return any(pattern.search(text) for pattern in (_ACCOUNT, _ENDING))


def has_command(text: str) -> bool:
    """Tell whether it has a command of a shell or a database that destroys, or runs what strangers wrote."""
    low = small(text)
    for pattern in _COMMAND:
        if pattern.may_match(low if pattern.any_case else text) and pattern.compiled.search(text) is not None:
            return True
    return False


def has_call(text: str) -> bool:
    """Tell whether it has the name of a tool that does what cannot be undone: `transfer_funds`, `delete-all`."""
    return _CALL.search(text) is not None


def leaves_its_place(text: str) -> bool:
    """Tell whether it has marks of a conversation or a prompt: roles, tags, headings, keys of settings."""
    return _MARKS.search(text) is not None


def has_keys(text: str) -> bool:
    """Tell whether it sets what an agent is or may: `permissions: all`, `identity.role=admin`."""
    return _KEYS.search(text) is not None


def is_code(line: str) -> bool:
    """Tell whether a line is a line of a program, of a shell or of a log."""
    return _CODE.match(line) is not None or _LOG.match(line) is not None


def is_disguised(text: str) -> bool:
    """Tell whether words are spelled with letters of several scripts, or with hidden ones in between."""
    if text.isascii():
        return False
    if _HIDDEN.search(text) is not None:
        return True
    return any(_changes(word[0]) >= 2 for word in _WORDS.finditer(text) if len(word[0]) < _LONGEST_WORD)


def _changes(word: str) -> int:
    scripts = [unicodedata.name(letter, "").partition(" ")[0] for letter in word]
    known = [script for script in scripts if script in ("LATIN", "CYRILLIC", "GREEK")]
    return sum(one != other for one, other in pairwise(known))
