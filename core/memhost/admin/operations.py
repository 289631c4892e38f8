"""Operations on users as a whole: removing every trace of one."""

from __future__ import annotations

from memhost.admin.erasure import Erasure
from memhost.operations.table import Operation, forward
from memhost.operations.users import DeleteUser, ErasureReceipt

OPERATIONS = (
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
