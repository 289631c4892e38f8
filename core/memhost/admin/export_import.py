"""Moving memories and sessions out of a store and into another, and rebuilding their indexes.

The format is JSON Lines: a header, then one line per session and per memory, then a line with the
counts, by which a truncated file is noticed. Plain lists of memories are read too
(`transfer_lists`). Vectors and words are not part of it: the reading store makes its own. Background
jobs and documents of plugins stay behind.
"""

from __future__ import annotations

import codecs
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from memhost.admin import transfer_lists
from memhost.admin.export_signature import ExportSignature
from memhost.errors import InvalidRequest, MemhostError, Problem, ReviewLimitReached, ValidationFailed, VersionMismatch
from memhost.integrity import Keyring
from memhost.memories.records import index_records
from memhost.memories.review.waiting import Waiting
from memhost.memories.trust import CLAIMED, TRUST, level_of
from memhost.messages.masking import masked_session
from memhost.models import (
    TURN_STRATEGY,
    MemoryRecord,
    Scope,
    StoredMemory,
    StoredSession,
    WorkingMemory,
    WriteBatch,
)
from memhost.models.trust import by_role, lowest, rank
from memhost.operations.limits import record_problems, session_problems
from memhost.ports import Clock, Draft, Embedder, Store
from memhost.secrets import Findings, Masker, masked_record
from memhost.settings.schema import MemorySettings
from memhost.storage.paging import session_keys, walk
from memhost.usage.ledger import charged_to, payer_within
from memhost.version import __version__

FORMAT_VERSION = 1
BATCH = 200


class Header(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="memhost_export"):
    """First line: what wrote the file."""

    format: int = FORMAT_VERSION
    version: str = __version__
    created_at: datetime


class SessionLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="session"):
    """A session as it was stored."""

    session: StoredSession


class MemoryLine(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="memory"):
    """A memory, with what is known of the turn that it is."""

    memory: MemoryRecord
    speaker: str | None = None
    role: str | None = None
    position: int | None = None


class Footer(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="end"):
    """Last line: how much there was, and the signature of all lines before it, with the id of the key.

    Both are null if the server that wrote the file had no key.
    """

    sessions: int
    memories: int
    key: str | None = None
    signature: str | None = None


Line = Header | SessionLine | MemoryLine | Footer

_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


def _in_utc(value: Any) -> Any:
    """The value with each time that has no offset in UTC, as `memhost.reading` takes it: files are edited by hand."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value
    if isinstance(value, (list, tuple)):
        items = [_in_utc(item) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else type(value)(items)
    if isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        changed = {name: new for name, old in fields.items() if (new := _in_utc(old)) is not old}
        return msgspec.structs.replace(value, **changed) if changed else value
    return value


class LineProblem(msgspec.Struct, frozen=True, kw_only=True):
    """A line that was not imported, and why."""

    line: int
    message: str


@dataclass(slots=True, kw_only=True)
class Tally:
    """Result of an import; with `dry_run` the result that it would have.

    Attributes:
        created: Things that were not there.
        replaced: Things that were there with other, older content.
        held: Memories that wait for a review instead.
        unchanged: Things that were there as they are.
        kept: Things that were there with newer content, which stays.
        problems: Lines that were not imported.
        masked: Secrets that were masked.
        complete: The file ended with its counts, and they were right.
    """

    created: int = 0
    replaced: int = 0
    held: int = 0
    unchanged: int = 0
    kept: int = 0
    masked: int = 0
    problems: list[LineProblem] = field(default_factory=list)
    complete: bool = False


class Exporter:
    """Reads everything in a scope, page by page."""

    def __init__(self, store: Store, clock: Clock, keys: Keyring | None = None) -> None:
        self._store = store
        self._clock = clock
        self._keys = keys

    async def lines(self, scope: Scope) -> AsyncIterator[bytes]:
        """The lines of the file, each with its line end."""
        signature, counts = ExportSignature(), Footer(sessions=0, memories=0)
        async for line in self._content(scope):
            if isinstance(line, Footer):
                counts = line
            else:
                signature.add(line)
                yield line
        if self._keys is not None:
            counts = msgspec.structs.replace(counts, key=self._keys.id, signature=signature.made(self._keys))
        yield msgspec.json.encode(counts) + b"\n"

    async def _content(self, scope: Scope) -> AsyncIterator[bytes | Footer]:
        encoder = msgspec.json.Encoder()
        yield encoder.encode(Header(created_at=self._clock.now())) + b"\n"
        sessions = memories = 0
        for key in await session_keys(self._store, scope, self._clock.now()):
            session = await self._store.get_session(scope, key, self._clock.now())
            if session is not None:
                sessions += 1
                yield encoder.encode(SessionLine(session=session)) + b"\n"
        async for memory in walk(self._store, scope, page=BATCH):
            memories += 1
            yield encoder.encode(_memory_line(memory)) + b"\n"
        yield Footer(sessions=sessions, memories=memories)


def _memory_line(memory: StoredMemory) -> MemoryLine:
    return MemoryLine(memory=memory.record, speaker=memory.speaker, role=memory.role, position=memory.position)


class Importer:
    """Reads the lines of an export into a store. Importing twice changes nothing.

    What is in the store with the same identity and newer content stays as it is. A line is imported
    as a whole or not at all. Hooks of plugins are not called: they were when the memories came into
    being. What is sensitive and trusted less than the user waits for a review, by the settings.

    Args:
        store: Where the memories go.
        embedder: Makes their vectors.
        tenant: Whose they are.
        clock: Tells the time.
        dry_run: Nothing is stored.
        masker: Masks secrets in what is imported.
        signed: This server wrote the file as it is (`export_signature.why_unsigned`). Only then its lines keep the
            trust that they name; otherwise nothing of them is trusted further than an imported file, and nothing
            replaces what is trusted more.
        settings: Which kinds wait, and for how long.
    """

    def __init__(
        self,
        *,
        store: Store,
        embedder: Embedder,
        tenant: str,
        clock: Clock,
        dry_run: bool = False,
        masker: Masker | None = None,
        signed: bool = False,
        settings: MemorySettings | None = None,
    ) -> None:
        self._reviews = Waiting(store=store, settings=settings or MemorySettings())
        self._store = store
        self._embedder = embedder
        self._tenant = tenant
        self._scope = Scope(tenant=tenant)
        self._clock = clock
        self._dry_run = dry_run
        self._masker = masker or Masker()
        self._signed = signed
        self._pending: list[tuple[int, MemoryLine]] = []
        self._seen = Footer(sessions=0, memories=0)
        self._started = False
        self._other: bytearray | None = None  # the whole file, if it is no export
        self.tally = Tally()

    async def feed(self, number: int, raw: bytes) -> None:
        """Take one line; memories are stored in batches, so call `finish` at the end.

        Raises:
            InvalidRequest: The file is not an export, or one of a newer format.
        """
        if number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        if self._other is not None:
            if len(self._other) <= transfer_lists.LARGEST:
                self._other += raw
            return
        if not raw.strip():
            return
        try:
            line: Line = _in_utc(_decoder.decode(raw))
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            if not self._started:
                if raw.lstrip()[:1] not in (b"[", b"{"):
                    raise InvalidRequest(transfer_lists.NO_EXPORT) from error
                self._other = bytearray(raw)
                return
            self._problem(number, str(error))
            return
        await self._take(number, line)

    async def _take(self, number: int, line: Line) -> None:
        if isinstance(line, Header):
            self._start(line)
        elif not self._started:
            raise InvalidRequest(transfer_lists.NO_EXPORT)
        elif isinstance(line, SessionLine):
            self._seen = Footer(sessions=self._seen.sessions + 1, memories=self._seen.memories)
            if not self._signed:
                line = SessionLine(session=session_of_a_file(line.session))
            content = line.session.content
            if not self._is_too_large(number, session_problems(content)) and self._is_open(number, content):
                await self._session(number, masked_session(line.session, self._masker))
        elif isinstance(line, MemoryLine):
            self._seen = Footer(sessions=self._seen.sessions, memories=self._seen.memories + 1)
            if not self._signed:
                line = msgspec.structs.replace(line, memory=memory_of_a_file(line.memory))
            if not self._is_too_large(number, record_problems(line.memory)) and self._is_open(number, line.memory):
                self._pending.append((number, self._masked(line)))
            if len(self._pending) >= BATCH:
                await self._flush()
        else:
            self.tally.complete = (line.sessions, line.memories) == (self._seen.sessions, self._seen.memories)

    def _start(self, header: Header) -> None:
        if header.format > FORMAT_VERSION:
            raise InvalidRequest(
                f"The file has format {header.format}, written by memhost {header.version}; "
                f"this version reads formats up to {FORMAT_VERSION}: upgrade memhost."
            )
        self._started = True

    async def finish(self) -> Tally:
        """Store the rest, and report the result.

        Raises:
            InvalidRequest: The file is empty, or neither an export nor a list of memories.
        """
        if self._other is not None:
            await self._list(bytes(self._other))
        await self._flush()
        if not self._started:
            raise InvalidRequest("The file is empty.")
        return self.tally

    async def _list(self, raw: bytes) -> None:
        """Take the memories of a file that another server or a person wrote."""
        given: list[transfer_lists.Given] = []
        for read in transfer_lists.read_items(transfer_lists.items_of(raw)):
            if isinstance(read, transfer_lists.Unreadable):
                self._problem(read.place, str(read))
            else:
                given.append(read)
        self._started = self.tally.complete = True
        for start in range(0, len(given), BATCH):
            chunk = given[start : start + BATCH]
            ids = [str(item.id) for _, item in chunk]
            found = {memory.record.id: memory.record for memory in await self._store.get_memories(self._scope, ids)}
            for place, item in chunk:
                record = transfer_lists.record_of(item, found.get(str(item.id)), self._clock.now())
                if not self._is_too_large(place, record_problems(record)) and self._is_open(place, record):
                    self._pending.append((place, self._masked(MemoryLine(memory=record))))
            await self._flush()

    def _is_too_large(self, number: int, problems: Sequence[Problem]) -> bool:
        """Tell whether the line exceeds the limits of a request, and note it as a problem if so."""
        if problems:
            self._problem(number, ValidationFailed(problems[:3]).message)
        return bool(problems)

    def _is_open(self, number: int, content: msgspec.Struct) -> bool:
        """Tell whether a line has no secrets that are refused, and note it as a problem if it has."""
        findings = Findings()
        self._masker.value(content, findings)
        refused = [*findings.ids, *(findings.places if self._masker.policy == "refuse" else ())]
        if refused:
            where, kind = ".".join(map(str, refused[0][0])), refused[0][1]
            self._problem(number, f"{where}: it holds a secret ({kind}); remove it, or set SECRETS.")
        else:
            self.tally.masked += findings.count
        return not refused

    def _masked(self, line: MemoryLine) -> MemoryLine:
        memory = masked_record(line.memory, self._masker)
        return msgspec.structs.replace(self._masker.value(line), memory=memory)

    def _problem(self, line: int, message: str) -> None:
        self.tally.problems.append(LineProblem(line=line, message=message))

    # -- sessions ----------------------------------------------------------------------------------

    async def _session(self, number: int, session: StoredSession) -> None:
        key = msgspec.structs.replace(session.key, tenant=self._tenant)
        now = self._clock.now()
        if session.expires_at is not None and session.expires_at <= now:
            self.tally.unchanged += 1
            return
        found = await self._store.get_session(self._scope, key, now)
        verdict = _compare_sessions(found, session)
        if verdict == "replaced" and found is not None and not self._signed and _is_trusted_more(found.content):
            self._problem(number, _TRUSTED_MORE)
            return
        if verdict in ("created", "replaced") and not self._dry_run:
            version = found.version if found is not None else 0
            fresh = msgspec.structs.replace(session, key=key, version=version)
            try:
                await self._store.commit(self._scope, WriteBatch(put_session=fresh, expect_version=version))
            except VersionMismatch:
                self._problem(number, "another writer changed the session during the import; import again")
                return
            except MemhostError as error:
                self._refuse(number, error)
                return
        self._count(verdict)

    # -- memories ----------------------------------------------------------------------------------

    async def _flush(self) -> None:
        pending, self._pending = self._pending, []
        wanted: list[tuple[int, MemoryLine, Verdict]] = []
        ids = [line.memory.id for _, line in pending]
        found = {item.record.id: item for item in await self._store.get_memories(self._scope, ids)}
        for number, line in pending:
            there = found.get(line.memory.id)
            verdict = _compare_memories(there, line)
            if there is not None and verdict == "unchanged" and self._signed:
                verdict = "replaced" if level_of(there.record) != level_of(line.memory) else verdict
            if there is not None and verdict == "replaced" and not self._signed and _outranks(there, line):
                self._problem(number, _TRUSTED_MORE)
            elif verdict in ("created", "replaced"):
                wanted.append((number, line, verdict))
            else:
                self._count(verdict)
        if self._dry_run:
            for _, _, verdict in wanted:
                self._count(verdict)
        elif wanted:
            await self._put(wanted)

    async def _put(self, wanted: Sequence[tuple[int, MemoryLine, Verdict]]) -> None:
        """Store a batch; if the store refuses it, its lines one by one, to tell which are at fault."""
        wanted = await self._without_held(wanted)
        if not wanted:
            return
        with charged_to(payer_within(self._scope)):
            stored = await index_lines([line for _, line, _ in wanted], self._embedder)
        try:
            await self._store.commit(self._scope, WriteBatch(put_memories=stored))
        except MemhostError as error:
            if error.retryable:
                raise
            for (number, _, verdict), memory in zip(wanted, stored, strict=True):
                await self._put_one(number, memory, verdict)
            return
        for _, _, verdict in wanted:
            self._count(verdict)

    async def _without_held(
        self, wanted: Sequence[tuple[int, MemoryLine, Verdict]]
    ) -> list[tuple[int, MemoryLine, Verdict]]:
        """Have those wait that need a review; turns are evidence, and need none."""
        turns = {line.memory.id for _, line, _ in wanted if line.memory.extraction_strategy == TURN_STRATEGY}
        kept, held = await self._reviews.part(self._tenant, [line.memory for _, line, _ in wanted], turns)
        if not held:
            return list(wanted)
        batch = WriteBatch()
        staged = await self._reviews.stage(batch, self._tenant, held, self._clock.now())
        await self._store.commit(self._scope, batch)
        self.tally.held += len(held) - len(staged.over)
        for number, line, _ in wanted:
            if line.memory.id in staged.over:
                self._problem(number, ReviewLimitReached([line.memory.id], self._reviews.limit).message)
        names = {record.id for record in kept}
        return [each for each in wanted if each[1].memory.id in names]

    async def _put_one(self, number: int, memory: StoredMemory, verdict: Verdict) -> None:
        try:
            await self._store.commit(self._scope, WriteBatch(put_memories=[memory]))
        except MemhostError as error:
            self._refuse(number, error)
            return
        self._count(verdict)

    def _refuse(self, number: int, error: MemhostError) -> None:
        if error.retryable:
            raise error
        self._problem(number, error.message)

    def _count(self, verdict: Verdict) -> None:
        setattr(self.tally, verdict, getattr(self.tally, verdict) + 1)


Verdict = Literal["created", "replaced", "unchanged", "kept"]


_TRUSTED_MORE = (
    "what is stored is trusted more than this file, and stays; delete it first, or import a file that this server "
    "signed"
)


def memory_of_a_file(record: MemoryRecord) -> MemoryRecord:
    """The memory of a file that anybody may have written: trusted as imported at most, with a note of what it says."""
    told = record.trust or record.metadata.get(TRUST)
    metadata = {name: value for name, value in record.metadata.items() if name != TRUST}
    if isinstance(told, str) and rank(told) > rank("import"):
        metadata[CLAIMED] = told
    return msgspec.structs.replace(record, metadata=metadata, trust=lowest((level_of(record), "import")), review=None)


def session_of_a_file(session: StoredSession) -> StoredSession:
    """The session of a file that anybody may have written: nothing of it is trusted further than imported."""
    content = session.content
    messages = [
        msgspec.structs.replace(each, trust=lowest((each.trust or by_role(each.role), "import")))
        for each in content.messages
    ]
    memories = [memory_of_a_file(record) for record in content.memories]
    return msgspec.structs.replace(
        session, content=msgspec.structs.replace(content, messages=messages, memories=memories)
    )


def _outranks(stored: StoredMemory, given: MemoryLine) -> bool:
    return rank(level_of(stored.record)) > rank(level_of(given.memory))


def _is_trusted_more(content: WorkingMemory) -> bool:
    """Tell whether something in a stored session is trusted more than what a file brings."""
    levels = [each.trust or by_role(each.role) for each in content.messages] + [*map(level_of, content.memories)]
    return any(rank(level) > rank("import") for level in levels)


def _compare_sessions(found: StoredSession | None, given: StoredSession) -> Verdict:
    if found is None:
        return "created"
    if session_of_a_file(found).content == session_of_a_file(given).content:
        return "unchanged"
    return "replaced" if given.content.updated_at > found.content.updated_at else "kept"


def _compare_memories(found: StoredMemory | None, given: MemoryLine) -> Verdict:
    if found is None:
        return "created"
    if _essence(found.record) == _essence(given.memory):
        return "unchanged"
    return "replaced" if given.memory.updated_at > found.record.updated_at else "kept"


def _essence(record: MemoryRecord) -> MemoryRecord:
    """The record without what reading it changes, and without its trust, which a file does not tell."""
    metadata = {name: value for name, value in record.metadata.items() if name not in (TRUST, CLAIMED)}
    return msgspec.structs.replace(
        record, access_count=0, last_accessed=record.created_at, persisted_at=None, trust=None, metadata=metadata
    )


async def index_lines(lines: Iterable[MemoryLine], embedder: Embedder) -> list[StoredMemory]:
    """The memories with words and vectors, as this version and this embedder make them."""
    given = list(lines)
    drafts = [
        Draft(text=line.memory.text, speaker=line.speaker, role=line.role, position=line.position) for line in given
    ]
    return await index_records([line.memory for line in given], embedder, drafts)


async def reindex(store: Store, embedder: Embedder, scope: Scope) -> AsyncIterator[int]:
    """Recompute words and vectors of all memories; yield the number of finished ones after each batch.

    Memories of earlier versions get their level of trust, by which filters find them. It can be repeated and
    interrupted; finished batches stay.
    """
    batch: list[StoredMemory] = []
    done = 0
    async for memory in walk(store, scope, page=BATCH):
        batch.append(memory)
        if len(batch) >= BATCH:
            done += await _reindex_batch(store, embedder, scope, batch)
            batch = []
            yield done
    if batch:
        done += await _reindex_batch(store, embedder, scope, batch)
        yield done


def _with_level(memory: StoredMemory) -> StoredMemory:
    record = memory.record
    return replace(memory, record=msgspec.structs.replace(record, trust=level_of(record)))


async def _reindex_batch(store: Store, embedder: Embedder, scope: Scope, batch: Sequence[StoredMemory]) -> int:
    with charged_to(payer_within(scope)):
        fresh = await index_lines((_memory_line(_with_level(memory)) for memory in batch), embedder)
    await store.commit(scope, WriteBatch(put_memories=fresh))
    return len(fresh)
