"""Conformance: what moving everything from one store into another needs."""

from __future__ import annotations

from typing import Any

from memhost.models import Job, JobState, WriteBatch
from memhost.ports import Store
from memhost.testing.factories import (
    START,
    TENANT,
    after,
    make_document,
    make_job,
    make_key,
    make_scope,
    make_session,
)

EVERYWHERE = make_scope()
OTHER = make_scope(tenant="other")


async def restore(store: Store, **batch: Any) -> None:
    """Commit a batch as a copy of what another store held."""
    await store.commit(EVERYWHERE, WriteBatch(**batch, restored=True))


async def jobs(store: Store, state: JobState | None = None) -> list[Job]:
    """The jobs of the test tenant."""
    return (await store.list_jobs(EVERYWHERE, state))[0]


class MovingTests:
    """Kinds of documents, and batches that are `restored`."""

    async def test_kinds_of_documents_are_listed_within_the_scope(self, store: Store) -> None:
        documents = [make_document(kind=kind) for kind in ("view", "plugin:a,b|c", "", "\u00e9")]
        documents += [make_document("d2"), make_document(kind="past", expires_at=after(5))]
        documents += [make_document(kind="bob's", user="bob"), make_document(kind="Work", namespace="work")]
        await store.commit(EVERYWHERE, WriteBatch(put_documents=documents, put_session=make_session()))
        await store.commit(OTHER, WriteBatch(put_documents=[make_document(kind="foreign", tenant="other")]))
        everything = ["", "Work", "bob's", "plugin:a,b|c", "view", "\u00e9"]
        assert await store.document_kinds(EVERYWHERE, after(5)) == everything
        assert await store.document_kinds(make_scope(users=("bob",)), START) == ["bob's"]
        assert await store.document_kinds(make_scope(namespaces=("work",)), START) == ["Work"]
        assert await store.document_kinds(make_scope(tenant="nobody"), START) == []

    async def test_a_restored_session_keeps_its_version(self, store: Store) -> None:
        session = make_session(expires=10**9)
        session.version = 7
        await restore(store, put_session=session, expect_version=0)
        found = await store.get_session(EVERYWHERE, make_key(), START)
        assert found == session
        result = await store.commit(EVERYWHERE, WriteBatch(put_session=session, expect_version=7))
        assert result.session_version == 8

    async def test_restored_jobs_keep_state_attempts_and_error(self, store: Store) -> None:
        waiting = make_job("waiting", due=5, attempts=2, last_error="")
        dead = make_job("dead", attempts=4, last_error="no model", state=JobState.DEAD)
        running = make_job(
            "running", attempts=1, state=JobState.RUNNING, lease="elsewhere", lease_until=after(60), due=1
        )
        await restore(store, add_jobs=[waiting, dead, running])
        assert {job.id: (job.state, job.attempts, job.last_error, job.due_at) for job in await jobs(store)} == {
            "waiting": (JobState.PENDING, 2, "", after(5)),
            "dead": (JobState.DEAD, 4, "no model", START),
            "running": (JobState.PENDING, 1, None, after(1)),
        }
        (claimed,) = await store.claim_jobs(after(1), 9, 60)
        assert (claimed.id, claimed.attempts, claimed.payload) == ("running", 2, b"payload")
        assert claimed.lease != "elsewhere"
        assert await store.revive_job(EVERYWHERE, "dead", START)

    async def test_restoring_a_job_again_leaves_one_as_it_was(self, store: Store) -> None:
        await store.commit(EVERYWHERE, WriteBatch(add_jobs=[make_job(payload=b"old"), make_job("foreign")]))
        dead = make_job(payload=b"new", attempts=3, last_error="why", state=JobState.DEAD)
        for _ in range(2):
            await restore(store, add_jobs=[dead])
        assert await jobs(store, JobState.DEAD) == [dead]
        assert [job.id for job in await jobs(store, JobState.PENDING)] == ["foreign"]
        theirs = make_job("foreign", tenant="other", payload=b"theirs")
        await store.commit(OTHER, WriteBatch(add_jobs=[theirs], restored=True))
        assert [(job.tenant, job.payload) for job in await jobs(store, JobState.PENDING)] == [(TENANT, b"payload")]
        assert (await store.list_jobs(OTHER))[1] == 0
