"""The calls of the authorisation matrix: a case for each operation of the table, and the targets of the calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import Any

import msgspec

from memhost.models import Scope

Arguments = dict[str, Any]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Something that calls are about: an owner, and the ids of what it has (or would have)."""

    tenant: str = "default"
    namespace: str
    user: str
    mark: str
    session: str = "s"
    memory: str
    trashed: str
    view: str = "0"
    task: str = "0"
    job: str
    token: str = "0"

    @property
    def owner(self) -> Arguments:
        """The owner, as requests name it."""
        return {"namespace": self.namespace, "user_id": self.user}

    @property
    def scope(self) -> Scope:
        """Everything of the owner."""
        return Scope(tenant=self.tenant, namespaces=(self.namespace,), users=(self.user,))


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """How to call an operation about a target.

    Attributes:
        named: Arguments that name the target's owner where the operation takes one.
        unnamed: Arguments without an owner; None if that is the same call.
        own: Codes that a caller who may use the operation gets on targets of their own.
        unnamed_codes: The same for the call without an owner.
        writes: The call may change something.
    """

    named: Callable[[Target], Arguments]
    unnamed: Callable[[Target], Arguments] | None = None
    own: frozenset[str] = frozenset({"ok"})
    unnamed_codes: frozenset[str] = frozenset({"ok"})
    writes: bool = True

    @property
    def by_owner(self) -> bool:
        """Whether the request names an owner, which each tenant may have for itself."""
        return self.unnamed is not None


def _message(target: Target) -> Arguments:
    return {"id": "m", "role": "user", "content": f"I said {target.mark}", "created_at": "2026-01-02T03:04:05Z"}


def session_of(target: Target) -> Arguments:
    """The request that writes the target's session, without its owner."""
    return {"session_id": target.session, "messages": [_message(target)]}


def record_of(target: Target) -> Arguments:
    """The target's memory as requests give it, without its owner."""
    return {"id": target.memory, "text": f"Likes tea and {target.mark}", "session_id": "x"}


def _read(named: Callable[[Target], Arguments], **more: Any) -> Case:
    return Case(named=named, writes=False, **more)


def _nothing(_target: Target) -> Arguments:
    return {}


def _view(target: Target) -> Arguments:
    return {"view_id": target.view}


_UNBOUND = frozenset({"ok", "forbidden"})
"""A caller who is bound must name an owner to write; who is not need not."""

_FOR_ADMIN = frozenset({"ok", "forbidden"})
"""Tokens are managed by admins; an operator, who may do other administration, is refused."""

_NOTHING_WAITS = frozenset({"not_found", "forbidden"})
"""The memory of the target is no review; callers who are bound may not ask."""

_FOUND = frozenset({"ok", "not_found"})
_NO_MODEL = frozenset({"invalid_request"})
"""What extraction answers on hosts without a language model, after it has found the session."""

CASES: Mapping[str, Case] = {
    "health": _read(_nothing),
    "ready": _read(_nothing),
    "list_plugins": _read(_nothing),
    "get_plugin": _read(lambda _: {"name": "interface-rest"}, own=frozenset({"ok", "forbidden"})),
    "list_jobs": _read(_nothing),
    "retry_job": Case(named=lambda t: {"job_id": t.job}),
    "discard_job": Case(named=lambda t: {"job_id": t.job}),
    "list_sessions": _read(lambda t: t.owner, unnamed=_nothing),
    "get_session": _read(
        lambda t: {"session_id": t.session} | t.owner, unnamed=lambda t: {"session_id": t.session}, unnamed_codes=_FOUND
    ),
    "put_session": Case(named=lambda t: session_of(t) | t.owner, unnamed=session_of, unnamed_codes=_UNBOUND),
    "change_session": Case(
        named=lambda t: {"session_id": t.session, "data": {"a": 1}} | t.owner,
        unnamed=lambda t: {"session_id": t.session, "data": {"a": 1}},
        unnamed_codes=_UNBOUND | {"ambiguous_session"},
    ),
    "delete_session": Case(
        named=lambda t: {"session_id": t.session} | t.owner,
        unnamed=lambda t: {"session_id": t.session},
        unnamed_codes=frozenset({"ok", "ambiguous_session"}),
    ),
    "extract_session": Case(
        named=lambda t: {"session_id": t.session, "wait_s": 0} | t.owner,
        unnamed=lambda t: {"session_id": t.session, "wait_s": 0},
        own=_NO_MODEL,
        unnamed_codes=_NO_MODEL | {"not_found"},
    ),
    "session_extraction": _read(
        lambda t: {"session_id": t.session} | t.owner, unnamed=lambda t: {"session_id": t.session}, unnamed_codes=_FOUND
    ),
    "preview_extraction": Case(
        named=lambda t: {"messages": [_message(t)]} | t.owner,
        unnamed=lambda t: {"messages": [_message(t)]},
        own=_NO_MODEL,
        unnamed_codes=_NO_MODEL | {"forbidden"},
    ),
    "create_memories": Case(
        named=lambda t: {"memories": [record_of(t) | t.owner]},
        unnamed=lambda t: {"memories": [{**record_of(t), "id": f"{t.memory}-free"}]},
        unnamed_codes=_UNBOUND,
    ),
    "store_memories": Case(
        named=lambda t: {"memories": [record_of(t) | t.owner]},
        unnamed=lambda t: {"memories": [{**record_of(t), "id": f"{t.memory}-free"}]},
        unnamed_codes=_UNBOUND,
    ),
    "search_memories": _read(
        lambda t: {"text": "tea", "namespace": {"eq": t.namespace}, "user_id": {"eq": t.user}},
        unnamed=lambda _t: {"text": "tea"},
    ),
    "get_memory": _read(lambda t: {"memory_id": t.memory}),
    "explain_memory": _read(lambda t: {"memory_id": t.memory}),
    "list_memory_versions": _read(lambda t: {"memory_id": t.memory}),
    "get_memory_version": _read(lambda t: {"memory_id": t.memory, "version": 1}),
    "compare_memory_versions": _read(lambda t: {"memory_id": t.memory, "version": 1, "other": 1}),
    "restore_memory_version": Case(named=lambda t: {"memory_id": t.memory, "version": 1}),
    "redact_memory_version": Case(named=lambda t: {"memory_id": t.memory, "version": 1}),
    "list_changes": _read(_nothing),
    "verify_store": _read(_nothing, own=frozenset({"ok", "forbidden"})),
    "check_certificate": _read(lambda _: {"certificate": {"id": "x"}}),
    "get_profile": _read(
        lambda t: {"user_id": t.user, "namespace": t.namespace},
        unnamed=lambda t: {"user_id": t.user},
        unnamed_codes=_UNBOUND,
    ),
    "edit_memory": Case(
        named=lambda t: {"memory_id": t.memory, "topics": ["new"]} | t.owner,
        unnamed=lambda t: {"memory_id": t.memory, "topics": ["new"]},
    ),
    "delete_memories": Case(named=lambda t: {"memory_ids": [t.memory], "report": True}),
    "forget_memories": Case(
        named=lambda t: {"policy": {"budget": 0}, "dry_run": False} | t.owner,
        unnamed=lambda _t: {"policy": {"budget": 0}, "dry_run": False},
    ),
    "compact_memories": Case(
        named=lambda t: {"report": True, "dry_run": False} | t.owner,
        unnamed=lambda _t: {"report": True},
        unnamed_codes=_UNBOUND,
    ),
    "rebuild_memories": Case(
        named=lambda t: t.owner,
        unnamed=_nothing,
        own=frozenset({"ok"}) | _NO_MODEL,
        unnamed_codes=_UNBOUND | _NO_MODEL,
    ),
    "list_trash": _read(lambda t: t.owner, unnamed=_nothing),
    "restore_memories": Case(named=lambda t: {"ids": [t.trashed]}),
    "list_reviews": _read(lambda t: t.owner, unnamed=_nothing, own=_UNBOUND, unnamed_codes=_UNBOUND),
    "get_review": _read(lambda t: {"memory_id": t.memory}, own=_NOTHING_WAITS),
    "approve_reviews": Case(named=lambda t: {"memory_ids": [t.memory], "if_hash": {t.memory: "x"}}, own=_UNBOUND),
    "correct_review": Case(named=lambda t: {"memory_id": t.memory, "text": "x"}, own=_NOTHING_WAITS),
    "refuse_reviews": Case(named=lambda t: {"memory_ids": [t.memory]}, own=_UNBOUND),
    "get_context": _read(
        lambda t: {"query": "tea", "budget": 500} | t.owner,
        unnamed=lambda _t: {"query": "tea", "budget": 500},
    ),
    "memory_prompt": _read(
        lambda t: {
            "query": "tea",
            "session": {"session_id": t.session} | t.owner,
            "long_term_search": {"namespace": {"eq": t.namespace}, "user_id": {"eq": t.user}},
        },
        unnamed=lambda t: {"query": "tea", "session": {"session_id": t.session}, "long_term_search": {}},
    ),
    "validate_prompt": _read(lambda _t: {"prompt": "List what {message} says."}),
    "create_summary_view": Case(
        named=lambda t: {"source": "long_term", "group_by": ["user_id"], "filters": {"user_id": t.user}}
    ),
    "list_summary_views": _read(_nothing),
    "get_summary_view": _read(_view),
    "update_summary_view": Case(named=lambda t: _view(t) | {"name": "other"}),
    "delete_summary_view": Case(named=_view),
    "run_summary_view_partition": Case(named=lambda t: _view(t) | {"group": {"user_id": t.user}}),
    "list_summary_view_partitions": _read(_view),
    "run_summary_view": Case(named=_view),
    "get_task": _read(lambda t: {"task_id": t.task}),
    "get_usage": _read(_nothing),
    "list_tokens": _read(_nothing, own=_FOR_ADMIN),
    "create_token": Case(named=lambda t: {"description": t.mark, "users": [t.user]}, own=_FOR_ADMIN),
    "rotate_token": Case(named=lambda t: {"token_id": t.token}, own=_FOR_ADMIN),
    "revoke_token": Case(named=lambda t: {"token_id": t.token}, own=_FOR_ADMIN),
    "export_user": _read(
        lambda t: {"user_id": t.user, "namespace": t.namespace}, unnamed=lambda t: {"user_id": t.user}
    ),
    "delete_user": Case(
        named=lambda t: {"user_id": t.user, "namespace": t.namespace}, unnamed=lambda t: {"user_id": t.user}
    ),
}

KINDS: Set[str] = frozenset({"session", "memory", "view", "task", "trashed", "job", "token"})
"""What a target has."""

OPEN_TO_ALL = frozenset({"validate_prompt", "create_summary_view", "create_token"})
"""Operations whose target is only what the request itself says, so that nothing of others is concerned."""

ANNE = Target(namespace="mine", user="anne", mark="ANNESMARK", memory="k-anne", trashed="t-anne", job="j-anne")
BERT = Target(namespace="theirs", user="bert", mark="BERTSMARK", memory="k-bert", trashed="t-bert", job="j-bert")
GHOST = Target(
    namespace="nowhere",
    user="nobody",
    mark="GHOSTMARK",
    session="s-none",
    memory="k-none",
    trashed="t-none",
    job="j-none",
    view="v-none",
    token="0123456789abcdef",
    task="q-none",
)
