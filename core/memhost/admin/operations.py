"""Operations on users as a whole: exporting and removing everything of one."""

from __future__ import annotations

from memhost.admin.erasure import Erasure
from memhost.admin.user_export import UserExports
from memhost.operations.table import Operation, forward
from memhost.operations.users import DeleteUser, ErasureReceipt, ExportUser, UserExportPage

OPERATIONS = (
    Operation(
        name="export_user",
        request=ExportUser,
        response=UserExportPage,
        handler=forward(UserExports, UserExports.page),
        access="read",
        tag="Administration",
        summary="Export everything that is stored about a user, page by page.",
        description=(
            "Memories with their versions, sessions, trash, turns that wait for extraction, extraction logs, usage, "
            "documents that plugins keep, views and their results, tasks, waiting jobs, profile: what `delete_user` "
            "removes, inside the caller's bounds. What changes during an export may be in it twice, or not at all."
        ),
        errors=("invalid_request", "forbidden"),
    ),
    Operation(
        name="delete_user",
        request=DeleteUser,
        response=ErasureReceipt,
        handler=forward(Erasure, Erasure.delete_user),
        access="delete",
        tag="Administration",
        audited="user_id",
        summary="Remove every trace of a user for good, and return a receipt.",
        description=(
            "Memories, sessions, trash, turns that wait for extraction, kept answers of models, extraction logs, "
            "views of the user and results of others' views that may tell of the user, documents that plugins keep "
            "for the user, and waiting jobs. Usage keeps its numbers without the name. The deletion covers "
            "everything of the user inside the caller's bounds and cannot be undone."
        ),
        errors=("invalid_request", "forbidden"),
        repeatable=True,
    ),
)
