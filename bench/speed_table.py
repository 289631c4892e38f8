"""What `bench.speed` measured, and the table of it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

import msgspec

NOW = "now"
"""The label of this checkout's server."""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement, or the medians of several.

    Attributes:
        rate: Requests a second.
        p50_ms: Half of the requests took at most so many milliseconds.
        p99_ms: 99 % of them did.
        cpu_ms: CPU time of the server a request; of the database too where that is a process of its own.
    """

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float


class Scenario(msgspec.Struct, frozen=True):
    """A kind of request.

    Attributes:
        name: As the table calls it.
        script: The load script's scenario; empty for what `bench.speed` does itself.
        goal: How many times as fast as release f8961da it is to be.
        floors: Names of the floors whose times add up to the least that it can take.
        by_p50: Whether medians of the times are compared instead of rates: the requests are of different sizes.
    """

    name: str
    script: str
    goal: float
    floors: tuple[str, ...]
    by_p50: bool = False


FLOORS = {
    "hello": "Litestar: POST of a small body",
    "echo": "Litestar: PUT of 20 messages, which come back",
    "growing echo": "Litestar: PUT of a growing chat, which comes back",
    "text": "words in one owner's memories, 10 rows",
    "vector": "nearest vectors in one owner's memories, 10 rows",
    "both": "words and vectors in one owner's memories, 10 rows",
    "transaction": "transaction: 100 rows with words and vectors",
}
"""What each floor does, by its name."""
GROWING = "growing chat, 2 messages a PUT"
SCENARIOS = (
    Scenario("create 100 memories", "create100", 1.8, ("transaction",)),
    Scenario("search, first touch", "search_cold", 2.4, ("hello", "vector")),
    Scenario("search, semantic", "search:semantic", 2.15, ("hello", "vector")),
    Scenario("search, keyword", "search:keyword", 2.3, ("hello", "text")),
    Scenario("search, hybrid", "search:hybrid", 3.1, ("hello", "both")),
    Scenario("prompt", "prompt", 5.0, ("hello", "vector")),
    Scenario("PUT of 20 messages", "put", 3.1, ("echo",)),
    Scenario(GROWING, "", 2.1, ("growing echo",), by_p50=True),
    Scenario("GET of 20 messages", "get", 2.07, ("hello",)),
)


class Results(msgspec.Struct, kw_only=True):
    """All figures of a run; written as JSON.

    Attributes:
        store: Where the servers keep their data: `sqlite` or `redis`.
        servers: Their labels in the order of the table.
        rows: Figures by scenario and server.
        floors: Figures by name of the floor.
    """

    store: str
    servers: list[str]
    rows: dict[str, dict[str, Figures]]
    floors: dict[str, Figures]


def quantile(values: Sequence[float], share: float) -> float:
    """The value that a share (0 to 1) of `values` does not exceed, interpolated."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))


def medians(measurements: Sequence[Figures]) -> Figures:
    """The median of each figure by itself."""
    names = Figures.__struct_fields__
    return Figures(**{name: statistics.median(getattr(each, name) for each in measurements) for name in names})


def seconds(scenario: Scenario, figures: Figures) -> float:
    """What one request costs, as the ratios of this scenario compare it."""
    return figures.p50_ms / 1000 if scenario.by_p50 else 1 / figures.rate


def floor_seconds(scenario: Scenario, floors: Mapping[str, Figures]) -> float:
    """What one request costs at least: the times of its floors, one after the other, as one process needs them."""
    return sum(seconds(scenario, floors[name]) for name in scenario.floors)


def table(results: Results) -> str:
    """The table in Markdown: a line a scenario, four columns a server, and how they compare."""
    others = [label for label in results.servers if label != NOW]
    with_goal = results.store == "sqlite"  # the goals are set for the default store
    head = ["scenario", "floor/s"]
    for label in results.servers:
        head += [f"{label}/s", "p50 ms", "p99 ms", "CPU ms"]
    head += [f"{NOW} / {label}" for label in others]
    head += ["goal"] * with_goal + ["share of the floor"]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for scenario in SCENARIOS:
        row = results.rows.get(scenario.name)
        if row is None:
            continue
        floor = floor_seconds(scenario, results.floors)
        cells = [scenario.name, f"{1 / floor:,.0f}"]
        for label in results.servers:
            each = row[label]
            cells += [shown(each.rate), shown(each.p50_ms), shown(each.p99_ms), shown(each.cpu_ms)]
        now = seconds(scenario, row[NOW])
        cells += [f"{seconds(scenario, row[label]) / now:.2f}" for label in others]
        cells += [f"{scenario.goal:g}"] * with_goal + [f"{100 * floor / now:.0f} %"]
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def floor_table(results: Results) -> str:
    """The floors by themselves in Markdown."""
    lines = ["| floor | a second | p50 ms | p99 ms |", "| --- | ---: | ---: | ---: |"]
    for name, each in results.floors.items():
        lines.append(f"| {FLOORS[name]} | {each.rate:,.0f} | {shown(each.p50_ms)} | {shown(each.p99_ms)} |")
    return "\n".join(lines)


def shown(value: float) -> str:
    """Three digits, or more in front of the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
