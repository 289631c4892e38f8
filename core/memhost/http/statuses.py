"""HTTP statuses of errors, the same at every door."""

from __future__ import annotations

from collections.abc import Mapping

from memhost.errors import MemhostError

STATUS: Mapping[str, int] = {
    "invalid_arguments": 422,
    "unsafe_prompt": 422,
    "secret_found": 422,
    "invalid_request": 400,
    "unsupported": 400,
    "too_large": 413,
    "long_term_memory_disabled": 400,
    "refused": 400,
    "scope_required": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "ambiguous_session": 409,
    "limit_reached": 409,
    "quota_exceeded": 409,
    "review_limit_reached": 409,
    "id_taken": 409,
    "version_mismatch": 409,
    "lease_lost": 409,
    "memory_changed": 409,
    "tampered": 409,
    "rate_limited": 429,
    "budget_exceeded": 429,
    "model_refused": 400,
    "unavailable": 503,
    "store_unavailable": 503,
    "model_unavailable": 503,
}
"""Error code to status; every other code is 500."""


def status_of(error: MemhostError) -> int:
    """The status of an error; a class unknown here has that of its nearest known ancestor."""
    for cls in type(error).__mro__:
        code = cls.__dict__.get("code")
        if isinstance(code, str) and code in STATUS:
            return STATUS[code]
    return 500
