"""What a tool is, and how its arguments are read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import Any, Literal

import msgspec
from msgspec import inspect

from memhost.errors import ValidationFailed
from memhost.operations import Access
from memhost.reading import Compiler, ReadingError, problems, struct_reader
from memhost_mcp.schemas import Schema, arguments_schema, result_schema
from memhost_mcp.tool_context import ToolContext

Effect = Literal["reads", "adds", "sets", "destroys"]
"""What a tool does to what is stored: nothing; adds to it; the same however often; loses something."""


class Tool(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One tool.

    Attributes:
        name: Its name.
        description: What it is for, when to use it, and two or three rules.
        arguments: Struct of its arguments.
        hidden: Fields of that struct which are not arguments.
        result: Type of its structured result; None if it answers with content of its own.
        run: Does it.
        access: The right that a caller needs to see it.
        effect: What it does to what is stored.
        rewrite: Brings shorter spellings of arguments into the form of the struct.
    """

    name: str
    description: str
    arguments: type[msgspec.Struct]
    run: Callable[[ToolContext, Any], Awaitable[Any]]
    access: Access
    result: Any = None
    effect: Effect = "reads"
    repeatable: bool = False
    hidden: tuple[str, ...] = ()
    rewrite: Callable[[dict[str, Any]], dict[str, Any]] | None = None

    @cached_property
    def input_schema(self) -> Schema:
        """Schema of the arguments."""
        return arguments_schema(self.arguments, self.hidden)

    @cached_property
    def output_schema(self) -> Schema | None:
        """Outline of the result."""
        return result_schema(self.result) if self.result is not None else None

    def read(self, given: Mapping[str, Any], *, lenient: bool) -> Any:
        """The arguments.

        Raises:
            ValidationFailed: With all that is wrong; unknown arguments too, unless `lenient`.
        """
        arguments = dict(given)
        if self.rewrite is not None:
            arguments = self.rewrite(arguments)
        reader, nullable = self._lenient if lenient else self._closed
        present = {name: value for name, value in arguments.items() if value is not None or name in nullable}
        try:
            return reader(present)
        except ReadingError as error:
            raise ValidationFailed(problems(error.faults)) from None

    @cached_property
    def _closed(self) -> tuple[Any, frozenset[str]]:
        return self._reader(closed=True)

    @cached_property
    def _lenient(self) -> tuple[Any, frozenset[str]]:
        return self._reader(closed=False)

    def _reader(self, *, closed: bool) -> tuple[Any, frozenset[str]]:
        kind = inspect.type_info(self.arguments)
        assert isinstance(kind, inspect.StructType)
        fields = [field for field in Compiler(closed=closed).fields(kind) if field.name not in self.hidden]
        nullable = frozenset(field.encode_name for field in kind.fields if _takes_null(field.type))
        return struct_reader(self.arguments, tuple(fields), closed=closed), nullable


def _takes_null(kind: inspect.Type) -> bool:
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    return isinstance(kind, inspect.UnionType) and any(isinstance(item, inspect.NoneType) for item in kind.types)


def fields_of(request: msgspec.Struct) -> dict[str, Any]:
    """The fields of a struct by name, to make another struct of them."""
    return {name: getattr(request, name) for name in request.__struct_fields__}
