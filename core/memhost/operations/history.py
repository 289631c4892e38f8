"""Operations on versions of memories, the log of all changes, and the proof that nobody else changed anything."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from memhost.models import ChangeKind, FindingKind, MemoryRecord
from memhost.models.limits import Config
from memhost.operations.long_term import IdOfMemory
from memhost.operations.requests import IfHash, IfVersion

HISTORY = "History"

_Version = Annotated[int, Meta(ge=1)]
_Limit = Annotated[int, Meta(ge=1, le=500, description="Most to return.", examples=[100])]
_After = Annotated[int, Meta(ge=0, description="`next` of the page before; 0 for the first.", examples=[0])]


class ListVersions(msgspec.Struct, kw_only=True):
    """Of which memory to list the versions; a deleted one has them too."""

    memory_id: IdOfMemory
    limit: _Limit = 100
    after: _After = 0


class GetVersion(msgspec.Struct, kw_only=True):
    """Which version of which memory to read."""

    memory_id: IdOfMemory
    version: Annotated[_Version, Meta(description="Number of the version.", examples=[2])]


class CompareVersions(msgspec.Struct, kw_only=True):
    """Which versions of a memory to compare."""

    memory_id: IdOfMemory
    version: Annotated[_Version, Meta(description="Number of one version.", examples=[1])]
    other: Annotated[
        _Version | None, Meta(description="Number of the other one; absent: the latest that is kept.", examples=[2])
    ] = None


class RestoreVersion(msgspec.Struct, kw_only=True):
    """Which version of a memory to write again, as its newest version."""

    memory_id: IdOfMemory
    version: Annotated[_Version, Meta(description="Number of the version to restore.", examples=[1])]
    if_version: IfVersion = None
    if_hash: IfHash = None


class RedactVersion(msgspec.Struct, kw_only=True):
    """Which version of a memory to remove for good."""

    memory_id: IdOfMemory
    version: Annotated[_Version, Meta(description="Number of the version to redact.", examples=[1])]


class MemoryChange(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the log: who changed what, when and by which way. It has no text of a memory."""

    seq: Annotated[int, Meta(description="Number of the entry in the log of the tenant.")]
    kind: Annotated[
        ChangeKind | None,
        Meta(
            description="`created`, `replaced` (a new version), `touched` (only marks of the server changed), "
            "`deleted`; `adopted`: it was there before the log began; `redacted`, `pruned`: former states were "
            "removed on request, or with age; `erased`: a user was; `administered`; `session`, `document`: one was "
            "written or removed. Null: the entry was erased."
        ),
    ]
    at: Annotated[datetime | None, Meta(description="When; null if the entry was erased.")] = None
    memory_id: Annotated[str | None, Meta(description="Id of the memory; null if it concerns none.")] = None
    version: Annotated[
        int | None, Meta(description="Version of the memory since; of a deletion, the version that went.")
    ] = None
    namespace: Annotated[str | None, Meta(description="Namespace of the memory, if any.")] = None
    user_id: Annotated[str | None, Meta(description="User of the memory, if any.")] = None
    session_id: Annotated[str | None, Meta(description="Session of the memory, if any.")] = None
    subject: Annotated[str | None, Meta(description="Who did it, as authentication names them, or the plugin.")] = None
    credential: Annotated[str | None, Meta(description="Id of the credential, never the credential itself.")] = None
    door: Annotated[
        str | None, Meta(description="Interface: `rest`, `mcp`, `command-line`, `job` (in the background), `python`.")
    ] = None
    operation: Annotated[str | None, Meta(description="Operation, or event of a background job.")] = None
    request_id: Annotated[str | None, Meta(description="Id of the request or job, as in the server's log.")] = None
    note: Annotated[str | None, Meta(description="What was administered, or why.")] = None
    link: Annotated[str, Meta(description="Link of the entry, in hex: it covers this entry and all before it.")] = ""


class MemoryVersion(MemoryChange, frozen=True, kw_only=True):
    """A version of a memory, or its deletion."""

    kept: Annotated[bool, Meta(description="Whether the state of this version can be read.")] = False
    current: Annotated[bool, Meta(description="Whether the memory is at this version.")] = False


class VersionList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the versions of a memory."""

    memory_id: Annotated[str, Meta(description="Id of the memory.")]
    versions: Annotated[list[MemoryVersion], Meta(description="Versions and deletions, the newest first.")]
    next: Annotated[int | None, Meta(description="`after` of the next page; null if this is the last.")] = None


class VersionState(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a memory with its state."""

    version: Annotated[int, Meta(description="Number of the version.")]
    current: Annotated[bool, Meta(description="Whether the memory is at this version.")]
    change: Annotated[
        MemoryChange | None, Meta(description="Who made it; null where the log has no entry of that version.")
    ]
    memory: Annotated[MemoryRecord, Meta(description="The memory as it was then.")]


class FieldDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A field in which two versions differ."""

    field: Annotated[str, Meta(description="Name of the field; `metadata.KEY` for a key of metadata.")]
    before: Annotated[Any, Meta(description="Its value in the earlier version; null if it had none.")]
    after: Annotated[Any, Meta(description="Its value in the later version; null if it has none.")]


class VersionComparison(msgspec.Struct, frozen=True, kw_only=True):
    """The differences between two versions of a memory."""

    memory_id: Annotated[str, Meta(description="Id of the memory.")]
    before: Annotated[int, Meta(description="Number of the earlier version.")]
    after: Annotated[int, Meta(description="Number of the later version.")]
    differences: Annotated[list[FieldDifference], Meta(description="Fields that differ, by name.")]


class Redaction(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a redaction."""

    memory_id: Annotated[str, Meta(description="Id of the memory.")]
    removed: Annotated[int, Meta(description="Former states that were removed: of this version, and of the same text.")]
    blanked: Annotated[
        bool, Meta(description="Whether the memory itself had that text: it now says `[redacted]`, and nothing else.")
    ]
    files: Annotated[
        Literal["clean", "pending"] | None,
        Meta(
            description="Rests in the store's files: `clean`, they are gone; `pending`, they are being removed; null, "
            "the store leaves none."
        ),
    ]


class ListChanges(msgspec.Struct, kw_only=True):
    """Which entries of the log to list."""

    memory_id: Annotated[str | None, Meta(description="Only this memory.", examples=["pref-window-seat"])] = None
    user_id: Annotated[str | None, Meta(description="Only memories of this user.", examples=["ana"])] = None
    change: Annotated[
        ChangeKind | None,
        Meta(description="Only entries of this kind; else all but those of documents.", examples=["deleted"]),
    ] = None
    subject: Annotated[str | None, Meta(description="Only what this caller or plugin did.", examples=["bot"])] = None
    oldest_first: Annotated[bool, Meta(description="The oldest first; else the newest.", examples=[False])] = False
    limit: _Limit = 100
    after: _After = 0


class ChangeList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the log."""

    changes: Annotated[list[MemoryChange], Meta(description="The entries.")]
    next: Annotated[
        int | None,
        Meta(description="`after` of the next page; null at the end. A page may be empty before the end is reached."),
    ] = None


class TamperFinding(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the store that the server did not do."""

    kind: Annotated[
        FindingKind,
        Meta(
            description="`changed`, `removed`, `inserted`, `reordered`, `replayed` (an earlier state was put back), "
            "`rolled_back` (the whole store was), `unsealed`."
        ),
    ]
    what: Annotated[str, Meta(description="`memory`, `session`, `document`, `index`, `version` or `entry`.")]
    tenant: Annotated[str, Meta(description="Whose.")]
    id: Annotated[str, Meta(description="Id of it, or number of the entry.")]
    detail: Annotated[str, Meta(description="One sentence.")]


class ChainEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a tenant's log."""

    tenant: Annotated[str, Meta(description="Whose.")]
    seq: Annotated[int, Meta(description="Number of its last entry; 0: it has none.")]
    link: Annotated[str, Meta(description="Link of that entry, in hex: it covers all entries.")]


class VerificationReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a verification of the whole store."""

    ok: Annotated[bool, Meta(description="Whether everything is what the server wrote.")]
    keyed: Annotated[
        bool, Meta(description="Whether it is sealed with a key; without one, edits of a careful hand do not show.")
    ]
    memories: Annotated[int, Meta(description="Memories looked at.")]
    entries: Annotated[int, Meta(description="Entries of the logs looked at.")]
    sessions: Annotated[int, Meta(description="Sessions looked at.")]
    documents: Annotated[int, Meta(description="Documents looked at.")]
    found: Annotated[int, Meta(description="How much the server did not do.")]
    findings: Annotated[list[TamperFinding], Meta(description="The first 1,000 of these.")]
    heads: Annotated[list[ChainEnd], Meta(description="The ends of the logs, by tenant.")]
    duration_s: Annotated[float, Meta(description="Seconds that it took.")]


class CheckCertificate(msgspec.Struct, kw_only=True):
    """A certificate of erasure, or a signed head of the log, to check."""

    certificate: Annotated[
        Config,
        Meta(
            description="The answer of `delete_user`, or what `memhost_head_signed` was given, as it was.",
            examples=[{"id": "01KATV2R8GQ4T1V5S0S1J3X9ZB", "signature": "00"}],
        ),
    ]


class CertificateCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The result of checking a certificate."""

    valid: Annotated[bool, Meta(description="This server signed it as it is, and its log has the entry that it names.")]
    signed: Annotated[bool, Meta(description="The signature is that of a key of this server, over these fields.")]
    recorded: Annotated[bool, Meta(description="The log of the tenant has the entry that it names at that place.")]
    detail: Annotated[str, Meta(description="What is wrong, in a sentence; else what is certified.")]
