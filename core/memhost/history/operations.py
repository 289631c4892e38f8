"""Operations on versions of memories, the log of changes, and the proof of what is stored."""

from __future__ import annotations

from memhost.history.log import ChangeLog
from memhost.history.verifying import Verifying
from memhost.history.versions import Versions
from memhost.models import MemoryRecord
from memhost.operations.history import (
    HISTORY,
    CertificateCheck,
    ChangeList,
    CheckCertificate,
    CompareVersions,
    GetVersion,
    ListChanges,
    ListVersions,
    Redaction,
    RedactVersion,
    RestoreVersion,
    VerificationReport,
    VersionComparison,
    VersionList,
    VersionState,
)
from memhost.operations.table import Call, Nothing, Operation, forward


async def _changes(verifying: Verifying, call: Call, request: ListChanges) -> ChangeList:
    return await ChangeLog(verifying.store).list_page(call, request)


OPERATIONS = (
    Operation(
        name="list_memory_versions",
        request=ListVersions,
        response=VersionList,
        handler=forward(Versions, Versions.list_page),
        access="read",
        tag=HISTORY,
        summary="List the versions of a memory: who changed it, when and how.",
        description=(
            "Each change of a memory's content is a version: edits, joins, replacements, what the server did by "
            "itself. Also of deleted memories, as long as their states are kept. Callers see versions whose owner lies "
            "inside their bounds."
        ),
        errors=("not_found", "unsupported", "long_term_memory_disabled"),
    ),
    Operation(
        name="get_memory_version",
        request=GetVersion,
        response=VersionState,
        handler=forward(Versions, Versions.get),
        access="read",
        tag=HISTORY,
        summary="Read a version of a memory.",
        errors=("not_found", "unsupported", "long_term_memory_disabled"),
    ),
    Operation(
        name="compare_memory_versions",
        request=CompareVersions,
        response=VersionComparison,
        handler=forward(Versions, Versions.compare),
        access="read",
        tag=HISTORY,
        summary="Compare two versions of a memory, field by field.",
        errors=("not_found", "unsupported", "long_term_memory_disabled"),
    ),
    Operation(
        name="restore_memory_version",
        request=RestoreVersion,
        response=MemoryRecord,
        handler=forward(Versions, Versions.restore),
        access="write",
        tag=HISTORY,
        summary="Write a version of a memory again, as its newest one.",
        description=(
            "Indexes, what was made from the memory, and plugins follow as after an edit; a deleted memory comes back. "
            "It is trusted as it was in that version; if the caller does not administer the tenant, at most as what "
            "the caller stores."
        ),
        errors=(
            *("not_found", "memory_changed", "id_taken", "quota_exceeded", "invalid_request", "unsupported"),
            "review_limit_reached",
            "long_term_memory_disabled",
        ),
    ),
    Operation(
        name="redact_memory_version",
        request=RedactVersion,
        response=Redaction,
        handler=forward(Versions, Versions.redact),
        access="delete",
        tag=HISTORY,
        summary="Remove a version of a memory for good, and its text wherever the memory has it.",
        description=(
            "Its state goes, and so do other states with the same text, copies in the trash, and the text of the "
            "memory itself if it is the same. The log keeps who did what, and says what was redacted. What was made "
            "from the memory is marked as stale; messages of sessions stay as they are. A credential whose channel is "
            "trusted less than what would go may not."
        ),
        errors=("forbidden", "not_found", "memory_changed", "unsupported", "long_term_memory_disabled"),
        repeatable=True,
    ),
    Operation(
        name="list_changes",
        request=ListChanges,
        response=ChangeList,
        handler=forward(Verifying, _changes),
        access="admin",
        tag=HISTORY,
        summary="List the log of the tenant: changes of memories, erasures, administration.",
        description="It has no text of a memory. Entries of users who were erased are empty.",
        errors=("unsupported",),
    ),
    Operation(
        name="verify_store",
        request=Nothing,
        response=VerificationReport,
        handler=forward(Verifying, Verifying.verify),
        access="admin",
        tag=HISTORY,
        summary="Compare everything in the store with its seals and its log.",
        description=(
            "It reads everything of all tenants, and tells what was changed, removed, inserted, reordered, replayed or "
            "rolled back behind the server's back. For administrators of the tenant `default`."
        ),
        errors=("forbidden", "conflict", "unsupported"),
    ),
    Operation(
        name="check_certificate",
        request=CheckCertificate,
        response=CertificateCheck,
        handler=forward(Verifying, Verifying.check_certificate),
        access="read",
        tag=HISTORY,
        summary="Tell whether a certificate of erasure, or a signed head of the log, is genuine.",
    ),
)
