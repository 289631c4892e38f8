"""Markers for hook implementations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import msgspec
import pluggy

PROJECT = "memhost"
"""Name of the pluggy project and of the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

OnFailure = Literal["refuse", "skip"]
Need = Literal["language_model", "remote_embedder"]
_ATTRIBUTE = "memhost_event_options"

F = TypeVar("F", bound=Callable[..., Any])


class EventOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The host's treatment of one implementation of an event hook.

    Attributes:
        on_failure: For hooks in the request: `refuse` fails the request when the hook raises or is too slow,
            `skip` continues without it.
        timeout_s: Time limit of one call in seconds; None uses the host's.
        max_tries: For background hooks: attempts before the job is buried; None uses the host's.
        needs: For background hooks: jobs are made only where one of these is configured; empty: always.
    """

    on_failure: OnFailure = "skip"
    timeout_s: float | None = None
    max_tries: int | None = None
    needs: tuple[Need, ...] = ()


def event_options(
    *,
    on_failure: OnFailure = "skip",
    timeout_s: float | None = None,
    max_tries: int | None = None,
    needs: tuple[Need, ...] = (),
) -> Callable[[F], F]:
    """Declare how the host treats this event hook; see `EventOptions`. Write it above or below `@hookimpl`."""
    options = EventOptions(on_failure=on_failure, timeout_s=timeout_s, max_tries=max_tries, needs=needs)

    def mark(function: F) -> F:
        setattr(function, _ATTRIBUTE, options)
        return function

    return mark


def options_of(function: Callable[..., Any]) -> EventOptions:
    """The declared options of a hook implementation, or the defaults."""
    found = getattr(function, _ATTRIBUTE, None)
    return found if isinstance(found, EventOptions) else EventOptions()
