"""Which failures count as a refusal, in every version of the library that reports them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from tests.support.model_server import CHAT_MODEL, Answer, ModelServer, completion

from memhost.errors import ModelRefused, ModelUnavailable
from memhost.testing.clock import FakeClock
from memhost_model_litellm import library
from memhost_model_litellm.calls import Calls
from memhost_model_litellm.language import LiteLLMModel
from memhost_model_litellm.refusals import named, refusal_of
from memhost_model_litellm.settings import LiteLLMSettings

AZURE = {
    "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
    "type": None,
    "param": "prompt",
    "code": "content_filter",
    "status": 400,
    "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {"filtered": True}}},
}


def openai(message: str, code: str | None = None, param: str | None = None, kind: str = "invalid_request_error") -> Any:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


REFUSED: dict[str, tuple[int, Any, str]] = {
    "OpenAI, policy": (400, openai("rejected by our safety system", "content_policy_violation"), "content"),
    "OpenAI, a sentence alone": (
        400,
        openai("Invalid prompt: your prompt was flagged as potentially violating our usage policy."),
        "content",
    ),
    "OpenAI, moderation": (400, openai("Your request was rejected.", "moderation_blocked"), "content"),
    "Azure": (400, {"error": AZURE}, "content"),
    "Azure, inner code alone": (
        400,
        {"error": {"message": "Bad request.", "code": None, "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
        "content",
    ),
    "Anthropic": (
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "Output blocked by content filtering policy"},
        },
        "content",
    ),
    "OpenRouter": (
        403,
        {"error": {"message": "No.", "code": 403, "metadata": {"reasons": ["violence"], "flagged_input": "x"}}},
        "content",
    ),
    "Alibaba": (
        400,
        openai("Input data may contain inappropriate content.", "data_inspection_failed"),
        "content",
    ),
    "DeepSeek": (400, openai("Content Exists Risk"), "content"),
    "OpenAI, length": (
        400,
        openai("This model's maximum context length is 8192 tokens.", "context_length_exceeded", "messages"),
        "length",
    ),
    "OpenAI, length by code alone": (400, openai("No.", "context_length_exceeded"), "length"),
    "Anthropic, length": (
        400,
        {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens"}},
        "length",
    ),
    "Anthropic, size": (413, {"type": "error", "error": {"type": "request_too_large", "message": "No."}}, "length"),
    "llama.cpp": (
        400,
        {"error": {"message": "it does not fit", "code": 400, "type": "exceed_context_size_error", "n_ctx": 4096}},
        "length",
    ),
    "llama.cpp, as a fault of its own": (
        500,
        openai("input (5000 tokens) is too large to process. increase the physical batch size", kind="server_error"),
        "length",
    ),
    "Ollama, as a fault of its own": (
        500,
        openai("the input length exceeds the context length", kind="api_error"),
        "length",
    ),
    "vLLM": (
        400,
        {
            "object": "error",
            "message": "This model's maximum context length is 4096 tokens. However, you requested 9000 tokens.",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
        "length",
    ),
}

ECHO = "the user wrote: 'my insurer has a content policy, and the prompt was too long, said the safety system'"
NOT_REFUSED: dict[str, tuple[int, Any]] = {
    "temperature": (400, openai("Unsupported value: 'temperature' does not support 0.", "unsupported_value")),
    "parameter": (400, openai("Unrecognized request argument supplied: reasoning", param="reasoning")),
    "schema": (400, openai("Invalid schema for response_format 'memories'.", param="response_format")),
    "name of the schema": (
        400,
        openai(
            "Invalid 'response_format.json_schema.name': the text is too long.",
            param="response_format.json_schema.name",
        ),
    ),
    "user's name": (400, openai("Invalid 'user': the text is too long. Expected 64 characters.", param="user")),
    "tokens asked for": (
        400,
        openai("max_tokens is too large: 100000. This model supports at most 16384 completion tokens."),
    ),
    "wrong type": (422, {"detail": [{"loc": ["body", "messages"], "msg": "field required", "type": "value_error"}]}),
    "empty": (400, {}),
    "null": (400, None),
    "text": (400, "Bad Request"),
    "list": (400, ["Bad Request"]),
    "message of another type": (400, {"error": {"message": {"a": 1}, "code": ["content"], "type": 5}}),
    "key": (401, openai("Incorrect API key; see our usage policies.", "invalid_api_key")),
    "key, with a refusal's name": (401, openai("No.", "content_filter")),
    "region": (403, openai("Country, region, or territory not supported", "unsupported_country_region_territory")),
    "model": (404, openai("The model does not exist; it has no context window.", "model_not_found")),
    "late": (408, openai("The request took too long; reduce the length of the prompt.")),
    "rate": (429, openai("Rate limit reached: too many input tokens a minute.", "rate_limit_exceeded")),
    "quota": (429, openai("You exceeded your current quota.", "insufficient_quota", kind="insufficient_quota")),
    "overloaded": (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    "crash": (500, openai("The server had an error in its safety system.", kind="server_error")),
    "crash over a context": (500, openai("CUDA out of memory: reduce the length of the context window.")),
    "crash over an input": (500, openai("failed to process the input: the queue is too large.", kind="server_error")),
    "crash over memory": (500, openai("llama_init: context size 131072 is too large for this device.")),
    "crash over a batch": (500, openai("the batch of 512 inputs is too long in the queue.", kind="server_error")),
    "crash over a model": (500, openai("model requires more memory (12 GiB) than its maximum context length allows.")),
    "proxy": (502, "<html>content policy</html>"),
    "away": (503, openai("The engine is currently overloaded: too many tokens.", kind="server_error")),
    "echo behind the sentence": (400, openai("Unknown field. " + "x" * 600 + ECHO)),
    "safety settings": (400, openai("Unknown name 'safety_settings'.", "invalid_argument")),
    "names that hold a known one": (400, openai("No.", "content_filter_settings_invalid")),
    "tools": (400, openai("Tool choice 'refusal' is not known.", param="tools[0].function.name")),
    "guardrail's address": (400, openai("The guardrail identifier is invalid.", "validation_exception")),
    "image": (400, openai("Invalid image: could not be decoded.", "invalid_image")),
}


class Failure(Exception):
    """An error of the library: `status_code`, and what else it keeps, differ by generation."""

    def __init__(self, text: str, **kept: Any) -> None:
        super().__init__(text)
        for name, value in kept.items():
            setattr(self, name, value)


class ContentPolicyViolationError(Failure):
    """As the library named it."""


class ContextWindowExceededError(Failure):
    """As the library named it."""


def inner(body: Any) -> Any:
    return body["error"] if isinstance(body, dict) and "error" in body else body


def response(status: int, body: Any) -> httpx.Response:
    return httpx.Response(status, json=body, request=httpx.Request("POST", "http://127.0.0.1/v1/chat/completions"))


def made_from(failure: Failure, cause: Failure) -> Failure:
    failure.__context__ = cause
    return failure


GENERATIONS: dict[str, Any] = {
    # The whole body stands in the text as Python writes it; nothing else is kept.
    "repr in the text": lambda status, body: Failure(
        f"litellm.BadRequestError: OpenAIException - Error code: {status} - {body!r}", status_code=status, body=None
    ),
    "JSON in the text": lambda status, body: Failure(
        f"litellm.BadRequestError: VertexAIException - {json.dumps(body)}", status_code=status
    ),
    # Only the message in the text; the body apart, as the client unpacks it.
    "body": lambda status, body: Failure("litellm.BadRequestError: no", status_code=status, body=inner(body)),
    "response": lambda status, body: Failure("no", status_code=status, body=None, response=response(status, body)),
    "cause": lambda status, body: made_from(
        Failure("litellm.BadRequestError: no", status_code=status, body=None, response=None),
        Failure("no", status_code=status, body=inner(body)),
    ),
}


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("case", REFUSED)
def test_refusal_is_recognised_wherever_the_library_keeps_it(case: str, generation: str) -> None:
    status, body, kind = REFUSED[case]
    assert refusal_of(GENERATIONS[generation](status, body)) == kind


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("case", NOT_REFUSED)
def test_other_failures_are_none(case: str, generation: str) -> None:
    status, body = NOT_REFUSED[case]
    assert refusal_of(GENERATIONS[generation](status, body)) is None


def test_class_alone_tells() -> None:
    assert refusal_of(ContentPolicyViolationError("no", status_code=400)) == "content"
    assert refusal_of(made_from(Failure("no"), ContextWindowExceededError("no"))) == "length"


def test_answers_that_cannot_be_read_tell_nothing() -> None:
    unread = httpx.Response(400, stream=httpx.ByteStream(b"{}"))
    assert refusal_of(Failure("no", status_code=400, response=unread)) is None
    assert refusal_of(Failure("no", status_code=400, body=object(), response=object())) is None


@pytest.mark.parametrize(
    "reason", ["content_filter", "SAFETY", "PROHIBITED_CONTENT", "guardrail_intervened", "refusal"]
)
def test_reasons_for_an_end_that_are_refusals(reason: str) -> None:
    assert named([None, reason]) == "content"


@pytest.mark.parametrize(
    "reason", [None, "", "stop", "length", "tool_calls", "eos", "max_tokens", "end_turn", "STOP", 5]
)
def test_reasons_for_an_end_that_are_none(reason: object) -> None:
    assert named([reason]) is None


@pytest.fixture
async def model(monkeypatch: pytest.MonkeyPatch, model_server: ModelServer) -> Any:
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    monkeypatch.setenv("OPENAI_API_BASE", model_server.url)
    settings = LiteLLMSettings(structured_output="off")
    library.enter()
    opened = LiteLLMModel(CHAT_MODEL, settings, Calls(settings, FakeClock(), _no_wait))
    yield opened
    await opened.aclose()


async def _no_wait(_seconds: float) -> None:
    """Tries follow each other at once."""


@pytest.mark.parametrize("case", REFUSED)
async def test_refusal_by_the_installed_library(model: LiteLLMModel, model_server: ModelServer, case: str) -> None:
    status, body, kind = REFUSED[case]
    model_server.answer(Answer(status=status, body=body))
    with pytest.raises(ModelRefused, match="refused this content" if kind == "content" else "too long"):
        await model.complete([{"role": "user", "content": "Say hello."}])
    assert len(model_server.chat_requests) == 1


@pytest.mark.parametrize("case", [name for name in NOT_REFUSED if name != "temperature"])
async def test_other_failures_by_the_installed_library(
    model: LiteLLMModel, model_server: ModelServer, case: str
) -> None:
    status, body = NOT_REFUSED[case]
    model_server.answer(Answer(status=status, body=body))
    with pytest.raises(ModelUnavailable):
        await model.complete([{"role": "user", "content": ECHO}])


async def test_answer_that_the_provider_cut_off_for_its_content(model: LiteLLMModel, model_server: ModelServer) -> None:
    model_server.answer(completion("I", finish="content_filter"))
    with pytest.raises(ModelRefused):
        await model.complete([{"role": "user", "content": "Say hello."}])
