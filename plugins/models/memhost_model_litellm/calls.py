"""Calling a provider: time limit, concurrency, tries, and what its failures mean."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from memhost.errors import MemhostError, ModelRefused, ModelUnavailable, RequestRejected
from memhost.logs import mask
from memhost.ports import Clock
from memhost_model_litellm import library
from memhost_model_litellm.refusals import refusal_of
from memhost_model_litellm.settings import LiteLLMSettings

TRIES = 3
"""Times that a call is tried before the model counts as unavailable."""

_BACKOFF_S = 1.0
_MAX_DETAIL_LENGTH = 200

Request = Callable[[], Awaitable[Any]]
Sleep = Callable[[float], Awaitable[None]]


class BadRequest(RequestRejected):
    """The provider does not take the request as it is; `detail` is what it said."""

    def __init__(self, message: str, detail: str) -> None:
        super().__init__(message)
        self.detail = detail


class _Failure(Exception):
    """A try that failed; `again_s` is when to try again: None for never, 0 for whenever."""

    def __init__(self, error: MemhostError, again_s: float | None) -> None:
        super().__init__(error.message)
        self.error = error
        self.again_s = again_s


class Calls:
    """Runs requests to providers.

    Args:
        settings: Limits.
        clock: Time, for dates in `Retry-After`.
        sleep: How to wait between tries.
    """

    def __init__(self, settings: LiteLLMSettings, clock: Clock, sleep: Sleep = asyncio.sleep) -> None:
        self._timeout_s = settings.timeout_seconds
        self._max_wait_s = settings.max_wait_seconds
        self._clock = clock
        self._sleep = sleep
        self._slots = asyncio.Semaphore(settings.max_concurrency)

    @property
    def options(self) -> dict[str, Any]:
        """Return the options of every request to the library: limits are enforced here, not there."""
        return {"timeout": self._timeout_s, "num_retries": 0, "max_retries": 0, "drop_params": True}

    async def run(self, model: str, request: Request, failed: Callable[[], None] = lambda: None) -> Any:
        """Return the result of the request, after up to three attempts.

        Args:
            model: Its name, for messages.
            request: Makes one request; called once for each attempt.
            failed: Called for each failed attempt.

        Raises:
            BadRequest: The provider rejects the request as it is.
            ModelUnavailable: No attempt succeeded, or further ones are useless.
            ModelRefused: The provider declines the content.
        """
        for number in range(1, TRIES + 1):
            try:
                async with self._slots:
                    return await self._try(model, request)
            except _Failure as failure:
                failed()
                if failure.again_s is None or number == TRIES:
                    raise failure.error from failure.__cause__
                wait = max(failure.again_s, _BACKOFF_S * 2 ** (number - 1) * random.uniform(0.5, 1.5))  # noqa: S311
                if failure.again_s > self._max_wait_s:
                    raise failure.error from failure.__cause__
                await self._sleep(min(wait, self._max_wait_s))
        raise AssertionError("unreachable")

    async def _try(self, model: str, request: Request) -> Any:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await request()
        except TimeoutError as error:
            sentence = f"{model} did not answer within {self._timeout_s:g} s (LLM_TIMEOUT_SECONDS)."
            raise _Failure(ModelUnavailable(sentence), 0.0) from error
        except MemhostError:
            raise
        except Exception as error:  # the library raises anything; here it becomes one of our errors
            raise self._failure(model, error) from error

    def _failure(self, model: str, error: Exception) -> _Failure:
        """Classify a failure. The status decides: the library's classes follow the wording of the provider."""
        kinds = {kind.__name__ for kind in type(error).__mro__}
        status = getattr(error, "status_code", None)
        refusal = refusal_of(error)
        if refusal == "content":
            return _Failure(ModelRefused(f"The provider of {model} refused this content."), None)
        if refusal == "length":
            return _Failure(ModelRefused(f"The text is too long for {model}."), None)
        detail = _detail(error)
        if "LLM Provider NOT provided" in str(error):
            return _Failure(ModelUnavailable(no_provider(model)), None)
        if status in (401, 403) or "AuthenticationError" in kinds:
            return _Failure(ModelUnavailable(_key_sentence(model)), None)
        if status == 404:
            sentence = f"The provider does not know the model {model}, or its address is wrong; {_base_hint(model)}."
            return _Failure(ModelUnavailable(sentence), None)
        if status == 429:
            return self._limited(model, error)
        if status in (400, 422):
            sentence = f"The provider of {model} rejected the request: {detail}"
            return _Failure(BadRequest(sentence, str(error)), None)
        if status == 408 or "Timeout" in kinds:
            sentence = f"{model} did not answer within {self._timeout_s:g} s (LLM_TIMEOUT_SECONDS)."
            return _Failure(ModelUnavailable(sentence), 0.0)
        return _Failure(ModelUnavailable(f"{model} is unavailable: {detail}"), self._retry_after(error))

    def _limited(self, model: str, error: Exception) -> _Failure:
        text = str(error)
        if "insufficient_quota" in text or "exceeded your current quota" in text:
            return _Failure(ModelUnavailable(f"The quota of the account for {model} is used up."), None)
        wait = self._retry_after(error)
        when = f"; it requests a wait of {wait:g} s" if wait else ""
        return _Failure(ModelUnavailable(f"{model} is over the provider's rate limit{when}."), wait)

    def _retry_after(self, error: Exception) -> float:
        """Seconds that the provider asks to wait; 0 if it does not say."""
        headers = getattr(error, "litellm_response_headers", None) or {}
        response = getattr(error, "response", None)
        given = headers.get("retry-after") or (response.headers.get("retry-after") if response is not None else None)
        if not given:
            return 0.0
        try:
            return max(0.0, float(given))
        except ValueError:
            pass
        try:
            when = parsedate_to_datetime(given)
        except ValueError:
            return 0.0
        return max(0.0, (_aware(when) - self._clock.now()).total_seconds())


def _aware(when: datetime) -> datetime:
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def _detail(error: Exception) -> str:
    """The first line of what went wrong, without the names of classes, keys and what is too long for a log."""
    line = next(iter(str(error).splitlines()), "") or type(error).__name__
    for prefix in ("litellm.", f"{type(error).__name__}: "):
        line = line.replace(prefix, "")
    return mask(line)[:_MAX_DETAIL_LENGTH]


def no_provider(model: str) -> str:
    """The sentence for a name that no provider is known for."""
    return f"No provider is known for the model {model}; write it as provider/model (openai/gpt-5-mini)."


def provider_of(model: str) -> str:
    """The provider's name in a model string, as far as it says so (`openai` for bare names of OpenAI)."""
    provider, slash, _ = model.partition("/")
    if slash:
        return provider
    for start, name in (
        ("claude", "anthropic"),
        ("gemini", "gemini"),
        ("anthropic.", "bedrock"),
        ("amazon.", "bedrock"),
    ):
        if model.startswith(start):
            return name
    return "openai"


def _key_sentence(model: str) -> str:
    provider = provider_of(model)
    if provider in ("bedrock", "sagemaker"):
        return f"AWS does not allow calls to {model} with these credentials; check AWS_ACCESS_KEY_ID and the region."
    return f"The provider of {model} does not accept the key; set {provider.upper()}_API_KEY to a valid one."


def _base_hint(model: str) -> str:
    return f"check the name and {provider_of(model).upper()}_API_BASE"


async def ensure_loaded(model: str) -> Any:
    """The library, or an error that a caller of a model understands.

    Raises:
        ModelUnavailable: It cannot be imported.
    """
    try:
        return await library.load()
    except ImportError as error:
        raise ModelUnavailable(f"LiteLLM, which calls {model}, cannot be imported: {error}.") from error
