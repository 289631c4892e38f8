"""Operations for people who write custom prompts."""

from __future__ import annotations

import msgspec

from memhost.extraction.reports import PromptKind
from memhost.models.limits import Text


class ValidatePrompt(msgspec.Struct, kw_only=True):
    """A prompt to check, and what it is to be used for."""

    prompt: Text
    kind: PromptKind = "custom"
