"""The vocabulary of operations: rows of the operation table, and the structs of requests and responses.

Modules of structs do without `from __future__ import annotations`: msgspec evaluates postponed annotations again at
each walk through the types. That way the readers of all requests take 20 ms of a start instead of 100.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any
from warnings import warn

from memhost.operations.table import Access, Call, Nothing, Operation, OperationTable

__all__ = ["Access", "Call", "Nothing", "Operation", "OperationTable"]

if not TYPE_CHECKING:  # for a type checker there are the new names alone

    def __getattr__(name: str) -> Any:
        """`core_operations`, which moved to `memhost.host`: it names every room that has operations."""
        if name == "core_operations":
            warn(
                "memhost.operations.core_operations is now memhost.host.core_operations.",
                DeprecationWarning,
                stacklevel=2,
            )
            return getattr(import_module("memhost.host"), name)
        raise AttributeError(f"module 'memhost.operations' has no attribute {name!r}")
