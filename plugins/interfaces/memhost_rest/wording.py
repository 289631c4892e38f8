"""Texts of the OpenAPI document beside operations and fields: introduction, links, headers, statuses, errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memhost.operations.schema import COMPONENTS

INTRODUCTION = """\
A memory server for AI agents, wire-compatible with Agent Memory Server.

- Every success is 200 with a JSON body.
- Operations of Agent Memory Server take unknown fields and query parameters, and name them in the header \
`X-Memhost-Notice`; all others, and whatever deletes, refuse them.
- Input is read leniently: integers also as `"5"` or `5.0`, numbers also as strings, booleans also as `1`, `"yes"`, \
`"on"` and their like, times as ISO 8601 (without an offset: UTC), as a date, or as Unix seconds or milliseconds \
(text like `20260301`, which may be a date or a Unix time, is refused). \
The schemas show the form to send; strings are strict.
- Times in answers end in `Z`.
- `maxLength` counts characters, `x-max-bytes` the bytes of a value as JSON. What has no limit of its own is limited \
by the size of the request: 413 for a body, 431 for address and head. `x-error-code` names the code of a refusal that \
is not `invalid_arguments`.
- Errors are `{"detail": ...}` with a stable `code`; a 422 lists all that is wrong with the request.
- A path that exists answers other methods with 405 and an `Allow` header; both spellings of the final slash work.
"""

LINKS: Mapping[str, Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "put_session": {
        "read": ("get_session", {"session_id": "$response.body#/session_id"}),
        "replace": ("put_session", {"session_id": "$response.body#/session_id"}),
        "delete": ("delete_session", {"session_id": "$response.body#/session_id"}),
    },
    "list_sessions": {"read": ("get_session", {"session_id": "$response.body#/sessions/0"})},
    "create_memories": {
        "read": ("get_memory", {"memory_id": "$request.body#/memories/0/id"}),
        "edit": ("edit_memory", {"memory_id": "$request.body#/memories/0/id"}),
    },
    "search_memories": {
        "read": ("get_memory", {"memory_id": "$response.body#/memories/0/id"}),
        "edit": ("edit_memory", {"memory_id": "$response.body#/memories/0/id"}),
    },
    "create_summary_view": {
        "read": ("get_summary_view", {"view_id": "$response.body#/id"}),
        "run": ("run_summary_view", {"view_id": "$response.body#/id"}),
        "results": ("list_summary_view_partitions", {"view_id": "$response.body#/id"}),
        "delete": ("delete_summary_view", {"view_id": "$response.body#/id"}),
    },
    "run_summary_view": {"task": ("get_task", {"task_id": "$response.body#/id"})},
    "list_jobs": {"retry": ("retry_job", {"job_id": "$response.body#/jobs/0/id"})},
    "list_trash": {"read": ("get_memory", {"memory_id": "$response.body#/memories/0/id"})},
}
"""Operations that a successful answer leads to, and the sources of their parameters."""

HEADERS: Mapping[str, Mapping[str, Any]] = {
    "RequestId": {
        "description": "Id of the request in the server's log: the client's `X-Request-ID`, or a new one.",
        "schema": {"type": "string"},
    },
    "Notice": {"description": "Something worth knowing about a successful call.", "schema": {"type": "string"}},
    "Deprecation": {"description": "Set when a message lacked `created_at`.", "schema": {"type": "string"}},
    "Challenge": {
        "description": "`Bearer`; set if the request has no usable credential.",
        "schema": {"type": "string"},
    },
}

STATUSES: Mapping[int, str] = {
    400: "The request is not valid as a whole.",
    401: "No valid credential.",
    403: "The credential lacks the permission.",
    404: "Nothing of that name in the caller's scope.",
    409: "The change conflicts with the stored state.",
    413: "The body is too large.",
    422: "Fields are missing or wrong; all of them are listed.",
    429: "Too many requests.",
    431: "The address or the request head is too large.",
    500: "The server failed. Search its log for the request id to find the cause.",
    503: "Something the server needs is down; nothing was changed.",
}

_CODE = {"type": "string", "description": "Stable name of the error."}
_REQUEST_ID = {"type": "string", "description": "Id of the request in the server's log."}

ERRORS: Mapping[str, dict[str, Any]] = {
    "Error": {
        "title": "Error",
        "description": "Why a request was refused, or failed.",
        "type": "object",
        "properties": {
            "detail": {"type": "string", "description": "What happened, and what to do."},
            "code": _CODE,
            "request_id": _REQUEST_ID,
        },
        "required": ["detail"],
    },
    "InvalidField": {
        "title": "InvalidField",
        "description": "One thing that is wrong with a request.",
        "type": "object",
        "properties": {
            "type": {
                "type": "string",
                "description": "Stable name of the problem.",
                "examples": ["missing", "string_type", "int_parsing"],
            },
            "loc": {
                "type": "array",
                "description": "Where it is: `path`, `query` or `body`, then keys and indexes.",
                "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                "examples": [["body", "messages", 0, "content"]],
            },
            "msg": {"type": "string", "description": "What is wrong, as a sentence."},
            "input": {"description": "The value that was wrong; null if it cannot be shown."},
            "ctx": {"type": "object", "description": "Values that the sentence names, as limits."},
        },
        "required": ["type", "loc", "msg", "input"],
    },
    "InvalidRequest": {
        "title": "InvalidRequest",
        "description": "A request with fields that are missing or wrong.",
        "type": "object",
        "properties": {
            "detail": {
                "type": "array",
                "description": "All that is wrong with the request, up to a hundred.",
                "items": {"$ref": f"{COMPONENTS}InvalidField"},
            },
            "code": _CODE,
            "request_id": _REQUEST_ID,
        },
        "required": ["detail"],
    },
}
"""Schemas of errors."""
