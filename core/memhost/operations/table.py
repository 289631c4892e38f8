"""What an operation is: a value that every interface translates to its own protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from memhost.errors import ConfigurationError
from memhost.models import Caller

if TYPE_CHECKING:
    from memhost.host import Host

Access = Literal["open", "read", "write", "delete", "admin"]
Kind = Literal["call", "document", "prompt"]


async def _unheard(_done: float, _total: float | None, _message: str) -> None:
    """For callers who do not ask how far a call is."""


@dataclass(slots=True, kw_only=True)
class Call:
    """One call of an operation: who calls, and what the interface shows beside the answer.

    Attributes:
        caller: The authenticated caller; every service call is bound to `caller.bounds`.
        request_id: Id that follows the call through logs and jobs.
        notices: (kind, sentence) pairs that the operation wants to tell, for instance `deprecation`.
        progress: `await call.progress(done, total, message)` tells how far it is; heard by interfaces that can show
            it, for callers who asked.
    """

    caller: Caller
    request_id: str
    notices: list[tuple[str, str]] = field(default_factory=list)
    progress: Callable[[float, float | None, str], Awaitable[None]] = _unheard


class Nothing(msgspec.Struct, frozen=True):
    """Request of an operation without arguments."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the server can do.

    Attributes:
        name: Unique name, `snake_case`; also the OpenAPI operation id and the MCP tool name.
        request: Struct of the arguments. `T | UnsetType` fields may be absent but not null; unknown fields are
            the interface's business (REST ignores them, MCP refuses them).
        response: Type of the answer, as msgspec sees it.
        handler: Does it: `await handler(host, call, request)`. Raises `memhost.errors` only.
        summary: One sentence.
        description: More, in Markdown.
        access: The right that the caller needs. `open` operations need no credential; `admin` ones concern the whole
            tenant, and are closed to callers who are bound to a part of it.
        errors: Codes of errors that callers should expect, for documentation.
        tag: Heading that documentation groups it under.
        kind: What interfaces that tell them apart offer it as: a `call`; a `document`, read by its `address`, whose
            response is a `content.Document`; or a `prompt`, whose response is a `content.Prompt`.
        address: URI of a document, with fields of the request in braces: `acme://notes/{note_id}`.
        audited: Field of the request that names what is administered; plugins are told before it is done
            (`memhost_administered`). Empty for what is no administration.
        repeatable: Doing it twice leaves what doing it once left (for operations that write).
    """

    name: str
    request: type[msgspec.Struct]
    response: Any
    handler: Callable[[Host, Call, Any], Awaitable[Any]]
    summary: str
    access: Access
    tag: str
    description: str = ""
    errors: tuple[str, ...] = ()
    kind: Kind = "call"
    address: str = ""
    repeatable: bool = False
    audited: str = ""


class OperationTable:
    """Operations by name."""

    def __init__(self, operations: Sequence[Operation] = ()) -> None:
        self._operations: dict[str, Operation] = {}
        for operation in operations:
            if operation.name in self._operations:
                raise ConfigurationError(f"Two operations are named {operation.name}.")
            self._operations[operation.name] = operation

    def __getitem__(self, name: str) -> Operation:
        return self._operations[name]

    def __iter__(self) -> Iterator[Operation]:
        return iter(self._operations.values())

    def __len__(self) -> int:
        return len(self._operations)
