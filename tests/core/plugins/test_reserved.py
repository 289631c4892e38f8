"""Names that plugins cannot take are those of the parts that have them."""

from __future__ import annotations

from memhost.cli.command_table import COMMANDS
from memhost.plugins import reserved


def test_all_commands_are_reserved() -> None:
    assert frozenset(COMMANDS) == reserved.COMMANDS
