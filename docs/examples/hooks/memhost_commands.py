from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from memhost import hookimpl
from memhost.specs import CommandSpec

if TYPE_CHECKING:
    import click


def load() -> click.Command:
    import click

    @click.command("acme")
    def acme() -> None:
        """Greet."""
        click.echo("Hello from acme")

    return acme


@hookimpl
def memhost_commands() -> Sequence[CommandSpec]:
    return [CommandSpec(name="acme", summary="Greet.", load=load)]
