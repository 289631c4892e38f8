"""The embedder of the plugin `litellm`: the real library against a provider on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.support import model_server as provider
from tests.support.model_server import EMBEDDING_MODEL, Answer, Call, ModelServer, failure

from memhost.errors import ConfigurationError, MissingExtra, ModelRefused, ModelUnavailable, RequestRejected
from memhost.ports import ModelUse
from memhost.settings import Secret
from memhost.specs import OpenContext
from memhost.testing.clock import FakeClock
from memhost.testing.polling import until
from memhost.usage.passage_embedding import PassageEmbedder
from memhost_model_litellm import library, open_embedder, open_language_model
from memhost_model_litellm.calls import Calls
from memhost_model_litellm.embedder import LiteLLMEmbedder
from memhost_model_litellm.settings import LiteLLMSettings
from memhost_model_litellm.spaces import DIMENSIONS, canonical, dimensions_of

SIZE = 256


class Opened:
    """Embedders opened as the host opens them; `uses` are what they told the meter."""

    def __init__(self, folder: Path) -> None:
        self.stack = AsyncExitStack()
        self.uses: list[ModelUse] = []
        self._folder = folder

    async def __call__(self, model: str = EMBEDDING_MODEL, **settings: Any) -> LiteLLMEmbedder:
        given = {"embedding_dimensions": SIZE, "max_wait_seconds": 0.001, **settings}
        context = OpenContext(data_dir=self._folder, clock=FakeClock(), model=model, meter=self.uses.append)
        return await self.stack.enter_async_context(open_embedder(LiteLLMSettings(**given), context))


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Opened]:
    maker = Opened(tmp_path)
    async with maker.stack:
        yield maker


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch, model_server: ModelServer) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "openai-key")
    monkeypatch.setenv("OPENAI_API_BASE", model_server.url)


def sent(server: ModelServer) -> list[list[str]]:
    return [call.texts for call in server.embedding_requests]


async def test_rows_are_those_of_the_provider(opened: Opened) -> None:
    embedder = await opened()
    vectors = await embedder.embed(["a cat on a mat", "tax law", "the cat on the mat"])
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors[1], provider.vector("tax law"), atol=1e-6)
    assert vectors[0] @ vectors[2] > vectors[0] @ vectors[1]
    assert (embedder.name, embedder.dimensions, embedder.local) == ("openai/test-embedding@256", SIZE, False)


async def test_rows_have_length_one_whatever_the_provider_gives(opened: Opened, model_server: ModelServer) -> None:
    row = {"object": "embedding", "index": 0, "embedding": [3.0, 4.0] + [0.0] * 254}
    model_server.script_embeddings(Answer(body={"object": "list", "model": "m", "data": [row]}))
    vectors = await (await opened()).embed(["x"])
    np.testing.assert_allclose(vectors[0][:2], [0.6, 0.8], atol=1e-6)


async def test_rows_follow_the_index(opened: Opened, model_server: ModelServer) -> None:
    def backwards(call: Call) -> Answer:
        answer = model_server.embeddings(call)
        answer.body["data"].reverse()
        return answer

    model_server.answer_embeddings(backwards)
    vectors = await (await opened()).embed(["one", "two"])
    np.testing.assert_allclose(vectors[1], provider.vector("two"), atol=1e-6)


async def test_blank_texts_are_zero_rows_and_not_sent(opened: Opened, model_server: ModelServer) -> None:
    embedder = await opened()
    assert (await embedder.embed([])).shape == (0, SIZE)
    assert not (await embedder.embed(["", " \n"])).any()
    assert sent(model_server) == []
    vectors = await embedder.embed(["", "word"])
    assert sent(model_server) == [["word"]]
    assert not vectors[0].any()
    assert vectors[1].any()


async def test_batches(opened: Opened, model_server: ModelServer) -> None:
    texts = [f"text {n}" for n in range(7)]
    vectors = await (await opened(embedding_batch_size=3)).embed(texts)
    assert sorted(sent(model_server)) == [texts[:3], texts[3:6], texts[6:]]
    np.testing.assert_allclose(vectors, [provider.vector(text) for text in texts], atol=1e-6)


@pytest.mark.parametrize("said", ["batch size is invalid, it should not be larger than 5.", "Invalid request."])
async def test_a_provider_that_takes_fewer_texts_is_given_fewer(
    opened: Opened, model_server: ModelServer, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    model_server.answer_embeddings(lambda call: failure(400, message=said) if len(call.texts) > 5 else None)
    embedder, texts = await opened(), [f"text {n}" for n in range(17)]
    vectors = await embedder.embed(texts)
    np.testing.assert_allclose(vectors, [provider.vector(text) for text in texts], atol=1e-6)
    assert [len(given) for given in sent(model_server)] == [17, 9, 5, 4, 5, 3]
    await embedder.embed([f"other {n}" for n in range(10)])
    assert [len(given) for given in sent(model_server)][6:] == [5, 5]
    (told, *_) = [record for record in caplog.records if record.getMessage() == "embedding.batch_too_large"][-1:]
    assert "EMBEDDING_BATCH_SIZE=5" in told.fields["detail"]  # type: ignore[attr-defined]


async def test_a_text_that_is_not_taken_makes_no_request_smaller(opened: Opened, model_server: ModelServer) -> None:
    model_server.answer_embeddings(lambda call: failure(400, message="No.") if "text 2" in call.texts else None)
    embedder = await opened()
    with pytest.raises(RequestRejected):
        await embedder.embed([f"text {n}" for n in range(4)])
    await embedder.embed([f"other {n}" for n in range(8)])
    assert [len(given) for given in sent(model_server)][-1] == 8


async def test_long_texts_are_spread_over_requests(opened: Opened, model_server: ModelServer) -> None:
    await (await opened()).embed(["a " * 60_000, "b " * 60_000])
    assert [len(texts) for texts in sent(model_server)] == [1, 1]


async def test_known_texts_are_not_asked_again(opened: Opened, model_server: ModelServer) -> None:
    embedder = await opened()
    first = await embedder.embed(["a", "b", "a"])
    again = await embedder.embed(["b", "c", "a"])
    assert sent(model_server) == [["a", "b"], ["c"]]
    np.testing.assert_array_equal(first[0], first[2])
    np.testing.assert_array_equal(again[[2, 0]], first[:2])


async def test_cache_forgets_what_was_used_least_recently(opened: Opened, model_server: ModelServer) -> None:
    embedder = await opened(embedding_cache_size=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        await embedder.embed([text])
    assert sent(model_server) == [["a"], ["b"], ["c"], ["b"]]


async def test_no_cache(opened: Opened, model_server: ModelServer) -> None:
    embedder = await opened(embedding_cache_size=0)
    for _ in range(2):
        assert (await embedder.embed(["a"])).any()
    assert sent(model_server) == [["a"], ["a"]]


async def test_equal_texts_at_the_same_time_are_asked_once(opened: Opened, model_server: ModelServer) -> None:
    embedder = await opened()
    rows = await asyncio.gather(*(embedder.embed(["same", f"own {n}"]) for n in range(5)))
    assert sum(texts.count("same") for texts in sent(model_server)) == 1
    for row in rows:
        np.testing.assert_allclose(row[0], provider.vector("same"), atol=1e-6)


async def test_cancelled_caller_does_not_take_it_from_others(opened: Opened, model_server: ModelServer) -> None:
    embedder = await opened()
    model_server.answer_embeddings(lambda call: provider.slow(0.2, model_server.embeddings(call)))
    first = asyncio.create_task(embedder.embed(["same"]))

    async def asked() -> bool:
        return bool(model_server.embedding_requests)

    await until(asked)
    second = asyncio.create_task(embedder.embed(["same"]))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).any()
    assert sent(model_server) == [["same"]]


async def test_failure_is_not_kept(opened: Opened, model_server: ModelServer) -> None:
    embedder = await opened()
    model_server.script_embeddings(*[provider.failure(500)] * 3)
    failed = await asyncio.gather(*(embedder.embed(["a"]) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in failed] == [ModelUnavailable] * 3
    assert (await embedder.embed(["a"])).any()


async def test_every_request_is_metered(opened: Opened, model_server: ModelServer) -> None:
    embedder = await opened()
    model_server.script_embeddings(provider.failure(500))
    await embedder.embed(["one two three"])
    assert [msgspec.structs.replace(use, seconds=None) for use in opened.uses] == [
        ModelUse(model=EMBEDDING_MODEL, failed=True),
        ModelUse(model=EMBEDDING_MODEL, input_tokens=3),
    ]
    listed = await opened("text-embedding-3-small")
    await listed.embed(["one two three"])
    assert opened.uses[-1].cost_usd == pytest.approx(3 * 0.02e-6)


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
@pytest.mark.parametrize(
    "body",
    [
        {"data": "x"},
        {"data": []},
        {"data": [{"index": 0, "embedding": ["a"] * SIZE}]},
        {"data": [{"index": 0, "embedding": []}]},
        {"data": [{"index": 7, "embedding": [1.0] * SIZE}]},
        {"data": [{"index": 0}]},
        b'{"data": [{"embedding": [NaN]}]}',
        b"<html>",
    ],
)
async def test_nonsense_is_an_outage(opened: Opened, model_server: ModelServer, body: Any) -> None:
    model_server.answer_embeddings(lambda _call: Answer(body=body))
    with pytest.raises(ModelUnavailable, match="openai/test-embedding"):
        await (await opened()).embed(["a"])


async def test_vectors_of_another_length_are_refused(opened: Opened, model_server: ModelServer) -> None:
    embedder = await opened()
    model_server.answer_embeddings(lambda call: model_server.embeddings(call, dimensions=32))
    with pytest.raises(ModelUnavailable, match=r"length 32, not 256; correct EMBEDDING_DIMENSIONS"):
        await embedder.embed(["a"])


async def test_text_over_the_models_limit_is_embedded_in_passages(opened: Opened, model_server: ModelServer) -> None:
    embedder = await opened("text-embedding-3-small")
    with pytest.raises(ModelRefused, match="too long"):
        await embedder.embed(["cat " * 9000])
    assert model_server.embedding_requests == []
    vectors = await PassageEmbedder(embedder).embed(["cat " * 9000 + "dog " * 9000, "a bird"])
    asked = [text for request in sent(model_server) for text in request]
    assert "".join(text for text in asked if text != "a bird") == "cat " * 9000 + "dog " * 9000
    assert max(len(text.split()) for text in asked) <= 8191
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    (cat, dog) = await embedder.embed(["cat", "dog"])
    assert min(vectors[0] @ cat, vectors[0] @ dog) > 0.5


LONG = "very long text " * 300
TOO_LONG = (
    failure(400, code="context_length_exceeded", message="Too many tokens."),
    failure(400, message="This model's maximum context length is 512 tokens, however you requested 1125 tokens."),
    failure(413, message="Request entity too large"),
    failure(400, message="`inputs` must have less than 512 tokens. Given: 1125"),
    failure(422, message="Input validation error"),
)


@pytest.mark.parametrize("said", TOO_LONG, ids=lambda answer: answer.body["error"]["message"][:20])
async def test_one_long_text_does_not_cost_the_others_their_vectors(
    opened: Opened, model_server: ModelServer, said: Answer
) -> None:
    model_server.answer_embeddings(lambda call: said if max(map(len, call.texts)) > 2000 else None)
    embedder = PassageEmbedder(await opened())
    texts = [f"short text {number}" for number in range(9)]
    vectors = await embedder.embed([*texts[:4], LONG, *texts[4:]])
    expected = await embedder.embed(texts)
    assert np.allclose(np.delete(vectors, 4, axis=0), expected)
    (alone,) = await embedder.embed(["very long text"])
    assert vectors[4] @ alone > 0.9
    model_server.requests.clear()
    (again,) = await embedder.embed([LONG + "and more"])
    assert again @ alone > 0.9
    assert len(model_server.embedding_requests) <= 2, "what it takes is known by now"


async def test_a_text_declined_for_what_it_says_has_no_vector_beside_others(
    opened: Opened, model_server: ModelServer
) -> None:
    refused = failure(400, code="content_policy_violation", message="no")
    model_server.answer_embeddings(lambda call: refused if any("bad" in text for text in call.texts) else None)
    embedder = PassageEmbedder(await opened())
    vectors = await embedder.embed(["one", "bad", "two"])
    assert list(np.linalg.norm(vectors, axis=1).round(3)) == [1, 0, 1]
    with pytest.raises(ModelRefused):
        await embedder.embed(["bad"])


async def test_a_short_text_that_the_provider_does_not_take_tells_of_the_provider(
    opened: Opened, model_server: ModelServer
) -> None:
    model_server.answer_embeddings(lambda _call: failure(400, message="unknown parameter: dimensions"))
    with pytest.raises(ModelUnavailable, match="unknown parameter"):
        await PassageEmbedder(await opened()).embed(["a short text"])


# -- opening -------------------------------------------------------------------------------------------------


async def test_known_models_open_without_a_request(opened: Opened, model_server: ModelServer) -> None:
    embedder = await opened("text-embedding-3-large", embedding_dimensions=None, unknown_dimensions=7)
    assert (embedder.name, embedder.dimensions) == ("openai/text-embedding-3-large@3072", 3072)
    assert model_server.requests == []


async def test_shorter_vectors_are_asked_for(opened: Opened, model_server: ModelServer) -> None:
    embedder = await opened("text-embedding-3-small", embedding_dimensions=32)
    assert (await embedder.embed(["a"])).shape == (1, 32)
    assert model_server.embedding_requests[0].body["dimensions"] == 32


async def test_unknown_model_is_asked(opened: Opened, model_server: ModelServer) -> None:
    embedder = await opened(embedding_dimensions=None)
    assert (embedder.name, embedder.dimensions) == ("openai/test-embedding@256", SIZE)
    assert len(model_server.embedding_requests) == 1
    assert (await opened(embedding_dimensions=None, unknown_dimensions=11)).dimensions == 11


async def test_unknown_model_that_cannot_be_asked(opened: Opened, model_server: ModelServer) -> None:
    model_server.answer_embeddings(lambda _call: provider.failure(401))
    with pytest.raises(ConfigurationError, match=r"set OPENAI_API_KEY .* Set EMBEDDING_DIMENSIONS"):
        await opened(embedding_dimensions=None)


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "anthropic/claude-3-haiku"])
async def test_anthropic_has_no_embeddings(opened: Opened, model: str) -> None:
    with pytest.raises(ConfigurationError, match="text-embedding-3-small"):
        await opened(model)


async def test_plugin_without_model_is_refused(opened: Opened) -> None:
    with pytest.raises(ConfigurationError, match="EMBEDDING_MODEL"):
        await opened("")


async def test_missing_library_says_what_to_install(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(library, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtra, match=r"python\S* -m pip install 'litellm[^']*'"):
        await opened()
    with pytest.raises(MissingExtra):
        async with open_language_model(
            LiteLLMSettings(), OpenContext(data_dir=tmp_path, clock=FakeClock(), model="gpt-5")
        ):
            pass


def test_names_get_their_provider() -> None:
    assert canonical("text-embedding-3-small") == canonical("openai/text-embedding-3-small")
    assert canonical("amazon.titan-embed-text-v2:0") == "bedrock/amazon.titan-embed-text-v2:0"
    assert canonical("ollama/nomic-embed-text") == "ollama/nomic-embed-text"


async def test_lengths_agree_with_the_librarys_list() -> None:
    litellm = await library.load()
    listed = {
        name: facts["output_vector_size"]
        for name, facts in litellm.model_cost.items()
        if facts.get("mode") == "embedding" and facts.get("output_vector_size")
    }
    assert len(listed) > 50
    assert {name: dimensions_of(name) for name in listed} == listed
    assert dimensions_of("ollama/nomic-embed-text:latest") == DIMENSIONS["nomic-embed-text"]
    assert dimensions_of("openai/who-knows") is None


# -- keys ----------------------------------------------------------------------------------------------------


async def test_key_and_address_for_embeddings_alone(opened: Opened, model_server: ModelServer) -> None:
    with ModelServer() as other:
        embedder = await opened(embedding_api_key=Secret("own-key"), embedding_api_base=other.url)
        await embedder.embed(["a"])
        assert other.embedding_requests[0].headers["authorization"] == "Bearer own-key"
    assert model_server.requests == []


async def test_key_of_openai_goes_to_nobody_else(
    opened: Opened, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COHERE_API_KEY", "cohere-key")
    embedder = await opened("cohere/embed-english-v3.0", embedding_dimensions=None, embedding_api_base=model_server.url)
    with pytest.raises(ModelUnavailable):
        await embedder.embed(["a"])
    assert model_server.requests
    assert all("cohere-key" in call.headers["authorization"] for call in model_server.requests)
    assert "openai-key" not in str(model_server.requests)


async def test_region_goes_to_bedrock_alone() -> None:
    settings = LiteLLMSettings(aws_region="eu-west-1")
    calls = Calls(settings, FakeClock())

    def options(model: str) -> dict[str, Any]:
        return LiteLLMEmbedder(
            model=model, dimensions=SIZE, settings=settings, calls=calls, meter=lambda _use: None
        ).request_options()

    assert options("bedrock/amazon.titan-embed-text-v2:0")["aws_region_name"] == "eu-west-1"
    assert "aws_region_name" not in options("openai/text-embedding-3-small")
