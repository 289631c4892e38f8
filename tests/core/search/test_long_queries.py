"""Long queries look up no more words than short ones, and pages stay below their size limit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from memhost.errors import InvalidRequest
from memhost.host import Host
from memhost.models import CandidateQuery, Candidates, Scope
from memhost.operations import Call
from memhost.operations.limits import DEEPEST_OFFSET, MAX_QUERY_TERMS, fitting
from memhost.search.query_terms import read_query
from memhost.text.tokens import stem
from tests.support.hosts import ADMIN, run, running_host

COMMON = [f"common{number}" for number in range(90)]
RARE = "quince"


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def host(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Host]:
    settings = request.getfixturevalue("redis_part").environment() if request.param == "redis" else {}
    async with running_host(tmp_path, store=request.param, run_jobs=False, settings=settings) as opened:
        yield opened


async def search(host: Host, **fields: Any) -> tuple[Any, list[str]]:
    call = Call(caller=ADMIN, request_id="r")
    request = msgspec.convert(fields, host.operations["search_memories"].request)
    answer = await host.execute("search_memories", call, request)
    return answer, [sentence for kind, sentence in call.notices if kind == "notice"]


@pytest.mark.parametrize("mode", [None, "keyword", "hybrid"])
async def test_the_rarest_words_of_a_long_query_count(host: Host, mode: str | None) -> None:
    texts = [" ".join(COMMON[at : at + 30]) for at in (0, 30, 60)] * 3
    given = [{"text": f"{text} {number}", "id": f"c{number}"} for number, text in enumerate(texts)]
    await run(host, "create_memories", memories=[*given, {"text": f"a {RARE} tree", "id": "rare"}])
    fields = {} if mode is None else {"search_mode": mode}
    absent = [f"absent{number}" for number in range(300)]
    answer, notices = await search(host, text=" ".join([*absent, *COMMON, RARE]), **fields)
    assert "rare" in [hit.id for hit in answer.memories]
    assert any("rarest" in notice for notice in notices)
    _, notices = await search(host, text=" ".join(COMMON[:MAX_QUERY_TERMS]), **fields)
    assert not notices


class Asked:
    """A store that keeps what it is asked for."""

    def __init__(self, frequencies: dict[str, int]) -> None:
        self.queries: list[CandidateQuery] = []
        self._frequencies = frequencies

    async def candidates(self, _scope: Scope, query: CandidateQuery) -> Candidates:
        self.queries.append(query)
        return Candidates(hits=[], frequencies={term: self._frequencies.get(term, 9) for term in query.statistics_for})


@pytest.mark.parametrize(
    "text",
    [
        " ".join(f"word{number}" for number in range(14_000)),
        "".join(chr(0x4E00 + number % 20_000) for number in range(90_000)),
        " ".join(f"слово{number}" for number in range(9_000)),
        " ".join(f'"quoted{number} phrase{number}"' for number in range(4_000)),
        " ".join(f"{year}-01-02" for year in range(1900, 2100)),
    ],
    ids=["words", "Chinese", "Russian", "phrases", "dates"],
)
async def test_a_store_is_asked_for_few_words(text: str) -> None:
    store: Any = Asked({})
    query, unread = await read_query(store, Scope(), text)
    assert len(query.terms) == len(query.words) == len(set(query.all_terms)) == MAX_QUERY_TERMS
    assert [stem(word) for word in query.words] == list(query.terms)
    assert len(query.phrases) <= 8
    assert len(query.date_terms) <= 16
    assert unread > 0
    assert [len(asked.statistics_for) for asked in store.queries] == [min(1024, unread + MAX_QUERY_TERMS)]


async def test_short_queries_stay_as_they_are() -> None:
    store: Any = Asked({})
    text = 'Who said "the red book" in May 2023, and to whom? ' + "and the of to " * 100
    query, unread = await read_query(store, Scope(), text)
    assert (unread, store.queries, query.text, query.phrases) == (0, [], text, (("the", "red", "book"),))


async def test_rare_words_are_kept_and_absent_ones_dropped() -> None:
    names = [f"{letter}word{number}" for letter in "abc" for number in range(40)]
    seen = dict.fromkeys((stem(name) for name in names), 50)
    seen |= dict.fromkeys((stem(name) for name in names[100:]), 1) | dict.fromkeys(
        (stem(name) for name in names[:20]), 0
    )
    query, _ = await read_query(Asked(seen), Scope(), " ".join(names))  # type: ignore[arg-type]
    assert {stem(name) for name in names[100:]} <= set(query.terms)
    assert not {stem(name) for name in names[:20]} & set(query.terms)


async def test_what_is_skipped_is_bounded(host: Host) -> None:
    await run(host, "create_memories", memories=[{"text": "tea", "id": "a"}])
    for offset in (DEEPEST_OFFSET + 1, 10**9):
        with pytest.raises(InvalidRequest, match="may be at most"):
            await search(host, text="tea", offset=offset)
    assert (await search(host, text="tea", offset=DEEPEST_OFFSET))[0].memories == []
    assert (await search(host, offset=20_000))[0].memories == []


@pytest.mark.parametrize(
    "fields", [{}, {"text": "tea"}, {"text": "tea", "search_mode": "keyword"}, {"recency_boost": True}]
)
async def test_pages_are_cut_at_a_number_of_bytes(tmp_path: Path, fields: dict[str, Any]) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False, settings={"ANSWER_BYTES": "5000"}) as host:
        sizes = (10, 3000, 2500, 10, 9000, 10, 10)
        given = [{"text": f"tea {number} " + "x" * size, "id": f"m{number}"} for number, size in enumerate(sizes)]
        await run(host, "create_memories", memories=given)
        found: list[str] = []
        offset: int | None = 0
        cut = 0
        while offset is not None:
            answer, notices = await search(host, offset=offset, limit=5, **fields)
            assert answer.memories
            assert answer.total == len(sizes)
            assert len(answer.memories) == 1 or len(msgspec.json.encode(answer.memories)) <= 5000
            cut += any("continue from offset" in notice for notice in notices)
            found += [hit.id for hit in answer.memories]
            offset = answer.next_offset
        assert sorted(found) == [f"m{number}" for number in range(len(sizes))]
        assert cut


def test_fitting() -> None:
    assert fitting(["aa", "bb", "cc"], 10) == ["aa", "bb"]
    assert fitting(["aa", "bb", "cc"], 9) == ["aa"]
    assert fitting(["a" * 100, "b"], 9) == ["a" * 100]
    assert fitting(["aa", "bb", "cc"], 0) == ["aa", "bb", "cc"]
    assert fitting([], 9) == []
