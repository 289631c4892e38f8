"""The command line. Only what `memhost --help` needs is imported before a command runs."""

from memhost.cli.root import cli, main

__all__ = ["cli", "main"]
