"""Language models of any provider that LiteLLM knows."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from memhost.errors import ModelRefused, ModelUnavailable
from memhost.logs import log
from memhost.ports import Completion
from memhost_model_litellm import library
from memhost_model_litellm.calls import BadRequest, Calls, ensure_loaded, no_provider, provider_of
from memhost_model_litellm.refusals import named
from memhost_model_litellm.settings import LiteLLMSettings

logger = logging.getLogger(__name__)

_OTHER_CREDENTIALS = ("azure", "azure_ai", "bedrock", "sagemaker", "vertex_ai")
"""Providers that also take what is no key: roles, tokens, files."""

FORMS = ("schema", "json", "off")
"""Ways to ask for an answer of a known form, the strictest first."""


class LiteLLMModel:
    """A language model.

    Args:
        model: The model used where a call names none, in LiteLLM's form (`openai/gpt-5-mini`).
        settings: Temperature, fallbacks, form of answers.
        calls: Limits and tries.
    """

    def __init__(self, model: str, settings: LiteLLMSettings, calls: Calls) -> None:
        self.name = model
        self._settings = settings
        self._calls = calls
        self._forms: dict[str, str] = {}
        self._no_temperature: set[str] = set()
        self._no_effort: set[str] = set()
        self._reasons: set[str] = set()

    async def complete(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        model: str | None = None,
        purpose: str = "plugin",
        schema: dict[str, Any] | None = None,
        max_tokens: int | None = None,
    ) -> Completion:
        """The model's answer; while the model is unavailable, that of the first fallback that answers.

        An answer that ran into `max_tokens` is returned as far as it goes. The schema is asked for as strictly as
        the model takes it, which may be not at all: the prompt has to describe the form as well.

        Raises:
            ModelUnavailable: Neither the model nor a fallback answers.
            ModelRefused: The provider or the model declines this content.
        """
        first = model or self.name
        names = list(dict.fromkeys((first, *self._settings.fallbacks)))
        problem: ModelUnavailable | None = None
        for name in names:
            try:
                return await self._ask(name, list(messages), purpose, schema, max_tokens)
            except ModelUnavailable as error:
                problem = problem or error
                if name != names[-1]:
                    log(logger, logging.WARNING, "model.fallback", model=name, purpose=purpose, reason=error.message)
        assert problem is not None
        raise problem

    async def problems(self, model: str) -> list[str]:
        """Why calls of that model would fail, as far as the library can tell: no provider, or no key for it."""
        litellm = await ensure_loaded(model)
        try:
            _, provider, *_ = litellm.get_llm_provider(model)
        except Exception:  # noqa: BLE001 - the library raises many kinds, and each means that it knows no provider
            return [no_provider(model)]
        missing = [name for name in litellm.validate_environment(model)["missing_keys"] if name.endswith("_API_KEY")]
        if not missing or provider in _OTHER_CREDENTIALS:
            return []
        return [f"The provider of {model} needs a key; set {' or '.join(missing)}."]

    async def aclose(self) -> None:
        """Release connections."""
        await library.leave()

    async def _ask(
        self,
        model: str,
        messages: list[dict[str, Any]],
        purpose: str,
        schema: dict[str, Any] | None,
        max_tokens: int | None,
    ) -> Completion:
        """The answer of one model, with fewer wishes each time that the provider does not take them."""
        litellm = await ensure_loaded(model)
        form = self._first_form(litellm, model) if schema is not None else "off"
        warm = model not in self._no_temperature
        effort = "" if model in self._no_effort else self._effort(purpose)
        room = self._settings.reasoning_tokens if self._thinks(litellm, model, effort) else 0
        while True:
            options: dict[str, Any] = {} if max_tokens is None else {"max_tokens": max_tokens + room}
            if effort:  # a provider whose models the library does not know may take it
                options |= {"reasoning_effort": effort, "allowed_openai_params": ["reasoning_effort"]}
            if warm:
                options["temperature"] = self._settings.temperature
            if schema is not None and form != "off":
                options["response_format"] = _response_format(form, schema)
            request = partial(self._request, litellm, model, messages, options)
            try:
                answer = await self._calls.run(model, request)
            except BadRequest as error:
                if effort and "reason" in error.detail.lower():
                    effort = ""
                    self._no_effort.add(model)
                elif warm and "temperature" in error.detail.lower():
                    warm = False
                elif form != "off" and self._settings.structured_output == "auto":
                    form = FORMS[FORMS.index(form) + 1]
                else:
                    raise
                continue
            break
        self._remember(model, form if schema is not None else None, warm)
        if _thought(answer):
            self._reasons.add(model)
        return _completion(litellm, model, answer)

    def _effort(self, purpose: str) -> str:
        efforts: Mapping[str, str] = self._settings.reasoning_efforts  # type: ignore[assignment]  # plugins name others
        return efforts.get(purpose, self._settings.reasoning_effort)

    def _thinks(self, litellm: Any, model: str, effort: str) -> bool:
        """Tell whether answers of the model may begin with thinking, which counts as part of them."""
        if effort == "none":
            return False
        known = library.facts(litellm, model) or {}
        return bool(effort) or model in self._reasons or bool(known.get("supports_reasoning"))

    async def _request(self, litellm: Any, model: str, messages: list[dict[str, Any]], options: dict[str, Any]) -> Any:
        if self._settings.aws_region and provider_of(model) in ("bedrock", "sagemaker"):
            options = {**options, "aws_region_name": self._settings.aws_region}
        answer = await litellm.acompletion(model=model, messages=messages, **options, **self._calls.options)
        choice = answer.choices[0]
        if choice.message.content is not None and not isinstance(choice.message.content, str):
            raise ValueError("The answer's content is not a text.")
        return answer

    def _first_form(self, litellm: Any, model: str) -> str:
        wanted = self._settings.structured_output
        if wanted != "auto":
            return wanted
        if model not in self._forms:
            facts = library.facts(litellm, model)
            # Servers that run any model mostly take a schema, and say so if they do not.
            any_model = facts is None or provider_of(model).startswith("ollama")
            self._forms[model] = "schema" if any_model or (facts or {}).get("supports_response_schema") else "json"
        return self._forms[model]

    def _remember(self, model: str, form: str | None, warm: bool) -> None:
        """Keep what the provider took, now that it has answered."""
        if form is not None and self._settings.structured_output == "auto" and self._forms.get(model) != form:
            log(logger, logging.INFO, "model.form", model=model, form=form)
            self._forms[model] = form
        if not warm:
            self._no_temperature.add(model)


def _response_format(form: str, schema: dict[str, Any]) -> dict[str, Any]:
    if form == "json":
        return {"type": "json_object"}
    bound = {"name": "answer", "schema": schema, "strict": _can_be_strict(schema)}
    return {"type": "json_schema", "json_schema": bound}


def _can_be_strict(schema: Any) -> bool:
    """Tell whether every object in the schema is closed and has only required fields, as strict mode demands."""
    if isinstance(schema, list):
        return all(_can_be_strict(item) for item in schema)
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" or isinstance(schema.get("properties"), dict):
        if schema.get("additionalProperties") is not False:
            return False
        if set(schema.get("required", ())) != set(schema.get("properties", ())):
            return False
    return all(_can_be_strict(value) for value in schema.values())


def _completion(litellm: Any, model: str, answer: Any) -> Completion:
    choice = answer.choices[0]
    extra = getattr(choice.message, "provider_specific_fields", None) or {}
    refusal = getattr(choice.message, "refusal", None) or extra.get("refusal")
    # The library gives its own word for the provider's, or passes that on as it is.
    native = (getattr(choice, "provider_specific_fields", None) or {}).get("native_finish_reason")
    if refusal or named((choice.finish_reason, native)) == "content":
        raise ModelRefused(f"{model} refused this content.")
    usage = getattr(answer, "usage", None)
    text = choice.message.content or ""
    return Completion(
        text=text,
        model=model,
        input_tokens=int(getattr(usage, "prompt_tokens", 0) or 0),
        output_tokens=int(getattr(usage, "completion_tokens", 0) or 0),
        cost_usd=cost(litellm, model, answer),
        cut="" if choice.finish_reason != "length" else "answer" if text.strip() else "thinking",
    )


def _thought(answer: Any) -> bool:
    """Tell whether an answer began with thinking, by its usage."""
    details = getattr(getattr(answer, "usage", None), "completion_tokens_details", None)
    return bool(getattr(details, "reasoning_tokens", 0) or 0)


def cost(litellm: Any, model: str, answer: Any) -> float | None:
    """Price of an answer in US dollars; None if LiteLLM's list does not have it."""
    if library.facts(litellm, model) is None:
        return None
    try:
        return float(litellm.completion_cost(completion_response=answer, model=model))
    except Exception:  # noqa: BLE001 - it raises a bare Exception where a part of the price is missing
        return None
