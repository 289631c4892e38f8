"""The vocabulary of operations: rows of the operation table, and the structs of requests and responses."""

from memhost.operations.table import Access, Call, Nothing, Operation, OperationTable

__all__ = ["Access", "Call", "Nothing", "Operation", "OperationTable"]
