"""Maintenance tasks that add to stored memories what their writes did not wait for."""

from __future__ import annotations

import msgspec

from memhost.errors import BudgetExceeded, ModelUnavailable
from memhost.events import JobContext
from memhost.jobs.maintenance import done_by
from memhost.memories.enrichment import Enrichment
from memhost.memories.missing_vectors import MissingVectors
from memhost.memories.review.service import ReviewService
from memhost.specs import MaintenanceTask, NoArguments


class SomeMemories(msgspec.Struct, frozen=True, kw_only=True):
    """Which memories.

    Attributes:
        ids: Their ids; those deleted meanwhile are left out.
    """

    ids: tuple[str, ...]


async def _embed(vectors: MissingVectors, context: JobContext, given: SomeMemories) -> int:
    return await vectors.embed(context.scope.tenant, given.ids)


async def _request_vectors(vectors: MissingVectors, context: JobContext, _given: NoArguments) -> int:
    return await vectors.request(context.scope.tenant)


async def _enrich(enrichment: Enrichment, context: JobContext, given: SomeMemories) -> int:
    return await enrichment.enrich(context.scope.tenant, given.ids)


async def _expire_reviews(reviews: ReviewService, context: JobContext, _given: NoArguments) -> int:
    return await reviews.expire(context.scope.tenant)


TASKS = (
    MaintenanceTask(
        name="embed",
        summary="Embed those of the memories that have no vector, in one request.",
        arguments=SomeMemories,
        run=done_by(MissingVectors, _embed),
        answer="`int`: how many had no vector.",
        errors={ModelUnavailable: "The embedder does not answer; the memories stay without a vector."},
    ),
    MaintenanceTask(
        name="request_vectors",
        summary="Make the event `vectors_missing` of all memories that have no vector, once however often it is asked.",
        run=done_by(MissingVectors, _request_vectors),
        answer="`int`: how many have no vector.",
    ),
    MaintenanceTask(
        name="enrich",
        summary="Find topics and entities for those of the memories that clients stored without.",
        arguments=SomeMemories,
        run=done_by(Enrichment, _enrich),
        answer="`int`: about how many the language model was asked.",
        errors={
            ModelUnavailable: "The language model does not answer.",
            BudgetExceeded: "A budget for model calls is used up.",
        },
    ),
    MaintenanceTask(
        name="expire_reviews",
        summary="Refuse memories that waited for a review for longer than `REVIEW_EXPIRE_DAYS`.",
        run=done_by(ReviewService, _expire_reviews),
        answer="`int`: how many there were.",
    ),
)
