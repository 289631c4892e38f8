"""Sentences that name commands, in the form in which the commands work where the sentences are printed."""

from __future__ import annotations

from memhost.cli.command_table import ANNOUNCED, COMMANDS
from memhost.text import hints


def as_run(text: str) -> str:
    """The text with `memhost COMMAND` as this process was started, for commands of the host and announced ones."""
    if hints.program() == "memhost":
        return text
    from importlib.metadata import entry_points

    return hints.as_run(text, [*COMMANDS, *entry_points(group=ANNOUNCED).names])
