from memhost import hookimpl
from memhost.events import JobContext, MemoriesStored
from memhost.models import SessionKey
from memhost.ports import Draft


@hookimpl
async def memhost_memories_stored(event: MemoriesStored, context: JobContext) -> None:
    for memory in await context.get_memories(event.ids):
        if "birthday" in memory.text and "reminder" not in memory.topics:  # not of what it stored itself
            owner = SessionKey(event.tenant, memory.namespace or "", memory.user_id or "", memory.session_id or "")
            draft = Draft(text=f"Remind of: {memory.text}", topics=["reminder"], source_ids=[memory.id])
            await context.store_memories(owner, [draft])
