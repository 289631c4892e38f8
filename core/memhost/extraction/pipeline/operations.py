"""Operations for people who write custom prompts."""

from __future__ import annotations

from memhost.extraction.prompts import PromptPolicy
from memhost.extraction.reports import PromptReport, report_on
from memhost.operations.extraction import ValidatePrompt
from memhost.operations.table import Call, Operation
from memhost.ports import Host


async def _validate(host: Host, _call: Call, request: ValidatePrompt) -> PromptReport:
    settings = host.settings.extraction
    policy = PromptPolicy(mode=settings.custom_prompts, approved=settings.approved_prompts)
    return report_on(request.prompt, request.kind, policy)


OPERATIONS = (
    Operation(
        name="validate_prompt",
        request=ValidatePrompt,
        response=PromptReport,
        handler=_validate,
        access="read",
        tag="Extraction",
        summary="Check a custom prompt without storing or running it.",
        description=(
            "The same check as on a write. A finding of level `refuse` makes memhost refuse the prompt; `warn` marks "
            "parts that will have no effect. `position` counts characters from 0."
        ),
        errors=("invalid_arguments",),
    ),
)
