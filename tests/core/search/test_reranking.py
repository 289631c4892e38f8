"""The reranker in a search: the pool that it sees, the order of scores, and what happens without its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memhost.errors import ModelRefused, ModelUnavailable
from memhost.host import Host, open_host
from memhost.metrics import Observer
from memhost.operations import Call
from memhost.plugins import PluginManager
from memhost.settings import load_configuration
from memhost.testing.clock import FakeClock
from memhost.testing.hosts import load_plugins
from memhost.testing.models import WordReranker
from tests.support.fakes import with_bundled
from tests.support.hosts import ADMIN
from tests.support.plugin_factory import make_plugin

CLOCK = FakeClock()
TEXTS = {
    "boat": "The boat lies in the harbour of Kiel.",
    "tea": "Bob likes green tea in the boat house.",
    "soup": "The soup of the harbour was cold.",
    "novel": "A novel about whales.",
}


@asynccontextmanager
async def host_with(folder: Path, **settings: str) -> AsyncIterator[tuple[Host, WordReranker]]:
    """A host whose reranker the test holds, and four memories."""
    plugins = load_plugins()
    given = {"STORE": "memory", "EMBEDDER": "words", "RERANKER": "words", "DATA_DIR": str(folder), **settings}
    configuration = load_configuration(environ=given, env_file=None, sections=plugins.sections())
    async with open_host(configuration, plugins, clock=CLOCK, run_jobs=False) as host:
        assert isinstance(host.reranker, WordReranker)
        await ask(host, "create_memories", memories=[{"id": name, "text": text} for name, text in TEXTS.items()])
        yield host, host.reranker


async def ask(host: Host, operation: str, call: Call | None = None, **fields: Any) -> Any:
    request = msgspec.convert(fields, host.operations[operation].request)
    return await host.execute(operation, call or Call(caller=ADMIN, request_id="test"), request)


async def found(host: Host, **fields: Any) -> tuple[list[str], list[float], list[tuple[str, str]]]:
    """Ids and scores of the hits, and the notices."""
    call = Call(caller=ADMIN, request_id="test")
    answer = await ask(host, "search_memories", call, **{"text": "boat harbour", **fields})
    return [hit.id for hit in answer.memories], [hit.score for hit in answer.memories], call.notices


def prefer(*names: str) -> Any:
    """Scores texts by their places in this list, the first highest."""
    wanted = [TEXTS[name] for name in names]

    def answer(_query: str, texts: Sequence[str]) -> list[float]:
        return [0.9 - wanted.index(text) / 10 if text in wanted else 0.05 for text in texts]

    return answer


async def test_its_order_and_its_scores_hold(tmp_path: Path) -> None:
    async with host_with(tmp_path) as (host, reranker):
        reranker.answer = prefer("novel", "tea", "soup", "boat")
        ids, scores, notices = await found(host)
    assert ids == ["novel", "tea", "soup", "boat"]
    assert scores == pytest.approx([0.9, 0.8, 0.7, 0.6])
    assert not notices


async def test_it_sees_the_pool_and_not_the_page(tmp_path: Path) -> None:
    async with host_with(tmp_path) as (host, reranker):
        reranker.answer = prefer("novel")
        ids, _, _ = await found(host, limit=1)
        (query, texts) = reranker.calls[0]
    assert ids == ["novel"]
    assert query == "boat harbour"
    assert sorted(texts) == sorted(TEXTS.values())


async def test_behind_the_pool_scores_fall_and_pages_neither_repeat_nor_skip(tmp_path: Path) -> None:
    async with host_with(tmp_path, RERANK_POOL="2") as (host, reranker):
        reranker.answer = lambda _query, texts: [0.1, 0.2][: len(texts)]
        ids, scores, _ = await found(host)
        pages = [(await found(host, limit=1, offset=offset))[0] for offset in range(4)]
        explained = await ask(host, "search_memories", text="boat harbour", explain=True)
        assert all(len(texts) == 2 for _, texts in reranker.calls)
    assert scores == sorted(scores, reverse=True)
    assert scores[:2] == pytest.approx([0.2, 0.1])
    assert scores[2] <= 0.1
    assert pages == [[name] for name in ids]
    first, *_, last = explained.memories
    assert first.explain["reranker"] == pytest.approx(0.2)
    assert 0 < first.explain["pipeline"] < 1
    assert "reranker" not in last.explain


@pytest.mark.parametrize("fields", [{"search_mode": "semantic"}, {"search_mode": "keyword"}, {"text": ""},
                                    {"search_mode": "hybrid", "text_scorer": "BM25"}])  # fmt: skip
async def test_modes_by_name_and_listings_do_without_it(tmp_path: Path, fields: dict[str, str]) -> None:
    async with host_with(tmp_path) as (host, reranker):
        assert (await found(host, **fields))[0]
        assert not reranker.calls


async def test_a_least_score_is_the_rerankers(tmp_path: Path) -> None:
    async with host_with(tmp_path) as (host, reranker):
        reranker.answer = prefer("novel", "tea")
        ids, _, _ = await found(host, min_score=0.5)
    assert ids == ["novel", "tea"]


def _fails(_query: str, _texts: Sequence[str]) -> list[float]:
    raise ModelUnavailable("The provider is away.")


def _breaks(_query: str, texts: Sequence[str]) -> list[float]:
    raise KeyError(texts[0])


def _refuses(_query: str, _texts: Sequence[str]) -> list[float]:
    raise ModelRefused("It declines this content.")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (_fails, "The provider is away."),
        (_breaks, "KeyError at test_reranking.py"),
        (lambda _query, _texts: [0.5], "ValueError"),
        (lambda _query, texts: [float("nan")] * len(texts), "ValueError"),
        (lambda _query, texts: [7.0] * len(texts), "ValueError"),
        (lambda _query, _texts: None, "TypeError"),
    ],
    ids=["away", "broken", "too few", "nan", "logits", "nothing"],
)
async def test_without_its_answer_the_order_of_the_pipeline_stays_and_is_told(
    tmp_path: Path, answer: Any, told: str
) -> None:
    outcomes: list[tuple[str, str]] = []

    class Watching(Observer):
        def reranked(self, model: str, outcome: str, seconds: float) -> None:
            outcomes.append((model, outcome))

    async with host_with(tmp_path / "with") as (host, reranker):
        host.services.metrics.add(Watching())
        reranker.answer = answer
        ids, scores, notices = await found(host)
    async with host_with(tmp_path / "without", RERANKER="words") as (host, reranker):
        host.services.search._retriever._reranking = None
        assert (ids, scores) == (await found(host))[:2]
    ((kind, sentence),) = notices
    assert kind == "notice"
    assert sentence.startswith("The hits are in the order without the reranker testing-words-1: ")
    assert told in sentence
    assert not [text for text in TEXTS.values() if text in sentence]
    assert outcomes == [("testing-words-1", "failed")]


async def test_an_outage_shows_in_the_readiness_and_passes(tmp_path: Path) -> None:
    async with host_with(tmp_path) as (host, reranker):
        reranker.answer = _fails
        await found(host)
        assert "reranker" in host.models_away()
        (state,) = [each for each in (await host.readiness()).components if each.name == "reranker"]
        assert not state.ok
        reranker.answer = None
        CLOCK.advance(11)
        await found(host)
        assert not host.models_away()
        assert (await host.readiness()).ready


async def test_during_an_outage_not_every_search_waits_for_it(tmp_path: Path) -> None:
    async with host_with(tmp_path) as (host, reranker):
        reranker.answer = _fails
        first = await found(host)
        CLOCK.advance(9)
        assert await found(host) == first
        assert len(reranker.calls) == 1
        CLOCK.advance(2)
        reranker.answer = prefer("novel")
        assert (await found(host))[0][0] == "novel"


@pytest.mark.parametrize("answer", [_breaks, _refuses], ids=["broken", "refused"])
async def test_what_is_no_outage_is_asked_again_at_once(tmp_path: Path, answer: Any) -> None:
    async with host_with(tmp_path) as (host, reranker):
        reranker.answer = answer
        await found(host)
        await found(host)
        assert len(reranker.calls) == 2


async def test_a_reranker_that_hangs_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled = asyncio.Event()

    async def hang(_query: str, _texts: Sequence[str]) -> list[float]:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return []

    async with host_with(tmp_path, RERANK_TIMEOUT_S="0.01") as (host, reranker):
        monkeypatch.setattr(reranker, "rerank", hang)
        ids, _, notices = await found(host)
    assert len(ids) == 4
    assert cancelled.is_set()
    assert "within 0.01 s (RERANK_TIMEOUT_S)" in notices[0][1]


@pytest.mark.parametrize(("raised", "first"), [(4, "novel"), (2000, "novel"), (None, "other"), (1, "other")])
async def test_a_hook_that_raises_the_limit_chooses_among_so_many(
    tmp_path: Path, raised: int | None, first: str
) -> None:
    """The caller still gets as many as were asked for, and pages still meet."""
    seen: list[int] = []

    async def before(search: Any, context: Any) -> Any:
        search.limit = raised or search.limit
        return search

    async def after(hits: Any, search: Any, context: Any) -> Any:
        seen.append(len(hits))
        return sorted(hits, key=lambda hit: hit.id != "novel")

    hooks: dict[str, Callable[..., Any]] = {"memhost_before_search": before, "memhost_after_search": after}
    plugins = PluginManager.load(entry_points=[*with_bundled(), make_plugin("chooser", hooks)])
    given = {"STORE": "memory", "DATA_DIR": str(tmp_path)}
    configuration = load_configuration(environ=given, env_file=None, sections=plugins.sections())
    async with open_host(configuration, plugins, run_jobs=False) as host:
        await ask(host, "create_memories", memories=[{"id": name, "text": text} for name, text in TEXTS.items()])
        answer = await ask(host, "search_memories", text="boat harbour", limit=2)
    assert seen == [min(raised or 2, 4)]
    assert len(answer.memories) == min(raised or 2, 2)
    assert (answer.memories[0].id == "novel") == (first == "novel")
    assert answer.next_offset == min(raised or 2, 2)


async def test_a_trace_names_the_phases_that_ran(tmp_path: Path) -> None:
    async with host_with(tmp_path) as (host, _):
        whole = await ask(host, "search_memories", text="boat", trace=True)
        listed = await ask(host, "search_memories", trace=True)
        plain = await ask(host, "search_memories", text="boat")
    assert list(whole.trace) == ["filters", "hooks", "query", "embed", "candidates", "rank", "rerank", "total"]
    assert list(listed.trace) == ["filters", "hooks", "candidates", "total"]
    assert all(spent >= 0 for spent in whole.trace.values())
    assert whole.trace["total"] >= max(spent for name, spent in whole.trace.items() if name != "total")
    assert not plain.trace
