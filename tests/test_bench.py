"""What the benchmarks of speed and growth print and draw, and that their floors do what they say."""

from __future__ import annotations

import argparse
import asyncio
import json
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree as Xml

import apsw
import httpx
import numpy as np
import pytest
import redis
from bench import floors, growth, request_path, speed
from bench.chart import COLOURS, Axis, Line, Panel, chart, tick_label
from bench.embedded import Texts
from bench.page import BENCHMARKS, with_section
from bench.speed_table import FLOORS, GROWING, NOW, SCENARIOS, Figures, Results, floor_table, medians, quantile, table

from memhost.testing.server import ServerProcess

SVG = "{http://www.w3.org/2000/svg}"


def figures(rate: float, p50: float = 2.0, p99: float = 4.0, cpu: float = 1.5) -> Figures:
    return Figures(rate=rate, p50_ms=p50, p99_ms=p99, cpu_ms=cpu)


def recorded(store: str = "sqlite") -> Results:
    rows = {
        "search, semantic": {NOW: figures(500, 15.25, 31.5, 1.96), "old": figures(250, 31, 60.25, 3.9)},
        GROWING: {NOW: figures(400, 2.5), "old": figures(100, 7.5)},
    }
    measured = {"hello": figures(8000), "vector": figures(2000), "growing echo": figures(1000, 0.5)}
    return Results(store=store, servers=[NOW, "old"], rows=rows, floors=measured)


def test_the_table_compares_rates_and_for_chats_of_different_sizes_medians() -> None:
    lines = table(recorded()).splitlines()
    assert lines[0] == (
        "| scenario | floor/s | now/s | p50 ms | p99 ms | CPU ms | old/s | p50 ms | p99 ms | CPU ms "
        "| now / old | goal | share of the floor |"
    )
    # 1/8000 + 1/2000 of a second is 1/1600; 500 is 31 % of it
    assert lines[2] == (
        "| search, semantic | 1,600 | 500 | 15.2 | 31.5 | 1.96 | 250 | 31.0 | 60.2 | 3.90 | 2.00 | 2.15 | 31 % |"
    )
    assert (
        lines[3] == f"| {GROWING} | 2,000 | 400 | 2.50 | 4.00 | 1.50 | 100 | 7.50 | 4.00 | 1.50 | 3.00 | 2.1 | 20 % |"
    )
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {14}


def test_goals_stand_in_the_table_of_the_default_store_alone() -> None:
    assert "goal" not in table(recorded("redis"))
    assert {line.count("|") for line in table(recorded("redis")).splitlines()} == {13}


def test_every_floor_of_a_scenario_is_described() -> None:
    assert {name for scenario in SCENARIOS for name in scenario.floors} == set(FLOORS)
    assert "| Litestar: POST of a small body | 8,000 | 2.00 | 4.00 |" in floor_table(recorded())


def test_medians_and_quantiles() -> None:
    rounds = [figures(10, 5, 9, 1), figures(30, 1, 20, 3), figures(20, 3, 7, 2)]
    assert medians(rounds) == figures(20, 3, 9, 2)
    assert quantile([4, 1, 3, 2, 5], 0.5) == 3
    assert quantile([0, 10], 0.99) == pytest.approx(9.9)
    assert quantile([7], 0.99) == 7


def test_figures_of_the_load_script() -> None:
    found = {"rps": 50.0, "p50_ms": 8.0, "p99_ms": 9.0, "cpu_ms_per_req": {"server": 2.0, "idle0": 7.0, "client": 1.0}}
    assert speed.figures_of(found) == figures(50, 8, 9, 2)
    assert speed.figures_of({**found, "cpu_ms_per_req": {"server": 2.0, "redis": 0.5}}).cpu_ms == 2.5
    created = {**found, "cpu_ms_per_memory": {"server": 0.5, "redis": 0.25, "idle0": 3.0}}
    assert speed.figures_of(created).cpu_ms == 75.0  # of a hundred memories, with the work after the answer


def test_without_the_load_script_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(speed, "ROOT", tmp_path / "checkout")
    monkeypatch.delenv("MEMHOST_BENCH_LOAD", raising=False)
    assert speed.main([]) == 2
    told = capsys.readouterr()
    assert "load_ams.py is not there" in told.err
    assert "--load" in told.err
    assert not told.out
    beside = tmp_path / "shared" / "bench" / speed.SCRIPT
    beside.parent.mkdir(parents=True)
    beside.touch()
    assert speed.script_path("") == beside.resolve()
    named = tmp_path / "mine.py"
    named.touch()
    monkeypatch.setenv("MEMHOST_BENCH_LOAD", str(named))
    assert speed.script_path("") == named.resolve()
    assert speed.script_path(str(beside.parent)) == beside.resolve()


@pytest.mark.parametrize("text", ["memhost", "=memhost", "old=", "old= ", "now=memhost"])
def test_another_release_needs_a_label_and_a_command(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        speed.labelled(text)


def test_a_label_and_a_command() -> None:
    assert speed.labelled("old=env A=b 'my memhost'") == ("old", ["env", "A=b", "my memhost"])


PAGE = "before\n<!-- speed -->\n\nold\n\n<!-- end of speed -->\nafter\n"


def test_a_section_is_replaced_and_nothing_else() -> None:
    once = with_section(PAGE, "speed", "new\n")
    assert once == "before\n<!-- speed -->\n\nnew\n\n<!-- end of speed -->\nafter\n"
    assert with_section(once, "speed", "new") == once


@pytest.mark.parametrize(
    "page", ["", "<!-- speed -->\n", "<!-- end of speed -->\n", "<!-- end of speed -->\n<!-- speed -->\n", PAGE + PAGE]
)
def test_a_page_without_one_such_section_is_left_alone(page: str) -> None:
    with pytest.raises(ValueError, match="needs the comments"):
        with_section(page, "speed", "new")


@pytest.mark.parametrize("name", ["speed", "growth"])
def test_the_page_has_the_section(name: str) -> None:
    assert "new figures" in with_section(BENCHMARKS.read_text(), name, "new figures")


SIZES = [
    growth.Size(memories=1_000, written=800, small=4.25, large_first=140, large=6, tenant=9, resident_mb=118),
    growth.Size(memories=10_000, written=790, small=5, large_first=180, large=9.5, tenant=20.25, resident_mb=131.6),
]


def test_the_table_of_growth() -> None:
    assert growth.table(SIZES).splitlines()[2:] == [
        "| 1,000 | 800 | 4.2 ms | 140.0 ms | 6.0 ms | 9.0 ms | 118 |",
        "| 10,000 | 790 | 5.0 ms | 180.0 ms | 9.5 ms | 20.2 ms | 132 |",
    ]


@pytest.mark.parametrize("sizes", [SIZES, SIZES[:1]])
def test_the_picture_of_growth_draws_every_point_in_its_panel(sizes: list[growth.Size]) -> None:
    root = Xml.fromstring(growth.picture(sizes))
    lines = root.findall(f"{SVG}polyline")
    assert len(lines) == 6
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for number, line in enumerate(lines):
        points = [tuple(map(float, each.split(","))) for each in line.attrib["points"].split()]
        panel = max(0, number - 3)
        assert len(points) == len(sizes)
        assert points == sorted(points)
        assert all(width / 3 * panel < x < width / 3 * (panel + 1) and 0 < y < height for x, y in points)
    texts = {each.text for each in root.findall(f"{SVG}text")}
    assert {"owner of 1 %", "whole tenant", "Search, p50", "MB", "1k"} <= texts


def test_greater_values_are_drawn_higher() -> None:
    root = Xml.fromstring(chart("t", [Panel("p", "x", "y", [Line("a", [(1, 10), (10, 1000)])])]))
    line = root.find(f"{SVG}polyline")
    assert line is not None
    (x1, y1), (x2, y2) = (tuple(map(float, each.split(","))) for each in line.attrib["points"].split())
    assert x1 < x2
    assert y1 > y2


def test_texts_of_a_chart_are_escaped_and_its_lines_told_apart() -> None:
    lines = [Line(f"a<{number}>&", [(1, 1), (2, 2)]) for number in range(len(COLOURS))]
    root = Xml.fromstring(chart('<"t">', [Panel("p & q", "x", "y", lines)]))
    assert root.attrib["aria-label"] == '<"t">'
    assert {"p & q", "a<0>&"} <= {each.text for each in root.findall(f"{SVG}text")}
    assert {each.attrib["stroke"] for each in root.findall(f"{SVG}polyline")} == set(COLOURS)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([1000, 100_000], [1e3, 1e4, 1e5]),
        ([4, 30], [2, 5, 10, 20, 50]),
        ([118, 140], [20, 50, 100, 200]),
        ([7, 7], [1, 2, 5, 10]),
        ([100, 100], [10, 20, 50, 100]),
        ([0.3, 900], [0.1, 1, 10, 100, 1000]),
    ],
)
def test_ticks_hold_the_values(values: list[float], ticks: list[float]) -> None:
    axis = Axis(values, 0, 100)
    assert axis.ticks == pytest.approx(ticks)
    assert axis.at(ticks[0]) == pytest.approx(0)
    assert axis.at(ticks[-1]) == pytest.approx(100)
    assert all(0 <= axis.at(value) <= 100 for value in values)


def test_no_logarithm_of_zero() -> None:
    with pytest.raises(ValueError, match="zero"):
        Axis([0, 1], 0, 100)


def test_labels_of_ticks() -> None:
    assert [tick_label(value) for value in (0.5, 20, 1000, 50_000, 1e6)] == ["0.5", "20", "1k", "50k", "1M"]


def test_a_tenth_is_the_large_owner_s_and_a_hundredth_a_small_one_s() -> None:
    owners = [growth.owner(number) for number in range(1000)]
    assert owners.count("large") == 100
    assert {owners.count(each) for each in set(owners) - {"large"}} == {10}
    assert {f"small-{number}" for number in range(growth.SMALL_OWNERS)} < set(owners)


def test_growth_writes_to_a_server_and_searches_it(tmp_path: Path) -> None:
    texts = Texts(7)
    with ServerProcess(tmp_path) as server:
        asyncio.run(growth.write(server.url, texts, 0, 100))
        times = asyncio.run(growth.searches(server.url, texts, 1))
        body = {"text": texts.sentence(), "user_id": {"eq": "large"}, "limit": 100}
        found = httpx.post(f"{server.url}/v1/long-term-memory/search", json=body).json()["memories"]
    assert len(times) == 4
    assert len(found) == growth.LARGE_SHARE


@pytest.fixture(scope="module")
def corpus() -> floors.Corpus:
    """Forty memories of two owners; each question has two words and the vector of one of its owner's memories."""
    vectors = np.random.default_rng(3).normal(size=(40, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    return floors.Corpus(
        texts=[f"word{number} shared{number % 3} of memory" for number in range(40)],
        vectors=vectors,
        owners=[number % 2 for number in range(40)],
        questions=[floors.Question((f"word{n}", "shared0"), vectors[n], n % 2) for n in range(6)],
    )


def check(searches: dict[str, floors.Search], corpus: floors.Corpus) -> None:
    """Each search finds the memory that is asked for first, in its owner's memories, and the nearest in exact order."""
    for number, question in enumerate(corpus.questions):
        own = corpus.of(question.owner)
        nearest = np.argsort(-(own.vectors @ question.vector))[: floors.LIMIT]
        assert searches["vector"](number) == [own.texts[row] for row in nearest]
        worded = searches["text"](number)
        with_words = [text for text in own.texts if set(question.words) & set(floors.words_of(text))]
        assert len(worded) == min(floors.LIMIT, len(with_words))
        assert set(worded) <= set(with_words)
        both = searches["both"](number)
        assert len(set(both)) == floors.LIMIT
        assert set(both) <= set(own.texts)
        assert {worded[0].split()[0], both[0].split()[0]} == {question.words[0]}


def test_the_floor_of_searches_in_sqlite(tmp_path: Path, corpus: floors.Corpus) -> None:
    own = corpus.of(1)
    assert (len(own.texts), len(own.questions)) == (20, 3)
    with floors.sqlite_searches(tmp_path / "floor.db", own) as searches:
        check(searches, own)
        assert searches["text"](len(own.questions)) == searches["text"](0)  # they begin again


def test_the_floors_in_redis(redis_server_url: str, corpus: floors.Corpus) -> None:
    with floors.redis_searches(redis_server_url, corpus) as searches:
        check(searches, corpus)
    with floors.redis_transaction(redis_server_url, corpus, 30) as write:
        assert [write(0), write(1)] == [30, 60]
        with redis.Redis.from_url(redis_server_url) as client:
            assert len(list(client.scan_iter(f"{floors.INDEX}:*"))) == 60
    with redis.Redis.from_url(redis_server_url) as client:
        assert not list(client.scan_iter(f"{floors.INDEX}*"))
        assert floors.INDEX.encode() not in client.execute_command("FT._LIST")


def test_the_floor_of_writes_in_sqlite(tmp_path: Path, corpus: floors.Corpus) -> None:
    with floors.sqlite_transaction(tmp_path / "floor.db", corpus, 30) as write:
        assert [write(0), write(1)] == [30, 60]
        with closing(apsw.Connection(str(tmp_path / "floor.db"))) as other:
            for name in ("memories", "vectors", "words"):
                assert other.execute(f"SELECT count(*) FROM {name}").get == 60
            assert other.execute("SELECT rowid FROM words WHERE words MATCH 'word1' ORDER BY rowid").get == [1, 41]
            assert other.execute("SELECT vector FROM vectors WHERE id = 41").get == corpus.vectors[1].tobytes()


def test_the_floor_of_http() -> None:
    message = {"id": "1", "role": "user", "content": "Hi.", "created_at": "2025-03-01T10:00:00Z"}
    session = {"messages": [message], "memories": [], "user_id": "ann", "namespace": "bench"}
    with floors.HttpFloor() as http, httpx.Client(base_url=http.url) as client:
        greeted = client.post("/hello", json={"name": "world", "n": 7})
        assert (greeted.status_code, greeted.json()) == (200, {"message": "hello world"})
        echoed = client.put("/echo/s1", json=session)
        assert (echoed.status_code, echoed.json()) == (200, session)
        assert (
            client.put("/echo/s1", json={**session, "messages": [{"id": 1}]}).status_code == 400
        )  # handlers are typed
        pid = http.pid
    assert not Path(f"/proc/{pid}").exists()


def test_the_floor_of_http_answers_as_memhost_does(tmp_path: Path) -> None:
    session = {"messages": [{"role": "user", "content": "Hi."}], "user_id": "u1", "namespace": "bench"}
    path, _, _ = request_path.SESSION.partition("?")
    with ServerProcess(tmp_path) as server, floors.HttpFloor() as floor:
        request_path.post(server, "PUT", path, session)
        with closing(request_path.Client(server.url)) as ours, closing(request_path.Client(floor.url)) as theirs:
            kept = ours.get(request_path.SESSION)
            request_path.post(floor, "PUT", path, json.loads(kept))
            assert json.loads(theirs.get(request_path.SESSION)) == json.loads(kept)
            assert json.loads(theirs.get(floors.HEALTH)).keys() == json.loads(ours.get(floors.HEALTH)).keys()


def test_calls_of_a_floor_are_numbered_and_the_first_twenty_not_counted() -> None:
    called: list[int] = []
    found = floors.measured(called.append, 0)
    assert called == list(range(21))
    assert 0 < found.p50_ms == found.p99_ms
