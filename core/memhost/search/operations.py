"""The search of memories."""

from __future__ import annotations

from memhost.operations.long_term import SearchMemories
from memhost.operations.responses import MemoryHits
from memhost.operations.table import Call, Operation, forward
from memhost.search.long_texts import shorten
from memhost.search.service import SearchService


async def _search(search: SearchService, call: Call, request: SearchMemories) -> MemoryHits:
    found = await search.search(call, request, optimize_query=request.optimize_query, trace=request.trace)
    if request.max_text is not None:
        for hit in found.memories:
            shorten(hit, request.text or "", request.max_text)
    return found


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
)
