"""The tools: operations as agents see them, in the order in which they are listed."""

from __future__ import annotations

from collections.abc import Mapping

from memhost.errors import ConfigurationError, OperationUnusable
from memhost.operations import Operation, OperationTable
from memhost_mcp.tools import everyday, long_term, reviews, sessions, views
from memhost_mcp.tools.tool import Tool, tool_of

CORE = (
    "store_memory",
    "search_memory",
    "get_session",
    "append_messages",
    "delete_long_term_memories",
    "get_current_datetime",
)
"""Tools of the profile `core`."""


def all_tools(operations: OperationTable, strategies: Mapping[str, str], plugins: tuple[str, ...] = ()) -> list[Tool]:
    """Return every tool that there is.

    Args:
        operations: The operation table.
        strategies: Summaries of the extraction strategies in use, by name.
        plugins: Names of the operations in the table that plugins added.

    Raises:
        OperationUnusable: An operation of a plugin has the name of another tool.
    """
    listed = " ".join(f"{name}: {summary}" for name, summary in strategies.items())
    rows = (*long_term.ROWS, *sessions.ROWS, *views.ROWS, *reviews.ROWS)
    tools = [
        *(tool_of(operations[row.operation], row) for row in everyday.ROWS),
        everyday.CLOCK,
        *(tool_of(operations[row.operation], row, strategies=listed) for row in rows),
        *(tool_of(operation) for operation in operations if _is_offered(operation, plugins)),
    ]
    taken: set[str] = set()
    for tool in tools:
        if tool.name in taken:
            raise OperationUnusable(
                f"Two MCP tools are named {tool.name}; rename the operation of the plugin.", tool.name
            )
        taken.add(tool.name)
    return tools


def _is_offered(operation: Operation, plugins: tuple[str, ...]) -> bool:
    """Tell whether an operation is a tool as it is; administration is for people, unless its row says otherwise."""
    if operation.kind != "call":
        return False
    if operation.agent_tool is None:
        return operation.name in plugins and operation.access != "admin"
    return operation.agent_tool


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
                f"MCP_TOOLS contains {name}, which is not a tool; use full, core, or names of these tools: "
                f"{', '.join(sorted(names))}."
            )
        chosen.update(names if name == "full" else CORE if name == "core" else (name,))
    return [tool for tool in tools if tool.name in chosen]
