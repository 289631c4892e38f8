"""Errors on this wire: status codes, and the list of what is wrong with a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from memhost.errors import MemhostError, Problem

SERVER_ERROR = "Internal Server Error"

_MAX_TEXT = 500
_MAX_NAMED = 8
_MAX_NAME_LENGTH = 60
_MAX_NODES = 100
_VALUE_ERROR = "Value error, "

Locate = Callable[[str | int], str]


def detail_of(error: MemhostError, status: int) -> str:
    """The sentence that the caller sees; causes inside the server stay in its log."""
    return SERVER_ERROR if status == 500 else error.message


def items(problems: Iterable[Problem], locate: Locate | None = None) -> list[dict[str, Any]]:
    """Problems as the list of a 422 answer.

    Args:
        problems: What is wrong.
        locate: Source (path, query, body) of a field, for problems whose `where` lacks it.
    """
    return [_item(problem, locate) for problem in problems]


def ignored(problems: Sequence[Problem]) -> str:
    """The sentence about unknown names of a request that was answered; at most eight are named."""
    named = []
    for problem in problems[:_MAX_NAMED]:
        meant = (problem.context or {}).get("meant")
        name = ".".join(str(part) for part in problem.where[1:])[:_MAX_NAME_LENGTH]
        named.append(f"{name} (did you mean {meant}?)" if meant else name)
    more = f" and {len(problems) - _MAX_NAMED} more" if len(problems) > _MAX_NAMED else ""
    return f"no such field or parameter: {', '.join(named)}{more}."


def _item(problem: Problem, locate: Locate | None) -> dict[str, Any]:
    where = list(problem.where)
    if locate is not None:
        where.insert(0, locate(where[0]) if where else "body")
    message = problem.message
    if problem.kind == "value_error" and not message.startswith(_VALUE_ERROR):
        message = _VALUE_ERROR + message
    item = {"type": problem.kind, "loc": where, "msg": message, "input": _echo(problem.value)}
    if problem.context:
        item["ctx"] = problem.context
    return item


def _echo(value: Any) -> Any:
    """The value that was wrong, if it is small enough to be sent back."""
    if isinstance(value, str):
        return value if len(value) <= _MAX_TEXT else value[:_MAX_TEXT] + "..."
    if isinstance(value, int) and not -(10**30) < value < 10**30:
        return None
    if isinstance(value, (dict, list)) and not _small(value):
        return "..."
    return value


def _small(value: Any) -> bool:
    pending, nodes, letters = [value], 0, 0
    while pending:
        item = pending.pop()
        nodes += 1
        if isinstance(item, dict):
            nodes += len(item)
            letters += 0 if nodes > _MAX_NODES else sum(map(len, map(str, item)))
            pending.extend(item.values() if nodes <= _MAX_NODES else ())
        elif isinstance(item, list):
            nodes += len(item)
            pending.extend(item if nodes <= _MAX_NODES else ())
        elif isinstance(item, str):
            letters += len(item)
        if nodes > _MAX_NODES or letters > _MAX_NODES * 20:
            return False
    return True
