"""Sessions and documents: hashes with an index of their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from memhost.errors import Tampered
from memhost.integrity import Seals
from memhost.models import Document, Scope, SessionKey, StoredSession
from memhost.storekit import holds, to_micros
from memhost_store_redis.batches import Batch, Row, row_of
from memhost_store_redis.codec import encode_tag, readable, tags
from memhost_store_redis.connection import Connections
from memhost_store_redis.keys import SEPARATOR, document_id, session_id, state_base
from memhost_store_redis.opening import Layout
from memhost_store_redis.scopes import resolve
from memhost_store_redis.sealing import seals_of, state_content, state_holds
from memhost_store_redis.search import MAX_ROWS

Searching = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]

_decode_session = msgspec.msgpack.Decoder(StoredSession).decode
_decode_document = msgspec.msgpack.Decoder(Document).decode


class States:
    """Reads of sessions and documents; they are written by `commit.lua`."""

    def __init__(
        self,
        searching: Searching,
        connections: Connections,
        layout: Callable[[], Layout],
        *,
        seals: Seals,
        tampered: Callable[[str, Sequence[str]], None],
    ) -> None:
        self._seals = seals
        self._tampered = tampered
        self._searching = searching
        self._connections = connections
        self._layout = layout

    async def _read(self, tenant: str, identity: str, now: datetime) -> tuple[bytes, bytes | None] | None:
        """Body and version of what is living under that id."""
        key = state_base(self._connections.prefix, tenant) + identity
        names = ["body", "expires_at", "version", "seal"]
        body, expires, version, seal = await self._connections.call(lambda client: client.hmget(key, names))
        if body is None or (expires is not None and int(expires) <= to_micros(now)):
            return None
        if not self._sound(tenant, identity, body, expires, seal):
            self._tell(identity)
            raise Tampered("What is stored there is not what the server wrote, so it is not served.")
        return body, version

    def _tell(self, identity: str) -> None:
        """Tell that a session or document was left out, by its own id."""
        name = readable(identity.rpartition(SEPARATOR)[2])
        self._tampered("session" if identity.startswith("s") else "document", [name])

    def _sound(self, tenant: str, identity: str, body: bytes, expires: bytes | None, seal: bytes | None) -> bool:
        content = state_content(identity, None if expires is None else int(expires), body)
        return state_holds(seals_of(self._seals, tenant), content, seal)

    async def get_session(self, scope: Scope, key: SessionKey, now: datetime) -> StoredSession | None:
        """The living session of exactly that identity inside the scope."""
        found = await self._read(key.tenant, session_id(key), now) if scope.covers(key) else None
        if found is None:
            return None
        return msgspec.structs.replace(_decode_session(found[0]), version=int(found[1] or 0))

    async def get_document(self, scope: Scope, kind: str, identity: str, now: datetime) -> Document | None:
        """The living document of that kind and id inside the scope, or None."""
        try:
            found = await self._read(scope.tenant, document_id(kind, identity), now)
        except Tampered:  # was told already; a document that the server did not write counts as none
            return None
        document = None if found is None else _decode_document(found[0])
        inside = document is not None and scope.allows(document.namespace, document.user, None)
        return document if inside else None

    async def find_sessions(self, scope: Scope, session: str, now: datetime, limit: int) -> list[SessionKey]:
        """Living identities inside the scope that carry this session id, by key."""
        query = self._query(scope, encode_tag(""), now, f"@session_id:{tags([encode_tag(session)])}")
        _, bodies = await self._page(scope, query, ["@id", "ASC"], limit, 0)
        return [_decode_session(body).key for body in bodies]

    async def list_sessions(
        self, scope: Scope, now: datetime, limit: int, offset: int, updated_after: datetime | None = None
    ) -> tuple[list[SessionKey], int]:
        """A page of living sessions, most recently updated first (then by key), and how many there are."""
        later = "" if updated_after is None else f"@updated_at:[({to_micros(updated_after)} inf]"
        query = self._query(scope, encode_tag(""), now, later)
        total, bodies = await self._page(scope, query, ["@updated_at", "DESC", "@id", "ASC"], limit, offset)
        return [_decode_session(body).key for body in bodies], total

    async def list_documents(
        self, scope: Scope, kind: str, now: datetime, after: str, limit: int | None
    ) -> list[Document]:
        """Living documents of that kind inside the scope whose id comes after `after`, by id."""
        query = self._query(scope, encode_tag("d" + kind), now)
        test = f'@id > "{document_id(kind, after)}"' if after else ""
        _, bodies = await self._page(scope, query, ["@id", "ASC"], MAX_ROWS if limit is None else limit, 0, test)
        found = [_decode_document(body) for body in bodies]
        return [document for document in found if holds(scope, document) and document.kind == kind]

    async def document_kinds(self, scope: Scope, now: datetime) -> list[str]:
        """Kinds of which living documents lie inside the scope."""
        query = self._query(scope, encode_tag(""), now, but=True)
        if query is None:
            return []

        async def ask() -> list[str]:
            batch = self._batch(scope)
            one_each = ["GROUPBY", 1, "@kind", "REDUCE", "FIRST_VALUE", 1, "@id", "AS", "id", "LIMIT", 0, MAX_ROWS]
            batch.query("FT.AGGREGATE", self._layout().states, query, "LOAD", 2, "@kind", "@id", *one_each)
            (reply,) = await batch.run()
            bodies = self._batch(scope)
            for row in reply[1:]:
                bodies.add("HGET", batch.key(row_of(row)[b"id"]), "body")
            return sorted({_decode_document(body).kind for body in await bodies.run() if body is not None})

        found: list[str] = await self._searching(ask)
        return found

    def _query(self, scope: Scope, kind: str, now: datetime, more: str = "", *, but: bool = False) -> str | None:
        """Return the query for live rows inside the scope of that kind, or of all other kinds."""
        reach = resolve(scope)
        if reach is None:
            return None
        sign = "-" if but else ""
        return f"{reach.query} {sign}@kind:{tags([kind])} -@expires_at:[-inf {to_micros(now)}] {more}".strip()

    async def _page(
        self, scope: Scope, query: str | None, order: Sequence[str], limit: int, offset: int, test: str = ""
    ) -> tuple[int, list[bytes]]:
        """Return the total, and the bodies of a page of those that pass the test."""
        if query is None:
            return 0, []

        async def ask() -> tuple[int, list[bytes]]:
            batch = self._batch(scope)
            index = self._layout().states
            total = batch.count(index, query)
            if limit > 0:
                options = ["LOAD", 1, "@id", "FILTER", test] if test else []
                options += ["SORTBY", len(order), *order, "LIMIT", offset, limit]
                batch.listed(index, query, *options)
            replies = await batch.run()
            return replies[total], [row[b"body"] for key, row in batch.rows.items() if self._leaves(scope, key, row)]

        found: tuple[int, list[bytes]] = await self._searching(ask)
        return found

    def _leaves(self, scope: Scope, key: bytes, row: Row) -> bool:
        """Tell whether a session or document that was found may leave."""
        if b"body" not in row:
            return False
        identity = key.decode()[len(state_base(self._connections.prefix, scope.tenant)) :]
        if self._sound(scope.tenant, identity, row[b"body"], row.get(b"expires_at"), row.get(b"seal")):
            return True
        self._tell(identity)
        return False

    def _batch(self, scope: Scope) -> Batch:
        fields = ("body", "seal", "expires_at")
        return Batch(self._connections, state_base(self._connections.prefix, scope.tenant), fields)

    async def purge_expired(self, now: datetime, limit: int) -> int:
        """Remove sessions and documents that expired, at most `limit`."""
        at = to_micros(now)

        async def ask() -> list[Any]:
            query = f"@expires_at:[-inf {at}]"
            command = ["FT.SEARCH", self._layout().states, query, "NOCONTENT", "LIMIT", 0, limit, "DIALECT", 2]
            found: list[Any] = await self._connections.call(lambda client: client.execute_command(*command))
            return found

        _, *keys = await self._searching(ask)
        return int(await self._connections.script("purge", at, len(keys), *keys)) if keys else 0
