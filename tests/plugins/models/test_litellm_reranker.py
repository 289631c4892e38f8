"""The reranker of the plugin `litellm`: the real library against a provider on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.support.hosts import run, running_host
from tests.support.model_server import RERANK_MODEL, Answer, ModelServer, failure

from memhost.errors import ConfigurationError, ModelRefused, ModelUnavailable
from memhost.ports import ModelUse
from memhost.settings import Secret
from memhost.specs import OpenContext
from memhost.testing.clock import FakeClock
from memhost_model_litellm import open_reranker
from memhost_model_litellm.reranker import LiteLLMReranker
from memhost_model_litellm.settings import LiteLLMSettings

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
TEXTS = ["Bob likes tea.", "The boat lies in Kiel.", "The boat."]


class Opened:
    """Rerankers opened as the host opens them; `uses` are what they told the meter."""

    def __init__(self, folder: Path, url: str) -> None:
        self.stack = AsyncExitStack()
        self.uses: list[ModelUse] = []
        self._folder = folder
        self._url = url

    async def __call__(self, model: str = RERANK_MODEL, **settings: Any) -> LiteLLMReranker:
        given = {"rerank_api_base": self._url, "rerank_api_key": Secret("key"), "max_wait_seconds": 0.001, **settings}
        context = OpenContext(data_dir=self._folder, clock=FakeClock(), model=model, meter=self.uses.append)
        return await self.stack.enter_async_context(open_reranker(LiteLLMSettings(**given), context))


@pytest.fixture
async def opened(tmp_path: Path, model_server: ModelServer) -> AsyncIterator[Opened]:
    maker = Opened(tmp_path, model_server.url)
    async with maker.stack:
        yield maker


def rows(*scores: float) -> Answer:
    found = [{"index": place, "relevance_score": score} for place, score in enumerate(scores)]
    return Answer(body={"model": "m", "results": found[::-1], "usage": {"total_tokens": 30}})


async def test_scores_follow_the_index_and_one_request_has_all_texts(opened: Opened, model_server: ModelServer) -> None:
    model_server.script_rerank(rows(0.1, 0.9, 0.4))
    assert await (await opened()).rerank("Where is the boat?", TEXTS) == [0.1, 0.9, 0.4]
    (call,) = model_server.rerank_requests
    assert (call.body["model"], call.body["query"]) == ("test-reranker", "Where is the boat?")
    assert (call.body["documents"], call.body["top_n"]) == (TEXTS, 3)
    assert call.headers["authorization"] == "Bearer key"
    (use,) = opened.uses
    assert (use.model, use.purpose, use.failed, use.cost_usd) == (RERANK_MODEL, "reranking", False, None)
    assert use.seconds is not None


async def test_logits_become_scores_in_their_order(opened: Opened, model_server: ModelServer) -> None:
    model_server.script_rerank(rows(-8.0, 3.0, 0.0))
    low, high, middle = await (await opened()).rerank("boat", TEXTS)
    assert 0 < low < middle == 0.5 < high < 1


async def test_blank_texts_are_not_sent(opened: Opened, model_server: ModelServer) -> None:
    reranker = await opened()
    assert await reranker.rerank("boat", ["", "the boat", "\n"]) == [0.0, 1.0, 0.0]
    assert await reranker.rerank(" ", TEXTS) == [0.0, 0.0, 0.0]
    assert await reranker.rerank("boat", [" "]) == [0.0]
    assert [call.body["documents"] for call in model_server.rerank_requests] == [["the boat"]]


async def test_a_failure_is_tried_again_and_metered(opened: Opened, model_server: ModelServer) -> None:
    model_server.script_rerank(failure(500))
    assert (await (await opened()).rerank("boat", TEXTS))[2] == 1.0
    assert [use.failed for use in opened.uses] == [True, False]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (failure(401), ModelUnavailable),
        (failure(503), ModelUnavailable),
        (failure(400), ModelRefused),
        (rows(0.5, 0.5), ModelUnavailable),
        (Answer(body={"model": "m", "results": [], "usage": {"total_tokens": 1}}), ModelUnavailable),
        (Answer(body=b"<html>"), ModelUnavailable),
    ],
    ids=["key", "down", "request", "too few", "none", "no json"],
)
async def test_what_is_no_answer_is_an_error(
    opened: Opened, model_server: ModelServer, answer: Answer, error: type[Exception]
) -> None:
    model_server.script_rerank(answer, answer, answer)
    with pytest.raises(error):
        await (await opened()).rerank("boat", TEXTS)


@pytest.mark.parametrize("model", ["", "rerank-v3.5"])
async def test_a_model_needs_its_provider(opened: Opened, model: str) -> None:
    with pytest.raises(ConfigurationError, match=r"RERANK_MODEL, for instance to cohere/rerank-v3\.5"):
        await opened(model)


async def test_a_host_reranks_with_the_model_that_is_named(tmp_path: Path, model_server: ModelServer) -> None:
    """By its LiteLLM name alone; calls are booked, and during an outage the search answers all the same."""
    settings = {"RERANK_MODEL": RERANK_MODEL, "RERANK_API_BASE": model_server.url, "RERANK_API_KEY": "key"}
    async with running_host(tmp_path, settings=settings | {"LLM_MAX_WAIT_SECONDS": "0"}, run_jobs=False) as host:
        memories = [{"id": str(place), "text": text} for place, text in enumerate(TEXTS)]
        await run(host, "create_memories", memories=memories)
        model_server.script_rerank(rows(0.2, 0.7, 0.3))
        answer = await run(host, "search_memories", text="tea", explain=True)
        model_server.script_rerank(*[failure(503)] * 3)
        away = await run(host, "search_memories", text="tea")
        usage = await run(host, "get_usage", group_by=["purpose"])
    assert sorted(hit.explain["reranker"] for hit in answer.memories) == [0.2, 0.3, 0.7]
    assert answer.memories[0].score == pytest.approx(0.7)
    assert "The reranker gave it 0.70" in answer.memories[0].explanation[-1]
    assert away.memories[0].id == "0"
    assert {row.purpose for row in usage.rows} == {"reranking"}
