"""Operations for people who write custom prompts."""

from typing import Annotated

import msgspec
from msgspec import Meta

from memhost.extraction.reports import PromptKind
from memhost.models.limits import Text


class ValidatePrompt(msgspec.Struct, kw_only=True):
    """A prompt to check, and what it is to be used for."""

    prompt: Annotated[
        Text,
        Meta(
            description="The prompt; one of more than 10,000 characters is checked and found too long.",
            examples=["Note decisions on our software and who made them: {message}"],
        ),
    ]
    kind: Annotated[
        PromptKind,
        Meta(
            description="`custom`: of the strategy of that name; `instructions`: beside a strategy's own prompt; "
            "`view`: of a summary view.",
            examples=["custom"],
        ),
    ] = "custom"
