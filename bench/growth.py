"""How memhost keeps up while one sqlite store grows: writes, searches and resident memory at several sizes.

    python -m bench.growth [--sizes 1000,10000,100000] [--to 1000000] [--json FILE] [--write]

One server process on one file is filled over HTTP. Of every hundred memories ten belong to one large owner and one each
to ninety small ones. At each size the server starts anew, and these are asked, one request after the other: the large
owner right after the start (the median of several starts), the large owner again, twenty of the small ones, and the
whole tenant. `--write` draws docs/images/growth.svg and puts it with the table into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import msgspec

from bench.chart import Line, Panel, chart
from bench.embedded import Texts, fill, quantiles, timed
from bench.page import BENCHMARKS, write_section
from memhost.testing.server import ServerProcess

SMALL_OWNERS = 20
"""Of the ninety small owners, how many are asked."""
LARGE_SHARE = 10
"""Memories of the large owner in every hundred."""
STARTS = 3
IDLE_SHARE = 0.05
"""Below so many cores for a second, the server is taken to have finished its work in the background."""
IMAGE = BENCHMARKS.parent / "images" / "growth.svg"


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured at one size; times are medians in ms.

    Attributes:
        memories: How many the store held.
        written: Memories a second, from the size before to this one.
        small: Search of an owner with a hundredth of all memories.
        large_first: First search of the owner with a tenth of all memories, after a start.
        large: Search of the same owner later on.
        tenant: Search of all memories.
        resident_mb: Memory of the server after these searches, in MB (10^6 bytes).
    """

    memories: int
    written: float
    small: float
    large_first: float
    large: float
    tenant: float
    resident_mb: float


def owner(number: int) -> str:
    """Whose memory that is."""
    place = number % 100
    return "large" if place < LARGE_SHARE else f"small-{place - LARGE_SHARE}"


def settle(pid: int) -> None:
    """Wait until the process uses next to no CPU for two seconds."""
    ticks = os.sysconf("SC_CLK_TCK")

    def used() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / ticks

    calm = 0
    while calm < 2:
        before = used()
        time.sleep(1)
        calm = calm + 1 if used() - before < IDLE_SHARE else 0


async def search(http: httpx.AsyncClient, texts: Texts, user: str | None, number: int) -> None:
    """Ask once; for one user's memories, or all."""
    body = {"text": texts.sentence(5, 9), "limit": 10, **({"user_id": {"eq": user}} if user else {})}
    answer = await http.post("/v1/long-term-memory/search", json=body)
    assert answer.raise_for_status().json()["memories"], f"search {number} of {user or 'all'} found nothing"


async def searches(url: str, texts: Texts, count: int) -> tuple[float, float, float, float]:
    """Medians at one size after a start: the large owner first, and later, a small owner, all; in ms."""
    async with httpx.AsyncClient(base_url=url, timeout=300) as http:
        (await http.get("/v1/health")).raise_for_status()
        first = await timed(lambda number: search(http, texts, "large", number), 1)
        large = await timed(lambda number: search(http, texts, "large", number), count)
        await timed(lambda number: search(http, texts, f"small-{number % SMALL_OWNERS}", number), SMALL_OWNERS)
        small = await timed(lambda number: search(http, texts, f"small-{number % SMALL_OWNERS}", number), count)
        everyone = await timed(lambda number: search(http, texts, None, number), max(1, count // 4))
    return quantiles(first)[0], quantiles(large)[0], quantiles(small)[0], quantiles(everyone)[0]


async def write(url: str, texts: Texts, begin: int, end: int) -> float:
    """Store memories `begin` to `end`; memories a second."""
    async with httpx.AsyncClient(base_url=url, timeout=300) as http:
        return await fill(http, texts, begin, end, owner)


def measure(folder: Path, sizes: Sequence[int], count: int) -> list[Size]:
    """Fill one store to each size and measure there; `count` searches of each kind."""
    texts, found, begin = Texts(7), list[Size](), 0
    with ServerProcess(folder, environment={"XDG_CONFIG_HOME": str(folder)}) as server:
        for size in sizes:
            written = asyncio.run(write(server.url, texts, begin, size))
            begin = size
            settle(server.process.pid)
            starts = []
            for _ in range(STARTS):
                server.stop()
                server.start()
                settle(server.process.pid)
                starts.append(asyncio.run(searches(server.url, texts, count)))
            first, large, small, everyone = (statistics.median(times) for times in zip(*starts, strict=True))
            found.append(
                Size(
                    memories=size,
                    written=written,
                    small=small,
                    large_first=first,
                    large=large,
                    tenant=everyone,
                    resident_mb=server.resident_mb(),
                )
            )
            print(f"{size:,}: {found[-1]}", file=sys.stderr, flush=True)
    return found


def table(sizes: Sequence[Size]) -> str:
    """The table in Markdown."""
    head = ["memories", "written/s", "small owner", "large owner, first", "large owner", "whole tenant", "resident MB"]
    lines = [f"| {' | '.join(head)} |", "|" + " ---: |" * len(head)]
    for each in sizes:
        times = " | ".join(f"{value:.1f} ms" for value in (each.small, each.large_first, each.large, each.tenant))
        lines.append(f"| {each.memories:,} | {each.written:,.0f} | {times} | {each.resident_mb:.0f} |")
    return "\n".join(lines)


def picture(sizes: Sequence[Size]) -> str:
    """The curves as SVG."""

    def line(label: str, name: str) -> Line:
        return Line(label, [(each.memories, getattr(each, name)) for each in sizes])

    asked = [
        line("owner of 1 %", "small"),
        line("owner of 10 %", "large"),
        line("owner of 10 %, first after a start", "large_first"),
        line("whole tenant", "tenant"),
    ]
    panels = [
        Panel("Search, p50", "memories in the store", "ms", asked),
        Panel("Written over HTTP", "memories in the store", "memories a second", [line("batches of 500", "written")]),
        Panel("Resident memory", "memories in the store", "MB", [line("server process", "resident_mb")]),
    ]
    return chart("One sqlite store as it grows", panels)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", default="1000,10000,100000", help="memories, separated by commas, rising")
    parser.add_argument("--to", type=int, help="one size more")
    parser.add_argument("--count", type=int, default=100, help="searches measured of each kind")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument(
        "--write", action="store_true", help="draw docs/images/growth.svg, and write docs/benchmarks.md"
    )
    options = parser.parse_args(arguments)
    sizes = sorted({*map(int, options.sizes.split(",")), *([options.to] if options.to else [])})
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), sizes, options.count)
    print(table(found))
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    if options.write:
        IMAGE.parent.mkdir(exist_ok=True)
        IMAGE.write_text(picture(found), encoding="utf-8")
        write_section("growth", f"![{ALT}](images/growth.svg)\n\n{table(found)}")
    return 0


ALT = "Time of a search, memories written a second and resident memory, by memories in the store"


if __name__ == "__main__":
    sys.exit(main())
