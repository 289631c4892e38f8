"""The table of operations: rows of `memhost.ports.host`, and how a row of a subject names the service behind it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar, cast

from memhost.ports.host import Access, Call, Host, Kind, Nothing, Operation, OperationTable

__all__ = ["Access", "Call", "Kind", "Nothing", "Operation", "OperationTable", "forward"]

S = TypeVar("S")
R = TypeVar("R")


class Services(Protocol):
    """Whoever holds the services of a host, one of a class: the host, and the context of a task of core."""

    def service(self, kind: type[S]) -> S:
        """Return the service of that class."""
        ...


def forward(
    service: type[S], method: Callable[[S, Call, R], Awaitable[Any]]
) -> Callable[[Host, Call, R], Awaitable[Any]]:
    """Handler of an operation that a service of the host does: `forward(SessionService, SessionService.put)`.

    Args:
        service: Class of the service; the host holds one of it.
        method: Method of it, or function of the service, the call and the request.
    """

    async def handler(host: Host, call: Call, request: R) -> Any:
        return await method(cast("Services", host).service(service), call, request)

    return handler
