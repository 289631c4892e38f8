"""Errors as models see them: a sentence to act on, and a code for programs."""

from __future__ import annotations

from typing import Any

from memhost.errors import (
    BudgetExceeded,
    ConfigurationError,
    MemhostError,
    PluginFailure,
    ValidationFailed,
)

_FAILED = "The server failed. Search its log for the request id to find the cause."


def describe(error: MemhostError, request_id: str) -> dict[str, Any]:
    """The error as structured content; causes inside the server stay in its log."""
    inside = error.code == MemhostError.code or isinstance(error, (ConfigurationError, PluginFailure))
    found: dict[str, Any] = {
        "code": error.code,
        "message": _FAILED if inside else error.message,
        "retryable": error.retryable,
        "request_id": request_id,
    }
    if isinstance(error, ValidationFailed) and error.problems:
        found["field"] = ".".join(str(part) for part in error.problems[0].where)
    if error.retry_after_s:
        found["retry_after"] = error.retry_after_s
    if isinstance(error, BudgetExceeded):
        found["resets_at"] = error.resets_at.isoformat()
    return {"error": found}
