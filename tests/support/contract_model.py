"""A model of the server in plain Python, written from the documented rules, independently of the code of core."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

Key = tuple[str, str, str]
"""Namespace, user, session; absent parts are empty."""

TAG_FIELDS = ("session_id", "user_id", "namespace", "topics", "entities", "extraction_strategy")
DATE_FIELDS = ("created_at", "last_accessed", "event_date")
FOLDED = ("topics", "entities")
"""Fields whose values are compared without regard to letter case."""


class RefusedError(Exception):
    """The contract answers with an error; `code` is ours."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Session:
    """The fields of one session, and when it expires."""

    fields: dict[str, Any]
    ttl: int | None
    deadline: datetime | None
    created_at: datetime
    updated_at: datetime
    number: int


@dataclass
class Model:
    """All sessions and memories of one tenant."""

    sessions: dict[Key, Session] = field(default_factory=dict)
    memories: dict[str, dict[str, Any]] = field(default_factory=dict)
    writes: int = 0

    # -- working memory (5) --------------------------------------------------------------------------------

    def put_session(self, key: Key, fields: Mapping[str, Any], now: datetime) -> Session:
        """Replaces the whole session except its TTL and `created_at`; an expired session does not exist."""
        before = self._living(key, now)
        if "ttl_seconds" in fields:
            ttl = fields["ttl_seconds"]
            if ttl is not None and ttl < 1:
                raise RefusedError("invalid_arguments")
            deadline = None if ttl is None else now + timedelta(seconds=ttl)
        else:
            ttl, deadline = (before.ttl, before.deadline) if before else (None, None)
        self.writes += 1
        kept = {name: fields.get(name) for name in ("context", "data")} | {"tokens": fields.get("tokens", 0)}
        kept["messages"] = [(message["role"], message["content"]) for message in fields.get("messages", [])]
        created = before.created_at if before else now
        self.sessions[key] = Session(kept, ttl, deadline, created, now, self.writes)
        return self.sessions[key]

    def resolve(self, key: Key, now: datetime) -> list[Key]:
        """The session with exactly this key, else all sessions that the given parts match."""
        if self._living(key, now):
            return [key]
        namespace, user, session = key
        return [
            found
            for found in self.sessions
            if found[2] == session
            and (not namespace or found[0] == namespace)
            and (not user or found[1] == user)
            and self._living(found, now)
        ]

    def get_session(self, key: Key, now: datetime) -> tuple[Key, Session]:
        """The only match; none or several are a 404."""
        found = self.resolve(key, now)
        if len(found) != 1:
            raise RefusedError("not_found")
        return found[0], self.sessions[found[0]]

    def delete_session(self, key: Key, now: datetime) -> None:
        """Deleting a session that does not exist succeeds; an ambiguous id is a conflict."""
        found = self.resolve(key, now)
        if len(found) > 1:
            raise RefusedError("ambiguous_session")
        for one in found:
            del self.sessions[one]

    def list_sessions(self, namespace: str, user: str, now: datetime) -> list[str]:
        """Session ids, most recently updated first."""
        found = [
            (session.number, key[2])
            for key, session in self.sessions.items()
            if self._living(key, now) and namespace in ("", key[0]) and user in ("", key[1])
        ]
        return [name for _, name in sorted(found, reverse=True)]

    def _living(self, key: Key, now: datetime) -> Session | None:
        session = self.sessions.get(key)
        expired = session is not None and session.deadline is not None and session.deadline <= now
        return None if expired else session

    # -- long-term memory (6) ------------------------------------------------------------------------------

    def create(self, records: list[dict[str, Any]], now: datetime) -> None:
        """A known id is replaced if it has the same owner, else refused; the other records are stored."""
        taken = set()
        for record in records:
            known = self.memories.get(record["id"])
            if known is not None and _owner(known) != _owner(record):
                taken.add(record["id"])
                continue
            stored = dict(record)
            for name in ("namespace", "user_id", "session_id"):
                stored[name] = record.get(name) or None
            for name in ("created_at", "last_accessed", "updated_at"):
                stored.setdefault(name, now)
            for name in ("topics", "entities"):
                stored[name] = list(dict.fromkeys(record.get(name) or []))
            defaults = {"memory_type": "semantic", "pinned": False, "event_date": None}
            self.memories[record["id"]] = defaults | {"extraction_strategy": "discrete"} | stored
        if taken:
            raise RefusedError("id_taken")

    def edit(self, memory_id: str, changes: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Changes the given fields of one memory; null leaves a field as it is."""
        given = {name: value for name, value in changes.items() if value is not None}
        if not given:
            raise RefusedError("invalid_request")
        if memory_id not in self.memories:
            raise RefusedError("not_found")
        for name in ("namespace", "user_id", "session_id"):
            if name in given:
                given[name] = given[name] or None
        self.memories[memory_id] |= given | {"updated_at": now}
        return self.memories[memory_id]

    def delete(self, ids: Iterable[str]) -> int:
        """Deletes memories; returns how many of them existed."""
        return sum(self.memories.pop(name, None) is not None for name in set(ids))

    def search(self, filters: Mapping[str, Mapping[str, Any]], user: str | None = None) -> set[str]:
        """Ids of the memories that pass all filters; `user` is the only user the caller may see."""
        check(filters)
        return {
            name
            for name, record in self.memories.items()
            if (user is None or record["user_id"] == user)
            and all(_holds(record, where, operators) for where, operators in filters.items())
        }


def _owner(record: Mapping[str, Any]) -> tuple[str, str]:
    return record.get("namespace") or "", record.get("user_id") or ""


# -- filter grammar (9) ------------------------------------------------------------------------------------


def check(filters: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuses filters that the server answers with 422."""
    for name, operators in filters.items():
        given = set(operators)
        bad = not given
        if name in DATE_FIELDS:
            bad |= "between" in given and (len(given - {"inclusive"}) > 1 or len(operators["between"]) != 2)
        else:
            bad |= {"eq", "ne"} <= given or {"any", "all"} <= given
            bad |= "startswith" in given and (len(given) > 1 or not operators["startswith"])
            bad |= any(operator in given and not operators[operator] for operator in ("any", "all"))
        if bad:
            raise RefusedError("invalid_arguments")


def _holds(record: Mapping[str, Any], name: str, operators: Mapping[str, Any]) -> bool:
    if name in DATE_FIELDS:
        return _date_holds(record[name], operators)
    value = record[name]
    values = value if isinstance(value, list) else [value] if value else []
    fold: Callable[[str], str] = str.casefold if name in FOLDED else str
    have = [fold(item) for item in values]
    return all(
        _tag_holds(have, operator, [fold(item) for item in ([operand] if isinstance(operand, str) else operand)])
        for operator, operand in operators.items()
    )


def _tag_holds(have: list[str], operator: str, wanted: list[str]) -> bool:
    some = any(item in have for item in wanted)
    if operator in ("ne", "not_eq", "not_in", "none"):
        return not some
    if operator == "all":
        return all(item in have for item in wanted)
    if operator == "startswith":
        return any(item.startswith(wanted[0]) for item in have)
    return some


def _date_holds(value: datetime | None, operators: Mapping[str, Any]) -> bool:
    if value is None:
        return set(operators) == {"ne"}
    tests: dict[str, Callable[[datetime], bool]] = {
        "eq": lambda operand: value == operand,
        "ne": lambda operand: value != operand,
        "gt": lambda operand: value > operand,
        "gte": lambda operand: value >= operand,
        "lt": lambda operand: value < operand,
        "lte": lambda operand: value <= operand,
    }
    if "between" in operators:
        low, high = operators["between"]
        inclusive = operators.get("inclusive", "both")
        above = value >= low if inclusive in ("both", "left") else value > low
        below = value <= high if inclusive in ("both", "right") else value < high
        return bool(above and below)
    return all(tests[operator](operand) for operator, operand in operators.items())
