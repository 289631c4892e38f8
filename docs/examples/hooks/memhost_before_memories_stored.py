from memhost import event_options, hookimpl
from memhost.events import RequestContext
from memhost.models import MemoryRecord


@hookimpl
@event_options(on_failure="refuse", timeout_s=0.5)
async def memhost_before_memories_stored(memories: list[MemoryRecord], context: RequestContext) -> list[MemoryRecord]:
    return [memory for memory in memories if "password" not in memory.text.lower()]
