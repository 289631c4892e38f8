"""Descriptions of resources and prompts."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

import msgspec

from memhost.operations import Access
from memhost.operations.schema import Schema
from memhost_mcp.schemas import arguments_schema
from memhost_mcp.tool_context import ToolContext


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A resource or a prompt. `address` is a URI with fields of `arguments` in braces; prompts have none."""

    name: str
    description: str
    arguments: type[msgspec.Struct]
    run: Callable[[ToolContext, Any], Awaitable[Any]]
    access: Access
    address: str = ""

    @property
    def is_template(self) -> bool:
        """Tell whether the address has places to fill."""
        return "{" in self.address

    def schema(self) -> Schema:
        """Schema of the arguments."""
        return arguments_schema(self.arguments)

    def match(self, uri: str) -> dict[str, str] | None:
        """The arguments that a URI holds, None if it is not of this form."""
        parts = re.split(r"\{(\w+)\}", self.address)
        pattern = "".join(re.escape(part) if at % 2 == 0 else f"(?P<{part}>[^/]+)" for at, part in enumerate(parts))
        found = re.fullmatch(pattern, uri)
        return {name: unquote(value) for name, value in found.groupdict().items()} if found else None
