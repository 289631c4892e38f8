"""`memhost call`: any operation of the table, so that a new one needs no command of its own."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from memhost.cli.access import ask, target_of
from memhost.cli.options import (
    config_options,
    confirm,
    force_option,
    json_option,
    show,
    tenant_option,
    url_options,
)

if TYPE_CHECKING:
    from memhost.operations import Operation, OperationTable

_FIELD = re.compile(r"(?P<path>[A-Za-z_]\w*(?:\.[^.:=]+)*)(?P<form>:?=)(?P<value>.*)\Z", re.DOTALL)
_FORM = "Write a field as NAME=TEXT, NAME:=JSON or NAME.PART=TEXT"


class _ListsOperations(click.Command):
    """Lists in its help what there is to call."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, then the operations of this installation."""
        super().format_options(ctx, formatter)
        with formatter.section("Operations"):
            formatter.write_dl([(each.name, each.summary) for each in _table()])


@click.command(cls=_ListsOperations)
@click.argument("name")
@click.argument("fields", metavar="[FIELD=VALUE]...", nargs=-1)
@click.option("-b", "--body", metavar="JSON", help="All fields as one JSON object; - reads it from stdin.")
@click.option("--fields", "describe", is_flag=True, help="List the fields of the operation instead of calling it.")
@tenant_option
@force_option
@url_options
@config_options
@json_option
def call(
    name: str,
    fields: Sequence[str],
    body: str | None,
    describe: bool,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    r"""Call any operation by its name, and print its answer (always JSON).

    FIELD=VALUE gives a text, and FIELD:=VALUE any JSON value. Dots reach into objects:

    \b
      memhost call search_memories text="window seats" user_id.eq=ana limit=5
      memhost call store_memories 'memories:=[{"text": "Ana likes tea."}]'
    """
    if describe:
        _describe(_known(name), as_json=as_json)
        return
    target = target_of(options)
    if body is not None and fields:
        raise click.UsageError("Give the fields one by one or all in --body, not both.")
    arguments = read_fields(fields) if body is None else _object(body)
    operation = next((each for each in _table() if each.name == name), None)  # a server may have others
    if operation is not None and _removes(operation):
        confirm(f"Call {name}? It may remove what is stored.", force=force)
    creates = operation is not None and operation.access == "write"

    about_data = operation is not None and operation.access != "open"
    show(ask(target, name, arguments, creates=creates, needs_data=about_data))


def read_fields(given: Iterable[str]) -> dict[str, Any]:
    """The fields that arguments of the command line give.

    Raises:
        BadParameter: One has another form, or there are two values for one field.
    """
    found: dict[str, Any] = {}
    for argument in given:
        parts = _FIELD.match(argument)
        if parts is None:
            raise click.BadParameter(f"{argument!r} is no field. {_FORM}.", param_hint="FIELD=VALUE")
        path, form, text = parts.group("path", "form", "value")
        value = _parsed(text, path) if form == ":=" else text
        *outer, last = path.split(".")
        place: Any = found
        for part in outer:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                break
        if not isinstance(place, dict) or last in place:
            raise click.BadParameter(f"{path} has two values; give one.", param_hint="FIELD=VALUE")
        place[last] = value
    return found


def _object(body: str) -> dict[str, Any]:
    value = _parsed(sys.stdin.read() if body == "-" else body, "--body")
    if not isinstance(value, dict):
        raise click.BadParameter("The fields must be one JSON object.", param_hint="--body")
    return value


def _parsed(text: str, where: str) -> Any:
    import msgspec

    try:
        return msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise click.BadParameter(f"{where} is not valid JSON: {error}.", param_hint=where) from None


def _table() -> OperationTable:
    """The operations of this installation: those of memhost, then those of its plugins."""
    from memhost.host import core_operations
    from memhost.operations import OperationTable
    from memhost.plugins import PluginManager
    from memhost.settings import peek

    plugins = PluginManager.load(disabled=peek("server.plugins_disabled"))
    return OperationTable((*core_operations(), *(entry.spec for entry in plugins.operations)))


def _known(name: str) -> Operation:
    table = _table()
    if name not in table.names():
        raise table.unknown(name, "memhost call --help lists them.")
    return table[name]


def _removes(operation: Operation) -> bool:
    """Tell whether to ask first: the operation deletes, or administers something that an argument names."""
    return operation.access == "delete" or bool(operation.audited)


def _describe(operation: Operation, *, as_json: bool) -> None:
    from memhost.operations.schema import facts

    found = facts(operation.request)
    if as_json:
        shown = [{"name": each.key, "required": each.required, "schema": each.schema} for each in found]
        show({"operation": operation.name, "summary": operation.summary, "fields": shown})
        return
    from memhost.cli.printing import table

    click.echo(f"{operation.name}: {operation.summary}")
    if found:
        rows = [(each.key, "required" if each.required else "", each.description) for each in found]
        table(("field", "", "meaning"), rows, whole=("field",))
    else:
        click.echo("It has no fields.")
