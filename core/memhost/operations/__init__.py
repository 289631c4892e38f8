"""The vocabulary of operations: rows of the operation table, and the structs of requests and responses.

Modules of structs do without `from __future__ import annotations`: msgspec evaluates postponed annotations again at
each walk through the types. That way the readers of all requests take 20 ms of a start instead of 100.
"""

from memhost.operations.table import Access, Call, Nothing, Operation, OperationTable

__all__ = ["Access", "Call", "Nothing", "Operation", "OperationTable"]
