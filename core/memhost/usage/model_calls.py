"""Calls to the language model: which model for which purpose, within the budgets, each one metered."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal, Protocol, cast, get_args

import msgspec

from memhost.errors import ModelUnavailable
from memhost.models import SessionKey
from memhost.ports import Completion, LanguageModel, ModelUse
from memhost.secrets import Masker
from memhost.secrets.requests import masked_value
from memhost.settings.extraction import LlmSettings
from memhost.usage.model_health import ModelHealth

logger = logging.getLogger(__name__)

Purpose = Literal["extraction", "repair", "summary", "view", "dedup", "enrichment", "query", "plugin"]
"""Purposes of calls, by which usage is counted separately."""

PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A call that was made: what it was for, what was asked, and the answer; without one, why there is none."""

    purpose: str
    messages: Sequence[Mapping[str, Any]]
    answer: Completion | None = None
    error: str = ""


_observers: ContextVar[tuple[list[Exchange], ...]] = ContextVar("memhost_model_call_observers", default=())


@contextmanager
def observed() -> Iterator[list[Exchange]]:
    """Collect the calls that are made inside the block, whoever makes them; blocks inside of it collect theirs too."""
    seen: list[Exchange] = []
    token = _observers.set((*_observers.get(), seen))
    try:
        yield seen
    finally:
        _observers.reset(token)


def _observe(exchange: Exchange) -> None:
    for seen in _observers.get():
        seen.append(exchange)


class Ledger(Protocol):
    """Keeps what calls cost, and stops them where a budget is used up."""

    async def check(self, owner: SessionKey) -> None:
        """Return if a call for this owner may be made.

        Raises:
            BudgetExceeded: A budget is used up.
        """
        ...

    async def record(self, owner: SessionKey, purpose: str, use: ModelUse) -> None:
        """Add a call to what was used."""
        ...


class ModelCalls:
    """The language model as services use it.

    Args:
        llm: The model; None if none is configured.
        settings: Which model does what.
        ledger: Budgets and usage.
        health: Told whether the model answers.
        masker: Masks secrets in what is asked and in what is answered.
    """

    def __init__(
        self,
        *,
        llm: LanguageModel | None,
        settings: LlmSettings,
        ledger: Ledger,
        health: ModelHealth | None = None,
        masker: Masker | None = None,
    ) -> None:
        self._llm = llm
        self._health = health
        self._masker = masker or Masker()
        self._ledger = ledger
        self._models = _models(settings)

    @property
    def available(self) -> bool:
        """Tell whether a language model is configured."""
        return self._llm is not None

    def model_for(self, purpose: Purpose) -> str:
        """The model that calls of this purpose use; empty if none is configured."""
        return self._models.get(purpose) or (self._llm.name if self._llm is not None else "")

    async def complete(
        self,
        owner: SessionKey,
        messages: Sequence[dict[str, Any]],
        *,
        purpose: Purpose,
        schema: dict[str, Any] | None = None,
        max_tokens: int | None = None,
        model: str | None = None,
    ) -> Completion:
        """The model's answer.

        Args:
            owner: Whose data it is about (the session may be empty); who pays.
            messages: `role` and `content` each, oldest first.
            purpose: What the call is for.
            schema: JSON schema of the answer.
            max_tokens: Upper bound of the answer.
            model: Another model than the purpose's.

        Raises:
            ModelUnavailable: No model is configured, or the provider does not answer.
            ModelRefused: The provider declines the content.
            BudgetExceeded: A budget is used up; no call was made.
        """
        if self._llm is None:
            raise ModelUnavailable("No language model is configured; set LLM_MODEL.")
        await self._ledger.check(owner)
        messages = await masked_value(messages, self._masker)
        chosen = model or self.model_for(purpose)
        started = perf_counter()
        try:
            answer = await self._llm.complete(
                messages, model=chosen or None, purpose=purpose, schema=schema, max_tokens=max_tokens
            )
        except BaseException as error:  # also a cancellation: it was a call, and may have cost something
            if self._health is not None:
                self._health.failed("language_model", chosen, error)
            failed = ModelUse(model=chosen, failed=True, seconds=perf_counter() - started)
            _observe(Exchange(purpose=purpose, messages=messages, error=str(error) or type(error).__name__))
            await self._ledger.record(owner, purpose, failed)
            raise
        if (text := await masked_value(answer.text, self._masker)) is not answer.text:
            answer = msgspec.structs.replace(answer, text=text)
        if self._health is not None:
            self._health.answered("language_model", chosen)
        if answer.cut == "thinking":
            fields = {"model": chosen, "purpose": purpose, "error": spent_on_thinking(answer)}
            logger.warning("model.limit_spent", extra={"fields": fields})
        use = ModelUse(
            model=answer.model,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
            cost_usd=answer.cost_usd,
            seconds=perf_counter() - started,
        )
        _observe(Exchange(purpose=purpose, messages=messages, answer=answer))
        await self._ledger.record(owner, purpose, use)
        return answer


class ChargedModel:
    """The language model as plugins get it: budgets and metering are those of one owner.

    Args:
        calls: The calls of services.
        owner: Who pays.
    """

    def __init__(self, calls: ModelCalls, owner: SessionKey) -> None:
        self.name = calls.model_for("plugin")
        self._calls = calls
        self._owner = owner

    async def complete(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        model: str | None = None,
        purpose: str = "plugin",
        schema: dict[str, Any] | None = None,
        max_tokens: int | None = None,
    ) -> Completion:
        """The model's answer; see `memhost.ports.LanguageModel`."""
        return await self._calls.complete(
            self._owner,
            messages,
            purpose=cast("Purpose", purpose),
            schema=schema,
            max_tokens=max_tokens,
            model=model,
        )

    async def aclose(self) -> None:
        """Nothing: the host closes the model."""


def spent_on_thinking(answer: Completion) -> str:
    """Say that a model has used up the limit of its answer before it gave one, and what to do."""
    return (
        f"{answer.model} spent the limit of its answer ({answer.output_tokens} tokens) on thinking and gave none: set "
        "LLM_REASONING_EFFORT=low, or raise LLM_REASONING_TOKENS."
    )


def _models(settings: LlmSettings) -> Mapping[str, str]:
    fast = settings.fast_model
    extraction = settings.extraction_model or fast
    return {
        "extraction": extraction,
        "repair": extraction,
        "summary": settings.summary_model or fast,
        "view": settings.summary_model or fast,
        "dedup": settings.dedup_model or fast,
        "enrichment": fast,
        "query": settings.query_optimization_model or fast,
    }
