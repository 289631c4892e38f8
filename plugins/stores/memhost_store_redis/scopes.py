"""The scope inside keys and queries.

Each hash carries tokens of the five scopes that it lies in: tenant, namespace, user, owner (namespace and user) and
session. A query names the tokens that cover its scope, so that posting lists are intersected by one field.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import msgspec

from memhost.models import Condition, Op, Scope
from memhost.storekit import Owner
from memhost_store_redis.codec import digest, encode_tag, tags

MAX_TOKENS = 200
"""Scopes of more owners than this are queried by the fields of the owners, and counted by going through them."""


@lru_cache(maxsize=16384)
def token(kind: str, *parts: str) -> str:
    """A scope as 25 letters and digits. `kind` is one of T, N, U, O, S; the parts start with the tenant."""
    return kind + digest(msgspec.msgpack.encode(parts))


def tokens_of(tenant: str, owner: Owner) -> str:
    """The value of the field `scope`: the five tokens, widest first."""
    namespace, user, session = owner
    return ",".join(
        (
            token("T", tenant),
            token("N", tenant, namespace),
            token("U", tenant, user),
            token("O", tenant, namespace, user),
            token("S", tenant, namespace, user, session),
        )
    )


def narrowed(scope: Scope, conditions: Iterable[Condition]) -> Scope:
    """The scope cut down by conditions that name owners, so that its tokens can answer them."""
    parts = {"namespace": scope.namespaces, "user_id": scope.users, "session_id": scope.sessions}
    for condition in conditions:
        if condition.field in parts and condition.op is Op.ANY:
            wanted = tuple(dict.fromkeys(value for value in condition.values if isinstance(value, str)))
            allowed = parts[condition.field]
            parts[condition.field] = wanted if allowed is None else tuple(set(wanted).intersection(allowed))
    return Scope(
        tenant=scope.tenant, namespaces=parts["namespace"], users=parts["user_id"], sessions=parts["session_id"]
    )


@dataclass(frozen=True, slots=True)
class Reach:
    """A scope as a query. `counters` are the tokens whose counts add up to it, None if it has to be counted."""

    query: str
    counters: tuple[str, ...] | None


def resolve(scope: Scope) -> Reach | None:
    """Return the query of a scope; None if it allows nothing."""
    allowed = (scope.namespaces, scope.users, scope.sessions)
    if any(values is not None and not values for values in allowed):
        return None
    namespaces, users, sessions = (None if values is None else tuple(dict.fromkeys(values)) for values in allowed)
    size = len(namespaces or "1") * len(users or "1")
    if size > MAX_TOKENS:
        parts = [f"@scope:{tags([token('T', scope.tenant)])}"]
        parts += [_field("namespace", namespaces), _field("user_id", users), _field("session_id", sessions)]
        return Reach(" ".join(part for part in parts if part), None)
    if sessions is None:
        found = tuple(token(*each) for each in _owners(scope.tenant, namespaces, users))
        return Reach(f"@scope:{tags(found)}", found)
    if namespaces is not None and users is not None and size * len(sessions) <= MAX_TOKENS:
        each_session = product(namespaces, users, sessions)
        return Reach(f"@scope:{tags([token('S', scope.tenant, *each) for each in each_session])}", None)
    found = tuple(token(*each) for each in _owners(scope.tenant, namespaces, users))
    return Reach(f"@scope:{tags(found)} {_field('session_id', sessions)}", None)


def _field(name: str, values: tuple[str, ...] | None) -> str:
    return "" if values is None else f"@{name}:{tags([encode_tag(value) for value in values])}"


def _owners(
    tenant: str, namespaces: tuple[str, ...] | None, users: tuple[str, ...] | None
) -> Iterable[tuple[str, ...]]:
    if namespaces is None and users is None:
        return [("T", tenant)]
    if users is None:
        return [("N", tenant, namespace) for namespace in namespaces or ()]
    if namespaces is None:
        return [("U", tenant, user) for user in users]
    return [("O", tenant, namespace, user) for namespace, user in product(namespaces, users)]
