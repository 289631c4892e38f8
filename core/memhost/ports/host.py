"""The host as plugins see it, and the operations that it runs, which every interface translates to its protocol."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import msgspec
from msgspec import Meta

from memhost.errors import ConfigurationError, NotFound
from memhost.metrics import Metrics
from memhost.models import Caller, HeldMemories
from memhost.ports.auth import Authenticator, Credentials
from memhost.ports.clock import Clock
from memhost.ports.models import Embedder, LanguageModel
from memhost.ports.store import Store
from memhost.ports.strategy import LaterStrategy, Strategy

if TYPE_CHECKING:
    from memhost.settings import Configuration, Settings

Access = Literal["open", "read", "write", "delete", "admin"]
Kind = Literal["call", "document", "prompt"]

_MAX_NAME_LENGTH = 64
_MAX_NEAR = 3


async def _unheard(_done: float, _total: float | None, _message: str) -> None:
    """For callers who do not ask how far a call is."""


@dataclass(slots=True, kw_only=True)
class Call:
    """One call of an operation: who calls, and what the interface shows beside the answer.

    Attributes:
        caller: The authenticated caller; every service call is bound to `caller.bounds`.
        request_id: Id that follows the call through logs and jobs.
        notices: (kind, sentence) pairs that the operation wants to tell, for instance `deprecation`.
        held: Memories of the request that need a review; answers with a field of that name show them.
        door: Name of the interface through which the call came, for attribution.
        masked: Secrets that were masked in the request.
        progress: `await call.progress(done, total, message)` tells how far it is; heard by interfaces that can show
            it, for callers who asked.
    """

    caller: Caller
    request_id: str
    notices: list[tuple[str, str]] = field(default_factory=list)
    masked: int = 0
    held: HeldMemories | None = None
    door: str = "python"
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
        access: The permission that the caller needs. `open` operations need no credential; `admin` ones concern the
            whole tenant, and are closed to callers who are bound to a part of it.
        errors: Codes of errors that callers should expect, for documentation.
        tag: Heading that documentation groups it under.
        kind: What interfaces that tell them apart offer it as: a `call`; a `document`, read by its `address`, whose
            response is a `content.Document`; or a `prompt`, whose response is a `content.Prompt`.
        address: URI of a document, with fields of the request in braces: `acme://notes/{note_id}`.
        audited: Field of the request that names what is administered; plugins are told before it is done
            (`memhost_administered`). Empty for what is no administration.
        repeatable: Doing it twice has the same result as doing it once (for operations that write).
        destructive: Whether it may lose what is stored. Operations that need the right `delete` or `admin` always may.
        exact: Fields of the request whose bytes are kept as they are sent. Secrets in them are refused; in all other
            fields they are masked before the handler sees the request.
        agent_tool: Whether interfaces for AI agents offer it as a tool, under its name and with all its fields. None:
            they do if a plugin added it and it is no administration. (MCP offers some operations of the core in
            another form, with rows of its own.)
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
    destructive: bool = False
    agent_tool: bool | None = None
    exact: tuple[str, ...] = ()


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

    def names(self) -> list[str]:
        """Names of all operations, in the order of the table."""
        return list(self._operations)

    def unknown(self, name: str, listed: str) -> NotFound:
        """Return the error of a name that no operation has: it says which names are near.

        Args:
            name: The name, in any letter case; what is over 64 characters is not looked at.
            listed: Sentence about where all names are, for a name that none is near to.
        """
        name = name[:_MAX_NAME_LENGTH]
        near = difflib.get_close_matches(name.lower(), sorted(self._operations), n=_MAX_NEAR)
        named = " or ".join(filter(None, (", ".join(near[:-1]), *near[-1:])))
        return NotFound(f"There is no operation {name!r}. {f'Did you mean {named}?' if near else listed}")


class ComponentHealth(msgspec.Struct, frozen=True, kw_only=True):
    """State of one part of the server."""

    name: Annotated[str, Meta(description="Name of the part.")]
    ok: Annotated[bool, Meta(description="Whether it works.")]
    detail: Annotated[str, Meta(description="What it is, or what is wrong with it.")]
    latency_ms: Annotated[float, Meta(description="How long it took to look, in milliseconds.")]


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """The server's readiness, and the state of its parts."""

    ready: Annotated[bool, Meta(description="Whether the server can serve.")]
    components: Annotated[list[ComponentHealth], Meta(description="Its parts.")]


class Offered(Protocol):
    """A spec that a registration hook returned, with its `name` and `summary`, and the entry point that offers it."""

    @property
    def spec(self) -> Any:
        """The spec."""
        ...

    @property
    def plugin(self) -> str:
        """The entry point."""
        ...


class InstalledPlugins(Protocol):
    """The additions of plugins to the host, for interfaces that show them."""

    @property
    def operations(self) -> Iterable[Offered]:
        """Operations that plugins add to those of the host; each `spec` is an `Operation`."""
        ...

    @property
    def strategies(self) -> Iterable[Offered]:
        """All extraction strategies, also those that cannot run now; each `spec` is a `StrategySpec`."""
        ...


class Host(Protocol):
    """A running server without any protocol.

    Interfaces call `authenticate` and `execute`; the rest is there for plugins that need more.
    """

    @property
    def configuration(self) -> Configuration:
        """The configuration: `section(kind, name)` holds the settings of each plugin."""
        ...

    @property
    def settings(self) -> Settings:
        """The host's own settings."""
        ...

    @property
    def operations(self) -> OperationTable:
        """All operations, those of plugins included."""
        ...

    @property
    def plugins(self) -> InstalledPlugins:
        """The additions of plugins."""
        ...

    @property
    def strategies(self) -> Mapping[str, Strategy | LaterStrategy]:
        """The strategies that can run with this configuration, by name."""
        ...

    @property
    def clock(self) -> Clock:
        """Time."""
        ...

    @property
    def store(self) -> Store:
        """The open store."""
        ...

    @property
    def embedder(self) -> Embedder:
        """The embedder."""
        ...

    @property
    def llm(self) -> LanguageModel | None:
        """The language model, None if none is configured."""
        ...

    @property
    def authenticator(self) -> Authenticator:
        """The authenticator of callers; call `authenticate` to use it."""
        ...

    @property
    def metrics(self) -> Metrics:
        """Add an observer here to measure what the host does."""
        ...

    async def readiness(self) -> Readiness:
        """Report the readiness of the server, per component."""
        ...

    def models_away(self) -> Mapping[str, datetime]:
        """Tell since when `language_model` and `embedder` have not answered; those that answer are left out."""
        ...

    def quotas_used(self) -> Sequence[tuple[str, str, int, int]]:
        """Tenant, what is counted (`memories`, `sessions`, `bytes`), how much is used, and the quota.

        Only of tenants that wrote lately, as last measured; empty where there are no quotas.
        """
        ...

    async def reviews_waiting(self) -> tuple[Mapping[str, int], datetime | None]:
        """Tell how many memories of all tenants wait for a review, by reason, and since when the oldest does.

        A memory counts under its first reason; at most 10,000 of a tenant are counted.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        ...

    async def waiting_since(self) -> datetime | None:
        """Tell since when the oldest waiting job has been put off, None if none waits.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        ...

    async def authenticate(self, credentials: Credentials) -> Caller:
        """Return the caller behind the credentials.

        Raises:
            Unauthorized: The provider does not let them in, for whatever reason.
            Unavailable: The provider cannot tell now.
            TooManyRequests: Too many attempts from that address have failed.
        """
        ...

    def allows(self, caller: Caller, access: Access) -> bool:
        """Tell whether the caller has the right that an operation needs."""
        ...

    def may_review(self, caller: Caller, door: str) -> bool:
        """Tell whether the caller may decide on memories that wait for a review.

        Args:
            caller: The authenticated caller.
            door: Name of the interface through which the caller comes.
        """
        ...

    def check_access(self, caller: Caller, access: Access) -> None:
        """Return if the caller has the right that an operation needs.

        Raises:
            Forbidden: The caller lacks it.
        """
        ...

    async def execute(self, name: str, call: Call, request: msgspec.Struct) -> Any:
        """Run the operation of that name for a caller, and return its response.

        Raises:
            Forbidden: The caller lacks the right that the operation needs.
            MemhostError: Errors of the operation; anything unexpected is logged and becomes code `internal`.
        """
        ...
