"""Operations on extraction: read turns again, and check custom prompts."""

from __future__ import annotations

from memhost.extraction.pipeline.rebuild import Rebuilding
from memhost.extraction.prompts import PromptPolicy
from memhost.extraction.reports import PromptReport, report_on
from memhost.operations.extraction import ValidatePrompt
from memhost.operations.maintenance import RebuildMemories
from memhost.operations.responses import RebuildAck
from memhost.operations.table import Call, Operation, forward
from memhost.ports import Host


async def _validate(host: Host, _call: Call, request: ValidatePrompt) -> PromptReport:
    settings = host.settings.extraction
    policy = PromptPolicy(mode=settings.custom_prompts, approved=settings.approved_prompts)
    return report_on(request.prompt, request.kind, policy)


OPERATIONS = (
    Operation(
        name="rebuild_memories",
        request=RebuildMemories,
        response=RebuildAck,
        handler=forward(Rebuilding, Rebuilding.rebuild),
        access="delete",
        tag="Long-term memory",
        summary="Remove what strategies made of turns, and have the turns read again.",
        description=(
            "Memories that a strategy with a language model made from turns which can still be read go to the trash "
            "(`rebuilt`), and all turns of these sessions wait for extraction; it costs what it cost the first time. "
            "Memories of clients, edited and pinned ones stay, and so does what rests on turns that are gone. Without "
            "a model nothing is removed. Callers who are neither operator nor admin must name a user or be bound to "
            "users. With `wait_s` the answer comes after at most that many seconds, with `status` `running` and a "
            "`task_id` if the work continues."
        ),
        errors=("long_term_memory_disabled", "forbidden", "invalid_request"),
        repeatable=True,
    ),
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
