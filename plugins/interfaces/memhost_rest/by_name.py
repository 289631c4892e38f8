"""`POST /v1/operations/{name}`: every operation by its name, with all its fields in one JSON object.

A client that knows the table of operations (the command line does) needs no paths and verbs. The operations of plugins
have no other route.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from memhost.http.statuses import STATUS
from memhost.operations import Operation
from memhost_rest.routes import BY_NAME

PATH = f"{BY_NAME}/{{name}}"

_EXAMPLE = {"text": "Which seat does Ana like?", "user_id": {"eq": "ana"}, "limit": 5}
_DESCRIPTION = """\
The body is one JSON object with all fields of the operation, those included that its own route takes from the path or \
the query; an empty body or `null` means no fields. The answer is that of the operation's own route, always with \
status 200. Unknown fields are refused, and a name that no operation has is answered with 404 and the names that are \
close to it. \
Operations of plugins have no other route: each stands in this document by itself.\
"""


def named_operation(path: str) -> str | None:
    """The name of an operation in a raw path, None if the path names none."""
    head, _, name = path.rstrip("/").rpartition("/")
    return unquote(name) if head == BY_NAME and name else None


def statuses(operations: Sequence[Operation]) -> set[int]:
    """Statuses of failures of these operations."""
    return {STATUS[code] for operation in operations for code in operation.errors if code in STATUS}


def described(operations: Sequence[Operation], responses: Any) -> dict[str, Any]:
    """Return the OpenAPI description of this route, once for all operations that have another route too.

    Args:
        operations: Those operations.
        responses: The answers, by status, as text.
    """
    name = {"type": "string", "enum": sorted(operation.name for operation in operations)}
    schema = {"type": "object", "additionalProperties": True}
    examples = {"search_memories": {"summary": "For name = search_memories", "value": _EXAMPLE}}
    return {
        "operationId": "call_operation",
        "tags": ["Operations by name"],
        "summary": "Call an operation by its name.",
        "description": _DESCRIPTION,
        "parameters": [
            {
                "name": "name",
                "in": "path",
                "required": True,
                "schema": name,
                "description": "Name of the operation: its `operationId` in this document.",
                "example": "search_memories",
            }
        ],
        "requestBody": {
            "required": False,
            "content": {"application/json": {"schema": schema, "examples": examples}},
        },
        "responses": responses,
    }
