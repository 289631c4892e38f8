"""Operations on long-term memories, and on the trash."""

from __future__ import annotations

from msgspec import UNSET

from memhost.memories.service import MemoryService
from memhost.memories.trash import TrashService
from memhost.models import MemoryRecord
from memhost.operations.ams_compat import deleted_status
from memhost.operations.long_term import CreateMemories, DeleteMemories, EditMemory, GetMemory, StoreMemories
from memhost.operations.maintenance import ListTrash, RestoreMemories
from memhost.operations.responses import Ack, DeletionAck, RestoreResult, StoredRecords, TrashPage
from memhost.operations.table import Call, Operation, forward

TAG = "Long-term memory"


async def _create(memories: MemoryService, call: Call, request: CreateMemories) -> Ack:
    await memories.create(call, request.memories, deduplicate=request.deduplicate)
    return Ack()


async def _store(memories: MemoryService, call: Call, request: StoreMemories) -> StoredRecords:
    return StoredRecords(results=await memories.store(call, request.memories))


async def _get(memories: MemoryService, call: Call, request: GetMemory) -> MemoryRecord:
    return await memories.get(call, request.memory_id)


async def _delete(memories: MemoryService, call: Call, request: DeleteMemories) -> DeletionAck:
    done = await memories.delete(call, request.memory_ids)
    return DeletionAck(
        status=deleted_status(done.count),
        deleted_ids=done.ids if request.report else UNSET,
        missing_ids=done.missing if request.report else UNSET,
    )


async def _list_trash(trash: TrashService, call: Call, request: ListTrash) -> TrashPage:
    bounds = call.caller.bounds.narrow(
        namespace=request.namespace or None,
        user=request.user_id or None,
        session=request.session_id or None,
    )
    return await trash.page(bounds, request.limit, request.after)


async def _restore(trash: TrashService, call: Call, request: RestoreMemories) -> RestoreResult:
    return await trash.restore(call, request.ids)


OPERATIONS = (
    Operation(
        name="create_memories",
        request=CreateMemories,
        response=Ack,
        handler=forward(MemoryService, _create),
        access="write",
        tag=TAG,
        summary="Store memories; they can be read and searched when the answer comes.",
        description=(
            "With `deduplicate` a memory that repeats a stored one of the same owner and type goes into that "
            "one: the same text, but for gaps in prose and one full stop at the end. It adds its tags, metadata, event "
            "date and pin; both ids lead to the one that stays, which a notice names. Where both say something that "
            "differs (a date, a value of metadata, letter case, any sign), both stay."
        ),
        errors=("invalid_arguments", "id_taken", "long_term_memory_disabled"),
    ),
    Operation(
        name="store_memories",
        request=StoreMemories,
        response=StoredRecords,
        handler=forward(MemoryService, _store),
        access="write",
        tag=TAG,
        summary="Store memories, and tell what became of each.",
        description="As storing memories otherwise, but ids may be left out, and the answer holds what is stored.",
        errors=("invalid_request", "invalid_arguments", "id_taken", "long_term_memory_disabled"),
    ),
    Operation(
        name="get_memory",
        request=GetMemory,
        response=MemoryRecord,
        handler=forward(MemoryService, _get),
        access="read",
        tag=TAG,
        summary="Read a memory.",
        errors=("not_found", "long_term_memory_disabled"),
    ),
    Operation(
        name="edit_memory",
        request=EditMemory,
        response=MemoryRecord,
        handler=forward(MemoryService, MemoryService.edit),
        access="write",
        tag=TAG,
        summary="Change fields of a memory.",
        errors=("not_found", "invalid_request", "long_term_memory_disabled"),
        repeatable=True,
    ),
    Operation(
        name="delete_memories",
        request=DeleteMemories,
        response=DeletionAck,
        handler=forward(MemoryService, _delete),
        access="delete",
        tag=TAG,
        summary="Delete memories by id; ids that nothing has are named.",
        description=(
            "An id whose memory went into one that it repeats deletes that one. A notice names ids that nothing has."
        ),
        errors=("long_term_memory_disabled",),
        repeatable=True,
    ),
    Operation(
        name="list_trash",
        request=ListTrash,
        response=TrashPage,
        handler=forward(TrashService, _list_trash),
        access="read",
        tag=TAG,
        summary="List memories that the server removed by itself, and that can still be brought back.",
        description=(
            "`reason` is `forgotten` (by a policy), `repeated` (word by word another memory), `merged` (into another "
            "one that means the same), `reworded` (the former text of a merged memory, under an id of its own), "
            "`superseded` (replaced long ago by a newer fact) or `unsupported` (made from a turn alone that was edited "
            "and says something else). What a client deletes is gone at once, also from here."
        ),
        errors=("invalid_arguments", "long_term_memory_disabled"),
    ),
    Operation(
        name="restore_memories",
        request=RestoreMemories,
        response=RestoreResult,
        handler=forward(TrashService, _restore),
        access="write",
        tag=TAG,
        summary="Bring memories back from the trash, or make replaced facts valid again.",
        description=(
            "A memory whose id has been taken meanwhile stays in the trash. What was brought back is not merged "
            "again by the server (its metadata says `restored_at`), and ages from now."
        ),
        errors=("invalid_arguments", "long_term_memory_disabled", "model_unavailable"),
    ),
)
