"""What background hooks work with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from memhost.models import Condition, Document, MemoryRecord, Scope, SessionKey, WorkingMemory
    from memhost.operations.responses import CompactionReport
    from memhost.ports import Draft, Embedder, LanguageModel, Order
    from memhost.settings import Settings


class Upkeep(Protocol):
    """Long work on the memories of the job's tenant, which any plugin may start from a background hook.

    Each call commits as it goes, in steps that leave everything consistent, and can be repeated: a job that dies
    half-way and runs again ends with the same result.
    """

    async def forget(self, policy: Mapping[str, Any]) -> int:
        """Delete what the policy gives up (keys as in `forget_memories`); how many memories went."""
        ...

    async def compact(self) -> CompactionReport:
        """Merge memories that repeat each other or mean the same; what was done.

        Raises:
            Conflict: Another process is at it.
        """
        ...

    async def refresh_view(self, view_id: str, *, task_id: str | None = None) -> None:
        """Compute all partitions of a summary view; the task, if there is one, tells how far it is."""
        ...

    async def extract(self, session: SessionKey) -> int:
        """Extract memories from the turns of a session that wait for it; how many memories were stored.

        Raises:
            ModelUnavailable: The language model does not answer; the turns go on waiting.
            AnswerUnusable: Its answers cannot be read; the turns go on waiting.
        """
        ...

    async def summarize_session(self, session: SessionKey, window: int, *, last_try: bool = False) -> bool:
        """Fold a session's older messages into its context, if it is over its share of the window.

        Args:
            session: Which session.
            window: The context window in tokens.
            last_try: Without effect: messages stay until a summary tells of them.

        Returns:
            Whether there was anything to do.

        Raises:
            ModelUnavailable: The language model does not answer; the session stays as it is.
            ModelRefused: The provider declines the messages.
            AnswerUnusable: The model gives no summary.
        """
        ...

    async def embed(self, ids: Sequence[str]) -> int:
        """Embed those of the memories that were stored without a vector, in one request; how many there were.

        Raises:
            ModelUnavailable: The embedder does not answer.
        """
        ...

    async def request_vectors(self) -> int:
        """Make `VectorsMissing` of all memories that have no vector, once however often it is asked; how many."""
        ...

    async def enrich(self, ids: Sequence[str]) -> int:
        """Find topics and entities for memories that clients stored without; how many were asked about.

        Raises:
            ModelUnavailable: The language model does not answer.
            BudgetExceeded: A budget is used up.
        """
        ...

    async def request_refreshes(self) -> int:
        """Make each continuous view due (event `view_due`); how many there are."""
        ...


class JobContext(Protocol):
    """What a background hook works with. Reads are bound to the job's tenant.

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
    upkeep: Upkeep

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
        """Memories by id; those deleted meanwhile are left out."""
        ...

    async def get_session(self, key: SessionKey) -> WorkingMemory | None:
        """A session's content, or None if it is gone."""
        ...

    async def store_memories(self, owner: SessionKey, drafts: Sequence[Draft]) -> list[str]:
        """Stage new memories owned by that namespace, user and session; their ids.

        Without an id of its own a draft gets one derived from the job and its position, so that a repeated
        job proposes the same.
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
