"""The contexts that background hooks work with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from memhost.events.upkeep import Upkeep
    from memhost.models import Condition, Document, MemoryRecord, Scope, SessionKey, WorkingMemory
    from memhost.ports import Draft, Embedder, LanguageModel, Order
    from memhost.settings import Settings


class JobContext(Protocol):
    """The context of a background hook. Reads are bound to the job's tenant.

    Writes are staged and committed together with the job's completion, in one transaction: if the process
    dies before, none of them happened and the job runs again; so an effect made through the context never
    happens twice. Other effects (mail, files) happen at least once: use `job_id` to recognise a repetition.
    """

    job_id: str
    attempt: int
    """Which try this is, from 1: one more than have failed. Deaths of the process and waiting use none."""
    now: datetime
    scope: Scope
    embedder: Embedder
    llm: LanguageModel | None
    settings: Settings
    plugin_settings: Any
    """The plugin's own settings, the struct of its `SettingsSpec`; None if it has none."""

    @property
    def upkeep(self) -> Upkeep:
        """Deprecated: use `run`. Goes with memhost 0.3."""
        ...

    async def run(self, task: str, /, **arguments: Any) -> Any:
        """Run a maintenance task by its name and return its answer: `await context.run("embed", ids=event.ids)`.

        Tasks of core commit as they go, in steps that leave everything consistent, and can be repeated: a job that
        dies half-way and runs again ends with the same result. Tasks of plugins may stage writes through the context;
        these are committed together with the job. A task has no time limit of its own: that of the hook counts.

        Args:
            task: Name of a task of core or of any plugin; see `memhost.specs.MaintenanceTask`.
            arguments: The task's arguments.

        Raises:
            UnknownTask: There is no such task; the message names near ones.
            ValidationFailed: An argument is unknown, missing, or of the wrong type; the message names it.
            MemhostError: What the task raises; its `errors` list what to expect.
        """
        ...

    async def list_memories(
        self,
        conditions: Sequence[Condition] = (),
        *,
        within: Scope | None = None,
        order: Order = "newest",
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[MemoryRecord], int]:
        """A page of the memories that satisfy all conditions, by (created_at, id), and how many there are.

        `within` narrows it to namespaces, users and sessions; its tenant is ignored, the job's counts.
        """
        ...

    async def get_memories(self, ids: Sequence[str]) -> list[MemoryRecord]:
        """Return memories by id; those deleted in the meantime are left out."""
        ...

    async def get_session(self, key: SessionKey) -> WorkingMemory | None:
        """A session's content, or None if it is gone."""
        ...

    async def store_memories(self, owner: SessionKey, drafts: Sequence[Draft]) -> list[str]:
        """Stage new memories owned by that namespace, user and session; their ids.

        Without an id of its own a draft gets one derived from the job and its position, so that a repeated
        job proposes the same. They are trusted as an agent's, or as the least trusted of the memories and turns that
        `source_ids` name.
        """
        ...

    def delete_memories(self, ids: Sequence[str]) -> None:
        """Stage deletions."""
        ...

    async def get_document(self, document_id: str) -> Document | None:
        """A document of this plugin."""
        ...

    def put_document(
        self, document_id: str, body: bytes, *, expires_at: datetime | None = None, owner: SessionKey | None = None
    ) -> None:
        """Stage a document of this plugin. One with an owner goes when that user is deleted."""
        ...
