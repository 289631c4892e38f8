"""The check of prompts that sessions and views bring, and how their placeholders are filled in.

The protection is structural (`memhost.extraction.prompt_template`): a prompt is advice inside the server's frame, and
an answer can set neither owner nor id. The rules here are the outer fence: they refuse what has no honest use, and warn
of what will have no effect.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from memhost.extraction.screening.obfuscation import Plain, decoded_parts, hidden_letters, plain
from memhost.extraction.screening.rules import RULES
from memhost.models.limits import MAX_PROMPT

PLACEHOLDERS = (
    "message",
    "current_datetime",
    "session_id",
    "namespace",
    "user_id",
    "model_name",
    "context",
    "topics",
    "entities",
)
"""Names that are placeholders if a custom prompt has them in braces."""

Level = Literal["refuse", "warn"]

_NAMED = re.compile(r"\{(\w+)\}")
_ALMOST = re.compile(r"\{\s*(?:" + "|".join(PLACEHOLDERS) + r")(?:\s*[.\[!:][^{}]*|\s+)\}")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a rule found in a prompt."""

    rule: Annotated[str, Meta(description="Id of the rule.")]
    level: Annotated[
        Level,
        Meta(
            description="`refuse`: the prompt may not be used; `warn`: it may, but this has not the effect it seems to."
        ),
    ]
    position: Annotated[int, Meta(description="Index of the first character concerned, counted from 0.")]
    length: Annotated[int, Meta(description="How many characters are concerned.")]
    message: Annotated[str, Meta(description="What was found, as a sentence.")]


def check_prompt(text: str) -> list[Finding]:
    """Return the problems of a prompt, in order of position; it may be used unless a finding has level `refuse`.

    Compatibility forms, accents, invisible characters, look-alike letters and spaced words are seen through; text in
    base64 or hex is read as well.
    """
    if len(text) > MAX_PROMPT:
        return [
            Finding(
                rule="too-long",
                level="refuse",
                position=MAX_PROMPT,
                length=len(text) - MAX_PROMPT,
                message=f"The prompt has {len(text)} characters; at most {MAX_PROMPT} are allowed.",
            )
        ]
    if not text.strip():
        return [Finding(rule="empty", level="refuse", position=0, length=len(text), message="The prompt is empty.")]
    found = [*_by_rules(plain(text)), *_by_decoding(text), *_by_form(text)]
    return sorted({(each.rule, each.position): each for each in reversed(found)}.values(), key=_order)


def is_refused(findings: list[Finding]) -> bool:
    """Tell whether a prompt with these findings must not be used."""
    return any(finding.level == "refuse" for finding in findings)


def placeholders_of(text: str) -> list[str]:
    """Placeholders that the text uses, in order, each once."""
    return list(dict.fromkeys(name for name in _NAMED.findall(text) if name in PLACEHOLDERS))


def render(template: str, values: Mapping[str, str]) -> str:
    """The template with `{name}` replaced for each exact name in `values`, in one pass; every other brace is text.

    `{message}` is appended where the template lacks it and `values` has it.
    """
    if "message" in values and "{message}" not in template:
        template += "\n\n{message}"
    return _NAMED.sub(lambda found: values.get(found[1], found[0]), template)


def _by_rules(text: Plain) -> list[Finding]:
    findings = []
    for rule in RULES:
        match = rule.find(text.text)
        if match is not None:
            start, end = text.positions[match.start()], text.positions[match.end() - 1] + 1
            findings.append(
                Finding(rule=rule.id, level=rule.level, position=start, length=end - start, message=rule.message)
            )
    return findings


def _by_decoding(text: str) -> list[Finding]:
    findings = []
    for position, length, hidden in decoded_parts(text):
        if is_refused(_by_rules(plain(hidden))):
            findings.append(
                Finding(
                    rule="encoded",
                    level="refuse",
                    position=position,
                    length=length,
                    message="The prompt contains encoded text that would be refused as plain text; remove it.",
                )
            )
    return findings


def _by_form(text: str) -> list[Finding]:
    findings = [
        Finding(
            rule="placeholder-form",
            level="warn",
            position=match.start(),
            length=len(match[0]),
            message=f"{match[0]} is plain text; a placeholder is a bare name in braces.",
        )
        for match in _ALMOST.finditer(text)
    ]
    hidden = hidden_letters(text)
    if hidden:
        findings.append(
            Finding(
                rule="invisible",
                level="warn",
                position=hidden[0],
                length=1,
                message=f"The prompt has {len(hidden)} invisible characters; the check reads past them.",
            )
        )
    return findings


def _order(finding: Finding) -> tuple[int, str]:
    return finding.position, finding.rule
