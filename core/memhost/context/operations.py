"""Operations that prepare what an agent reads: the context of a query, and the memory prompt."""

from __future__ import annotations

from memhost.context.memory_prompt import PromptService
from memhost.context.service import ContextService
from memhost.operations.long_term import Context, GetContext, MemoryPromptRequest
from memhost.operations.responses import MemoryPrompt
from memhost.operations.table import Operation, forward

OPERATIONS = (
    Operation(
        name="get_context",
        request=GetContext,
        response=Context,
        handler=forward(ContextService, ContextService.get),
        access="read",
        tag="Prompt",
        summary="Get what is remembered for a query or a session, as a text within a budget of tokens.",
        description=(
            "Dated evidence in order of time, with speakers and numbers that `items` maps to ids. The beginning does "
            "not depend on the query, so that prompt caches can keep it."
        ),
        errors=("invalid_arguments", "invalid_request", "long_term_memory_disabled"),
    ),
    Operation(
        name="memory_prompt",
        request=MemoryPromptRequest,
        response=MemoryPrompt,
        handler=forward(PromptService, PromptService.build),
        access="read",
        tag="Prompt",
        summary="Build a prompt from a session, the memories found for a query, and the query.",
        errors=("invalid_request", "invalid_arguments", "long_term_memory_disabled"),
    ),
)
