"""agent-memory-integrity: nine edits of what is stored, made behind the server's back, on the stores sqlite and redis.

The server is stopped while somebody edits its file or its Redis. They do not have what is kept elsewhere: the folder of
the server's configuration, with its key and the head of the chain. Then the server starts again. An edit is

- rejected if the server does not start, or if it serves nothing that it did not write itself and tells that it left
  something out;
- reported if its check of the whole store (`memhost verify`) names it;
- accepted otherwise.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, Protocol

import apsw
import msgspec
from tests.support.hosts import run, running_host
from tests.support.redis_server import RedisServer, RedisSpace

from memhost.errors import MemhostError, Unsupported
from memhost.host import Host
from memhost_store_redis.codec import encode_tag

HEAD = ["edit", "sqlite", "redis"]
_VICTIM, _OTHER = "alice", "bob"
_SECRET = "0123456789abcdef" * 4
_MONTH = 30 * 24 * 3600 * 1_000_000
_BODY = msgspec.msgpack.Encoder().encode
_RID_BITS = 36

Row = dict[str, Any]
"""A memory as it is stored: its columns or fields, by table."""


class Raw(Protocol):
    """What somebody sees who can edit the store."""

    settings: dict[str, str]
    store: str

    def rows(self, user: str) -> list[Row]:
        """The memories of a user, oldest first."""

    def replace(self, row: Row, donor: Row) -> None:
        """Put everything of the donor in the row's place, but for id and owner."""

    def insert(self, row: Row) -> None:
        """Add a row with a new id beside the one that it was copied from."""

    def delete(self, row: Row) -> None:
        """Take it out, with all that hangs on it."""

    def relabel(self, row: Row) -> None:
        """Make it a month older, and an event."""

    def copy(self) -> object:
        """Everything that is stored."""

    def restore(self, copy: Any) -> None:
        """Put back what was copied."""


def rows() -> Iterator[list[str]]:
    """A row for each edit."""
    attacks = import_module("agmi.attacks.at_rest").AT_REST_ATTACKS_WITH_SNAPSHOT
    with TemporaryDirectory() as folder, RedisServer(Path(folder)) as server:
        for attack in attacks:
            cells = []
            for opened in (_sqlite(), _redis(server)):
                with opened as raw:
                    cells.append(_cell(attack().run(_adapter(raw))))
            yield [attack.name, *cells]


def _cell(result: Any) -> str:
    if result.guard or result.error:
        return f"error: {result.guard or result.error}"
    return f"{result.detail.partition('(')[2].rstrip(')')}" if result.detected else "accepted"


# -- the adapter -----------------------------------------------------------------------------------------------


class _Adapter:
    """memhost with the memories of two users."""

    name = "memhost"
    supports_replay = supports_metadata = supports_snapshot = True

    verify_detail: str | None

    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self._record: Any = import_module("agmi.adapters.base").Record
        self._written: dict[str, dict[str, Any]] = {}

    def setup(self) -> None:
        """Start with nothing."""
        self._written.clear()

    def teardown(self) -> None:
        """Leave everything to who opened the store."""

    def seed(self, n: int) -> None:
        """Write as the server does."""
        self._write(_VICTIM, n)

    def seed_other(self, n: int) -> None:
        """Write for the second user."""
        self._write(_OTHER, n)

    def append_genuine(self) -> None:
        """Write one more."""
        self._write(_VICTIM, 1)

    def _write(self, user: str, count: int) -> None:
        async def work(host: Host) -> None:
            begun = sum(each["user_id"] == user for each in self._written.values())
            for number in range(begun, begun + count):
                text = f"{user}token{number} decided something"
                memory = {"id": f"{user}-{number}", "text": text, "user_id": user}
                await run(host, "create_memories", memories=[memory])
                self._written[f"{user}-{number}"] = _served(await run(host, "get_memory", memory_id=memory["id"]))

        _with_host(self._raw, work)

    def read_all_raw(self) -> list[Any]:
        """The rows of the first user."""
        return [self._record(seq=at, fields=row) for at, row in enumerate(self._raw.rows(_VICTIM))]

    def read_other_raw(self) -> list[Any]:
        """The rows of the second one."""
        return [self._record(seq=at, fields=row) for at, row in enumerate(self._raw.rows(_OTHER))]

    def write_raw(self, record: Any) -> None:
        """Into the place of that number; a number behind the last one is a new place."""
        present = self._raw.rows(_VICTIM)
        if record.seq < len(present):
            self._raw.replace(present[record.seq], record.fields)
        else:
            self._raw.insert(record.fields)

    def delete_raw(self, seq: int) -> None:
        """Take a row out."""
        self._raw.delete(self._raw.rows(_VICTIM)[seq])

    def replay_onto(self, victim_seq: int, donor: Any) -> None:
        """Copy over a row."""
        self._raw.replace(self._raw.rows(_VICTIM)[victim_seq], donor.fields)

    def read_meta(self, seq: int) -> dict[str, Any]:
        """What it is filtered by."""
        return dict(self._raw.rows(_VICTIM)[seq]["meta"])

    def write_meta(self, seq: int, meta: dict[str, Any]) -> None:
        """Change that."""
        self._raw.relabel(self._raw.rows(_VICTIM)[seq])

    def snapshot_store(self) -> object:
        """Copy the store."""
        return self._raw.copy()

    def restore_store(self, token: object) -> None:
        """Put the copy back."""
        self._raw.restore(token)

    def mutate_payload(self, record: Any) -> Any:
        """Change what it says, in a body of the right form."""
        record.fields["body"] = _edited(record.fields["body"], lambda text: text.replace("token", "TOKEN"))
        return record

    def forge_record(self, template: Any) -> Any:
        """A copy of the newest one with another id and text."""
        fields = dict(template.fields, id=f"{_VICTIM}-forged")
        fields["body"] = _edited(fields["body"], lambda _: f"{_VICTIM}forged decided something", fields["id"])
        return self._record(seq=template.seq + 1, fields=fields)

    def identity_of(self, record: Any) -> str:
        """Its id."""
        return str(record.fields["id"])

    def payload_of(self, record: Any) -> str:
        """What its body says."""
        return str(_text(record.fields["body"]))

    def owner_of(self, record: Any) -> str:
        """Whose place it is in."""
        return str(record.fields["owner"])

    def reload(self) -> None:
        """The server starts when it is asked."""

    def verify(self) -> bool:
        """Start, read everything, and check the store."""
        self.verify_detail = None
        try:
            served, told, findings = _with_host(self._raw, self._look)
        except MemhostError as error:
            self.verify_detail = f"rejected: {type(error).__name__} at start"
            return False
        foreign = [each for each in served if self._written.get(each["id"]) != each or each["user_id"] != _VICTIM]
        notes = ["rejected"] if told and not foreign else []
        notes += [f"reported as {kind}" for kind in dict.fromkeys(findings)]
        notes += [f"serves {len(foreign)}"] if foreign and notes else []
        self.verify_detail = ", ".join(notes) or None
        return not (told and not foreign) and not findings

    async def _look(self, host: Host) -> tuple[list[dict[str, Any]], bool, list[str]]:
        with _noted_errors() as errors:
            found = await run(host, "search_memories", text="decided", user_id={"eq": _VICTIM}, limit=50)
            events = await run(host, "search_memories", memory_type={"eq": "episodic"}, user_id={"eq": _VICTIM})
            hits = [_served(hit) for hit in (*found.memories, *events.memories)]
        try:
            report = await run(host, "verify_store")
        except Unsupported:  # the store has no seals
            return hits, bool(errors), []
        return hits, bool(errors), [each.kind for each in report.findings]


def _adapter(raw: Raw) -> Any:
    """The adapter, as a class of the suite, which need not be installed."""
    base: Any = import_module("agmi.adapters.base").MemoryAdapter
    made: Any = type("Memhost", (_Adapter, base), {})
    return made(raw)


def _with_host(raw: Raw, work: Any) -> Any:
    """Start the server, let the work be done, and stop it."""

    async def lived() -> Any:
        with TemporaryDirectory() as folder:
            data = Path(raw.settings.get("DATA_DIR", folder))
            settings = {name: value for name, value in raw.settings.items() if name != "DATA_DIR"}
            settings["INTEGRITY_KEY"] = _SECRET
            async with running_host(data, store=raw.store, settings=settings, run_jobs=False) as host:
                return await work(host)

    return asyncio.run(lived())


def _served(record: Any) -> dict[str, Any]:
    names = ("id", "text", "user_id", "memory_type", "created_at")
    return {name: getattr(record, name) for name in names}


@contextmanager
def _noted_errors() -> Iterator[list[str]]:
    """What the server logs as errors meanwhile."""
    found: list[str] = []

    class Noting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    handler = Noting(logging.ERROR)
    logging.getLogger().addHandler(handler)
    try:
        yield found
    finally:
        logging.getLogger().removeHandler(handler)


def _text(body: bytes) -> str:
    return str(msgspec.msgpack.decode(body)[0]["text"])


def _edited(body: bytes, change: Any, name: str | None = None) -> bytes:
    whole = msgspec.msgpack.decode(body)
    whole[0]["text"] = change(whole[0]["text"])
    whole[0]["id"] = name or whole[0]["id"]
    return _BODY(whole)


# -- sqlite ----------------------------------------------------------------------------------------------------


class _Sqlite:
    """The file `memhost.db`."""

    store = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self.settings = {"DATA_DIR": str(self._data)}

    @contextmanager
    def _file(self) -> Iterator[apsw.Connection]:
        connection = apsw.Connection(str(self._data / "memhost.db"))
        try:
            with connection:
                yield connection
        finally:
            connection.close()

    def rows(self, user: str) -> list[Row]:
        with self._file() as file:
            owners = {row[0] for row in file.execute("SELECT id FROM scopes WHERE kind = 3 AND user = ?", (user,))}
            found = []
            for memory in _dicts(file, "SELECT * FROM memories ORDER BY rid", ()):
                if memory["owner"] not in owners:
                    continue
                vid = (memory["owner"] << _RID_BITS) | memory["rid"]
                content = _dicts(file, "SELECT * FROM contents WHERE vid = ?", (vid,))[0]
                vectors = _dicts(file, "SELECT * FROM vectors WHERE vid = ?", (vid,))
                meta = {name: memory[name] for name in ("created_at", "memory_type")}
                found.append(
                    {"id": memory["id"], "owner": user, "meta": meta, "body": content.pop("body"), "memory": memory}
                    | {"content": content, "vector": vectors[0]["vector"] if vectors else None, "vid": vid}
                )
        return found

    def replace(self, row: Row, donor: Row) -> None:
        with self._file() as file:
            self._content(file, row["vid"], donor)

    def _content(self, file: apsw.Connection, vid: int, donor: Row) -> None:
        values = donor["content"] | {"vid": vid, "body": donor["body"]}
        _put(file, "contents", values)
        if donor["vector"] is not None:
            _put(file, "vectors", {"vid": vid, "vector": donor["vector"]})

    def insert(self, row: Row) -> None:
        with self._file() as file:
            last: Any = file.execute("SELECT max(rid) FROM memories").get
            memory = row["memory"] | {"rid": last + 1, "id": row["id"], "hash": "forged"}
            _put(file, "memories", memory)
            self._content(file, (memory["owner"] << _RID_BITS) | memory["rid"], row)
            scope: Any = file.execute("SELECT scope FROM words WHERE rowid = ?", (row["memory"]["rid"],)).get
            file.execute(
                "INSERT INTO words(rowid, scope, terms) VALUES (?, ?, ?)", (last + 1, scope, "decided something")
            )

    def delete(self, row: Row) -> None:
        with self._file() as file:
            rid = (row["memory"]["rid"],)
            file.execute("DELETE FROM memories WHERE rid = ?", rid)
            file.execute("DELETE FROM words WHERE rowid = ?", rid)
            for table in ("contents", "vectors"):
                file.execute(f"DELETE FROM {table} WHERE vid = ?", (row["vid"],))

    def relabel(self, row: Row) -> None:
        with self._file() as file:
            file.execute(
                "UPDATE memories SET created_at = created_at - ?, memory_type = 'episodic' WHERE rid = ?",
                (_MONTH, row["memory"]["rid"]),
            )

    def copy(self) -> Path:
        target = Path(mkdtemp(dir=self._data.parent)) / "data"
        shutil.copytree(self._data, target)
        return target

    def restore(self, copy: Path) -> None:
        shutil.rmtree(self._data)
        shutil.copytree(copy, self._data)


def _dicts(file: apsw.Connection, query: str, values: tuple[Any, ...]) -> list[dict[str, Any]]:
    cursor = file.execute(query, values)
    found = []
    for row in cursor:
        names = [each[0] for each in cursor.get_description()]
        found.append(dict(zip(names, row, strict=True)))
    return found


def _put(file: apsw.Connection, table: str, values: dict[str, Any]) -> None:
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    file.execute(f"INSERT OR REPLACE INTO {table}({names}) VALUES ({marks})", tuple(values.values()))


@contextmanager
def _sqlite() -> Iterator[_Sqlite]:
    with TemporaryDirectory() as folder, _configuration(Path(folder)):
        yield _Sqlite(Path(folder))


# -- redis -----------------------------------------------------------------------------------------------------


class _Redis:
    """The hashes of memories under one prefix."""

    store = "redis"

    def __init__(self, space: RedisSpace, folder: Path) -> None:
        self._space = space
        self.settings = {**space.environment(), "DATA_DIR": str(folder / "data")}
        from redis import Redis

        self._client = Redis.from_url(space.url)

    def rows(self, user: str) -> list[Row]:
        found = []
        for key in self._client.scan_iter(match=f"{self._space.name}:m:*", count=1000):
            hashed: Any = self._client.hgetall(key)
            fields = {name.decode(): value for name, value in hashed.items()}
            if user.encode() not in fields["user_id"]:
                continue
            meta = {name: fields[name].decode() for name in ("created_at", "memory_type")}
            place, body = key.decode().rsplit(":", 1)[1], fields.pop("body")
            found.append({"id": place, "owner": user, "meta": meta, "body": body, "key": key, "fields": fields})
        return sorted(found, key=lambda row: str(row["id"]))

    def replace(self, row: Row, donor: Row) -> None:
        kept = {"id", "user_id", "namespace", "session_id", "scope"}
        taken = {name: value for name, value in donor["fields"].items() if name not in kept}
        self._client.hset(row["key"], mapping={**taken, "body": donor["body"]})

    def insert(self, row: Row) -> None:
        place = row["key"].decode().rsplit(":", 1)[0]
        tag = encode_tag(row["id"])
        fields = {**row["fields"], "id": tag, "body": row["body"]}
        self._client.hset(f"{place}:{tag}", mapping=fields)

    def delete(self, row: Row) -> None:
        self._client.delete(row["key"])

    def relabel(self, row: Row) -> None:
        created = int(row["meta"]["created_at"]) - _MONTH
        self._client.hset(row["key"], mapping={"created_at": created, "memory_type": "xepisodic"})

    def copy(self) -> dict[bytes, Any]:
        keys = self._space.keys()
        return {key: self._client.dump(key) for key in keys}

    def restore(self, copy: dict[bytes, Any]) -> None:
        keys = self._space.keys()
        for key in keys:
            self._client.delete(key)
        for key, value in copy.items():
            self._client.restore(key, 0, value)


@contextmanager
def _redis(server: RedisServer) -> Iterator[_Redis]:
    space = RedisSpace(server.url)
    with TemporaryDirectory() as folder, _configuration(Path(folder)):
        try:
            yield _Redis(space, Path(folder))
        finally:
            space.clear()


@contextmanager
def _configuration(folder: Path) -> Iterator[None]:
    """A folder of the user's configuration, outside of the store."""
    before = os.environ.get("XDG_CONFIG_HOME")
    os.environ["XDG_CONFIG_HOME"] = str(folder / "configuration")
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("XDG_CONFIG_HOME")
        else:
            os.environ["XDG_CONFIG_HOME"] = before
