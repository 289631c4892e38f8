"""Names that a request has and its type has not: what was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from functools import lru_cache

from memhost.reading.values import Fault, invalid

KIND = "extra_forbidden"
"""Kind of the faults about unknown names."""

_MAX_NAME_LENGTH = 64
_MAX_LISTED = 20
_CUTOFF = 0.7
_JOINTS = re.compile(r"[^0-9a-z]+")

_SYNONYMS = {
    "query": ("text",),
    "q": ("text", "query"),
    "search": ("text", "query"),
    "search_query": ("text", "query"),
    "content": ("text",),
    "memory": ("text", "memories", "memory_id"),
    "fact": ("text",),
    "id": ("memory_id", "session_id", "view_id", "memory_ids"),
    "ids": ("memory_ids", "memory_id"),
    "user": ("user_id", "users"),
    "agent": ("namespace",),
    "agent_id": ("namespace",),
    "app_id": ("namespace",),
    "project": ("namespace",),
    "thread_id": ("session_id",),
    "run_id": ("session_id",),
    "conversation_id": ("session_id",),
    "chat_id": ("session_id",),
    "tags": ("topics",),
    "labels": ("topics",),
    "categories": ("topics",),
    "type": ("memory_type",),
    "date": ("event_date",),
    "timestamp": ("created_at",),
    "updated_at": ("created_at",),
    "top_k": ("limit",),
    "k": ("limit",),
    "n_results": ("limit",),
    "max_results": ("limit",),
    "page_size": ("limit",),
    "skip": ("offset",),
    "ttl": ("ttl_seconds", "expires_days"),
    "expires_at": ("expires_days",),
    "expires_in": ("expires_days",),
    "before": ("lt",),
    "after": ("gt",),
    "since": ("gte",),
    "until": ("lte",),
    "from": ("gte",),
    "to": ("lte",),
    "equals": ("eq",),
    "is": ("eq",),
    "not": ("ne", "none"),
    "contains": ("any", "all"),
    "includes": ("any", "all"),
    "one_of": ("any",),
    "in": ("any",),
    "nin": ("none", "not_in"),
    "prefix": ("startswith",),
    "starts_with": ("startswith",),
    "like": ("startswith",),
    "range": ("between",),
    "min": ("gte",),
    "max": ("lte",),
}
"""Names that other memory servers and query languages use, with the likeliest meaning first."""


def unknown_name(key: str, known: Collection[str], *, noun: str = "field") -> list[Fault]:
    """The fault of a name that is not known, under that name; its context says what was meant (`meant`).

    Args:
        key: The name.
        known: Names that there are.
        noun: What the names are.
    """
    meant = meant_by(key[:_MAX_NAME_LENGTH], frozenset(known))
    hint = f" Did you mean {meant}?" if meant else ""
    # Of operators what is meant is a guess: all are named, so that nobody drops the filter for it.
    if (not meant or noun == "operator") and 0 < len(known) <= _MAX_LISTED:
        hint += f" Known: {', '.join(sorted(known))}."
    context = {"meant": meant} if meant else {}
    said = f"There is no operator {key[:_MAX_NAME_LENGTH]}." if noun == "operator" else f"There is no such {noun}."
    return invalid(KIND, f"{said}{hint}", None, **context).under(key)


@lru_cache(maxsize=1024)
def meant_by(key: str, known: frozenset[str]) -> str | None:
    """The known name that was probably meant, None if none is near."""
    plain = _plain(key)
    by_plain = {_plain(name): name for name in sorted(known)}
    if plain in by_plain:
        return by_plain[plain]
    others = {_plain(name): target for name, targets in _SYNONYMS.items() if (target := _first(targets, known))}
    if plain in others:
        return others[plain]
    longer = [name for name in sorted(known) if len(plain) >= 4 and _plain(name).startswith(plain)]
    if len(longer) == 1:
        return longer[0]
    near = difflib.get_close_matches(plain, sorted({*by_plain, *others}), n=1, cutoff=_CUTOFF)
    return (by_plain.get(near[0]) or others[near[0]]) if near else None


def _first(targets: Collection[str], known: frozenset[str]) -> str | None:
    return next((target for target in targets if target in known), None)


def _plain(name: str) -> str:
    return _JOINTS.sub("", name.lower())
