"""The tools: each a few lines that turn arguments into operations, and their answers into a result."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from memhost.errors import ConfigurationError
from memhost.operations import OperationTable
from memhost.operations.content import Content
from memhost_mcp.tool_context import ToolContext
from memhost_mcp.tools import everyday, long_term, sessions, views
from memhost_mcp.tools.base import Tool

CORE = (
    "store_memory",
    "search_memory",
    "get_session",
    "append_messages",
    "delete_long_term_memories",
    "get_current_datetime",
)
"""Tools of the profile `core`."""

_EFFECTS = {"open": "reads", "read": "reads", "write": "adds", "delete": "destroys", "admin": "destroys"}


def all_tools(operations: OperationTable, strategies: Mapping[str, str], plugins: tuple[str, ...] = ()) -> list[Tool]:
    """Every tool that there is.

    Args:
        operations: The operation table.
        strategies: Summaries of the extraction strategies in use, by name.
        plugins: Names of the operations in the table that plugins added.

    Raises:
        ConfigurationError: An operation of a plugin has the name of a tool.
    """
    tools = [*everyday.TOOLS, *long_term.TOOLS, *sessions.tools(strategies), *views.TOOLS]
    taken = {tool.name for tool in tools}
    for name in plugins:
        if operations[name].kind != "call" or operations[name].access == "admin":
            continue  # administration is for people
        if name in taken:
            raise ConfigurationError(f"A plugin's operation is named {name}, as a tool of the MCP interface is.")
        tools.append(_of_operation(operations, name))
    return tools


def _of_operation(operations: OperationTable, name: str) -> Tool:
    operation = operations[name]

    async def run(context: ToolContext, request: msgspec.Struct) -> object:
        return await context.execute(name, request, within=context.owner(None, None))

    return Tool(
        name=name,
        description=" ".join(part for part in (operation.summary, operation.description) if part),
        arguments=operation.request,
        result=None if operation.response is Content else operation.response,
        run=run,
        access=operation.access,
        effect=_EFFECTS[operation.access],  # type: ignore[arg-type]
        repeatable=operation.repeatable,
    )


def choose(tools: list[Tool], wanted: tuple[str, ...]) -> list[Tool]:
    """The tools of the profiles and names that the operator wants.

    Raises:
        ConfigurationError: One of them is neither.
    """
    names = {tool.name for tool in tools}
    chosen: set[str] = set()
    for name in wanted or ("full",):
        if name not in {"full", "core", *names}:
            raise ConfigurationError(
                f"MCP_TOOLS names {name}, which is no tool; use full, core, or some of: {', '.join(sorted(names))}."
            )
        chosen.update(names if name == "full" else CORE if name == "core" else (name,))
    return [tool for tool in tools if tool.name in chosen]
