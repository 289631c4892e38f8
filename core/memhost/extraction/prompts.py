"""Options of a session that are prompts: which they are, and whether they may be used."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Meta, inspect

from memhost.errors import InvalidRequest, Problem, UnsafePrompt
from memhost.extraction.screening.safety import check_prompt

if TYPE_CHECKING:
    from memhost.specs import StrategySpec

UNSAFE = "unsafe_prompt"
"""Kind of the problems that prompts have."""


class PromptPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Which custom prompts may be used.

    Attributes:
        mode: `on`: all that pass the check; `approved`: only those whose SHA-256 is in `approved`; `off`: none.
        approved: SHA-256 (hex) of prompts.
    """

    mode: Literal["on", "approved", "off"] = "on"
    approved: tuple[str, ...] = ()


def prompt_field(description: str) -> Meta:
    """Return the metadata of a `StrategySpec.config` field that holds a prompt, which is checked on write."""
    return Meta(description=description, extra={"prompt": True})


def prompt_hash(prompt: str) -> str:
    """SHA-256 (hex) of a prompt, by which it is approved and kept with the memories that it produced."""
    return hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()


def prompts_in(spec: StrategySpec, config: Mapping[str, Any]) -> dict[str, str]:
    """The prompts among the options, by name; empty ones are none."""
    found = {name: config.get(name) for name in _prompt_fields(spec.config)}
    return {name: value for name, value in found.items() if isinstance(value, str) and value}


def validate_config(spec: StrategySpec, config: Mapping[str, Any], policy: PromptPolicy | None = None) -> list[Problem]:
    """Return the problems of the options that a session gives to a strategy.

    Unknown options are problems where the strategy's struct forbids them (`forbid_unknown_fields`), else ignored. They
    are ignored as well for a strategy that declares no options.

    Args:
        spec: The strategy.
        config: The options that will be used: those of server and namespace with the session's.
        policy: Which prompts may be used; by default all that pass the check.

    Returns:
        Problems whose `where` begins with the option. Those of prompts have kind `unsafe_prompt`, and `rule` and
        `position` (characters from 0) in their context.
    """
    problems = []
    prompts = prompts_in(spec, config)
    for name in spec.config.__struct_fields__:
        if problem := _typed(spec.config, name, config):
            problems.append(problem)
        elif name in prompts:
            problems += prompt_problems(prompts[name], (name,), policy)
    return problems + _unknown(spec, config)


def prompt_problems(
    prompt: str, where: tuple[str | int, ...] = (), policy: PromptPolicy | None = None
) -> list[Problem]:
    """Why a prompt may not be used, of kind `unsafe_prompt`; empty if it may."""
    policy = policy or PromptPolicy()
    if policy.mode == "off":
        return [_unsafe("off", 0, "Custom prompts are switched off (CUSTOM_PROMPTS).", where)]
    if policy.mode == "approved" and prompt_hash(prompt) not in policy.approved:
        message = f"This prompt is not approved; its SHA-256 is {prompt_hash(prompt)} (APPROVED_PROMPTS)."
        return [_unsafe("not-approved", 0, message, where)]
    return [
        _unsafe(finding.rule, finding.position, finding.message, where)
        for finding in check_prompt(prompt)
        if finding.level == "refuse"
    ]


def checked_prompt(config: Mapping[str, Any], name: str, *, required: bool = False) -> str:
    """The prompt among the options of a run, checked once more; empty if there is none.

    Raises:
        UnsafePrompt: It does not pass the check.
        InvalidRequest: It is required and missing.
    """
    prompt = config.get(name)
    if not isinstance(prompt, str) or not prompt.strip():
        if required:
            raise InvalidRequest(f"The strategy needs the option {name}; set it in long_term_memory_strategy.config.")
        return ""
    if problems := prompt_problems(prompt, (name,)):
        raise UnsafePrompt(problems)
    return prompt


def _unknown(spec: StrategySpec, config: Mapping[str, Any]) -> list[Problem]:
    known = spec.config.__struct_encode_fields__
    if not known or not spec.config.__struct_config__.forbid_unknown_fields:
        return []
    message = f"There is no such option; the strategy {spec.name} has {', '.join(known)}"
    return [Problem(where=(name,), message=message, value=value) for name, value in config.items() if name not in known]


def _typed(struct: type[msgspec.Struct], name: str, config: Mapping[str, Any]) -> Problem | None:
    """Return the problem with the presence or the type of one option, None if there is none."""
    field = next(field for field in msgspec.structs.fields(struct) if field.name == name)
    if name not in config:
        return Problem(where=(name,), kind="missing", message="Field required") if field.required else None
    try:
        msgspec.convert(config[name], field.type)
    except msgspec.ValidationError as error:
        return Problem(where=(name,), message=str(error), value=config[name])
    return None


def _prompt_fields(struct: type[msgspec.Struct]) -> list[str]:
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    return [
        field.name
        for field in info.fields
        if isinstance(field.type, inspect.Metadata) and (field.type.extra or {}).get("prompt")
    ]


def _unsafe(rule: str, position: int, message: str, where: tuple[str | int, ...]) -> Problem:
    return Problem(where=where, kind=UNSAFE, message=message, context={"rule": rule, "position": position})
