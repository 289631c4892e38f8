"""Where the host tells what it does, so that plugins can measure it.

The host calls the methods of one `Metrics`; a plugin (Prometheus, OpenTelemetry, ...) adds an `Observer` to it:
`host.metrics.add(MyObserver())`. Names that an observer gets are bounded: operations, error codes, hooks, events
and plugins, never ids or texts; only names of models are whatever callers ask for. Without observers nothing is done.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal

logger = logging.getLogger(__name__)

HookOutcome = Literal["ok", "refused", "failed", "timeout", "suspended"]
JobOutcome = Literal["ok", "blocked", "failed", "timeout", "buried", "waiting", "lease_lost", "interrupted"]
ModelOutcome = Literal["ok", "failed"]
ReviewOutcome = Literal["held", "approved", "corrected", "refused", "expired", "over_limit"]
RerankOutcome = Literal["ok", "failed", "timeout", "suspended"]


class Observer:
    """The measurements that can be observed. Override the methods you need; they are called often and must not block.

    A method that raises is logged once and called no more.
    """

    def operation_started(self, name: str) -> None:
        """An operation begins."""

    def operation_finished(self, name: str, code: str, seconds: float) -> None:
        """An operation ended; `code` is `ok`, the code of its error, or `cancelled`."""

    def search_answered(self, name: str, hits: int) -> None:
        """The operation `name` searched and answers with that many hits."""

    def hook_called(self, hook: str, plugin: str, outcome: HookOutcome, seconds: float) -> None:
        """A plugin's event hook in a request was called; `suspended`: left out, since it kept failing."""

    def reranked(self, model: str, outcome: RerankOutcome, seconds: float) -> None:
        """A reranker was asked in a search; unless the outcome is `ok`, the order without it stayed.

        `suspended`: it was not asked, since it had been away a few seconds before.
        """

    def job_ran(self, event: str, plugin: str, outcome: JobOutcome, seconds: float) -> None:
        """An attempt at a background job of that event ended; `buried` means that it was the last.

        `blocked`: it is done, but nothing else could run during that time. `waiting`: it could not be done now, and was
        put off without having failed.
        """

    def tampered(self, what: str, count: int) -> None:
        """So many stored things of a sort (`memory`, `session`, `document`) were not what the server wrote."""

    def reviewed(self, outcome: ReviewOutcome, count: int) -> None:
        """So many memories began to wait for a review (`held`), or were decided on; `expired`: by nobody in time.

        `over_limit`: they were not kept, because as many of their owner wait as may.
        """

    def model_called(
        self,
        model: str,
        purpose: str,
        outcome: ModelOutcome,
        input_tokens: int,
        output_tokens: int,
        cost_usd: float | None,
        seconds: float | None,
    ) -> None:
        """A provider answered, or failed to answer, a call to a language model, embedder or reranker.

        `cost_usd` is None where the price is not known, `seconds` where the time was not measured.
        """


class Metrics(Observer):
    """Tells every observer what happened; a broken observer disturbs neither the host nor the others."""

    def __init__(self) -> None:
        self._observers: tuple[Observer, ...] = ()

    def add(self, observer: Observer) -> None:
        """Tell this observer as well from now on."""
        self._observers = (*self._observers, observer)

    def remove(self, observer: Observer) -> None:
        """Tell this observer nothing more; unknown ones are ignored."""
        self._observers = tuple(known for known in self._observers if known is not observer)

    def operation_started(self, name: str) -> None:
        """An operation begins."""
        self._tell(lambda observer: observer.operation_started(name))

    def operation_finished(self, name: str, code: str, seconds: float) -> None:
        """An operation ended."""
        self._tell(lambda observer: observer.operation_finished(name, code, seconds))

    def search_answered(self, name: str, hits: int) -> None:
        """A search is answered."""
        self._tell(lambda observer: observer.search_answered(name, hits))

    def hook_called(self, hook: str, plugin: str, outcome: HookOutcome, seconds: float) -> None:
        """A hook was called."""
        self._tell(lambda observer: observer.hook_called(hook, plugin, outcome, seconds))

    def reranked(self, model: str, outcome: RerankOutcome, seconds: float) -> None:
        """A reranker was asked."""
        self._tell(lambda observer: observer.reranked(model, outcome, seconds))

    def job_ran(self, event: str, plugin: str, outcome: JobOutcome, seconds: float) -> None:
        """An attempt at a job ended."""
        self._tell(lambda observer: observer.job_ran(event, plugin, outcome, seconds))

    def tampered(self, what: str, count: int) -> None:
        """Stored things were not what the server wrote."""
        self._tell(lambda observer: observer.tampered(what, count))

    def reviewed(self, outcome: ReviewOutcome, count: int) -> None:
        """Memories began to wait for a review, or were decided on."""
        self._tell(lambda observer: observer.reviewed(outcome, count))

    def model_called(
        self,
        model: str,
        purpose: str,
        outcome: ModelOutcome,
        input_tokens: int,
        output_tokens: int,
        cost_usd: float | None,
        seconds: float | None,
    ) -> None:
        """A provider was called."""
        self._tell(
            lambda observer: observer.model_called(
                model, purpose, outcome, input_tokens, output_tokens, cost_usd, seconds
            )
        )

    def _tell(self, tell: Callable[[Observer], None]) -> None:
        for observer in self._observers:
            try:
                tell(observer)
            except Exception:  # a foreign observer may fail in any way; the host continues without it
                self.remove(observer)
                logger.exception("metrics.observer_failed", extra={"fields": {"observer": type(observer).__name__}})
