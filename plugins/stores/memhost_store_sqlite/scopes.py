"""Numbers for owners: how a `Scope` becomes a condition on rows, tokens of the full-text index and counters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

import apsw
import msgspec

from memhost.models import Scope
from memhost_store_sqlite.codec import pack_ids

Value = int | float | str | bytes | None
Binding: TypeAlias = "Value | apsw.CArrayBinding"
Sql: TypeAlias = "tuple[str, list[Binding]]"


_FEW = 4
"""Fewer sessions are looked up one by one."""


class Kind(IntEnum):
    """Which parts of an owner a scope row fixes."""

    TENANT = 0
    NAMESPACE = 1
    USER = 2
    OWNER = 3
    SESSION = 4


@dataclass(frozen=True, slots=True)
class Reach:
    """Everything inside a scope, as disjoint scope rows.

    Attributes:
        column: Column of `memories` that holds one of `ids`.
        ids: The scope rows to compare that column with.
        tokens: The scope rows to look for in the full-text index.
        documents: Memories inside the scope.
        length: Terms of all of them.
    """

    column: str
    ids: tuple[int, ...]
    tokens: tuple[int, ...]
    documents: int
    length: int

    def where(self) -> Sql:
        """A condition on `memories m`."""
        return is_one_of(f"m.{self.column}", self.ids)


def is_one_of(column: str, ids: Sequence[int]) -> Sql:
    """An integer column compared with numbers; a single one by `=`, so that an index can keep its order."""
    if len(ids) == 1:
        return f"{column} = ?", [ids[0]]
    return f"{column} IN carray(?)", [apsw.carray(pack_ids(ids))]


def is_text_among(column: str, values: Sequence[str]) -> Sql:
    """A text column compared with strings."""
    marks = ",".join("?" * len(values))
    return f"{column} IN ({marks})", list(values)


def inside(scope: Scope, *columns: str) -> Sql:
    """A condition on `tenant` and those of the columns `namespace`, `user` and `session` that a table has."""
    parts, bindings = ["tenant = ?"], list[Binding]([scope.tenant])
    bounds = {"namespace": scope.namespaces, "user": scope.users, "session": scope.sessions}
    for column in columns:
        if (values := bounds[column]) is not None:
            sql, more = is_text_among(column, values)
            parts.append(sql)
            bindings += more
    return " AND ".join(parts), bindings


def resolve(connection: apsw.Connection, scope: Scope) -> Reach | None:
    """Return the memories that a scope reaches in this view of the store; None if it contains no memory at all."""
    if scope.sessions is not None:
        kind, column = Kind.SESSION, "session"
    elif scope.users is not None:
        kind, column = (Kind.USER if scope.namespaces is None else Kind.OWNER), "owner"
    elif scope.namespaces is not None:
        kind, column = Kind.NAMESPACE, "nscope"
    else:
        kind, column = Kind.TENANT, "tenant"
    rows = _rows(connection, kind, scope)
    if not rows:
        return None
    ids = rows if kind is not Kind.USER else _rows(connection, Kind.OWNER, scope)
    return Reach(
        column=column,
        ids=tuple(row[0] for row in ids),
        tokens=tuple(row[0] for row in rows),
        documents=sum(row[1] for row in rows),
        length=sum(row[2] for row in rows),
    )


def owners_of(connection: apsw.Connection, scope: Scope) -> list[tuple[int, int]]:
    """The (number, memories) of each (tenant, namespace, user) that the scope reaches; sessions do not bind."""
    return [(row[0], row[1]) for row in _rows(connection, Kind.OWNER, scope)]


def _rows(connection: apsw.Connection, kind: Kind, scope: Scope) -> list[tuple[int, int, int]]:
    parts = [f"kind = {kind.value}", "tenant = ?"]
    bindings: list[Binding] = [scope.tenant]
    fixed = {
        "namespace": (scope.namespaces, kind in (Kind.NAMESPACE, Kind.OWNER, Kind.SESSION)),
        "user": (scope.users, kind in (Kind.USER, Kind.OWNER, Kind.SESSION)),
        "session": (scope.sessions, kind is Kind.SESSION),
    }
    for column, (values, binds) in fixed.items():
        if binds and values is not None:
            sql, more = is_text_among(column, values)
            parts.append(sql)
            bindings += more
        elif not binds:
            parts.append(f"{column} = ''")
    found = connection.execute(
        f"SELECT id, documents, length FROM scopes WHERE {' AND '.join(parts)} ORDER BY id",  # noqa: S608
        bindings,
    )
    return [(int(row[0]), int(row[1]), int(row[2])) for row in found]


@dataclass(frozen=True, slots=True)
class ScopeIds:
    """The scope rows of one memory, in the order of the columns of `memories`."""

    tenant: int
    namespace: int
    user: int
    owner: int
    session: int

    def all(self) -> tuple[int, int, int, int, int]:
        """The five numbers."""
        return self.tenant, self.namespace, self.user, self.owner, self.session

    def tokens(self) -> str:
        """The text of the full-text index's `scope` column."""
        return f"{self.tenant} {self.namespace} {self.user} {self.owner} {self.session}"


_Name = tuple[int, str, str, str]
"""Kind, namespace, user and session of a scope row; what its kind does not fix is empty."""


def _names(namespace: str, user: str, session: str) -> tuple[_Name, _Name, _Name, _Name, _Name]:
    """The scope rows of an owner, in the order of `ScopeIds`."""
    return (
        (Kind.TENANT.value, "", "", ""),
        (Kind.NAMESPACE.value, namespace, "", ""),
        (Kind.USER.value, "", user, ""),
        (Kind.OWNER.value, namespace, user, ""),
        (Kind.SESSION.value, namespace, user, session),
    )


@dataclass(slots=True)
class Ledger:
    """Numbers owners during one write and brings the counters up to date at its end."""

    connection: apsw.Connection
    tenant: str
    _known: dict[tuple[str, str, str], ScopeIds] = field(default_factory=dict)
    _ids: dict[_Name, int] = field(default_factory=dict)
    _looked_up: set[_Name] = field(default_factory=set)
    _changes: dict[int, tuple[int, int]] = field(default_factory=dict)

    def ids(self, namespace: str, user: str, session: str) -> ScopeIds:
        """The scope rows of an owner; they are made if they are new."""
        found = self._known.get((namespace, user, session))
        if found is None:
            found = ScopeIds(*map(self._id, _names(namespace, user, session)))
            self._known[namespace, user, session] = found
        return found

    def look_up(self, owners: Iterable[tuple[str, str, str]]) -> None:
        """Read the rows of the owners of a batch in one statement, before their `ids` are asked for."""
        new = [owner for owner in dict.fromkeys(owners) if owner not in self._known]
        named = dict.fromkeys(name for owner in new for name in _names(*owner))
        asked = [name for name in named if name not in self._ids and "\0" not in "".join(name[1:])]
        if len(asked) < _FEW:
            return
        found = self.connection.execute(
            "SELECT s.kind, s.namespace, s.user, s.session, s.id FROM json_each(?) o CROSS JOIN scopes s ON "
            "s.kind = o.value ->> 0 AND s.tenant = ? AND s.namespace = o.value ->> 1 AND s.user = o.value ->> 2 "
            "AND s.session = o.value ->> 3",
            (msgspec.json.encode(asked).decode(), self.tenant),
        )
        for kind, namespace, user, session, number in found:
            self._ids[int(kind), str(namespace), str(user), str(session)] = int(number)
        self._looked_up.update(asked)

    def _id(self, name: _Name) -> int:
        if name not in self._ids:
            kind, *parts = name
            values = (kind, self.tenant, *parts)
            row = None
            if name not in self._looked_up:
                row = self.connection.execute(
                    "SELECT id FROM scopes WHERE kind = ? AND tenant = ? AND namespace = ? AND user = ? "
                    "AND session = ?",
                    values,
                ).get
            if row is None:
                row = self.connection.execute(
                    "INSERT INTO scopes(kind, tenant, namespace, user, session) VALUES(?, ?, ?, ?, ?) RETURNING id",
                    values,
                ).get
            self._ids[name] = int(row)
        return self._ids[name]

    def count(self, ids: Sequence[int], documents: int, length: int) -> None:
        """Note memories that came or went, with their terms."""
        for scope_id in ids:
            before = self._changes.get(scope_id, (0, 0))
            self._changes[scope_id] = (before[0] + documents, before[1] + length)

    def close(self) -> None:
        """Write the counters; scopes without memories go."""
        self.connection.executemany(
            "UPDATE scopes SET documents = documents + ?, length = length + ? WHERE id = ?",
            [(*change, scope_id) for scope_id, change in self._changes.items()],
        )
        shrunk = [(scope_id,) for scope_id, change in self._changes.items() if change[0] < 0]
        self.connection.executemany("DELETE FROM scopes WHERE id = ? AND documents = 0", shrunk)
