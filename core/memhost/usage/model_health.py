"""The health of the models, as far as this process has called them.

It decides nothing: `memhost.errors.passes` says which failures pass by themselves, and `Dispatcher` puts such jobs off.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import msgspec

from memhost.errors import MemhostError, ModelRefused, ModelUnavailable, passes
from memhost.ports import Clock, Embedder
from memhost.usage.wrapped_embedder import WrappedEmbedder

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

logger = logging.getLogger(__name__)

Kind = Literal["language_model", "embedder", "reranker"]


class ModelState(msgspec.Struct, kw_only=True):
    """State of a model at the last call.

    Attributes:
        asked_at: Time of its last answer or failure.
        away_since: Time since which it has not answered, None if it has.
        reason: Reason of the failure.
    """

    asked_at: datetime
    away_since: datetime | None = None
    reason: str = ""


class ModelHealth:
    """Remembers of each model whether it answers. A model that declines something is not away.

    Attributes:
        on_answer: Called when a model answers that was away, or that this process had not asked yet.
    """

    def __init__(self, clock: Clock) -> None:
        self.on_answer: Callable[[], None] | None = None
        self._clock = clock
        self._states: dict[tuple[Kind, str], ModelState] = {}

    def answered(self, kind: Kind, model: str) -> None:
        """The model gave an answer."""
        now, before = self._clock.now(), self._states.get((kind, model))
        self._states[kind, model] = ModelState(asked_at=now)
        if self.on_answer is not None and (before is None or before.away_since is not None):
            self.on_answer()
        if before is not None and before.away_since is not None:
            fields = {"model": model, "away_s": round((now - before.away_since).total_seconds(), 3)}
            logger.info("model.back", extra={"fields": fields})

    def failed(self, kind: Kind, model: str, error: BaseException) -> None:
        """A call of the model ended with that error."""
        if isinstance(error, ModelUnavailable) and passes(error):
            now, before = self._clock.now(), self._states.get((kind, model))
            since = before.away_since if before is not None else None
            self._states[kind, model] = ModelState(asked_at=now, away_since=since or now, reason=error.message)
            if since is None:
                logger.warning("model.away", extra={"fields": {"model": model, "error": error.message}})
        elif isinstance(error, (ModelRefused, ModelUnavailable)):
            self.answered(kind, model)

    def worst(self, kind: Kind) -> tuple[str, ModelState] | None:
        """The model of that kind that has been away for longest, else the one asked last; None if none was asked."""
        states = [(model, state) for (each, model), state in self._states.items() if each == kind]
        away = [(model, state) for model, state in states if state.away_since is not None]
        if away:
            return min(away, key=lambda item: item[1].away_since or item[1].asked_at)
        return max(states, key=lambda item: item[1].asked_at, default=None)


class WatchedEmbedder(WrappedEmbedder):
    """An embedder whose failures are remembered."""

    def __init__(self, embedder: Embedder, health: ModelHealth) -> None:
        super().__init__(embedder)
        self._health = health

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Vectors of the texts; see `memhost.ports.Embedder`."""
        try:
            vectors = await self._embedder.embed(texts)
        except MemhostError as error:
            self._health.failed("embedder", self.name, error)
            raise
        if len(texts):
            self._health.answered("embedder", self.name)
        return vectors
