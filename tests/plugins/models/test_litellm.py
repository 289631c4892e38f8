"""The plugin `litellm`: the real library against a provider on loopback."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support import model_server as provider
from tests.support.model_server import CHAT_MODEL, Answer, ModelServer

from memhost.errors import ConfigurationError, ModelRefused, ModelUnavailable
from memhost.settings import load_configuration
from memhost.specs import OpenContext
from memhost.testing.clock import FakeClock
from memhost_model_litellm import library, open_language_model
from memhost_model_litellm.calls import Calls
from memhost_model_litellm.language import LiteLLMModel
from memhost_model_litellm.settings import LiteLLMSettings

MESSAGES = [{"role": "user", "content": "Say hello."}]
SCHEMA = {
    "type": "object",
    "properties": {"memories": {"type": "array", "items": {"type": "string"}}},
    "required": ["memories"],
    "additionalProperties": False,
}
CLOCK = FakeClock()


class Opened:
    """A model with waits that are noted instead of waited."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.models: list[LiteLLMModel] = []

    def __call__(self, model: str = CHAT_MODEL, **settings: Any) -> LiteLLMModel:
        chosen = LiteLLMSettings(**settings)
        library.enter()
        self.models.append(LiteLLMModel(model, chosen, Calls(chosen, CLOCK, self._sleep)))
        return self.models[-1]

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch, model_server: ModelServer) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai-secret-0123456789")
    monkeypatch.setenv("OPENAI_API_BASE", model_server.url)


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    maker = Opened()
    yield maker
    for model in maker.models:
        await model.aclose()


async def test_answer_with_tokens(opened: Opened, model_server: ModelServer) -> None:
    model_server.script("Hello.")
    answer = await opened().complete(MESSAGES, max_tokens=50)
    assert (answer.text, answer.model, answer.input_tokens, answer.output_tokens) == ("Hello.", CHAT_MODEL, 100, 1)
    assert answer.cost_usd is None
    (call,) = model_server.chat_requests
    assert call.messages == MESSAGES
    assert call.response_format is None
    assert (call.body["temperature"], call.body["max_tokens"]) == (0, 50)


async def test_price_of_a_listed_model(opened: Opened) -> None:
    answer = await opened("openai/gpt-4o-mini").complete(MESSAGES)
    assert answer.cost_usd is not None
    assert 0 < answer.cost_usd < 0.001


async def test_reasoning_models_get_no_temperature(opened: Opened, model_server: ModelServer) -> None:
    await opened("gpt-5-mini").complete(MESSAGES)
    assert model_server.chat_requests[0].model == "gpt-5-mini"
    assert "temperature" not in model_server.chat_requests[0].body


async def test_unlisted_model_that_takes_no_temperature(opened: Opened, model_server: ModelServer) -> None:
    model_server.answer(
        lambda call: (
            provider.failure(400, message="Unsupported value: 'temperature'") if "temperature" in call.body else "fine"
        )
    )
    model = opened()
    assert (await model.complete(MESSAGES)).text == "fine"
    assert (await model.complete(MESSAGES)).text == "fine"
    assert len(model_server.chat_requests) == 3


# -- failures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure",
    [
        provider.failure(500),
        provider.failure(503),
        provider.failure(429),
        provider.cut_off(),
        provider.broken(),
        Answer(body=[1, 2]),
        Answer(body={"choices": []}),
        Answer(
            body={"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": 5}}]}
        ),
    ],
    ids=["500", "503", "429", "cut off", "broken JSON", "a list", "no choice", "wrong type"],
)
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
async def test_passing_failure_is_tried_again(opened: Opened, model_server: ModelServer, failure: Answer) -> None:
    model_server.script(failure, failure, "third time lucky")
    assert (await opened().complete(MESSAGES)).text == "third time lucky"
    first, second = opened.waits
    assert 0.5 <= first <= 1.5
    assert 1.0 <= second <= 3.0


async def test_lasting_failure_is_an_outage(opened: Opened, model_server: ModelServer) -> None:
    model_server.answer(provider.failure(500))
    with pytest.raises(ModelUnavailable, match="openai/test-model is unavailable"):
        await opened().complete(MESSAGES)
    assert len(model_server.chat_requests) == 3


async def test_silent_provider_is_an_outage(opened: Opened, model_server: ModelServer) -> None:
    model_server.answer(provider.slow(30))
    with pytest.raises(ModelUnavailable, match=r"within 0.1 s \(LLM_TIMEOUT_SECONDS\)"):
        await opened(timeout_seconds=0.1).complete(MESSAGES)


async def test_no_provider_there_is_an_outage(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_BASE", "http://127.0.0.1:9/v1")
    with pytest.raises(ModelUnavailable, match="unavailable"):
        await opened().complete(MESSAGES)
    assert len(opened.waits) == 2


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_retry_after_is_honoured(opened: Opened, model_server: ModelServer, form: str) -> None:
    date = format_datetime(CLOCK.now() + timedelta(seconds=7), usegmt=True)
    model_server.script(provider.failure(429, retry_after="7" if form == "seconds" else date), "now")
    assert (await opened().complete(MESSAGES)).text == "now"
    assert opened.waits == [7.0]


async def test_too_long_retry_after_is_an_outage_at_once(opened: Opened, model_server: ModelServer) -> None:
    model_server.script(provider.failure(429, retry_after="3600"))
    with pytest.raises(ModelUnavailable, match="requests a wait of 3600 s"):
        await opened().complete(MESSAGES)
    assert (opened.waits, len(model_server.chat_requests)) == ([], 1)


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (
            provider.failure(401, code="invalid_api_key", message="Incorrect key: sk-openai-secret-0123456789"),
            "set OPENAI_API_KEY",
        ),
        (provider.failure(403), "set OPENAI_API_KEY"),
        (provider.failure(404, code="model_not_found"), "OPENAI_API_BASE"),
        (provider.failure(429, code="insufficient_quota", message="You exceeded your current quota"), "quota"),
        (provider.failure(400, message="bad: sk-openai-secret-0123456789"), "rejected the request"),
    ],
    ids=["401", "403", "404", "quota", "400"],
)
async def test_failure_that_stays_is_not_tried_again(
    opened: Opened, model_server: ModelServer, failure: Answer, sentence: str
) -> None:
    model_server.answer(failure)
    with pytest.raises(ModelUnavailable, match=sentence) as caught:
        await opened().complete(MESSAGES)
    assert "0123456789" not in caught.value.message
    assert len(model_server.chat_requests) == 1


async def test_missing_key_says_which(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ModelUnavailable, match="OPENAI_API_KEY"):
        await opened().complete(MESSAGES)


async def test_model_without_provider_says_how_to_write_it(opened: Opened) -> None:
    with pytest.raises(ModelUnavailable, match="provider/model"):
        await opened("nonsense").complete(MESSAGES)


@pytest.mark.parametrize(
    "answer",
    [
        provider.refusal(),
        provider.content_filter(),
        provider.failure(400, code="content_policy_violation", message="rejected by our safety system"),
        provider.failure(
            400, code="context_length_exceeded", message="This model's maximum context length is 8192 tokens"
        ),
    ],
    ids=["refusal", "filter", "policy", "too long"],
)
async def test_refusal_is_final(opened: Opened, model_server: ModelServer, answer: Answer) -> None:
    model_server.answer(answer)
    with pytest.raises(ModelRefused):
        await opened(fallbacks=("openai/other",)).complete(MESSAGES, schema=SCHEMA)
    assert len(model_server.chat_requests) == 1


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (provider.completion(""), ""),
        (provider.completion(None), ""),
        (provider.truncated('{"memories": ["a'), '{"memories": ["a'),
        (provider.huge(1_000_000), "word " * 200_000),
    ],
    ids=["empty", "null", "truncated", "huge"],
)
async def test_odd_answers_are_returned_as_they_are(
    opened: Opened, model_server: ModelServer, answer: Answer, text: str
) -> None:
    model_server.script(answer)
    assert (await opened().complete(MESSAGES)).text == text


async def test_fallbacks_in_order(opened: Opened, model_server: ModelServer) -> None:
    model_server.answer(lambda call: "from the last" if call.model == "last" else provider.failure(401))
    model = opened(fallbacks=("openai/second", "openai/last"))
    answer = await model.complete(MESSAGES, model="openai/first")
    assert (answer.text, answer.model) == ("from the last", "openai/last")
    assert [call.model for call in model_server.chat_requests] == ["first", "second", "last"]


async def test_no_fallback_answers_tells_of_the_first(opened: Opened, model_server: ModelServer) -> None:
    model_server.answer(provider.failure(401))
    with pytest.raises(ModelUnavailable, match="openai/test-model"):
        await opened(fallbacks=("openai/second",)).complete(MESSAGES)


async def test_concurrency_is_limited(opened: Opened, model_server: ModelServer) -> None:
    running, most = 0, 0
    lock = asyncio.Lock()

    async def request() -> None:
        nonlocal running, most
        async with lock:
            running += 1
            most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    calls = Calls(LiteLLMSettings(max_concurrency=2), CLOCK)
    await asyncio.gather(*(calls.run("m", request) for _ in range(10)))
    assert most == 2


# -- form of answers -----------------------------------------------------------------------------------------


def forms(server: ModelServer) -> list[str | None]:
    return [call.response_format["type"] if call.response_format else None for call in server.chat_requests]


async def test_schema_is_asked_for_strictly_where_it_can_be(opened: Opened, model_server: ModelServer) -> None:
    model = opened()
    await model.complete(MESSAGES, schema=SCHEMA)
    await model.complete(MESSAGES, schema=SCHEMA | {"required": []})
    strict, loose = [call.response_format for call in model_server.chat_requests]
    assert strict == {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}}
    assert loose is not None
    assert loose["json_schema"]["strict"] is False


@pytest.mark.parametrize(
    ("taken", "asked"),
    [("json_object", ["json_schema", "json_object"]), (None, ["json_schema", "json_object", None])],
    ids=["JSON mode", "none"],
)
async def test_form_that_the_model_does_not_take_is_left_out_from_then_on(
    opened: Opened, model_server: ModelServer, taken: str | None, asked: list[str | None]
) -> None:
    model_server.answer(
        lambda call: (
            "fine"
            if (call.response_format or {}).get("type") == taken
            else provider.failure(400, message="response_format is not supported")
        )
    )
    model = opened()
    for _ in range(2):
        assert (await model.complete(MESSAGES, schema=SCHEMA)).text == "fine"
    assert forms(model_server) == [*asked, taken]


async def test_other_bad_requests_leave_the_form_as_it_is(opened: Opened, model_server: ModelServer) -> None:
    model_server.script(*[provider.failure(400, message="no")] * 3)
    model = opened()
    with pytest.raises(ModelUnavailable):
        await model.complete(MESSAGES, schema=SCHEMA)
    await model.complete(MESSAGES, schema=SCHEMA)
    assert forms(model_server)[-1] == "json_schema"


async def test_listed_model_without_schemas_gets_json_mode(opened: Opened, model_server: ModelServer) -> None:
    await opened("gpt-3.5-turbo").complete(MESSAGES, schema=SCHEMA)
    assert forms(model_server) == ["json_object"]


@pytest.mark.parametrize(("setting", "asked"), [("schema", "json_schema"), ("json", "json_object"), ("off", None)])
async def test_form_by_setting(opened: Opened, model_server: ModelServer, setting: str, asked: str | None) -> None:
    await opened(structured_output=setting).complete(MESSAGES, schema=SCHEMA)
    assert forms(model_server) == [asked]


# -- opening -------------------------------------------------------------------------------------------------


def context(folder: Path, model: str = CHAT_MODEL) -> OpenContext:
    return OpenContext(data_dir=folder, clock=CLOCK, model=model)


async def test_keys_go_to_their_own_provider(
    opened: Opened, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPSEEK_API_KEY", "deepseek-key")
    monkeypatch.setenv("DEEPSEEK_API_BASE", model_server.url)
    await opened("deepseek/deepseek-chat").complete(MESSAGES)
    assert model_server.chat_requests[0].headers["authorization"] == "Bearer deepseek-key"
    assert "openai-secret" not in str(model_server.chat_requests[0])


async def test_no_model_named_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="LLM_MODEL"):
        async with open_language_model(LiteLLMSettings(), context(tmp_path, "")):
            pass


def test_settings_by_their_names() -> None:
    environ = {
        "LLM_TIMEOUT_SECONDS": "12",
        "LLM_MAX_CONCURRENCY": "3",
        "GENERATION_FALLBACKS": "openai/a,openai/b",
        "REGION_NAME": "eu-west-1",
        "REDISVL_VECTOR_DIMENSIONS": "99",
        "EMBEDDING_API_KEY": "hidden",
    }
    sections = {("models", "litellm"): LiteLLMSettings}
    configuration = load_configuration(environ=environ, env_file=None, sections=sections)
    settings = configuration.section("models", "litellm")
    assert isinstance(settings, LiteLLMSettings)
    assert (settings.timeout_seconds, settings.max_concurrency) == (12, 3)
    assert settings.fallbacks == ("openai/a", "openai/b")
    assert (settings.aws_region, settings.unknown_dimensions) == ("eu-west-1", 99)
    assert "hidden" not in repr(settings)
    assert not configuration.warnings


OPENING = """
import asyncio, os, sys
from memhost.host import startup
from memhost.http.app import build_app
from memhost.host import open_host
async def main():
    configuration, plugins = startup.load(options={"data_dir": sys.argv[1]}, env_file=None)
    async with open_host(configuration, plugins) as host:
        build_app(host)
        print("opened", host.embedder.name, "litellm" in sys.modules)
        await host.llm.complete([{"role": "user", "content": "hi"}])
        print("called", "litellm" in sys.modules, "TIKTOKEN_CACHE_DIR" in os.environ, "FROM_FILE" in os.environ)
asyncio.run(main())
"""


@pytest.mark.full("imports LiteLLM in a fresh process; test_footprint.py holds that a start imports nothing heavy")
def test_library_is_imported_at_the_first_call(tmp_path: Path, model_server: ModelServer) -> None:
    (tmp_path / ".env").write_text("FROM_FILE=1\n")
    # a slow machine is nothing to tell of here
    environment = {"PATH": "/usr/bin:/bin", "PLUGIN_BLOCKED_S": "60", **provider.environment(model_server)}
    done = subprocess.run(
        [sys.executable, "-c", OPENING, str(tmp_path / "data")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["opened openai/test-embedding@256 False", "called True False False"]
    assert model_server.embedding_requests == []
