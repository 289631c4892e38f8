"""A batch as the arguments of the script that commits it, and what the script answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from memhost.errors import DocumentGone, Forbidden, IdTaken, VersionMismatch
from memhost.integrity import TenantSeals
from memhost.models import (
    MAX_ACCESSES,
    AccessMark,
    Document,
    JobState,
    Scope,
    StoredMemory,
    StoredSession,
    WriteBatch,
    WriteResult,
)
from memhost.storekit import owner_of, rules, to_micros, to_micros_or_none
from memhost_store_redis.codec import encode, encode_body, encode_tag, encode_vector
from memhost_store_redis.conditions import tag_fields
from memhost_store_redis.journal import Journal
from memhost_store_redis.keys import document_id, session_id, state_base
from memhost_store_redis.scopes import token, tokens_of
from memhost_store_redis.sealing import new_stamp, placed, proof_of, state_content, state_seal

GRACE_MS = 24 * 3600 * 1000
"""Time after its end at which Redis removes what `purge_expired` has not; memhost's clock decides what is expired."""

Argument = str | bytes | int | float


class Moved(Exception):
    """The store has changed since it was read."""


class Writer:
    """Makes the arguments of one call of `commit.lua`, in the order in which the script takes them."""

    def __init__(
        self, prefix: str, scope: Scope, now: int, *, seals: TenantSeals, journal: Journal | None = None
    ) -> None:
        self._seals = seals
        self._journal = journal
        self._states = state_base(prefix, scope.tenant)
        self._scope = scope
        self._now = now
        self.arguments: list[Argument] = []

    def batch(self, batch: WriteBatch, generation: int, vector: str) -> list[Argument]:
        """Everything."""
        add = self.arguments
        add += [self._now, self._scope.tenant, token("T", self._scope.tenant), generation]
        for allowed in (self._scope.namespaces, self._scope.users, self._scope.sessions):
            self._list(allowed, missing=-1)
        add += batch.complete_job or ("", "")
        self._list(batch.delete_memories)
        add.append(len(batch.put_memories))
        last = {memory.record.id: number for number, memory in enumerate(batch.put_memories)}
        gone = self._journal.deletions(batch) if self._journal else set[str]()
        for number, memory in enumerate(batch.put_memories):
            self._memory(memory, batch, vector, gone if last[memory.record.id] == number else None)
        self._access(batch.access)
        self._session(batch)
        add.append(len(batch.require_documents))
        add += [self._states + document_id(*each) for each in batch.require_documents]
        add += [encode_tag(""), len(batch.delete_documents)]
        for each in batch.delete_documents:
            add.append(self._states + document_id(*each))
            if self._journal is not None:
                self._journal.state_gone(document_id(*each))
        add.append(len(batch.put_documents))
        for document in batch.put_documents:
            self._document(document)
        add += [len(batch.cancel_jobs), *batch.cancel_jobs, int(batch.restored), len(batch.add_jobs)]
        for job in batch.add_jobs:
            add += [job.id, int(job.replace), to_micros(job.created_at), to_micros(job.due_at)]
            add += [job.event, job.plugin, job.payload]
            if batch.restored:
                state = JobState.PENDING if job.state is JobState.RUNNING else job.state
                since = "" if job.waiting_since is None else to_micros(job.waiting_since)
                problem = "" if job.last_error is None else "=" + job.last_error
                add += [state.value, job.attempts, job.failures, job.deaths, since, problem]
        if self._journal is not None:
            for note in batch.notes:
                self._journal.add(msgspec.structs.replace(note))
        if self._journal is None or self._journal.idle:
            add[0:0] = [0, "", "", "", 0]
            return add
        add[0:0] = self._journal.arguments(self._scope.tenant)
        return add

    def _list(self, values: Sequence[str] | None, missing: int = 0) -> None:
        if values is None:
            self.arguments.append(missing)
        else:
            self.arguments += [len(values), *(encode_tag(value) for value in values)]

    def _fields(self, fields: Mapping[str, Argument]) -> None:
        self.arguments.append(len(fields))
        for pair in fields.items():
            self.arguments += pair

    def _memory(self, memory: StoredMemory, batch: WriteBatch, vector: str, gone: set[str] | None) -> None:
        """Add a memory; without `gone` a later one of the batch takes its place."""
        former, same = None, False
        if self._journal is not None and gone is not None:
            memory, former, same = self._journal.prepared(memory, gone, restored=batch.restored)
        record = memory.record
        owner = owner_of(record)
        tenant = self._scope.tenant
        body, terms = encode_body(memory)
        scope = tokens_of(tenant, owner)
        fields: dict[str, Argument] = {**tag_fields(record), "scope": scope, "body": body, "terms": terms}
        fields |= {"length": len(memory.terms), "access_count": record.access_count}
        if memory.vector is not None:
            fields[vector] = encode_vector(memory.vector)
        identity = fields["id"]
        turns = "" if memory.position is None else scope.rpartition(",")[2]
        if turns:
            fields["turns"] = turns
        if self._journal is not None and gone is not None:
            stamp = new_stamp()
            seal = self._seals.seal(stamp, placed(str(identity), body))
            fields |= {"stamp": stamp, "seal": seal, "proof": proof_of(self._seals, stamp, fields)}
            self._journal.put(memory, seal, former, same=same)
        self.arguments += [identity, *(encode_tag(part) for part in owner), scope, len(memory.terms)]
        self.arguments += ["" if memory.position is None else memory.position, turns]
        self.arguments += [int(record.id in batch.guarded_ids), int(record.id in batch.moved_ids)]
        self.arguments.append("" if record.persisted_at is None else to_micros(record.persisted_at))
        self._fields(fields)

    def _access(self, mark: AccessMark | None) -> None:
        ids = [] if mark is None else list(dict.fromkeys(mark.ids))
        at, interval = (0, 0) if mark is None else (to_micros(mark.at), int(mark.interval_s * 1_000_000))
        self.arguments += [at, interval, MAX_ACCESSES]
        self._list(ids)

    def _session(self, batch: WriteBatch) -> None:
        removed, new = batch.delete_session, batch.put_session
        covered = removed is not None and self._scope.covers(removed)
        self.arguments += [self._states + session_id(removed) if removed is not None and covered else ""]
        if self._journal is not None and removed is not None and covered:
            self._journal.state_gone(session_id(removed), removed)
        if new is None:
            self.arguments += ["", "", 0]
            return
        expected = "" if batch.expect_version is None else batch.expect_version
        copied = new.version if batch.restored else ""
        self.arguments += [self._states + session_id(new.key), expected, copied, self._expiry(new)]
        self._fields(self._session_fields(new))

    def _session_fields(self, session: StoredSession) -> dict[str, Argument]:
        key = session.key
        return {
            **self._state_fields(session_id(key), key.namespace, key.user, key.session, session),
            "kind": encode_tag(""),
            "session_id": encode_tag(key.session),
            "updated_at": to_micros(session.content.updated_at),
            **self._sealed(session_id(key), session),
        }

    def _document(self, document: Document) -> None:
        identity = document_id(document.kind, document.id)
        self.arguments += [self._states + identity, self._expiry(document)]
        self._fields(
            {
                **self._state_fields(identity, document.namespace, document.user, "", document),
                # a letter before it keeps the kind "" apart from sessions
                "kind": encode_tag("d" + document.kind),
                "updated_at": to_micros(document.updated_at),
                **self._sealed(identity, document),
            }
        )

    def _state_fields(
        self, identity: str, namespace: str, user: str, session: str, state: StoredSession | Document
    ) -> dict[str, Argument]:
        fields: dict[str, Argument] = {
            "id": identity,
            "scope": tokens_of(self._scope.tenant, (namespace, user, session)),
            "namespace": encode_tag(namespace),
            "user_id": encode_tag(user),
            "session_id": encode_tag(session),
        }
        if state.expires_at is not None:
            fields["expires_at"] = to_micros(state.expires_at)
        return fields

    def _sealed(self, identity: str, state: StoredSession | Document) -> dict[str, bytes]:
        """Body and seal of a session or document; the journal enters it."""
        body = encode(state)
        seal = state_seal(self._seals, state_content(identity, to_micros_or_none(state.expires_at), body))
        if self._journal is not None:
            self._journal.state_put(identity, state, seal)
        return {"body": body, "seal": seal}

    def _expiry(self, state: StoredSession | Document) -> Argument:
        if state.expires_at is None:
            return ""
        return max(to_micros(state.expires_at), self._now) // 1000 + GRACE_MS


def read_answer(answer: Sequence[Any], batch: WriteBatch) -> WriteResult | None:
    """Return the result of the script; None if the vectors in the store are now another embedder's.

    Raises:
        Conflict: The reason why the batch was refused.
        Forbidden: A document of the batch would replace one outside the scope.
    """
    verdict = answer[0].decode()
    if verdict == "moved":
        raise Moved
    if verdict == "ok":
        gone, states = answer[1].decode(), answer[2].decode()
        return WriteResult(
            deleted=_chosen(batch.delete_memories, gone, "1"),
            created=_chosen((memory.record.id for memory in batch.put_memories), states, "c"),
            replaced=_chosen((memory.record.id for memory in batch.put_memories), states, "r"),
            session_deleted=answer[3] == b"1",
            session_version=int(answer[4]),
        )
    if verdict == "id_taken":
        raise IdTaken([batch.put_memories[int(number) - 1].record.id for number in answer[1]])
    if verdict == "lease_lost":
        raise rules.lease_lost()
    if verdict == "version_mismatch":
        raise VersionMismatch("The session changed since it was read; read it again and repeat the write.")
    if verdict == "document_gone":
        raise DocumentGone("A document that this write depends on no longer exists; nothing was changed.")
    if verdict == "foreign_document":
        raise Forbidden("A document in the batch is outside the caller's scope.")
    return None


def _chosen(names: Iterable[str], states: str, wanted: str) -> list[str]:
    return [name for name, state in zip(names, states, strict=True) if state == wanted]
