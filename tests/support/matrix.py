"""The authorisation matrix: what each operation must answer to each role, on targets of its own and of others.

Its rows are the operation table's; an operation without a case here fails the test that goes through the table.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Set
from datetime import UTC, datetime
from typing import Any

import msgspec

from memhost.host import Host
from memhost.memories.trash import entries
from memhost.models import ROLES, Caller, Job, JobState, MemoryRecord, Scope, StoredMemory, WriteBatch, new_id
from memhost.models.roles import HOLDERS
from memhost.operations import Operation
from tests.support.clients import Door, Outcome
from tests.support.hosts import run
from tests.support.matrix_cases import (
    ANNE,
    BERT,
    CASES,
    GHOST,
    KINDS,
    OPEN_TO_ALL,
    Arguments,
    Case,
    Target,
    record_of,
    session_of,
)

ADMIN = Caller(subject="admin", roles=frozenset({"admin"}))


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """A way to keep a caller apart from BERT, and the target that such a caller owns."""

    name: str
    own: Target
    bounds: Scope


def _bounds(operation: str) -> tuple[Bound, ...]:
    """The ways, with a tenant for each operation."""
    tenant = f"acme-{operation}"
    return (
        Bound(name="namespace", own=ANNE, bounds=Scope(namespaces=(ANNE.namespace,))),
        Bound(name="user", own=ANNE, bounds=Scope(users=(ANNE.user,))),
        Bound(
            name="tenant",
            own=msgspec.structs.replace(ANNE, tenant=tenant, namespace=BERT.namespace),
            bounds=Scope(tenant=tenant),
        ),
    )


ROLE_SETS: tuple[str, ...] = (*ROLES, "")


async def prepare(host: Host, target: Target, kinds: Set[str] = KINDS) -> Target:
    """Make what a target has of those kinds; the target with the ids that the server gave."""
    caller = msgspec.structs.replace(ADMIN, bounds=target.scope)
    given: Arguments = {}
    if "session" in kinds:
        await run(host, "put_session", caller, **session_of(target), **target.owner)
    if "memory" in kinds:
        await run(host, "create_memories", caller, memories=[record_of(target) | target.owner])
    if {"view", "task"} & kinds:
        asked = {"source": "long_term", "group_by": ["user_id"], "name": target.mark}
        given["view"] = (await run(host, "create_summary_view", caller, **asked)).id
        await run(host, "run_summary_view_partition", caller, view_id=given["view"], group={"user_id": target.user})
    if "task" in kinds:
        given["task"] = (await run(host, "run_summary_view", caller, view_id=given["view"])).id
    if "trashed" in kinds:
        now = host.clock.now()
        record = MemoryRecord(
            id=target.trashed,
            text=f"Liked coffee and {target.mark}",
            namespace=target.namespace,
            user_id=target.user,
            created_at=now,
            updated_at=now,
            last_accessed=now,
        )
        gone = entries(target.tenant, [StoredMemory(record=record)], "forgotten", now, host.settings.memory)
        await host.store.commit(target.scope, WriteBatch(put_documents=gone, delete_memories=[target.trashed]))
    if "job" in kinds:
        given["job"] = await _dead_job(host, target)
    if "token" in kinds:
        caller = msgspec.structs.replace(ADMIN, bounds=Scope(tenant=target.tenant))
        given["token"] = (await run(host, "create_token", caller, description=target.mark)).id
    return msgspec.structs.replace(target, **given)


def _needed(case: Case) -> Set[str]:
    """What a call uses up of its target, and must be made anew before the next."""
    names = msgspec.structs.replace(ANNE, **{name: f"@{name}" for name in KINDS})
    text = json.dumps(case.named(names))
    return {name for name in KINDS if f"@{name}" in text} or {"memory"}


async def _dead_job(host: Host, target: Target) -> str:
    now, long_ago = host.clock.now(), datetime(1990, 1, 1, tzinfo=UTC)
    name = f"idle:{new_id()}"
    job = Job(
        id=name,
        event="session_idle",
        plugin="gone",
        payload=b"",
        tenant=target.tenant,
        created_at=now,
        due_at=long_ago,
    )
    await host.store.commit(Scope(tenant=target.tenant), WriteBatch(add_jobs=[job]))
    [claimed] = await host.store.claim_jobs(now, 1, 60)
    assert claimed.id == name
    assert await host.store.bury_job(name, claimed.lease, target.mark)
    return name


async def state_of(host: Host, target: Target) -> str:
    """All that can be read of a target, to see whether it changes."""
    caller = msgspec.structs.replace(ADMIN, bounds=target.scope)
    found = [
        await run(host, "search_memories", caller, limit=100),
        await run(host, "get_session", caller, session_id=target.session, **target.owner),
        await run(host, "list_trash", caller),
        await run(host, "list_summary_views", caller),
        await run(host, "list_summary_view_partitions", caller, view_id=target.view),
    ]
    whole = msgspec.structs.replace(ADMIN, bounds=Scope(tenant=target.tenant))
    tokens = await run(host, "list_tokens", whole, limit=500)
    found.append([token for token in tokens.tokens if token.id == target.token])
    jobs, _ = await host.store.list_jobs(Scope(tenant=target.tenant), JobState.DEAD, limit=100)
    text = msgspec.json.encode([found, sorted(job.id for job in jobs if job.id == target.job)]).decode()
    return json.dumps(_without(json.loads(text), ("score", "dist", "access_count", "last_accessed")))


def may(operation: Operation, role: str) -> bool:
    """Whether the role holds the right that the operation needs."""
    return operation.access == "open" or role in HOLDERS[operation.access]


async def check(host: Host, door: Door, operation: Operation, theirs: Target, case: Case | None = None) -> list[str]:
    """Call the operation as everybody about everything; what was wrong. `theirs` is BERT, prepared."""
    case = case or CASES[operation.name]
    wrong = []
    missing = await door(operation.name, None, case.named(ANNE))
    if missing.code != ("ok" if operation.access == "open" else "unauthorized"):
        wrong.append(f"without credential: {missing}")
    before = await state_of(host, theirs)
    for bound in _bounds(operation.name):
        own = await prepare(host, bound.own, _needed(case))
        for role in ROLE_SETS:
            caller = Caller(subject=role, bounds=bound.bounds, roles=frozenset({role} - {""}))
            if case.writes and may(operation, role):
                own = await prepare(host, own, _needed(case))
            where = f"{operation.name} as {role or 'nobody'} bound by {bound.name}"
            wrong += [f"{where}, {text}" async for text in _check_one(door, operation, case, caller, own, theirs)]
        if case.writes and (after := await state_of(host, theirs)) != before:
            wrong.append(f"{operation.name}, bound by {bound.name}: changed what is not theirs:\n{before}\n{after}")
            before = after
    return wrong


async def _check_one(
    door: Door, operation: Operation, case: Case, caller: Caller, own: Target, theirs: Target
) -> AsyncIterator[str]:
    role = next(iter(caller.roles), "")
    may_now = may(operation, role) and (operation.access != "admin" or caller.bounds.whole)
    if not may_now:
        for target in (own, theirs, GHOST):
            outcome = await door(operation.name, caller, case.named(target))
            if outcome.code != "forbidden" or theirs.mark in outcome.text:
                yield f"which it may not: {outcome}"
        return
    # what belongs to others first: the call on the caller's own target may use it up
    asked = msgspec.structs.replace(theirs, mark="ASKED")
    foreign = await door(operation.name, caller, case.named(asked))
    ghost = await door(operation.name, caller, case.named(GHOST))
    free = operation.name in OPEN_TO_ALL or (case.by_owner and caller.bounds.tenant != theirs.tenant)
    free |= case.named(asked) == case.named(GHOST)
    if not free and (one := _relative(foreign, asked)) != (other := _relative(ghost, GHOST)):
        yield f"foreign differs from not there: {_difference(one, other)}"
    outcomes = [foreign]
    if case.unnamed is not None:
        outcome = await door(operation.name, caller, case.unnamed(own))
        outcomes.append(outcome)
        if outcome.code not in case.unnamed_codes:
            yield f"without an owner: {outcome}"
    outcome = await door(operation.name, caller, case.named(own))
    outcomes.append(outcome)
    if outcome.code not in case.own:
        yield f"on its own: {outcome}"
    for outcome in outcomes:
        if theirs.mark in outcome.text:
            yield f"shows what is not theirs: {outcome}"


def _relative(outcome: Outcome, target: Target) -> Outcome:
    """The outcome with the target's names replaced by what they stand for, and without times."""
    text = outcome.text
    for name in ("mark", "memory", "trashed", "view", "task", "job", "token", "namespace", "user"):
        text = text.replace(json.dumps(getattr(target, name))[1:-1], f"<{name}>")
    text = re.sub(r"[0-9A-HJKMNP-TV-Z]{26}", "<new>", text)
    text = text.replace(json.dumps(target.session), '"<session>"').replace(f" {target.session} ", " <session> ")
    return Outcome(
        outcome.code,
        json.dumps(
            _without(
                json.loads(text),
                (
                    "now",
                    "computed_at",
                    "latency_ms",
                    "duration_s",
                    "erased_at",
                    "sha256",
                    "signature",
                    "link",
                    "entry",
                    "at",
                    "seq",
                ),
            )
        ),
    )


def _difference(one: Outcome, other: Outcome) -> str:
    pairs = enumerate(zip(one.text, other.text, strict=False))
    at = next((place for place, (left, right) in pairs if left != right), 0)
    start = max(0, at - 40)
    return f"{one.code} ...{one.text[start : at + 60]} / {other.code} ...{other.text[start : at + 60]}"


def _without(value: Any, names: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, names) for key, item in value.items() if key not in names}
    return [_without(item, names) for item in value] if isinstance(value, list) else value


def uncovered(host: Host) -> Iterator[str]:
    """Operations of the table that have no case."""
    return (operation.name for operation in host.operations if operation.name not in CASES)
