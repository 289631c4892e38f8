"""Takes the secrets out of requests before any operation sees them, at every door; and out of what comes from inside.

`Host.execute` calls it for each request, so that no write can forget it. Reading requests are masked as well: a query
may be sent to a model, and finds the memory in which the same secret was masked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from memhost.errors import Problem, SecretFound
from memhost.models import MemoryRecord
from memhost.secrets.masking import Findings, Masker, texts_of
from memhost.secrets.records import masked_record

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")

_AT_ONCE = 20_000
"""Letters that are looked through on the event loop: some milliseconds. More are in a thread."""
_NAMED = 3


async def screened(request: S, masker: Masker, *, writes: bool, exact: Sequence[str] = ()) -> tuple[S, Findings]:
    """The request without secrets, and what was found in it; the very same if there are none.

    Args:
        request: A request of any operation.
        masker: What becomes of secrets.
        writes: Whether the operation stores something. Secrets in its ids are refused, and all of them by the policy
            `refuse`.
        exact: Fields whose bytes have to stay as they are: secrets in them are refused, never masked.

    Raises:
        SecretFound: There are secrets where none may be.
    """
    findings = Findings()
    if masker.policy == "keep":
        return request, findings
    masked = await masked_value(request, masker, findings)
    if writes:
        refused = [*findings.ids, *(found for found in findings.places if found[0][0] in exact)]
        if masker.policy == "refuse":
            refused += findings.places
        if refused:
            raise SecretFound([_problem(where, kind) for where, kind in dict.fromkeys(refused)])
    return masked, findings


async def masked_value(value: T, masker: Masker, findings: Findings | None = None) -> T:
    """The value with its secrets masked, as `Masker.value`; a large one is looked through in a thread."""
    if masker.policy == "keep":
        return value
    if letters(value, _AT_ONCE) > _AT_ONCE:
        return await asyncio.to_thread(masker.value, value, findings)
    return masker.value(value, findings)


async def masked_records(records: Sequence[MemoryRecord], masker: Masker) -> list[MemoryRecord]:
    """The memories with their secrets masked, as `masked_record`; many or long ones are looked through in a thread."""

    def all_masked() -> list[MemoryRecord]:
        return [masked_record(record, masker) for record in records]

    if masker.policy != "keep" and letters(records, _AT_ONCE) > _AT_ONCE:
        return await asyncio.to_thread(all_masked)
    return all_masked()


def notice(findings: Findings) -> tuple[str, str]:
    """Return the notice about what was masked: how many secrets, and where the first of them were."""
    named = ", ".join(f"{_path(where)} ({kind})" for where, kind in findings.places[:_NAMED])
    more = f" and {findings.count - _NAMED} more" if findings.count > _NAMED else ""
    what = "1 secret was" if findings.count == 1 else f"{findings.count} secrets were"
    return "secrets", f"{what} masked: {named}{more}."


def letters(value: Any, most: int) -> int:
    """Count the letters of the texts in a value, until there are more than that."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, msgspec.Struct):
        value = texts_of(value)
    elif isinstance(value, dict):
        value = [*value, *value.values()]
    elif not isinstance(value, (list, tuple)):
        return 0
    count = 0
    for item in value:
        if type(item) is str:
            count += len(item)
        elif item is not None and item is not msgspec.UNSET:
            count += letters(item, most - count)
        if count > most:
            break
    return count


def _problem(where: tuple[str | int, ...], kind: str) -> Problem:
    sentence = f"It holds a secret ({kind}), which this server does not keep here: send it without."
    return Problem(where=where, kind="secret", message=sentence)


def _path(where: Sequence[str | int]) -> str:
    return ".".join(map(str, where)) or "the request"
