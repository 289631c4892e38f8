"""The server's offer: tools, resources and prompts, by name, independent of the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect

from memhost.errors import NotFound, OperationUnusable, ValidationFailed
from memhost.operations import Call
from memhost.operations.content import Document, Prompt
from memhost.reading import Compiler, ReadingError, problems
from memhost_mcp.offers import Offer
from memhost_mcp.prompts import PROMPTS
from memhost_mcp.resources import RESOURCES
from memhost_mcp.tool_context import McpRequest, ToolContext
from memhost_mcp.tools import all_tools, choose
from memhost_mcp.tools.tool import Tool

if TYPE_CHECKING:
    from memhost.ports import Host
    from memhost_mcp import McpSettings

DOOR = "mcp"
"""Name of the interface."""


class Catalog:
    """Everything on offer, and how it is run."""

    def __init__(self, host: Host, settings: McpSettings) -> None:
        """Collect the offers.

        Raises:
            ConfigurationError: The settings name a tool that is not there.
            OperationUnusable: An operation of a plugin has the name of another offer.
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

    def tools_for(self, request: McpRequest) -> list[Tool]:
        """The tools that the caller is shown."""
        reviews = self.host.may_review(request.caller, DOOR)
        return [tool for tool in self.tools.values() if self.offers(request, tool.name) and reviews >= tool.reviewers]

    def offers(self, request: McpRequest, name: str) -> bool:
        """Tell whether there is a tool of that name, and the caller has the right to call it.

        Those for reviewers are among them: their operations refuse others, and say what credential is needed.
        """
        tool = self.tools.get(name)
        return tool is not None and self.host.allows(request.caller, tool.access)

    def offers_for(self, request: McpRequest, offers: dict[str, Offer]) -> list[Offer]:
        """Those of the offers that the caller has the right to use."""
        return [offer for offer in offers.values() if self.host.allows(request.caller, offer.access)]

    async def call(
        self,
        request: McpRequest,
        name: str,
        arguments: dict[str, Any],
        progress: Any = None,
        told: list[str] | None = None,
    ) -> Any:
        """The result of a tool. `told` takes up sentences about secrets that were masked in its arguments.

        Raises:
            MemhostError: It refused or failed.
        """
        tool = self.tools[name]
        read = tool.read(arguments, lenient=self.settings.lenient)
        context = self._context(request, progress)
        result = await tool.run(context, read)
        if told is not None:
            told += [sentence for kind, sentence in context.call.notices if kind == "secrets"]
        return result

    async def read(self, request: McpRequest, uri: str) -> Document:
        """The document of that address.

        Raises:
            NotFound: There is none.
        """
        for offer in self.resources.values():
            found = offer.match(uri)
            if found is not None:
                document: Document = await offer.run(self._context(request), _arguments(offer, found))
                return msgspec.structs.replace(document, uri=uri)
        forms = ", ".join(offer.address for offer in self.resources.values())
        raise NotFound(f"There is no resource {uri}; addresses have the forms {forms}.")

    async def prompt(self, request: McpRequest, name: str, arguments: dict[str, str]) -> Prompt:
        """The messages of a prompt.

        Raises:
            NotFound: There is no such prompt.
        """
        offer = self.prompts.get(name)
        if offer is None:
            raise NotFound(f"There is no prompt {name}; known: {', '.join(self.prompts)}.")
        prompt: Prompt = await offer.run(self._context(request), _arguments(offer, arguments))
        return prompt

    async def sessions(self, request: McpRequest, beginning: str) -> list[str]:
        """Ids of recent sessions that begin so, at most a hundred."""
        owner = self._context(request).owner(None, None)
        fields = {"limit": 100, "namespace": owner.namespace, "user_id": owner.user}
        found = await self._context(request).ask("list_sessions", fields)
        return [name for name in found.sessions if name.startswith(beginning)]

    def _context(self, request: McpRequest, progress: Any = None) -> ToolContext:
        call = Call(caller=request.caller, request_id=request.request_id, door=DOOR)
        if progress is not None:
            call.progress = progress
        return ToolContext(self.host, call, request, require_scope=self.settings.require_scope)


def _arguments(offer: Offer, given: dict[str, str]) -> Any:
    kind = inspect.type_info(offer.arguments)
    assert isinstance(kind, inspect.StructType)
    try:
        return Compiler(closed=True).struct(kind)(given)
    except ReadingError as error:
        raise ValidationFailed(problems(error.faults)) from None


def _offer(operation: Any) -> Offer:
    async def run(context: ToolContext, request: msgspec.Struct) -> Any:
        return await context.execute(operation.name, request, within=context.owner(None, None))

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
            sentence = (
                f"Two resources or prompts of the MCP interface are named {offer.name}; rename that of the plugin."
            )
            raise OperationUnusable(sentence, offer.name)
        found[offer.name] = offer
    return found
