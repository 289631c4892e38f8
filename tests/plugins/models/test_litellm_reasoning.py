"""Models that think before they answer: how much, room for it, and what is told where it takes all of the room."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.plugins.models.test_litellm import MESSAGES, Opened, keys, opened
from tests.support import model_server as provider
from tests.support.model_server import Answer, Call, Given, ModelServer

from memhost.settings import load_configuration
from memhost.usage.model_calls import PURPOSES, spent_on_thinking
from memhost_model_litellm.settings import LiteLLMSettings

__all__ = ["keys", "opened"]


def thinking(text: str | None, tokens: int, *, finish: str = "stop") -> Answer:
    """An answer for which the model has thought."""
    answer = provider.completion(text, finish=finish, tokens=(100, tokens))
    answer.body["usage"]["completion_tokens_details"] = {"reasoning_tokens": tokens}
    return answer


@pytest.mark.parametrize("model", ["openai/gpt-5-mini", "openai/test-model"])
async def test_effort_is_sent_by_purpose(opened: Opened, model_server: ModelServer, model: str) -> None:
    asked = opened(model, reasoning_effort="low", reasoning_efforts={"dedup": "high", "query": ""})
    for purpose in ("extraction", "dedup", "query", "somebody's own"):
        await asked.complete(MESSAGES, purpose=purpose)
    sent = [call.body.get("reasoning_effort") for call in model_server.chat_requests]
    assert sent == ["low", "high", None, "low"]


async def test_nothing_is_sent_by_default(opened: Opened, model_server: ModelServer) -> None:
    for model in ("openai/gpt-5-mini", "openai/test-model"):
        await opened(model).complete(MESSAGES, purpose="extraction")
    assert not any("reasoning_effort" in call.body for call in model_server.chat_requests)


async def test_a_provider_that_takes_no_effort_is_asked_without(opened: Opened, model_server: ModelServer) -> None:
    def rule(call: Call) -> Given:
        if "reasoning_effort" in call.body:
            return provider.failure(400, message="Unrecognized request argument supplied: reasoning_effort")
        return "fine"

    model_server.answer(rule)
    model = opened(reasoning_effort="low")
    assert [(await model.complete(MESSAGES)).text for _ in range(2)] == ["fine", "fine"]
    assert len(model_server.chat_requests) == 3, "it is tried once"


@pytest.mark.parametrize(
    ("model", "settings", "limit"),
    [
        ("openai/gpt-5-mini", {}, 4500),
        ("openai/gpt-5-mini", {"reasoning_tokens": 100}, 600),
        ("openai/gpt-5-mini", {"reasoning_effort": "none"}, 500),
        ("openai/gpt-4o-mini", {}, 500),
        ("openai/test-model", {}, 500),
        ("openai/test-model", {"reasoning_effort": "low"}, 4500),
    ],
)
async def test_limits_leave_room_to_think(
    opened: Opened, model_server: ModelServer, model: str, settings: dict[str, str], limit: int
) -> None:
    await opened(model, **settings).complete(MESSAGES, max_tokens=500)
    (call,) = model_server.chat_requests
    assert call.body.get("max_tokens", call.body.get("max_completion_tokens")) == limit


async def test_a_model_that_was_seen_to_think_gets_room(opened: Opened, model_server: ModelServer) -> None:
    model_server.answer(thinking("fine", 300))
    model = opened()
    for _ in range(2):
        await model.complete(MESSAGES, max_tokens=500)
    assert [call.body["max_tokens"] for call in model_server.chat_requests] == [500, 4500]


async def test_an_answer_says_how_it_was_cut(opened: Opened, model_server: ModelServer) -> None:
    model_server.script("whole", provider.truncated("half of"), thinking("", 500, finish="length"))
    model = opened()
    answers = [await model.complete(MESSAGES, max_tokens=500) for _ in range(3)]
    assert [answer.cut for answer in answers] == ["", "answer", "thinking"]
    assert answers[2].output_tokens == 500, "it is paid for"
    assert spent_on_thinking(answers[2]) == (
        "openai/test-model spent the limit of its answer (500 tokens) on thinking and gave none: set "
        "LLM_REASONING_EFFORT=low, or raise LLM_REASONING_TOKENS."
    )


def test_efforts_are_read_for_every_purpose(tmp_path: Path) -> None:
    efforts = "{" + ",".join(f'"{purpose}": "low"' for purpose in PURPOSES) + "}"
    given = {"DATA_DIR": str(tmp_path), "LLM_REASONING_EFFORTS": efforts, "LLM_REASONING_EFFORT": "minimal"}
    read = load_configuration(environ=given, env_file=None, sections={("models", "litellm"): LiteLLMSettings})
    section = read.section("models", "litellm")
    assert isinstance(section, LiteLLMSettings)
    assert section.reasoning_efforts == dict.fromkeys(PURPOSES, "low")
