"""Operations that find memories: the search, and the memory prompt."""

from __future__ import annotations

from memhost.operations.long_term import MemoryPromptRequest, SearchMemories
from memhost.operations.responses import MemoryHits, MemoryPrompt
from memhost.operations.table import Call, Operation, forward
from memhost.search.memory_prompt import PromptService
from memhost.search.service import SearchService


async def _search(search: SearchService, call: Call, request: SearchMemories) -> MemoryHits:
    return await search.search(call, request, optimize_query=request.optimize_query, trace=request.trace)


OPERATIONS = (
    Operation(
        name="search_memories",
        request=SearchMemories,
        response=MemoryHits,
        handler=forward(SearchService, _search),
        access="read",
        tag="Long-term memory",
        summary="Search memories, or list them by filters.",
        description=(
            "The store applies filters inside its query and never relaxes them. `explain` adds the parts of each score "
            "and sentences that explain them, `trace` the milliseconds of each phase."
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
