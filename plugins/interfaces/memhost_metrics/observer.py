"""Counts what the host tells, in a registry of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from memhost.metrics import HookOutcome, JobOutcome, Observer

_REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_HOOK_BUCKETS = (0.0001, 0.001, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0)
_JOB_BUCKETS = (0.01, 0.1, 1.0, 5.0, 30.0, 120.0, 300.0)
_HITS_BUCKETS = (0, 1, 2, 5, 10, 20, 50, 100)


class PrometheusObserver(Observer):
    """Operations, searches, hooks and jobs as Prometheus series."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._operations = Histogram(
            "memhost_operation_seconds",
            "Time that operations took, by outcome: ok or the code of the error.",
            ("operation", "code"),
            buckets=_REQUEST_BUCKETS,
            registry=registry,
        )
        self._running = Gauge(
            "memhost_operations_in_progress", "Operations being worked on.", ("operation",), registry=registry
        )
        self._hits = Histogram(
            "memhost_search_hits",
            "Memories that searches answered with.",
            ("operation",),
            buckets=_HITS_BUCKETS,
            registry=registry,
        )
        self._hooks = Histogram(
            "memhost_hook_seconds",
            "Time that event hooks of plugins took inside requests.",
            ("plugin", "hook"),
            buckets=_HOOK_BUCKETS,
            registry=registry,
        )
        self._hook_calls = Counter(
            "memhost_hook_calls",
            "Calls of event hooks inside requests, by outcome.",
            ("plugin", "hook", "outcome"),
            registry=registry,
        )
        self._jobs = Histogram(
            "memhost_job_seconds",
            "Time that attempts at background jobs took.",
            ("plugin", "event"),
            buckets=_JOB_BUCKETS,
            registry=registry,
        )
        self._job_attempts = Counter(
            "memhost_job_attempts",
            "Attempts at background jobs, by outcome.",
            ("plugin", "event", "outcome"),
            registry=registry,
        )

    def operation_started(self, name: str) -> None:
        """Count it as running."""
        self._running.labels(name).inc()

    def operation_finished(self, name: str, code: str, seconds: float) -> None:
        """Count it and its time."""
        self._running.labels(name).dec()
        self._operations.labels(name, code).observe(seconds)

    def search_answered(self, name: str, hits: int) -> None:
        """Count its hits."""
        self._hits.labels(name).observe(hits)

    def hook_called(self, hook: str, plugin: str, outcome: HookOutcome, seconds: float) -> None:
        """Count the call and its time."""
        self._hook_calls.labels(plugin, hook, outcome).inc()
        self._hooks.labels(plugin, hook).observe(seconds)

    def job_ran(self, event: str, plugin: str, outcome: JobOutcome, seconds: float) -> None:
        """Count the attempt and its time."""
        self._job_attempts.labels(plugin, event, outcome).inc()
        self._jobs.labels(plugin, event).observe(seconds)
