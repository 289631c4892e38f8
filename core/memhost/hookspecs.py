"""The public contract of memhost plugins: every hook, when it is called, with what, and what it may return.

A plugin is a module named by an entry point of the group `memhost`. It implements any of these functions,
marked with `memhost.hookimpl`. Arguments are passed by name and may be left out.

Registration hooks are synchronous and called once at start, in every process (server, worker, command line). They
return descriptions (`memhost.specs`) and do no work: import heavy libraries in the spec's `open`. One that raises marks
its plugin as failed; the host continues without it.

Event hooks are async and called one implementation at a time, in the order of the plugins' names (first those
marked `tryfirst`, last those marked `trylast`), each under its own time limit (`memhost.event_options`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from memhost.hooks import hookspec

if TYPE_CHECKING:
    from memhost.events import (
        Administered,
        ExtractionDue,
        HeadSigned,
        JobContext,
        MemoriesDeleted,
        MemoriesHeld,
        MemoriesStored,
        MemoriesSuperseded,
        MemoriesUpdated,
        RequestContext,
        ReviewDecided,
        ScheduleDue,
        SearchRequest,
        SessionIdle,
        SessionOverfull,
        SessionUpdated,
        SessionWrite,
        VectorsMissing,
        ViewDue,
    )
    from memhost.models import MemoryHit, MemoryRecord
    from memhost.operations import Operation
    from memhost.specs import (
        AuthSpec,
        CommandSpec,
        InterfaceSpec,
        MaintenanceTask,
        ModelSpec,
        RunnerSpec,
        ScheduleSpec,
        SettingsSpec,
        StoreSpec,
        StrategySpec,
    )

# -- registration --------------------------------------------------------------------------------------------


@hookspec
def memhost_stores() -> Sequence[StoreSpec]:
    """Stores that the plugin offers; the operator selects one with `STORE`. Since 0.1.

    What `open` gives keeps everything that memhost remembers, so `memhost.testing.store.StoreConformance` must pass.
    """
    raise NotImplementedError


@hookspec
def memhost_strategies() -> Sequence[StrategySpec]:
    """Extraction strategies; sessions choose one by name in `long_term_memory_strategy`. Since 0.1.

    `DEFAULT_STRATEGY` is that of sessions that name none. All are built when the server starts; those that need a
    model are left out where there is none.
    """
    raise NotImplementedError


@hookspec
def memhost_models() -> Sequence[ModelSpec]:
    """Embedders and language models. `EMBEDDER` and `LLM` select them by name. Since 0.1.

    A spec with `any_model` is also opened for names that no spec has, such as those of a provider's models.
    """
    raise NotImplementedError


@hookspec
def memhost_auth_providers() -> Sequence[AuthSpec]:
    """Authentication providers; `AUTH` selects one, or several with commas. Since 0.1.

    They are opened after the store and find it in `OpenContext.store`.
    """
    raise NotImplementedError


@hookspec
def memhost_runners() -> Sequence[RunnerSpec]:
    """Job runners; `BACKEND` selects one. Since 0.1.

    They are opened last. One that is `separate` runs jobs in processes of their own (`memhost worker`).
    """
    raise NotImplementedError


@hookspec
def memhost_interfaces() -> Sequence[InterfaceSpec]:
    """Interfaces that the host mounts into its application; `INTERFACES` names some, empty mounts all. Since 0.1.

    `build` gets the running host, and calls `host.authenticate` and `host.execute` for each request.
    """
    raise NotImplementedError


@hookspec
def memhost_operations() -> Sequence[Operation]:
    """Operations beside the host's own, which every interface offers. Since 0.1.

    REST serves them at `POST /v1/operations/{name}`; MCP as tools, resources (`kind="document"`) and prompts
    (`kind="prompt"`). Request structs are read and checked as those of the host are, the caller's right is checked
    before the handler runs, and what it raises becomes the error that it names. A handler must keep to
    `call.caller.bounds`. A name that the host itself has makes the plugin
    fail.
    """
    raise NotImplementedError


@hookspec
def memhost_settings() -> Sequence[SettingsSpec]:
    """Sections of the configuration for plugins without another spec, event hooks for instance. Since 0.1.

    A section is `[plugins.<name>]` in the file and `<NAME>_<SETTING>` in the environment; it is checked at start. Event
    hooks find their plugin's own in `context.plugin_settings`.
    """
    raise NotImplementedError


@hookspec
def memhost_commands() -> Sequence[CommandSpec]:
    """Commands of the command line. One whose name memhost itself has is not offered. Since 0.1.

    `memhost.commands` has the options and the output that the host's own commands share. `memhost --help` loads a
    plugin to list its commands, unless its distribution names all of them in the entry-point group `memhost.commands`
    as well: `acme = "acme_memory.commands"`, a module whose docstring begins with the summary.
    """
    raise NotImplementedError


@hookspec
def memhost_schedules() -> Sequence[ScheduleSpec]:
    """Periodic work of the plugin, delivered to its `memhost_schedule_due`. Since 0.1.

    Once per period and tenant, over all processes of the store; `SCHEDULE_EVERY_S` changes periods by name.
    """
    raise NotImplementedError


@hookspec
def memhost_maintenance_tasks() -> Sequence[MaintenanceTask]:
    """Maintenance tasks beside the host's own; background hooks run any of them by name. Since 0.2.

    `await context.run("acme_prune", days=30)` runs one, from hooks of any plugin. Its context has the settings and the
    documents of the plugin that offers it. A name that the host itself has makes the plugin fail.
    """
    raise NotImplementedError


# -- events in the request -----------------------------------------------------------------------------------


@hookspec
async def memhost_before_session_write(write: SessionWrite, context: RequestContext) -> SessionWrite | None:
    """A session is about to be written: return a changed write, or None to leave it. Since 0.1.

    Called in the server, after validation and before anything is stored. Raise `memhost.errors.Refused` to
    refuse the request with a sentence; any other exception, or going over the time limit, is handled by the
    hook's `on_failure` policy. The identity of the session cannot be changed.
    """
    raise NotImplementedError


@hookspec
async def memhost_before_memories_stored(
    memories: list[MemoryRecord], context: RequestContext
) -> list[MemoryRecord] | None:
    """Memories are about to be stored: return the list to store instead, or None. Since 0.1.

    Called for memories of every origin (a client's, promoted from a session, extracted), in the process that
    stores them. Items may be changed or left out, not added; ids and owners cannot be changed, and `trust` can only be
    lowered. Raise `memhost.errors.Refused` to refuse all of them with a sentence.
    """
    raise NotImplementedError


@hookspec
async def memhost_before_search(search: SearchRequest, context: RequestContext) -> SearchRequest | None:
    """A search is about to run: return it with another text or limit, or None. Since 0.1.

    A lower limit makes the page shorter. A higher one, up to 1,000, gives `memhost_after_search` so many hits; of those
    that it returns, the answer has as many as the caller asked for.

    Called for searches of every interface and for the memories of a prompt, before the text is embedded. Scope and mode
    cannot be changed. Raise `memhost.errors.Refused` to refuse the search with a sentence.
    """
    raise NotImplementedError


@hookspec
async def memhost_after_search(
    hits: list[MemoryHit], search: SearchRequest, context: RequestContext
) -> list[MemoryHit] | None:
    """A search has ranked its hits: return them redacted, reordered or fewer, or None. Since 0.1.

    Hits cannot be added, nor records of other owners be brought in: what was not in the list is dropped. It sees the
    page, or as many hits as `memhost_before_search` asked for. Called for each page; hits that are left out are not
    replaced. Nothing that is stored changes.
    """
    raise NotImplementedError


# -- events in the background --------------------------------------------------------------------------------


@hookspec
async def memhost_session_updated(event: SessionUpdated, context: JobContext) -> None:
    """A session was written. Delivered at least once, after the write. Since 0.1.

    Later writes may have happened since: `context.get_session` returns the present session, None if it is gone.
    """
    raise NotImplementedError


@hookspec
async def memhost_session_idle(event: SessionIdle, context: JobContext) -> None:
    """A session has been quiet for `SESSION_IDLE_S` seconds; each write restarts the time. Since 0.1."""
    raise NotImplementedError


@hookspec
async def memhost_extraction_due(event: ExtractionDue, context: JobContext) -> None:
    """Turns of a session wait for extraction: `await context.run("extract", session=event.session)`. Since 0.1.

    Debounced: it comes when the session has been quiet for `EXTRACTION_DEBOUNCE_SECONDS`, at the latest
    `EXTRACTION_MAX_WAIT_SECONDS` after the first of them, or when enough of them wait.
    """
    raise NotImplementedError


@hookspec
async def memhost_session_overfull(event: SessionOverfull, context: JobContext) -> None:
    """A session is longer than its share of the context window, and a language model is there to summarise it.

    Delivered after the write that made it so, unless the request summarised it already. Since 0.1.
    """
    raise NotImplementedError


@hookspec
async def memhost_memories_stored(event: MemoriesStored, context: JobContext) -> None:
    """New memories were stored, of any origin (also those that hooks stored: guard against loops). Since 0.1."""
    raise NotImplementedError


@hookspec
async def memhost_memories_updated(event: MemoriesUpdated, context: JobContext) -> None:
    """Memories were edited or replaced. Since 0.1.

    By clients, by merging of memories that mean the same, and by what was extracted again.
    """
    raise NotImplementedError


@hookspec
async def memhost_memories_superseded(event: MemoriesSuperseded, context: JobContext) -> None:
    """Memories were superseded by newer facts. Since 0.1.

    `superseded_by` of each names the newer one; searches leave it out, unless they ask as of an earlier time.
    """
    raise NotImplementedError


@hookspec
async def memhost_memories_held(event: MemoriesHeld, context: JobContext) -> None:
    """Memories wait for a review: they are sensitive, or contradict what is trusted more. Since 0.2.

    They are no part of searches and contexts, and `context.get_memories` does not return them; operators read them with
    `get_review`.
    """
    raise NotImplementedError


@hookspec
async def memhost_review_decided(event: ReviewDecided, context: JobContext) -> None:
    """A memory that waited was approved, corrected or refused, or nobody decided in time. Since 0.2."""
    raise NotImplementedError


@hookspec
async def memhost_memories_deleted(event: MemoriesDeleted, context: JobContext) -> None:
    """Memories were deleted. Since 0.1.

    By clients, by forgetting, by merging, or with a user or session. Their contents are gone: a plugin that keeps data
    about memories should keep it by their ids.
    """
    raise NotImplementedError


@hookspec
async def memhost_vectors_missing(event: VectorsMissing, context: JobContext) -> None:
    """Memories have no vector of the server's embedder, after a change of embedder for instance. Since 0.1.

    `await context.run("embed", ids=event.ids)` makes them.
    """
    raise NotImplementedError


@hookspec
async def memhost_view_due(event: ViewDue, context: JobContext) -> None:
    """A summary view is due. Since 0.1.

    A client asked for it, or a plugin did with `context.run("request_refreshes")`.
    `await context.run("refresh_view", view_id=event.view_id, task_id=event.task_id)` computes it.
    """
    raise NotImplementedError


@hookspec
async def memhost_schedule_due(event: ScheduleDue, context: JobContext) -> None:
    """One of the plugin's own schedules is due; other plugins' schedules do not arrive here. Since 0.1.

    Once per period and tenant; after a downtime of many periods once. `context` works on the data of one tenant.
    """
    raise NotImplementedError


@hookspec
async def memhost_administered(event: Administered, context: JobContext) -> None:
    """An administrative operation is about to run: write an audit log, remove data of a deleted user. Since 0.1."""
    raise NotImplementedError


@hookspec
async def memhost_head_signed(event: HeadSigned, context: JobContext) -> None:
    """The end of an audit chain has moved: keep it where nobody who can write to the store reaches it. Since 0.2.

    It is called within seconds of a change, with the latest end alone; the same end may come twice.
    """
    raise NotImplementedError
