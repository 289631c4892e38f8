"""The way to maintenance before `JobContext.run`, for plugins that still use it."""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from memhost.models import SessionKey


class Upkeep:
    """Deprecated: each method runs the maintenance task of its name. Use `JobContext.run`; this goes with memhost 0.3.

    Args:
        run: The context's `run`.
    """

    def __init__(self, run: Callable[..., Awaitable[Any]]) -> None:
        self._run = run

    async def forget(self, policy: Mapping[str, Any]) -> int:
        """Run the task `forget`."""
        return int(await self._old("forget", policy=policy))

    async def compact(self) -> Any:
        """Run the task `compact`."""
        return await self._old("compact")

    async def refresh_view(self, view_id: str, *, task_id: str | None = None) -> None:
        """Run the task `refresh_view`."""
        await self._old("refresh_view", view_id=view_id, task_id=task_id)

    async def extract(self, session: SessionKey) -> int:
        """Run the task `extract`."""
        return int(await self._old("extract", session=session))

    async def summarize_session(self, session: SessionKey, window: int, *, last_try: bool = False) -> bool:
        """Run the task `summarize_session`; `last_try` has no effect."""
        return bool(await self._old("summarize_session", session=session, window=window))

    async def embed(self, ids: Sequence[str]) -> int:
        """Run the task `embed`."""
        return int(await self._old("embed", ids=ids))

    async def request_vectors(self) -> int:
        """Run the task `request_vectors`."""
        return int(await self._old("request_vectors"))

    async def enrich(self, ids: Sequence[str]) -> int:
        """Run the task `enrich`."""
        return int(await self._old("enrich", ids=ids))

    async def request_refreshes(self) -> int:
        """Run the task `request_refreshes`."""
        return int(await self._old("request_refreshes"))

    async def _old(self, task: str, **arguments: Any) -> Any:
        warnings.warn(
            f"context.upkeep.{task}(...) is now context.run({task!r}, ...); the old way goes with memhost 0.3.",
            DeprecationWarning,
            stacklevel=3,
        )
        return await self._run(task, **arguments)
