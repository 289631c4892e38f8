"""Adding to memories that were read a while ago, without undoing deletions and edits since."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from memhost.models import Job, Scope, StoredMemory, WriteBatch
from memhost.ports import Store

Change = Callable[[StoredMemory], StoredMemory | None]


async def replace_unchanged(
    store: Store,
    scope: Scope,
    seen: Sequence[StoredMemory],
    change: Change,
    jobs: Callable[[Sequence[str]], list[Job]] | None = None,
) -> list[Job]:
    """Replace those memories that are still there with the text they had; the jobs that were committed with it.

    Args:
        store: Where they are.
        scope: Bounds.
        seen: The memories as they were read.
        change: Makes the new memory of the one that is stored now; None leaves it.
        jobs: Makes the jobs to commit for the ids replaced.
    """
    texts = {memory.record.id: memory.record.text for memory in seen}
    current = await store.get_memories(scope, list(texts))
    changed = [
        new
        for memory in current
        if memory.record.text == texts[memory.record.id] and (new := change(memory)) is not None
    ]
    if not changed:
        return []
    made = jobs([memory.record.id for memory in changed]) if jobs is not None else []
    result = await store.commit(scope, WriteBatch(put_memories=changed, add_jobs=made))
    if result.created:  # deleted between the two lines above
        await store.commit(scope, WriteBatch(delete_memories=result.created))
    return made
