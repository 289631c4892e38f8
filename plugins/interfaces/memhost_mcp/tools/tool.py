"""A tool is an operation as agents see it: made of the operation's row, and of a `ToolRow` where it differs.

To offer an operation of the core as it is, set `agent_tool` in its row. To give it another name, fewer arguments or
another answer, add a `ToolRow` to a module of this folder.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache, cached_property
from inspect import get_annotations
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import inspect

from memhost.errors import ValidationFailed
from memhost.operations import Access, Operation
from memhost.operations.content import Content
from memhost.operations.requests import TagFilter
from memhost.operations.schema import Schema, unwrap
from memhost.reading import Compiler, ReadingError, problems, struct_reader
from memhost_mcp.schemas import arguments_schema, result_schema
from memhost_mcp.tool_context import Owner, ToolContext

Scoping = Literal["default", "filters", "id", "none"]
"""Ways in which the namespace and user that a call is for (its owner) reach the operation.

`default`: the operation runs within the owner; fields `namespace` and `user_id` of the request name it, and are filled
in. `filters`: fields of those names are filters, which take the place of the owner. `id`: as `default`, but a call
needs no owner even where the operator requires one, as the id says enough. `none`: only the credential bounds it.
"""

Run = Callable[[ToolContext, Any], Awaitable[Any]]


class ToolRow(msgspec.Struct, frozen=True, kw_only=True):
    """The differences of a tool from its operation. Omitted fields are as in the operation's row.

    Attributes:
        operation: Name of the operation.
        name: Name of the tool.
        description: What it is for, when to use it, and two or three rules. `{strategies}` becomes a list of the
            extraction strategies.
        arguments: Struct of the arguments; usually a subclass of the operation's request with a field or two changed.
        only: Fields of it that are arguments; empty means all.
        hidden: Fields of it that are no arguments.
        described: Inherited fields that show their descriptions; the others save the bytes.
        fixed: Fields of the request that are always sent so, and no arguments.
        scoping: How namespace and user reach the operation.
        run: Does it, where one call of the operation is not enough.
        answer: Makes the result of the request and the operation's answer.
        result: Type of the result.
        structured: Whether the result is given as structured content too; if not, its texts are in the answer once.
        destructive: Whether it may lose what is stored.
        repeatable: Whether doing it twice leaves what doing it once left.
        rewrite: Brings shorter spellings of arguments into the form of the struct.
        reviewers: Whether only those see it who may decide on memories that wait for a review.
    """

    operation: str
    name: str = ""
    description: str = ""
    arguments: type[msgspec.Struct] | None = None
    only: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    described: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = {}
    scoping: Scoping = "default"
    run: Run | None = None
    answer: Callable[[Any, Any], Any] | None = None
    result: Any = None
    structured: bool = True
    destructive: bool | None = None
    repeatable: bool | None = None
    rewrite: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    reviewers: bool = False


class Tool(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One tool, ready to be listed and called.

    Attributes:
        name: Its name.
        description: What it is for.
        arguments: Struct of its arguments.
        hidden: Fields of that struct which are not arguments.
        described: Fields of that struct which show their descriptions; None means all.
        result: Type of its structured result; None if it answers with content of its own, or with text alone.
        run: Does it.
        access: The right that a caller needs to see it.
        destructive: Whether it may lose what is stored.
        repeatable: Whether doing it twice leaves what doing it once left; False for what only reads.
        rewrite: Brings shorter spellings of arguments into the form of the struct.
        reviewers: Whether only those see it who may decide on memories that wait for a review.
    """

    name: str
    description: str
    arguments: type[msgspec.Struct]
    run: Run
    access: Access
    result: Any = None
    destructive: bool = False
    repeatable: bool = False
    hidden: tuple[str, ...] = ()
    described: tuple[str, ...] | None = None
    rewrite: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    reviewers: bool = False

    @property
    def read_only(self) -> bool:
        """Tell whether it changes nothing."""
        return self.access in ("open", "read")

    @cached_property
    def input_schema(self) -> Schema:
        """Schema of the arguments."""
        return arguments_schema(self.arguments, self.hidden, self.described)

    @cached_property
    def output_schema(self) -> Schema | None:
        """Outline of the result."""
        return result_schema(self.result) if self.result is not None else None

    def read(self, given: Mapping[str, Any], *, lenient: bool) -> Any:
        """Return the arguments as a struct.

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
        kind = _struct_type(self.arguments)
        fields = [field for field in Compiler(closed=closed).fields(kind) if field.name not in self.hidden]
        nullable = frozenset(field.encode_name for field in kind.fields if _takes(inspect.NoneType, field.type))
        return struct_reader(self.arguments, tuple(fields), closed=closed), nullable


TEXT_ROOM = 32_000
"""Characters of texts in one result: hosts cut results of 25,000 tokens, and show each twice."""
_LEAST_TEXT = 200


def longest_text(asked: int | None, hits: int) -> int:
    """Characters that the text of a hit may have: as asked, else so that all hits together have room in a result."""
    return asked or max(_LEAST_TEXT, TEXT_ROOM // hits)


def tool_of(operation: Operation, row: ToolRow | None = None, *, strategies: str = "") -> Tool:
    """Make the tool of an operation, with what its `ToolRow` says in other words.

    Args:
        operation: Row of the operation.
        row: What differs; None offers the operation as it is.
        strategies: Takes the place of `{strategies}` in a description.
    """
    told = " ".join(part for part in (operation.summary, operation.description) if part)
    made = row or ToolRow(operation=operation.name)
    arguments = made.arguments or operation.request
    shown = made.only or arguments.__struct_fields__
    unseen = {*made.hidden, *made.fixed}
    destructive = operation.destructive or operation.access in ("delete", "admin")
    result = None if operation.response is Content else operation.response
    return Tool(
        name=made.name or operation.name,
        description=made.description.replace("{strategies}", strategies) or told,
        arguments=arguments,
        hidden=tuple(name for name in arguments.__struct_fields__ if name not in shown or name in unseen),
        described=None if row is None else (*row.described, *_own_fields(row.arguments)),
        result=(made.result or result) if made.structured else None,
        run=made.run or _forward(operation, made),
        access=operation.access,
        destructive=destructive if made.destructive is None else made.destructive,
        repeatable=operation.repeatable if made.repeatable is None else made.repeatable,
        rewrite=made.rewrite,
        reviewers=made.reviewers,
    )


def _own_fields(struct: type[msgspec.Struct] | None) -> tuple[str, ...]:
    """The fields that a struct of this plugin has beside, or in place of, those of the operation's request."""
    return () if struct is None else tuple(get_annotations(struct))


def _forward(operation: Operation, row: ToolRow) -> Run:
    """Run the operation with the arguments as its request, inside the scope of the call."""

    async def run(context: ToolContext, arguments: msgspec.Struct) -> Any:
        form = _form(operation.request)
        within: Owner | None = None
        filled: dict[str, Any] = {**row.fixed}
        if row.scoping == "filters":
            within = owner_beside_filters(context, arguments.user_id, arguments.namespace)  # type: ignore[attr-defined]
        elif row.scoping == "default" and form.names_owner:
            within = context.owner(getattr(arguments, "namespace", None), getattr(arguments, "user_id", None))
            named = {"namespace": within.namespace, "user_id": within.user}
            filled |= {name: value for name, value in named.items() if value is not None or name in form.nullable}
        elif row.scoping != "none":
            within = context.owner(None, None, required=row.scoping != "id")
        given = {name: value for name, value in fields_of(arguments).items() if name in form.fields}
        answer = await context.execute(operation.name, operation.request(**{**given, **filled}), within=within)
        return row.answer(arguments, answer) if row.answer is not None else answer

    return run


class _Form(NamedTuple):
    """The form of a request: its fields, those that may be null, and whether two of them name an owner."""

    fields: frozenset[str]
    nullable: frozenset[str]
    names_owner: bool


@cache  # at the first call, not at the start: walking through the types of all requests takes tens of milliseconds
def _form(request: type[msgspec.Struct]) -> _Form:
    fields = {field.name: field.type for field in _struct_type(request).fields}
    texts = {name for name, kind in fields.items() if _takes(inspect.StrType, kind)}
    nullable = frozenset(name for name, kind in fields.items() if _takes(inspect.NoneType, kind))
    return _Form(frozenset(fields), nullable, {"namespace", "user_id"} <= texts)


def owner_beside_filters(context: ToolContext, user: TagFilter | None, namespace: TagFilter | None) -> Owner:
    """Return what a search is narrowed to: nothing where the caller filters by other means than equality."""
    owner = context.owner(
        namespace.eq if namespace is not None else None,
        user.eq if user is not None else None,
        required=user is None and namespace is None,
    )
    return Owner(owner.namespace if namespace is None else None, owner.user if user is None else None)


def fields_of(request: msgspec.Struct) -> dict[str, Any]:
    """Return the fields of a struct by name, to make another struct of them."""
    return {name: getattr(request, name) for name in request.__struct_fields__}


def result_like(name: str, answer: type[msgspec.Struct], **forms: Any) -> type[msgspec.Struct]:
    """Make the type of a result with the fields of an operation's answer, so that fields which come later pass through.

    Args:
        name: Name of the type.
        answer: Struct of the answer.
        forms: Types of the fields that differ; None leaves a field out.
    """
    field: Callable[..., Any] = msgspec.field  # its overloads know no default that may be missing
    fields = [
        (each.name, kind, field(default=each.default, default_factory=each.default_factory, name=each.encode_name))
        for each in msgspec.structs.fields(answer)
        if (kind := forms.get(each.name, each.type)) is not None
    ]
    return msgspec.defstruct(name, fields, kw_only=True)


def result_from(result: type[msgspec.Struct], answer: msgspec.Struct, **forms: Any) -> Any:
    """Make a result of an answer: its fields of the same names, and those that the result has in another form.

    Args:
        result: Type of the result.
        answer: The operation's answer, or a part of it.
        forms: Values of the fields that differ.
    """
    same = {name: value for name, value in fields_of(answer).items() if name in result.__struct_fields__}
    return result(**(same | forms))


def _struct_type(struct: type[msgspec.Struct]) -> inspect.StructType:
    kind = inspect.type_info(struct)
    assert isinstance(kind, inspect.StructType)
    return kind


def fields_that_take(structs: tuple[type[msgspec.Struct], ...], request: type[msgspec.Struct]) -> tuple[str, ...]:
    """Return the names of the fields of a request, in their order, whose type is one of the structs, or null."""
    return tuple(
        field.encode_name
        for field in _struct_type(request).fields
        if any(isinstance(each, inspect.StructType) and each.cls in structs for each in _variants(field.type))
    )


def _takes(kind: type[inspect.Type], field: inspect.Type) -> bool:
    """Tell whether a field may hold values of that type, among others."""
    return any(isinstance(each, kind) for each in _variants(field))


def _variants(field: inspect.Type) -> list[inspect.Type]:
    bare = unwrap(field)
    return [unwrap(variant) for variant in (bare.types if isinstance(bare, inspect.UnionType) else (bare,))]
