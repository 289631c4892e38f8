"""The chain of changes and the former states of memories: see `memhost.ports.KeepsHistory`.

Per tenant a hash `chain` (number and link of the last entry), a hash `h` for each entry (digest `d` and link `l` stay
for ever; the entry `e`, the memory `m` and the former state `f` can go), a sorted set `hm` of entries for each memory,
and a hash `ver` with the latest version of each memory. `chains` names the tenants.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from memhost.integrity import ChainCheck, Seals, TenantSeals, decode_change, encode_change, subject, unexplained
from memhost.models import (
    FORGETTING,
    STATES,
    Change,
    Document,
    Entry,
    Head,
    Scope,
    StoredMemory,
    StoredSession,
    Verification,
)
from memhost.storekit import document_change, lasting, owner_of, session_change, state_name
from memhost_store_redis.codec import decode_body, encode_tag
from memhost_store_redis.connection import Connections
from memhost_store_redis.journal import Known, former_of
from memhost_store_redis.keys import document_id, session_id
from memhost_store_redis.scopes import token
from memhost_store_redis.sealing import (
    lost_key,
    new_stamp,
    placed,
    proof_of,
    proves,
    state_content,
    state_holds,
    state_seal,
)

_PAGE = 1000
_decode_session = msgspec.msgpack.Decoder(StoredSession).decode
_decode_document = msgspec.msgpack.Decoder(Document).decode
_FIELDS = ("d", "l", "e", "f", "m")


class History:
    """Reads and changes what the commits appended."""

    def __init__(self, connections: Connections, seals: Seals) -> None:
        self._connections = connections
        self._seals = seals
        self._prefix = connections.prefix
        self.locks: dict[str, asyncio.Lock] = {}
        self.ends: dict[str, Head] = {}
        """Where commits of this process left the chains, by tenant."""

    def _key(self, *parts: str) -> str:
        return ":".join((self._prefix, *parts))

    async def _together(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        async def run(client: Any) -> Any:
            pipeline = client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            return await pipeline.execute()

        found: list[Any] = await self._connections.call(run) if commands else []
        return found

    async def known(self, tenant: str, ids: Sequence[str], removed: Sequence[str] = ()) -> Known:
        """Read the states that a commit depends on which changes these memories, and removes these states."""
        name, unique = token("T", tenant), list(dict.fromkeys(ids))
        tags = [encode_tag(each) for each in unique]
        commands: list[Sequence[Any]] = [("HMGET", self._key("chain", name), "seq", "link")]
        if tags:
            commands.append(("HMGET", self._key("ver", name), *tags))
        commands += [("HMGET", self._key("m", name, tag), "body", "stamp", "seal") for tag in tags]
        # Of sessions, which may be long, it counts that they are there; of documents, whose they are.
        commands += [
            ("HEXISTS" if _is_session(each) else "HGET", self._key("s", name, each), "body") for each in removed
        ]
        end, *rest = await self._together(commands)
        known = Known(Head(int(end[0] or 0), end[1] or b""))
        for each in reversed(removed):
            if (there := rest.pop()) in (None, 0):
                known.absent = True
                continue
            state = None if _is_session(each) else _decoded(each, there)
            known.states[each] = state if isinstance(state, Document) else None
        if tags:
            versions, *rows = rest
            known.latest = {each: int(version or 0) for each, version in zip(unique, versions, strict=True)}
            for each, (body, stamp, seal) in zip(unique, rows, strict=True):
                if body is not None:
                    known.former[each] = former_of(body, stamp, seal)
        return known

    async def tenants(self) -> dict[str, str]:
        """Names of tenants by their tokens."""
        (found,) = await self._together([("HGETALL", self._key("chains"))])
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        return {name.decode(): tenant.decode() for name, tenant in pairs}

    async def heads(self) -> dict[str, Head]:
        """The ends of all chains, by tenant."""
        names = await self.tenants()
        ends = await self._together([("HMGET", self._key("chain", name), "seq", "link") for name in names])
        return {
            tenant: Head(int(seq or 0), link or b"") for tenant, (seq, link) in zip(names.values(), ends, strict=True)
        }

    async def head(self, tenant: str) -> Head:
        """The end of a tenant's chain."""
        return (await self.known(tenant, ())).head

    async def link_at(self, tenant: str, seq: int) -> bytes | None:
        """The link of an entry, None if there is none of that number."""
        if seq == 0:
            return b""
        (found,) = await self._together([("HGET", self._key("h", token("T", tenant), str(seq)), "l")])
        link: bytes | None = found
        return link

    async def _rows(self, name: str, numbers: Sequence[int]) -> list[Any]:
        return await self._together([("HMGET", self._key("h", name, str(number)), *_FIELDS) for number in numbers])

    async def entries(
        self, scope: Scope, memory: str | None, after: int, limit: int, *, newest: bool
    ) -> tuple[list[Entry], list[str]]:
        """Entries inside the scope, by number; and the numbers of those that are not what the server wrote."""
        name, own = token("T", scope.tenant), self._own(scope.tenant)
        if memory is not None:
            (numbered,) = await self._together([("ZRANGE", self._key("hm", name, encode_tag(memory)), 0, -1)])
            numbers = [int(each) for each in numbered]
        else:
            numbers = list(range(1, (await self.head(scope.tenant)).seq + 1))
        if newest:
            numbers = [each for each in reversed(numbers) if not after or each < after]
        else:
            numbers = [each for each in numbers if each > after]
        found: list[Entry] = []
        broken: list[str] = []
        for start in range(0, len(numbers) if limit > 0 else 0, _PAGE):
            part = numbers[start : start + _PAGE]
            for seq, (digest, link, packed, former, _) in zip(part, await self._rows(name, part), strict=True):
                if digest is None or (packed is not None and not own.wrote(packed, digest)):
                    broken.append(str(seq))
                    continue
                change = None if packed is None else decode_change(packed)
                inside = scope.allows(*change.owner) if change is not None and change.owned else scope.whole
                if inside:
                    found.append(Entry(seq=seq, change=change, has_former=former is not None, link=link))
                if len(found) == limit:
                    return found, broken
        return found, broken

    def _own(self, tenant: str) -> TenantSeals:
        return self._seals.of(token("T", tenant))

    async def former(self, scope: Scope, seq: int) -> StoredMemory | None:
        """The state before an entry, if it was kept, lies inside the scope and is what was sealed."""
        ((digest, _, packed, former, _),) = await self._rows(token("T", scope.tenant), [seq])
        own = self._own(scope.tenant)
        if packed is None or former is None or not own.wrote(packed, digest):
            return None
        change = decode_change(packed)
        if not scope.allows(*change.owner) or not own.holds(former[:8], former[8:], change.before):
            return None
        memory = _state(former)
        return memory if scope.allows(*owner_of(memory.record)) else None

    async def with_former(self, tenant: str, seqs: Sequence[int]) -> list[int]:
        """Those of the entries that have a former state, ascending."""
        rows = await self._rows(token("T", tenant), seqs)
        return sorted({seq for seq, row in zip(seqs, rows, strict=True) if row[3] is not None})

    async def forget_former(self, tenant: str, seqs: Sequence[int]) -> None:
        """Remove former states; an entry has said so."""
        name = token("T", tenant)
        await self._together([("HDEL", self._key("h", name, str(seq)), "f") for seq in seqs])

    async def old(self, tenant: str, before: int | None, keep: int | None) -> list[int]:
        """Numbers of entries with former states that are too old or too many."""
        seen: dict[bytes, int] = {}
        found = []
        async for seq, row in self._chain(token("T", tenant), newest=True):
            if row[3] is None or row[2] is None:
                continue
            seen[row[4]] = seen.get(row[4], 0) + 1
            late = before is not None and decode_change(row[2]).at < before
            if late or (keep is not None and seen[row[4]] > keep):
                found.append(seq)
        return found[::-1]

    async def _chain(self, name: str, *, newest: bool = False) -> AsyncIterator[tuple[int, Any]]:
        (end,) = await self._together([("HGET", self._key("chain", name), "seq")])
        numbers = list(range(1, int(end or 0) + 1))
        if newest:
            numbers.reverse()
        for start in range(0, len(numbers), _PAGE):
            part = numbers[start : start + _PAGE]
            for seq, row in zip(part, await self._rows(name, part), strict=True):
                yield seq, row

    async def about(self, scope: Scope) -> tuple[list[int], list[int]]:
        """Entries about what lies inside the scope, and further ones whose former state does."""
        gone, bare = [], []
        async for seq, (_, _, packed, former, _) in self._chain(token("T", scope.tenant)):
            change = None if packed is None else decode_change(packed)
            if change is not None and change.owned and scope.allows(*change.owner):
                gone.append(seq)
            elif former is not None and scope.allows(*owner_of(_state(former).record)):
                bare.append(seq)
        return gone, bare

    async def forget(self, tenant: str, gone: Sequence[int], bare: Sequence[int]) -> None:
        """Empty entries; one has said so."""
        name = token("T", tenant)
        rows = await self._rows(name, gone)
        commands: list[Sequence[Any]] = [("HDEL", self._key("h", name, str(seq)), "e", "f", "m") for seq in gone]
        commands += [("HDEL", self._key("h", name, str(seq)), "f") for seq in bare]
        for memory in {row[4].decode() for row in rows if row[4] is not None}:
            commands += [("DEL", self._key("hm", name, memory)), ("HDEL", self._key("ver", name), memory)]
        await self._together(commands)

    # -- the whole store -------------------------------------------------------------------------------

    async def _hashes(self, kind: str) -> AsyncIterator[tuple[str, str, dict[bytes, bytes]]]:
        """Yield token, identity and fields of all hashes of memories (`m`) or states (`s`)."""
        cursor, pattern = 0, self._key(kind, "*")
        start = len(self._key(kind, ""))
        while True:
            ((cursor, keys),) = await self._together([("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE)])
            for key, fields in zip(keys, await self._together([("HGETALL", key) for key in keys]), strict=True):
                name, _, identity = key.decode()[start:].partition(":")
                pairs = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
                if pairs:
                    yield name, identity, pairs
            if int(cursor) == 0:
                return

    async def verify(self, now: int) -> Verification:
        """Compare everything with its seals and with the chains."""
        report = Verification(keyed=bool(self._seals.key_id))
        names = await self.tenants()
        checks: dict[str, ChainCheck] = {}
        for name, tenant in names.items():
            check = checks[name] = ChainCheck(tenant, self._seals.of(name), report)
            async for seq, (digest, link, packed, former, _) in self._chain(name):
                if digest is not None:
                    check.entry(seq, digest, link, packed, former)
            report.heads[tenant] = check.end()
            end = await self.head(tenant)
            if end != report.heads[tenant]:
                check.found("removed", "entry", str(end.seq), f"The chain should end at {end.seq}, not {check.seq}.")
        seen: set[tuple[str, str]] = set()
        async for name, identity, fields in self._hashes("m"):
            if (name, identity) in seen:  # SCAN may give a key twice
                continue
            seen.add((name, identity))
            known = self._check(checks, name, names, report)
            wrong = _wrong(self._seals.of(name), identity, fields)
            known.memory(_plain(identity, fields), fields.get(b"seal", b""), intact=not wrong, detail=wrong)
        for check in checks.values():
            check.rest()
        async for name, identity, fields in self._hashes("s"):
            if (name, identity) not in seen:
                seen.add((name, identity))
                self._check_state(report, self._check(checks, name, names, report), name, identity, fields)
        for check in checks.values():
            for what in STATES:
                check.missing_states(what, now)
        return report

    def _check(
        self, checks: dict[str, ChainCheck], name: str, names: dict[str, str], report: Verification
    ) -> ChainCheck:
        """Return the check of a tenant, also of one that has no chain."""
        if name not in checks:
            checks[name] = ChainCheck(names.get(name, name), self._seals.of(name), report)
        return checks[name]

    def _check_state(
        self, report: Verification, check: ChainCheck, name: str, identity: str, fields: dict[bytes, bytes]
    ) -> None:
        what = "session" if _is_session(identity) else "document"
        report.sessions += what == "session"
        report.documents += what == "document"
        expires, seal = _expiry(fields), fields.get(b"seal")
        intact = state_holds(self._seals.of(name), state_content(identity, expires, fields.get(b"body", b"")), seal)
        told = what == "session" or lasting(int(fields.get(b"updated_at", 0)), expires)
        shown = _shown(identity, fields)
        check.state(what, state_name(identity), shown, seal or b"", intact=intact, lasting=told)

    async def claim(self, *, adopt: bool) -> None:
        """Seal a store that is not yet, or see that it was sealed with a key of this server.

        Raises:
            ConfigurationError: It was sealed with another key, or its seals were taken away.
        """
        (found,) = await self._together([("GET", self._key("sealed"))])
        mark = None if found is None else found.decode()
        if mark is None and not adopt and await self.tenants():
            raise lost_key(self._seals, "that was taken away")
        if adopt or mark is None or (mark == "-" and self._seals.key_id):
            await self.seal_anew()
        elif mark != "-" and mark not in self._seals.known:
            raise lost_key(self._seals, mark)

    async def seal_anew(self) -> int:
        """Make all seals and links again; how many memories it were."""
        new_seals: dict[bytes, bytes] = {}
        there: dict[str, dict[str, Change]] = {}
        count = 0
        async for name, identity, fields in self._hashes("m"):
            count += 1
            own, stamp, body = self._seals.of(name), fields.get(b"stamp") or new_stamp(), decode_body(fields[b"body"])
            packed = fields[b"body"]
            if not body.version:
                body.version = 1
                packed = msgspec.msgpack.encode(body)
            seal = own.seal(stamp, placed(identity, packed))
            new_seals[fields.get(b"seal", b"")] = seal
            made = {b"stamp": stamp, b"seal": seal, b"body": packed, b"proof": proof_of(own, stamp, fields)}
            flat = [part for pair in made.items() for part in pair]
            await self._together([("HSET", self._key("m", name, identity), *flat)])
            owner = owner_of(body.record)
            change = Change(kind="adopted", at=0, memory=body.record.id, owner=owner, version=body.version, after=seal)
            there.setdefault(name, {})[subject(change)] = change
        async for name, identity, fields in self._hashes("s"):
            content = state_content(identity, _expiry(fields), fields[b"body"])
            seal = state_seal(self._seals.of(name), content)
            await self._together([("HSET", self._key("s", name, identity), "seal", seal)])
            if (adopted := _adopted(identity, fields, seal)) is not None:
                new_seals[fields.get(b"seal", b"")] = seal
                there.setdefault(name, {})[subject(adopted)] = adopted
        new_seals.pop(b"", None)
        names = await self.tenants()
        for name in {*there, *names}:
            await self._relink(name, new_seals, there.get(name, {}), names.get(name, name))
        await self._together([("SET", self._key("sealed"), self._seals.key_id or "-")])
        return count

    async def _relink(self, name: str, new_seals: dict[bytes, bytes], there: dict[str, Change], tenant: str) -> None:
        own, link, last, told = self._seals.of(name), b"", 0, dict[str, Change]()
        rows = [each async for each in self._chain(name)]
        for _, (_, _, packed, former, _) in rows:
            if packed is not None and former is not None:
                new_seals[decode_change(packed).before] = own.seal(former[:8], former[8:])
        commands: list[Sequence[Any]] = []
        for seq, (digest, _, packed, _, _) in rows:
            fields: list[Any] = []
            if packed is not None:
                change = decode_change(packed)
                change.after = new_seals.get(change.after, change.after) if change.after else b""
                change.before = new_seals.get(change.before, change.before) if change.before else b""
                packed = encode_change(change)
                digest, fields = own.digest(packed), ["e", packed]
                if change.owned and change.kind not in FORGETTING:
                    told[subject(change)] = change
            link, last = own.link(link, digest), seq
            commands.append(("HSET", self._key("h", name, str(seq)), "d", digest, "l", link, *fields))
        for change in unexplained(there, told):
            packed, last = encode_change(change), last + 1
            digest = own.digest(packed)
            link, tag = own.link(link, digest), encode_tag(change.memory)
            commands.append(("HSET", self._key("h", name, str(last)), "d", digest, "l", link, "e", packed))
            if not change.memory:
                continue
            commands.append(("HSET", self._key("h", name, str(last)), "m", tag))
            commands.append(("ZADD", self._key("hm", name, tag), last, last))
            commands.append(("HSET", self._key("ver", name), tag, change.version))
        if last:
            commands.append(("HSET", self._key("chain", name), "seq", last, "link", link))
            commands.append(("HSET", self._key("chains"), name, tenant))
        for start in range(0, len(commands), _PAGE):
            await self._together(commands[start : start + _PAGE])


def _expiry(fields: dict[bytes, bytes]) -> int | None:
    expires = fields.get(b"expires_at")
    return None if expires is None else int(expires)


def _is_session(identity: str) -> bool:
    """Tell whether an id in the store is a session's, not a document's."""
    return identity.startswith("s")


def _decoded(identity: str, body: bytes) -> StoredSession | Document | None:
    """The session or document of a body; None if it is neither, or another than its place says."""
    try:
        if _is_session(identity):
            session = _decode_session(body)
            return session if session_id(session.key) == identity else None
        document = _decode_document(body)
    except msgspec.MsgspecError:  # somebody damaged it
        return None
    return document if document_id(document.kind, document.id) == identity else None


def _shown(identity: str, fields: dict[bytes, bytes]) -> str:
    """The id of a session or document, of a document with its kind; its place in the store if it cannot be read."""
    state = _decoded(identity, fields.get(b"body", b""))
    if isinstance(state, Document):
        return f"{state.id} ({state.kind})"
    return state.key.session if state is not None else identity


def _adopted(identity: str, fields: dict[bytes, bytes], seal: bytes) -> Change | None:
    """The entry for a session or document as it stands, if the chain is to tell of it."""
    state, name, expires = _decoded(identity, fields[b"body"]), state_name(identity), _expiry(fields)
    if isinstance(state, StoredSession):
        change = session_change(state.key, name, state, seal)
    elif not _is_session(identity) and lasting(int(fields.get(b"updated_at", 0)), expires):
        owner = ("", "") if state is None else (state.namespace, state.user)
        change = document_change(owner, name, expires, seal)
    else:
        return None
    change.note = "adopted"
    return change


def _wrong(own: TenantSeals, identity: str, fields: dict[bytes, bytes]) -> str:
    stamp, body, seal = fields.get(b"stamp", b""), fields.get(b"body", b""), fields.get(b"seal", b"")
    if not own.holds(stamp, placed(identity, body), seal):
        return "Its content is not what the server wrote in its place."
    if not proves(own, stamp, fields, fields.get(b"proof", b"")):
        return "What it is filtered, sorted and found by is not what the server wrote."
    return ""


def _plain(identity: str, fields: dict[bytes, bytes]) -> str:
    """The id of a memory, as its own record has it if that fits its place."""
    try:
        name = decode_body(fields.get(b"body", b"")).record.id
    except msgspec.MsgspecError:
        return identity.removeprefix("x")
    return name if encode_tag(name) == identity else identity.removeprefix("x")


def _state(former: bytes) -> StoredMemory:
    body = decode_body(former[8:].partition(b"\0")[2])
    memory = StoredMemory(record=body.record, speaker=body.speaker, role=body.role, position=body.position)
    memory.lead, memory.traits, memory.version = body.lead, body.traits, body.version
    return memory
