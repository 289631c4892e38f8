"""The full report on a prompt, for people who write one."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from memhost.extraction.prompts import PromptPolicy, prompt_hash, prompt_problems
from memhost.extraction.screening.safety import Finding, check_prompt, placeholders_of

PromptKind = Literal["custom", "instructions", "view"]


class PromptReport(msgspec.Struct, frozen=True, kw_only=True):
    """Result of the check of a prompt."""

    ok: Annotated[bool, Meta(description="Whether the prompt may be used.")]
    findings: Annotated[
        list[Finding],
        Meta(description="Findings of the rules, in order of position; level `refuse` forbids it, `warn` does not."),
    ]
    placeholders: Annotated[
        list[str], Meta(description="Placeholders that will be filled in; only custom prompts have some.")
    ]
    sha256: Annotated[str, Meta(description="Hash of the prompt, by which an operator approves it.")]


def report_on(prompt: str, kind: PromptKind = "custom", policy: PromptPolicy | None = None) -> PromptReport:
    """Return the report, with the findings that the policy forbids first.

    Args:
        prompt: The prompt.
        kind: `custom` prompts have placeholders; extra `instructions` of a strategy and prompts of a summary `view`
            have none.
        policy: Which prompts may be used.
    """
    findings = check_prompt(prompt)
    found = {finding.rule for finding in findings}
    for problem in prompt_problems(prompt, policy=policy):
        rule = (problem.context or {})["rule"]
        if rule not in found:
            findings.insert(0, Finding(rule=rule, level="refuse", position=0, length=0, message=problem.message))
    placeholders = placeholders_of(prompt) if kind == "custom" else []
    if kind == "custom" and "message" not in placeholders:
        message = "The prompt has no {message}; the conversation is appended."
        findings.append(Finding(rule="no-message", level="warn", position=len(prompt), length=0, message=message))
    return PromptReport(
        ok=all(finding.level != "refuse" for finding in findings),
        findings=findings,
        placeholders=placeholders,
        sha256=prompt_hash(prompt),
    )
