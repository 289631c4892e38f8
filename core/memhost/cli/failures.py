"""From errors to exit codes and one sentence each."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence

import click

from memhost.cli.hints import as_run
from memhost.errors import ConfigurationError, MemhostError, Problem, Unavailable, ValidationFailed

OK = 0
FAILED = 1
USAGE = 2
UNAVAILABLE = 3
REFUSED = 4


class CommandError(MemhostError):
    """A command did not do what it was asked for; the sentence says why and what to do."""

    code = "failed"


class RefusedByUserError(MemhostError):
    """The user answered no."""

    code = "refused_by_user"


class NeedsForceError(ConfigurationError):
    """A command needs a confirmation, and there is no terminal to ask on."""

    code = "needs_force"


def exit_code(error: BaseException) -> int:
    """The exit code for an error."""
    if isinstance(error, click.exceptions.Exit):
        return int(error.exit_code)
    if isinstance(error, (ConfigurationError, click.UsageError)):
        return USAGE
    if isinstance(error, Unavailable):
        return UNAVAILABLE
    if isinstance(error, (RefusedByUserError, click.Abort)):
        return REFUSED
    return FAILED


def report(error: BaseException, args: Sequence[str] = ()) -> int:
    """Tell the user what went wrong, on stderr, and return the exit code.

    Args:
        error: What ended the command.
        args: The command line, to see whether `--json` or `--debug` was asked for.
    """
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else FAILED
    if isinstance(error, click.exceptions.Exit):
        return int(error.exit_code)
    if isinstance(error, BrokenPipeError):
        _silence_stdout()
        return OK
    if _interrupted(error):
        click.echo("Stopped.", err=True)
        return 130
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message())
        return OK
    if "--debug" in args or os.environ.get("MEMHOST_DEBUG"):
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    code, sentences = _describe(error)
    sentences = [as_run(sentence) for sentence in sentences]
    if "--json" in args:
        click.echo(json.dumps({"error": {"code": code, "messages": sentences}}), err=True)
    else:
        _show(error, code, sentences)
    return exit_code(error)


def _interrupted(error: BaseException) -> bool:
    """Tell whether somebody pressed Ctrl-C, also while several tasks ran."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(_interrupted, error.exceptions))
    if isinstance(error, click.Abort):  # as which click passes it on
        return isinstance(error.__cause__, KeyboardInterrupt)
    return isinstance(error, KeyboardInterrupt)


def _describe(error: BaseException) -> tuple[str, list[str]]:
    if isinstance(error, ConfigurationError):
        return error.code, list(error.problems)
    if isinstance(error, ValidationFailed):
        return error.code, ["; ".join(map(_problem, error.problems))]
    if isinstance(error, MemhostError):
        return error.code, [error.message]
    if isinstance(error, click.Abort):
        return "refused_by_user", ["Nothing was done."]
    if isinstance(error, click.ClickException):
        return "usage" if isinstance(error, click.UsageError) else "failed", [error.format_message()]
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return "failed", [f"{error.strerror or type(error).__name__}{where}."]
    if isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        return _describe(error.exceptions[0])
    summary = f"{type(error).__name__}: {error}".rstrip(": ")
    return "internal", [f"Something unexpected went wrong: {summary}. Add --debug for the details."]


def _problem(problem: Problem) -> str:
    """The sentence of a problem; the words that the wire puts before it are for clients that compare them."""
    where, message = ".".join(map(str, problem.where)), problem.message.removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def _show(error: BaseException, code: str, sentences: list[str]) -> None:
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(error.ctx.get_usage(), err=True)
    if len(sentences) == 1:
        click.echo(click.style(f"Error: {sentences[0]}", fg="red") + f" [{code}]", err=True, color=colors())
        return
    click.echo(click.style("Error:", fg="red") + f" [{code}]", err=True, color=colors())
    for sentence in sentences:
        click.echo(click.style(f"  - {sentence}", fg="red"), err=True, color=colors())


def colors() -> bool | None:
    """Tell whether to colour click's output: False under NO_COLOR, None if it depends on the terminal."""
    return False if os.environ.get("NO_COLOR") else None


def _silence_stdout() -> None:
    """Keep the interpreter from complaining at exit that the reader of a pipe has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
