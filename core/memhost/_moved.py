"""Old paths of modules that moved: an import of one gives the module at its new place, with a DeprecationWarning.

They work until version 0.3. The table is the only place that names them.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.abc import Loader, MetaPathFinder

    class _Base(MetaPathFinder, Loader):
        """The methods that importlib asks of a finder and a loader; at run time only the methods count."""
else:
    _Base = object

MOVED = {
    "memhost.analysis": "memhost.text.analysis",
    "memhost.app": "memhost.http.app",
    "memhost.assembly": "memhost.host.assembly",
    "memhost.bodies": "memhost.http.bodies",
    "memhost.cli.checks": "memhost.cli.server.checks",
    "memhost.cli.config": "memhost.cli.server.config",
    "memhost.cli.connections": "memhost.http.connections",
    "memhost.cli.demo": "memhost.cli.server.demo",
    "memhost.cli.docs": "memhost.cli.server.docs",
    "memhost.cli.doctor": "memhost.cli.server.doctor",
    "memhost.cli.extract": "memhost.cli.data.extract",
    "memhost.cli.jobs": "memhost.cli.data.jobs",
    "memhost.cli.listening": "memhost.http.listening",
    "memhost.cli.memories": "memhost.cli.data.memories",
    "memhost.cli.migrate": "memhost.cli.data.migrate",
    "memhost.cli.openapi": "memhost.cli.server.openapi",
    "memhost.cli.plugins_new": "memhost.cli.plugins.plugins_new",
    "memhost.cli.processes": "memhost.http.processes",
    "memhost.cli.protocol": "memhost.http.uvicorn_protocol",
    "memhost.cli.reindex": "memhost.cli.server.reindex",
    "memhost.cli.search": "memhost.cli.data.search",
    "memhost.cli.serve": "memhost.cli.server.serve",
    "memhost.cli.serving": "memhost.cli.server.serving",
    "memhost.cli.sessions": "memhost.cli.data.sessions",
    "memhost.cli.transfer": "memhost.cli.data.transfer",
    "memhost.cli.trash": "memhost.cli.data.trash",
    "memhost.cli.usage": "memhost.cli.data.usage",
    "memhost.cli.users": "memhost.cli.data.users",
    "memhost.cli.version": "memhost.cli.server.version",
    "memhost.cli.worker": "memhost.cli.server.worker",
    "memhost.conversation": "memhost.text.conversation",
    "memhost.extraction.answers": "memhost.extraction.parsing.answers",
    "memhost.extraction.calendar_words": "memhost.text.temporal.calendar_words",
    "memhost.extraction.dates": "memhost.text.temporal.dates",
    "memhost.extraction.dating": "memhost.extraction.temporal.dating",
    "memhost.extraction.disguises": "memhost.extraction.screening.obfuscation",
    "memhost.extraction.frame": "memhost.extraction.prompt_template",
    "memhost.extraction.grounding": "memhost.extraction.parsing.grounding",
    "memhost.extraction.languages": "memhost.text.temporal.languages",
    "memhost.extraction.literals": "memhost.extraction.screening.prefilter",
    "memhost.extraction.loose_json": "memhost.extraction.parsing.loose_json",
    "memhost.extraction.placeholders": "memhost.extraction.parsing.placeholders",
    "memhost.extraction.recovery": "memhost.extraction.parsing.recovery",
    "memhost.extraction.repairs": "memhost.extraction.retry_prompt",
    "memhost.extraction.replies": "memhost.extraction.parsing.replies",
    "memhost.extraction.rules": "memhost.extraction.screening.rules",
    "memhost.extraction.safety": "memhost.extraction.screening.safety",
    "memhost.extraction.said_dates": "memhost.extraction.temporal.said_dates",
    "memhost.extraction.screening.secrets": "memhost.secrets.masking",
    "memhost.extraction.secrets": "memhost.secrets.masking",
    "memhost.extraction.suspicion": "memhost.extraction.screening.injection",
    "memhost.extraction.times": "memhost.text.temporal.times",
    "memhost.gate": "memhost.http.limits",
    "memhost.guard": "memhost.http.allowed_hosts",
    "memhost.hints": "memhost.text.hints",
    "memhost.jobs.context": "memhost.memories.job_context",
    "memhost.jobs.tenants": "memhost.usage.tenants",
    "memhost.opening": "memhost.host.open_resources",
    "memhost.operations.prompts": "memhost.operations.extraction",
    "memhost.passages": "memhost.text.passages",
    "memhost.search.memory_prompt": "memhost.context.memory_prompt",
    "memhost.services.access": "memhost.search.access_tracking",
    "memhost.services.aliases": "memhost.memories.aliases",
    "memhost.services.answer_journal": "memhost.extraction.pipeline.answer_journal",
    "memhost.services.asking": "memhost.extraction.pipeline.extractor_calls",
    "memhost.services.attempts": "memhost.host.login_throttle",
    "memhost.services.audit": "memhost.admin.audit",
    "memhost.services.bound_documents": "memhost.storage.bound_documents",
    "memhost.services.compaction": "memhost.consolidation.compaction",
    "memhost.services.compaction_pass": "memhost.consolidation.compaction_pass",
    "memhost.services.compaction_state": "memhost.consolidation.compaction_state",
    "memhost.services.deduplication": "memhost.memories.exact_duplicates",
    "memhost.services.embedding": "memhost.memories.missing_vectors",
    "memhost.services.enrichment": "memhost.memories.enrichment",
    "memhost.services.erasure": "memhost.admin.erasure",
    "memhost.services.extracted": "memhost.extraction.pipeline.store_drafts",
    "memhost.services.extraction": "memhost.extraction.pipeline.immediate",
    "memhost.services.extraction_contexts": "memhost.extraction.pipeline.contexts",
    "memhost.services.extraction_log": "memhost.extraction.pipeline.log",
    "memhost.services.extraction_requests": "memhost.sessions.extraction_on_request",
    "memhost.services.extraction_runs": "memhost.extraction.pipeline.runs",
    "memhost.services.filters": "memhost.search.filters",
    "memhost.services.forgetting": "memhost.consolidation.forgetting",
    "memhost.services.guards": "memhost.memories.enabled",
    "memhost.services.hooks": "memhost.plugins.request_hooks",
    "memhost.services.joining": "memhost.consolidation.merging",
    "memhost.services.judge": "memhost.consolidation.judge",
    "memhost.services.leases": "memhost.storage.leases",
    "memhost.services.likeness": "memhost.consolidation.similarity",
    "memhost.services.limits": "memhost.operations.limits",
    "memhost.services.loop_watch": "memhost.plugins.loop_watchdog",
    "memhost.services.memories": "memhost.memories.service",
    "memhost.services.migration": "memhost.admin.migration",
    "memhost.services.model_calls": "memhost.usage.model_calls",
    "memhost.services.model_health": "memhost.usage.model_health",
    "memhost.services.model_summaries": "memhost.views.model_summarizer",
    "memhost.services.outbox": "memhost.jobs.outbox",
    "memhost.services.paging": "memhost.storage.paging",
    "memhost.services.passage_embedding": "memhost.usage.passage_embedding",
    "memhost.services.pending": "memhost.extraction.pipeline.extraction_queue",
    "memhost.services.plugin_health": "memhost.plugins.health",
    "memhost.services.processes": "memhost.storage.processes",
    "memhost.services.prompts": "memhost.context.memory_prompt",
    "memhost.services.providers": "memhost.host.auth_chain",
    "memhost.services.query_optimization": "memhost.search.query_rewriting",
    "memhost.services.query_terms": "memhost.search.query_terms",
    "memhost.services.readiness": "memhost.host.readiness",
    "memhost.services.recency": "memhost.memories.recency",
    "memhost.services.records": "memhost.memories.records",
    "memhost.services.repetition": "memhost.memories.repetition",
    "memhost.services.replacing": "memhost.storage.replace_unchanged",
    "memhost.services.retrieval": "memhost.search.retrieval",
    "memhost.services.running_summary": "memhost.sessions.running_summary",
    "memhost.services.scoring": "memhost.search.scoring",
    "memhost.services.scrubbing": "memhost.storage.secure_delete",
    "memhost.services.search": "memhost.search.service",
    "memhost.services.semantic_deduplication": "memhost.consolidation.semantic_duplicates",
    "memhost.services.session_changes": "memhost.sessions.patch",
    "memhost.services.session_merging": "memhost.messages.concurrent_writes",
    "memhost.services.session_records": "memhost.sessions.records",
    "memhost.services.session_summaries": "memhost.sessions.summaries",
    "memhost.services.session_writes": "memhost.sessions.writer",
    "memhost.services.sessions": "memhost.sessions.service",
    "memhost.services.shelves": "memhost.admin.migration_tables",
    "memhost.services.strategies": "memhost.extraction.pipeline.strategy_choice",
    "memhost.services.summaries": "memhost.views.summarizer",
    "memhost.services.support": "memhost.memories.derived.support",
    "memhost.services.tasks": "memhost.jobs.tasks",
    "memhost.services.tokens": "memhost.messages.tokens",
    "memhost.services.transfer": "memhost.admin.export_import",
    "memhost.services.transfer_lists": "memhost.admin.transfer_lists",
    "memhost.services.trash": "memhost.memories.trash",
    "memhost.services.trust": "memhost.memories.trust",
    "memhost.services.turns": "memhost.messages.turns",
    "memhost.services.upkeep": "memhost.host.maintenance",
    "memhost.services.usage": "memhost.usage.ledger",
    "memhost.services.usage_days": "memhost.usage.daily_sheets",
    "memhost.services.usage_reports": "memhost.usage.reports",
    "memhost.services.view_filters": "memhost.views.filters",
    "memhost.services.view_partitions": "memhost.views.partitions",
    "memhost.services.view_runs": "memhost.views.runs",
    "memhost.services.views": "memhost.views.service",
    "memhost.services.windows": "memhost.messages.windows",
    "memhost.services.wrapped_embedder": "memhost.usage.wrapped_embedder",
    "memhost.settings.reference": "memhost.plugins.settings_reference",
    "memhost.speakers": "memhost.text.speakers",
    "memhost.startup": "memhost.host.startup",
    "memhost.testing.store_durability": "memhost.testing.stores.durability",
    "memhost.testing.store_filters": "memhost.testing.stores.filters",
    "memhost.testing.store_jobs": "memhost.testing.stores.jobs",
    "memhost.testing.store_memories": "memhost.testing.stores.memories",
    "memhost.testing.store_moving": "memhost.testing.stores.moving",
    "memhost.testing.store_owners": "memhost.testing.stores.owners",
    "memhost.testing.store_search": "memhost.testing.stores.search",
    "memhost.testing.store_search_scope": "memhost.testing.stores.search_scope",
    "memhost.testing.store_state": "memhost.testing.stores.state",
    "memhost.unicode_forms": "memhost.text.unicode_forms",
    "memhost.words": "memhost.text.words",
}
"""Old path to new path."""

_FOLDERS = frozenset({"memhost.services"})
"""Packages that are gone, whose modules are all in the table."""


class _Finder(_Base):
    """Finds what no other finder finds: it is the last finder, so existing modules cost nothing."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in MOVED or fullname in _FOLDERS:
            return ModuleSpec(fullname, self, is_package=fullname in _FOLDERS)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        old = module.__name__
        if (new := MOVED.get(old)) is None:
            return
        warnings.warn(
            f"{old} has moved to {new}; the old path works until memhost 0.3.", DeprecationWarning, stacklevel=2
        )
        sys.modules[old] = import_module(new)


def renamed(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module's `__getattr__` for public names that have new ones: old name to new name.

    Args:
        module: `__name__` of the module.
        names: Old name to new name.
    """

    def find(name: str) -> Any:
        if (new := names.get(name)) is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        message = f"{module}.{name} is now {new}; the old name works until memhost 0.3."
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return getattr(sys.modules[module], new)

    return find


def install() -> None:
    """Make the old paths importable."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
