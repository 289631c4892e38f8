"""Finds secrets by their shape and masks them."""

from __future__ import annotations

import re

MASK = "[secret]"

_SHAPES = re.compile(
    "|".join(
        (
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)",
            r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}",  # JWT
            r"\bsk-(?:ant-|proj-|or-|live-)?[\w-]{20,}",  # OpenAI, Anthropic, OpenRouter
            r"\b(?:sk|rk|pk|whsec)_(?:live|test)_[A-Za-z0-9]{16,}",  # Stripe
            r"\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}|\bglpat-[\w-]{18,}",  # GitHub, GitLab
            r"\b(?:AKIA|ASIA|AROA)[A-Z0-9]{16}\b",  # AWS
            r"\bAIza[\w-]{30,}|\bya29\.[\w-]{20,}",  # Google
            r"\bxox[abeprs]-[\w-]{10,}|hooks\.slack\.com/services/[\w/]{20,}",  # Slack
            r"\bhf_[A-Za-z0-9]{30,}|\bnpm_[A-Za-z0-9]{30,}|\bpypi-[\w-]{40,}|\bSG\.[\w-]{16,}\.[\w-]{16,}",
            r"\bdop_v1_[a-f0-9]{40,}|\bAGE-SECRET-KEY-1[A-Z0-9]{40,}",
            r"(?<=://)[^\s/:@]+:[^\s/@]{3,}(?=@)",  # user and password of an address
            r"\bBearer\s+[\w.~+/-]{20,}=*",
        )
    )
)
_NAMED = re.compile(
    r"(?i)(\b(?:password|passwd|passphrase|passwort|kennwort|mot de passe|contraseña|api[ _-]?key|secret[ _-]?key"
    r"|access[ _-]?token|client[ _-]?secret|pin code)\b\s*(?:is|ist|est|es|[:=])\s*[\"'`]?)"
    r"(?=\S*[\d!@#$%^&*])([^\s\"'`,;]{6,})"
)
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")

_ISSUED = re.compile(r"4(?:\d{12}|\d{15}|\d{18})|(?:5\d|2[2-7])\d{14}|3[47]\d{13}|3[0689]\d{12}|35\d{14}|6\d{15,18}")
"""Lengths and first digits that issuers of cards use."""


def mask_secrets(text: str) -> tuple[str, bool]:
    """The text with secrets masked, and whether there were any.

    Private keys, tokens of known services, JSON web tokens, passwords in addresses or after their name, and card
    numbers whose check digit is right.
    """
    masked = _SHAPES.sub(MASK, text)
    masked = _NAMED.sub(lambda found: found[1] + MASK, masked)
    masked = _CARD.sub(lambda found: MASK if _is_card(found[0]) else found[0], masked)
    return masked, masked != text


def _is_card(text: str) -> bool:
    number = "".join(letter for letter in text if letter.isdigit())
    if not _ISSUED.fullmatch(number):
        return False
    digits = [int(digit) for digit in number]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
