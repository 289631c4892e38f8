"""A call as tools see it: who calls, for which owner, and how operations are run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from memhost.errors import Forbidden, ScopeRequired
from memhost.models import Caller, Scope
from memhost.operations import Call

if TYPE_CHECKING:
    from memhost.ports import Host


class Defaults(NamedTuple):
    """Owner of calls that name none. `None` is no default."""

    namespace: str | None = None
    user: str | None = None


SCOPE_KEY = "memhost.mcp_request"
"""Key of the ASGI scope under which a request travels to the handlers."""


class McpRequest(NamedTuple):
    """A request of a client, as its transport saw it.

    `asked` comes from the address and the headers of the request, `fallback` from the settings.
    """

    caller: Caller
    request_id: str
    asked: Defaults = Defaults()
    fallback: Defaults = Defaults()


class Owner(NamedTuple):
    """The namespace and user that a call resolves to; `None` does not restrict."""

    namespace: str | None
    user: str | None


class ToolContext:
    """Runs operations for one call of a tool, resource or prompt."""

    def __init__(self, host: Host, call: Call, request: McpRequest, *, require_scope: bool) -> None:
        self.host = host
        self.call = call
        self._request = request
        self._require_scope = require_scope

    def owner(self, namespace: str | None, user: str | None, *, required: bool = True) -> Owner:
        """Return the owner of the memories that the call is about, from its arguments and the defaults for them.

        Raises:
            Forbidden: The requested owner is outside the credential's bounds.
            ScopeRequired: There is neither user nor namespace, and the operator requires one.
        """
        bounds, request = self._request.caller.bounds, self._request
        found = Owner(
            _resolve("namespace", namespace, request.asked.namespace, request.fallback.namespace, bounds.namespaces),
            _resolve("user_id", user, request.asked.user, request.fallback.user, bounds.users),
        )
        if required and self._require_scope and found.namespace is None and found.user is None:
            raise ScopeRequired(
                "Give a user_id or a namespace: this server refuses calls without either (MCP_REQUIRE_SCOPE)."
            )
        return found

    async def execute(self, operation: str, request: msgspec.Struct, *, within: Owner | None = None) -> Any:
        """The answer of an operation, inside the bounds of the owner if one is given."""
        call = self.call
        if within is not None:
            bounds = call.caller.bounds.narrow(namespace=within.namespace, user=within.user)
            call = _bounded(call, bounds)
        return await self.host.execute(operation, call, request)

    async def ask(self, operation: str, fields: Mapping[str, Any], *, within: Owner | None = None) -> Any:
        """The answer of an operation, with the request made of checked fields."""
        request = self.host.operations[operation].request(**fields)
        return await self.execute(operation, request, within=within)


def _bounded(call: Call, bounds: Scope) -> Call:
    """The same call with other bounds; notices and progress stay shared."""
    caller = msgspec.structs.replace(call.caller, bounds=bounds)
    return replace(call, caller=caller)


def _resolve(
    field: str, given: str | None, asked: str | None, fallback: str | None, allowed: tuple[str, ...] | None
) -> str | None:
    wanted = given or asked or None
    if wanted is not None:
        if allowed is not None and wanted not in allowed:
            raise Forbidden(f"This credential does not reach {field} {wanted}.")
        return wanted
    if fallback and (allowed is None or fallback in allowed):
        return fallback
    return allowed[0] if allowed is not None and len(allowed) == 1 and allowed[0] else None
