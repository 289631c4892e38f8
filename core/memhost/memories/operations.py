"""Operations on long-term memories, on the trash, and on memories that wait for a review."""

from __future__ import annotations

from msgspec import UNSET

from memhost.memories.derived.chain import Chains
from memhost.memories.review.service import ReviewService
from memhost.memories.service import MemoryService
from memhost.memories.trash import TrashService
from memhost.models import MemoryRecord
from memhost.operations.ams_compat import deleted_status
from memhost.operations.long_term import (
    CreateMemories,
    DeleteMemories,
    EditMemory,
    ExplainMemory,
    GetMemory,
    MemoryChain,
    StoreMemories,
)
from memhost.operations.maintenance import (
    ApproveReviews,
    CorrectReview,
    GetReview,
    ListReviews,
    ListTrash,
    RefuseReviews,
    RestoreMemories,
    ReviewPage,
    ReviewsDecided,
    WaitingMemory,
)
from memhost.operations.responses import DeletionAck, RestoreResult, StoredAck, StoredRecords, TrashPage
from memhost.operations.table import Call, Operation, forward
from memhost.storage.preconditions import Expected

TAG, REVIEWS = "Long-term memory", "Reviews"

WHO_REVIEWS = (
    "For operators who are not bound inside the tenant, and for credentials with the channel `user`, about what is "
    "theirs. An agent's credential decides nothing; nor does, through MCP, one without an id and a channel."
)


async def _create(memories: MemoryService, call: Call, request: CreateMemories) -> StoredAck:
    await memories.create(call, request.memories, deduplicate=request.deduplicate)
    return StoredAck()


async def _store(memories: MemoryService, call: Call, request: StoreMemories) -> StoredRecords:
    return StoredRecords(results=await memories.store(call, request.memories))


async def _get(memories: MemoryService, call: Call, request: GetMemory) -> MemoryRecord:
    return await memories.get(call, request.memory_id)


async def _delete(memories: MemoryService, call: Call, request: DeleteMemories) -> DeletionAck:
    done = await memories.delete(call, request.memory_ids, Expected(request.if_version, request.if_hash))
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
        response=StoredAck,
        handler=forward(MemoryService, _create),
        access="write",
        tag=TAG,
        summary="Store memories; they are readable and searchable when the answer arrives.",
        description=(
            "With `deduplicate`, a memory that repeats a stored one of the same owner and type is merged into it. A "
            "repetition has the same text, apart from gaps in prose and one full stop at the end. It adds its tags, "
            "metadata, event date and pin; both ids then return the stored memory, and a notice names it. If both "
            "state different values (a date, metadata, letter case, any character), both stay. `id_taken` (409) names "
            "the ids that another owner uses, `review_limit_reached` (409) those that need a review while too many of "
            "their owner wait for one (`REVIEW_LIMIT`); the memories with other ids were stored."
        ),
        errors=(
            *("invalid_arguments", "id_taken", "quota_exceeded", "review_limit_reached", "memory_changed"),
            *("unsupported", "long_term_memory_disabled"),
        ),
    ),
    Operation(
        name="store_memories",
        request=StoreMemories,
        response=StoredRecords,
        handler=forward(MemoryService, _store),
        access="write",
        tag=TAG,
        summary="Store memories, and report the result for each.",
        description="Like `create_memories`, but ids are optional, and the answer contains the stored memories.",
        errors=(
            *("invalid_request", "invalid_arguments", "id_taken", "quota_exceeded", "review_limit_reached"),
            "long_term_memory_disabled",
        ),
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
        name="explain_memory",
        request=ExplainMemory,
        response=MemoryChain,
        handler=forward(Chains, Chains.explain),
        access="read",
        tag=TAG,
        summary="Show what a memory was made from, and what was made from it.",
        description=(
            "Backwards: the turns with their texts, the strategy and its run, what was merged into it and what it "
            "replaced. Forwards: what replaced it, statements and summaries that were made from it, results of summary "
            "views that count it. Also for memories in the trash."
        ),
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
        description="`if_version` or `if_hash` refuse the change (409) if the memory is another than the one read.",
        errors=(
            *("not_found", "invalid_request", "memory_changed", "review_limit_reached", "unsupported"),
            "long_term_memory_disabled",
        ),
        repeatable=True,
    ),
    Operation(
        name="delete_memories",
        request=DeleteMemories,
        response=DeletionAck,
        handler=forward(MemoryService, _delete),
        access="delete",
        tag=TAG,
        summary="Delete memories by id; a notice names unknown ids.",
        description=(
            "The id of a memory that was merged into another deletes that other memory. A notice names unknown ids."
        ),
        errors=("invalid_request", "memory_changed", "unsupported", "long_term_memory_disabled"),
        repeatable=True,
    ),
    Operation(
        name="list_trash",
        request=ListTrash,
        response=TrashPage,
        handler=forward(TrashService, _list_trash),
        access="read",
        tag=TAG,
        summary="List memories that the server removed and that can still be restored.",
        description=(
            "`reason` is `forgotten` (by a policy), `repeated` (word by word another memory), `merged` (into another "
            "one that means the same), `reworded` (the former text of a merged memory, under an id of its own), "
            "`superseded` (replaced long ago by a newer fact), `unsupported` (all that it was made from was deleted, "
            "or says something else now) or `rebuilt` (to be made again from its turns). Memories that a client "
            "deletes do not appear here."
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
        summary="Restore memories from the trash, or make replaced facts valid again.",
        description=(
            "A memory stays in the trash if another memory has taken its id. The server does not merge a restored "
            "memory again (its metadata says `restored_at`); its age counts from now. A credential whose channel is "
            "trusted less than a memory cannot restore it."
        ),
        errors=("forbidden", "invalid_arguments", "long_term_memory_disabled", "model_unavailable"),
    ),
    Operation(
        name="list_reviews",
        request=ListReviews,
        response=ReviewPage,
        handler=forward(ReviewService, ReviewService.page),
        access="read",
        tag=REVIEWS,
        summary="List memories that wait for a review.",
        description=(
            "A statement that is trusted less than the user waits if it is about rights, identity, payments, "
            "addresses, tools or what the assistant is to do (`REVIEW_KINDS`), or contradicts what is trusted more. It "
            "is no part of searches, contexts and views until somebody approves it; after `REVIEW_EXPIRE_DAYS` it "
            f"counts as refused. {WHO_REVIEWS}"
        ),
        errors=("forbidden", "invalid_arguments", "long_term_memory_disabled"),
    ),
    Operation(
        name="get_review",
        request=GetReview,
        response=WaitingMemory,
        handler=forward(ReviewService, ReviewService.get),
        access="read",
        tag=REVIEWS,
        summary="Read a memory that waits for a review, and who stored it.",
        description=WHO_REVIEWS,
        errors=("forbidden", "not_found", "long_term_memory_disabled"),
    ),
    Operation(
        name="approve_reviews",
        request=ApproveReviews,
        response=ReviewsDecided,
        handler=forward(ReviewService, ReviewService.approve),
        access="write",
        tag=REVIEWS,
        summary="Approve memories that wait: they become facts.",
        description=(
            "An approved memory is trusted as far as whoever approves it; its `review` says who that was. A waiting "
            "edit replaces the text of the memory. `if_hash` says what was read: whoever stored a memory may edit it "
            f"while it waits, and what was edited since is not approved. {WHO_REVIEWS}"
        ),
        errors=("forbidden", "invalid_arguments", "long_term_memory_disabled", "model_unavailable"),
    ),
    Operation(
        name="correct_review",
        request=CorrectReview,
        response=MemoryRecord,
        handler=forward(ReviewService, ReviewService.correct),
        access="write",
        tag=REVIEWS,
        summary="Approve a memory that waits, with another text.",
        description=WHO_REVIEWS,
        errors=(
            "forbidden",
            "invalid_request",
            "not_found",
            "memory_changed",
            "id_taken",
            "long_term_memory_disabled",
            "model_unavailable",
        ),
    ),
    Operation(
        name="refuse_reviews",
        request=RefuseReviews,
        response=ReviewsDecided,
        handler=forward(ReviewService, ReviewService.refuse),
        access="write",
        tag=REVIEWS,
        summary="Refuse memories that wait: they are gone.",
        description=(
            "The same text of the same owner is not kept again for as long as it could have waited. " + WHO_REVIEWS
        ),
        errors=("forbidden", "invalid_arguments", "long_term_memory_disabled"),
    ),
)
