"""Toolkit for strategies that ask a language model.

`PromptedStrategy` is the base: it frames the conversation as data, reads answers item by item, fills in dates
that the words tell, and asks for repairs. The other names are its parts, for strategies that need more.
"""

from memhost.extraction.base import PromptedConfig, PromptedSettings, PromptedStrategy
from memhost.extraction.kinds import KIND, NOTED, PREFERENCE, Kind
from memhost.extraction.parsing.answers import Item, Limits, Reading, read_answer, read_tags, unique_tags
from memhost.extraction.parsing.grounding import unresolved
from memhost.extraction.prompt_template import Key, Question, answer_schema, build_request, item_keys
from memhost.extraction.prompts import (
    PromptPolicy,
    checked_prompt,
    prompt_field,
    prompt_hash,
    prompt_problems,
    prompts_in,
    validate_config,
)
from memhost.extraction.screening.safety import PLACEHOLDERS, Finding, check_prompt, is_refused, placeholders_of, render
from memhost.extraction.screening.sensitive.kinds import kinds_of as sensitive_kinds
from memhost.extraction.temporal.dating import since_when
from memhost.secrets.masking import mask_secrets
from memhost.text.temporal.dates import Relative, find_relative, replace_relative
from memhost.text.temporal.times import find_zone

__all__ = [
    "KIND",
    "NOTED",
    "PLACEHOLDERS",
    "PREFERENCE",
    "Finding",
    "Item",
    "Key",
    "Kind",
    "Limits",
    "PromptPolicy",
    "PromptedConfig",
    "PromptedSettings",
    "PromptedStrategy",
    "Question",
    "Reading",
    "Relative",
    "answer_schema",
    "build_request",
    "check_prompt",
    "checked_prompt",
    "find_relative",
    "find_zone",
    "is_refused",
    "item_keys",
    "mask_secrets",
    "placeholders_of",
    "prompt_field",
    "prompt_hash",
    "prompt_problems",
    "prompts_in",
    "read_answer",
    "read_tags",
    "render",
    "replace_relative",
    "sensitive_kinds",
    "since_when",
    "unique_tags",
    "unresolved",
    "validate_config",
]
