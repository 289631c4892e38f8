"""The operation table: everything the server can do, declared once and translated by each interface."""

from memhost.operations import admin, extraction, long_term, maintenance, prompts, usage, users, views, working_memory
from memhost.operations.table import Access, Call, Nothing, Operation, OperationTable

__all__ = ["Access", "Call", "Nothing", "Operation", "OperationTable", "core_operations"]


def core_operations() -> OperationTable:
    """The operations of the host itself."""
    return OperationTable(
        (
            *admin.OPERATIONS,
            *working_memory.OPERATIONS,
            *extraction.OPERATIONS,
            *long_term.OPERATIONS,
            *maintenance.OPERATIONS,
            *prompts.OPERATIONS,
            *views.OPERATIONS,
            *usage.OPERATIONS,
            *users.OPERATIONS,
        )
    )
