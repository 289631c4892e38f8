from memhost import hookimpl
from memhost.events import RequestContext, SearchRequest
from memhost.models import MemoryHit


@hookimpl
async def memhost_after_search(
    hits: list[MemoryHit], search: SearchRequest, context: RequestContext
) -> list[MemoryHit]:
    return [hit for hit in hits if "confidential" not in hit.topics]
