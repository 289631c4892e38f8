"""What the server offers: tools, resources and prompts, by name, without a word of the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect

from memhost.errors import ConfigurationError, NotFound, ValidationFailed
from memhost.operations import Call
from memhost.operations.content import Document, Prompt
from memhost.reading import Compiler, ReadingError, problems
from memhost_mcp.desk import Desk, Visit
from memhost_mcp.offers import Offer
from memhost_mcp.prompts import PROMPTS
from memhost_mcp.resources import RESOURCES
from memhost_mcp.tools import all_tools, choose
from memhost_mcp.tools.base import Tool

if TYPE_CHECKING:
    from memhost.ports import Host
    from memhost_mcp import McpSettings


class Catalog:
    """Everything on offer, and how it is run."""

    def __init__(self, host: Host, settings: McpSettings) -> None:
        """Collect the offers.

        Raises:
            ConfigurationError: Two have one name, or the settings name a tool that is not there.
        """
        self.host = host
        self.settings = settings
        added = tuple(entry.spec.name for entry in host.plugins.operations)
        strategies = {
            entry.spec.name: entry.spec.summary
            for entry in host.plugins.strategies
            if entry.spec.name in host.strategies
        }
        tools = choose(all_tools(host.operations, strategies, added), settings.tools)
        self.tools: dict[str, Tool] = {tool.name: tool for tool in tools}
        operations = [host.operations[name] for name in added]
        self.resources = _unique([*RESOURCES, *(_offer(item) for item in operations if item.kind == "document")])
        self.prompts = _unique([*PROMPTS, *(_offer(item) for item in operations if item.kind == "prompt")])

    def tools_for(self, visit: Visit) -> list[Tool]:
        """The tools that the caller has the right to call."""
        return [tool for tool in self.tools.values() if self.host.allows(visit.caller, tool.access)]

    def offers_for(self, visit: Visit, offers: dict[str, Offer]) -> list[Offer]:
        """Those of the offers that the caller has the right to use."""
        return [offer for offer in offers.values() if self.host.allows(visit.caller, offer.access)]

    async def call(self, visit: Visit, name: str, arguments: dict[str, Any], progress: Any = None) -> Any:
        """The result of a tool.

        Raises:
            MemhostError: It refused or failed.
        """
        tool = self.tools[name]
        request = tool.read(arguments, lenient=self.settings.lenient)
        return await tool.run(self._desk(visit, progress), request)

    async def read(self, visit: Visit, uri: str) -> Document:
        """The document of that address.

        Raises:
            NotFound: There is none.
        """
        for offer in self.resources.values():
            found = offer.match(uri)
            if found is not None:
                document: Document = await offer.run(self._desk(visit), _arguments(offer, found))
                return msgspec.structs.replace(document, uri=uri)
        forms = ", ".join(offer.address for offer in self.resources.values())
        raise NotFound(f"There is no resource {uri}; addresses have the forms {forms}.")

    async def prompt(self, visit: Visit, name: str, arguments: dict[str, str]) -> Prompt:
        """The messages of a prompt.

        Raises:
            NotFound: There is no such prompt.
        """
        offer = self.prompts.get(name)
        if offer is None:
            raise NotFound(f"There is no prompt {name}; there are: {', '.join(self.prompts)}.")
        prompt: Prompt = await offer.run(self._desk(visit), _arguments(offer, arguments))
        return prompt

    async def sessions(self, visit: Visit, beginning: str) -> list[str]:
        """Ids of recent sessions that begin so, at most a hundred."""
        owner = self._desk(visit).owner(None, None)
        fields = {"limit": 100, "namespace": owner.namespace, "user_id": owner.user}
        found = await self._desk(visit).ask("list_sessions", fields)
        return [name for name in found.sessions if name.startswith(beginning)]

    def _desk(self, visit: Visit, progress: Any = None) -> Desk:
        call = Call(caller=visit.caller, request_id=visit.request_id)
        if progress is not None:
            call.progress = progress
        return Desk(self.host, call, visit, require_scope=self.settings.require_scope)


def _arguments(offer: Offer, given: dict[str, str]) -> Any:
    kind = inspect.type_info(offer.arguments)
    assert isinstance(kind, inspect.StructType)
    try:
        return Compiler(closed=True).struct(kind)(given)
    except ReadingError as error:
        raise ValidationFailed(problems(error.faults)) from None


def _offer(operation: Any) -> Offer:
    async def run(desk: Desk, request: msgspec.Struct) -> Any:
        return await desk.execute(operation.name, request, within=desk.owner(None, None))

    return Offer(
        name=operation.name,
        description=operation.summary,
        arguments=operation.request,
        run=run,
        access=operation.access,
        address=operation.address,
    )


def _unique(offers: Sequence[Offer]) -> dict[str, Offer]:
    found: dict[str, Offer] = {}
    for offer in offers:
        if offer.name in found:
            raise ConfigurationError(f"Two resources or prompts of the MCP interface are named {offer.name}.")
        found[offer.name] = offer
    return found
