"""Counts what the host tells, in a registry of its own."""

from __future__ import annotations

from collections import Counter as Counted
from collections.abc import Sequence
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from memhost.metrics import HookOutcome, JobOutcome, ModelOutcome, Observer, RerankOutcome, ReviewOutcome

_REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_HOOK_BUCKETS = (0.0001, 0.001, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0)
_JOB_BUCKETS = (0.01, 0.1, 1.0, 5.0, 30.0, 120.0, 300.0)
_HITS_BUCKETS = (0, 1, 2, 5, 10, 20, 50, 100)
_MODEL_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_NAMES = 50
_OTHER = "other"
_KEPT = 250
"""Operations that wait to be put into their series; so many take half a millisecond."""


class _Names:
    """Lets the first 50 names through; all others are `other`."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def bounded(self, name: str) -> str:
        if name not in self._known:
            if len(self._known) >= _NAMES:
                return _OTHER
            self._known.add(name)
        return name


class PrometheusObserver(Observer):
    """Operations, searches, hooks, jobs and calls of models as Prometheus series."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def histogram(name: str, text: str, labels: Sequence[str], buckets: Sequence[float]) -> Histogram:
            return Histogram(f"memhost_{name}", text, labels, buckets=buckets, registry=registry)

        def counter(name: str, text: str, labels: Sequence[str]) -> Counter:
            return Counter(f"memhost_{name}", text, labels, registry=registry)

        operation, hook, job, model = ["operation"], ["plugin", "hook"], ["plugin", "event"], ["model", "purpose"]
        text = "Time that operations took, by outcome: ok or the code of the error."
        self._operations = histogram("operation_seconds", text, [*operation, "code"], _REQUEST_BUCKETS)
        text = "Operations being worked on."
        self._running = Gauge("memhost_operations_in_progress", text, operation, registry=registry)
        # Operations and codes are few; looking a child up by its labels costs more than counting.
        self._begun, self._ended = Counted[str](), list[tuple[str, str, float]]()
        self._operations_of, self._running_of = cache(self._operations.labels), cache(self._running.labels)
        self._hits = histogram("search_hits", "Memories that searches answered with.", operation, _HITS_BUCKETS)

        text = "Time that rerankers took in searches, by outcome: unless ok, the order without them stayed."
        self._reranked = histogram("rerank_seconds", text, ["model", "outcome"], _MODEL_BUCKETS)
        text = "Time that event hooks of plugins took inside requests."
        self._hooks = histogram("hook_seconds", text, hook, _HOOK_BUCKETS)
        text = "Calls of event hooks inside requests, by outcome."
        self._hook_calls = counter("hook_calls", text, [*hook, "outcome"])
        self._jobs = histogram("job_seconds", "Time that attempts at background jobs took.", job, _JOB_BUCKETS)
        self._job_attempts = counter("job_attempts", "Attempts at background jobs, by outcome.", [*job, "outcome"])

        text = "Stored things that were not what the server wrote, and were not served."
        self._tampered = counter("tampered", text, ["what"])
        text = "Memories that began to wait for a review (held), or were decided on; expired: by nobody in time."
        self._reviews = counter("reviews", text, ["outcome"])

        self._model_names, self._purposes = _Names(), _Names()
        text = "Time that providers of models took, where it was measured."
        self._models = histogram("model_seconds", text, model, _MODEL_BUCKETS)
        text = "Calls of language models and embedding providers, by outcome."
        self._model_calls = counter("model_calls", text, [*model, "outcome"])
        text = "Tokens sent (input) and answered (output)."
        self._model_tokens = counter("model_tokens", text, [*model, "direction"])
        text = "Price of the calls whose price is known, US dollars."
        self._model_cost = counter("model_cost_usd", text, model)

    def operation_started(self, name: str) -> None:
        """Count it as running."""
        self._begun[name] += 1

    def operation_finished(self, name: str, code: str, seconds: float) -> None:
        """Count it and its time."""
        self._ended.append((name, code, seconds))
        if len(self._ended) >= _KEPT:
            self.settle()

    def settle(self) -> None:
        """Put the operations into their series: before these are shown, and when many wait.

        Locks and labels of series take several times as long as keeping a number, which requests do meanwhile.
        """
        begun, self._begun = self._begun, Counted()
        ended, self._ended = self._ended, []
        for name, code, seconds in ended:
            begun[name] -= 1
            self._operations_of(name, code).observe(seconds)
        for name, more in begun.items():
            self._running_of(name).inc(more)

    def search_answered(self, name: str, hits: int) -> None:
        """Count its hits."""
        self._hits.labels(name).observe(hits)

    def reranked(self, model: str, outcome: RerankOutcome, seconds: float) -> None:
        """Count it and its time."""
        self._reranked.labels(self._model_names.bounded(model), outcome).observe(seconds)

    def hook_called(self, hook: str, plugin: str, outcome: HookOutcome, seconds: float) -> None:
        """Count the call and its time."""
        self._hook_calls.labels(plugin, hook, outcome).inc()
        self._hooks.labels(plugin, hook).observe(seconds)

    def job_ran(self, event: str, plugin: str, outcome: JobOutcome, seconds: float) -> None:
        """Count the attempt and its time."""
        self._job_attempts.labels(plugin, event, outcome).inc()
        self._jobs.labels(plugin, event).observe(seconds)

    def tampered(self, what: str, count: int) -> None:
        """Count them."""
        self._tampered.labels(what).inc(count)

    def reviewed(self, outcome: ReviewOutcome, count: int) -> None:
        """Count them."""
        self._reviews.labels(outcome).inc(count)

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
        """Count the call, its tokens, its price and its time."""
        labels = self._model_names.bounded(model), self._purposes.bounded(purpose)
        self._model_calls.labels(*labels, outcome).inc()
        self._model_tokens.labels(*labels, "input").inc(input_tokens)
        self._model_tokens.labels(*labels, "output").inc(output_tokens)
        if cost_usd is not None:
            self._model_cost.labels(*labels).inc(cost_usd)
        if seconds is not None:
            self._models.labels(*labels).observe(seconds)
