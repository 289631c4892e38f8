"""The speed of real servers under load, beside floors and other releases measured in the same run.

    python -m bench.speed [--against 0.1.0=/path/to/memhost] [--redis] [--rounds 3] [--json FILE] [--write]

Every round starts this checkout and each `--against NAME=COMMAND` (another memhost executable) on new data. All get
one scenario before any gets the next, in turns, so that they meet the same noise. A load script sends the requests; it
is not part of this repository: `--load PATH`, else MEMHOST_BENCH_LOAD, else ../shared/bench, names `load_ams.py` or its
folder. The floors (`bench/floors.py`) are measured in every round too. Figures are medians of the rounds.

The floor of a scenario adds up the parts that it cannot do without: the HTTP answer of a minimal application, and the
search in the data. `--redis` measures this checkout on the store `redis` besides, against RediSearch alone.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
from tests.support.redis_server import RedisServer, RedisSpace

from bench import floors
from bench.page import write_section
from bench.speed_table import GROWING, NOW, SCENARIOS, Figures, Results, Scenario, floor_table, medians, quantile, table
from memhost.testing.server import ServerProcess
from memhost_model_static.embedder import StaticEmbedder

ROOT = Path(__file__).parents[1]
SCRIPT = "load_ams.py"
USERS = 20
BATCH = 100
QUESTIONS = 500
TURNS = 30
"""Calls of one growing chat, which ends with twice as many messages."""
CHATS = 5


class Server(ServerProcess):
    """`serve` of a memhost executable, or of this checkout, on new data."""

    def __init__(self, folder: Path, command: Sequence[str], environment: Mapping[str, str]) -> None:
        folder.mkdir(parents=True)
        # The key of the server goes there too, not to the user's folder.
        given = {"XDG_CONFIG_HOME": str(folder), **environment}
        if command:
            given["PYTHONPATH"] = ""  # an executable of another release imports its own code
        super().__init__(folder, environment=given)
        if command:
            self._command = [*command, *self.command, "--data", str(folder)]


class Load:
    """The load script with the options of this run.

    Attributes:
        module: The script as a module, for its texts and its client.
        data: Its deterministic texts, questions and sessions.
    """

    def __init__(self, script: Path, options: argparse.Namespace) -> None:
        self._script = script
        self._options = options
        spec = importlib.util.spec_from_file_location("load_ams", script)
        assert spec is not None
        assert spec.loader is not None
        self.module: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)
        self.data = self.module.Data(7, USERS, options.memories)

    def run(self, script: str, target: Server | floors.HttpFloor, others: Mapping[str, int]) -> Figures:
        """Figures of one of the script's scenarios.

        Args:
            script: The scenario.
            target: Who gets the requests.
            others: More processes by name: `redis` counts as part of the server; the script waits until all are idle.

        Raises:
            RuntimeError: The script failed, or a request did.
        """
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out.json"
            pids = ",".join(f"{name}={pid}" for name, pid in {"server": target.pid, **others}.items())
            command = [sys.executable, str(self._script), "--base-url", target.url, "--scenarios", script]
            command += ["--users", str(USERS), "--memories", str(self._options.memories), "--seed", "7", "--idle", "1"]
            command += ["--concurrency", str(self._options.concurrency), "--duration", str(self._options.duration)]
            done = subprocess.run([*command, "--pids", pids, "--out", str(out)], capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{SCRIPT} failed:\n{done.stderr}")
            found = json.loads(out.read_text())["results"][-1]
        if found["errors"]:
            raise RuntimeError(f"Requests of {script} failed: {found['errors']}\n{done.stderr}")
        return figures_of(found)

    async def growing(self, target: Server | floors.HttpFloor, path: str) -> Figures:
        """Chats that grow by two messages a call, whose whole session each PUT holds; one client."""
        client, spent, pid = self.module.RawClient(target.url, 120), list[float](), target.pid
        cpu, begun = self.module.proc_cpu(pid), time.perf_counter()
        for chat in range(CHATS):
            full = self.data.session(5000 + chat, 2 * TURNS)
            for turn in range(1, TURNS + 1):
                body = json.dumps({**full, "messages": full["messages"][: 2 * turn]}).encode()
                started = time.perf_counter()
                answer = await client.request("PUT", f"{path}/grow-{chat}", body)
                spent.append(time.perf_counter() - started)
                if answer.status != 200:
                    raise RuntimeError(f"PUT of a growing chat failed: {answer.status} {answer.body[:300]!r}")
        count, passed = len(spent), time.perf_counter() - begun
        await client.close()
        return Figures(
            rate=count / passed,
            p50_ms=1000 * quantile(spent, 0.5),
            p99_ms=1000 * quantile(spent, 0.99),
            cpu_ms=1000 * (self.module.proc_cpu(pid) - cpu) / count,
        )

    def corpus(self) -> floors.Corpus:
        """The script's memories and questions, with the vectors that the default embedder gives them."""
        embedder = StaticEmbedder()
        texts = [self.data.memory(number, "mem")["text"] for number in range(self._options.memories)]
        asked = [self.data.query(number) for number in range(QUESTIONS)]
        vectors = embedder.embed_now([text for text, _, _ in asked])
        return floors.Corpus(
            texts=texts,
            vectors=embedder.embed_now(texts),
            owners=[number % USERS for number in range(len(texts))],
            questions=[
                floors.Question(floors.words_of(text), vector, source % USERS)
                for (text, _, source), vector in zip(asked, vectors, strict=True)
            ],
        )


def figures_of(found: Mapping[str, Any]) -> Figures:
    """What the script wrote about one measurement."""
    by_process, times = found["cpu_ms_per_req"], 1
    if "cpu_ms_per_memory" in found:  # with the work that goes on after the answers
        by_process, times = found["cpu_ms_per_memory"], BATCH
    cpu = times * sum(by_process.get(name, 0.0) for name in ("server", "redis"))
    return Figures(rate=found["rps"], p50_ms=found["p50_ms"], p99_ms=found["p99_ms"], cpu_ms=cpu)


class Round:
    """One round: all servers of one store on new data, and the floors.

    Attributes:
        rows: Figures by scenario and server.
        floors: Figures by name of the floor.
    """

    def __init__(self, load: Load, corpus: floors.Corpus, folder: Path, seconds: float) -> None:
        self._load = load
        self._corpus = corpus
        self._folder = folder
        self._seconds = seconds
        self.rows: dict[str, dict[str, Figures]] = defaultdict(dict)
        self.floors: dict[str, Figures] = {}

    def on_sqlite(self, commands: Mapping[str, Sequence[str]]) -> None:
        """Measure servers, by label in the order of their turns, and the floors."""
        with ExitStack() as stack:
            servers = {
                label: stack.enter_context(Server(self._folder / f"data{place}", command, {}))
                for place, (label, command) in enumerate(commands.items())
            }
            self._scenarios(servers, {})
        self._http_floors()
        self._sqlite_floors()

    def on_redis(self) -> None:
        """Measure this checkout on the store `redis`, and the floors; what SQLite alone does is not one here."""
        with RedisServer(self._folder / "redis") as redis:
            environment = {"STORE": "redis", **RedisSpace(redis.url).environment()}
            pid: int = redis.client().info("server")["process_id"]  # type: ignore[index]
            with Server(self._folder / "data", (), environment) as server:
                self._scenarios({NOW: server}, {"redis": pid})
            self._http_floors()
            with floors.redis_searches(redis.url, self._corpus) as searches:
                self._raw(searches)
            with floors.redis_transaction(redis.url, self._corpus, BATCH) as write:
                self._raw({"transaction": write})

    def _raw(self, calls: Mapping[str, Callable[[int], object]]) -> None:
        for name, call in calls.items():
            self.floors[name] = floors.measured(call, self._seconds)

    def _scenarios(self, servers: Mapping[str, Server], more: Mapping[str, int]) -> None:
        """Measure every scenario at every server, one scenario after the other.

        Args:
            servers: By label, in the order of their turns.
            more: Processes that belong to them.
        """
        for scenario in SCENARIOS:
            for label, server in servers.items():
                others = {f"idle{n}": each.pid or 0 for n, each in enumerate(servers.values()) if each is not server}
                figures = self._measure(scenario, server, {**others, **more})
                self.rows[scenario.name][label] = figures
                say(f"  {scenario.name}: {label} {figures.rate:.1f}/s, p50 {figures.p50_ms:.2f} ms")

    def _measure(self, scenario: Scenario, server: Server, others: Mapping[str, int]) -> Figures:
        if scenario.name == GROWING:
            return asyncio.run(self._load.growing(server, "/v1/working-memory"))
        return self._load.run(scenario.script, server, others)

    def _http_floors(self) -> None:
        with floors.HttpFloor() as http:
            for name in ("hello", "echo"):
                self.floors[name] = self._load.run(name, http, {})
            self.floors["growing echo"] = asyncio.run(self._load.growing(http, "/echo"))

    def _sqlite_floors(self) -> None:
        with floors.sqlite_searches(self._folder / "searches.db", self._corpus.of(0)) as searches:
            self._raw(searches)
        with floors.sqlite_transaction(self._folder / "writes.db", self._corpus, BATCH) as write:
            self._raw({"transaction": write})


def measure(load: Load, options: argparse.Namespace, against: Mapping[str, Sequence[str]]) -> list[Results]:
    """The figures on sqlite, and with `--redis` on Redis."""
    corpus = load.corpus()
    commands: dict[str, dict[str, Sequence[str]]] = {"sqlite": {NOW: (), **against}}
    if options.redis:
        commands["redis"] = {NOW: ()}
    rounds: dict[str, list[Round]] = defaultdict(list)
    for number in range(options.rounds):
        for store, all_of_them in commands.items():
            say(f"round {number + 1} of {options.rounds}, {store}")
            turns = list(all_of_them.items())[:: 1 if number % 2 == 0 else -1]
            with tempfile.TemporaryDirectory() as folder:
                one = Round(load, corpus, Path(folder), options.duration)
                one.on_sqlite(dict(turns)) if store == "sqlite" else one.on_redis()
            rounds[store].append(one)
    return [_results(store, done, list(commands[store])) for store, done in rounds.items()]


def _results(store: str, rounds: Sequence[Round], labels: Sequence[str]) -> Results:
    return Results(
        store=store,
        servers=list(labels),
        rows={
            scenario.name: {label: medians([each.rows[scenario.name][label] for each in rounds]) for label in labels}
            for scenario in SCENARIOS
        },
        floors={name: medians([each.floors[name] for each in rounds]) for name in rounds[0].floors},
    )


def report(measured: Sequence[Results], options: argparse.Namespace) -> str:
    """All tables in Markdown, with what they were measured by."""
    told = (
        f"{options.memories:,} memories of {USERS} users, {options.concurrency} clients (creating, growing chat: one), "
        f"medians of {options.rounds} rounds of {options.duration:g} s."
    )
    parts = [told]
    for each in measured:
        parts += [f"On the store `{each.store}`:", table(each), f"Its floors (`{each.store}`):", floor_table(each)]
    return "\n\n".join(parts)


def script_path(given: str) -> Path | None:
    """The load script: named, or by the environment, or beside the repository; None where it is not."""
    path = Path(given or os.environ.get("MEMHOST_BENCH_LOAD") or ROOT.parent / "shared" / "bench")
    path = path / SCRIPT if path.is_dir() else path
    return path.resolve() if path.is_file() else None


def labelled(text: str) -> tuple[str, list[str]]:
    """Label and command of `NAME=COMMAND`."""
    label, found, command = text.partition("=")
    if not found or not label or not command.strip() or label == NOW:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=COMMAND with a label other than {NOW!r}")
    return label, shlex.split(command)


def say(text: str) -> None:
    """Tell how far it is, on stderr."""
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--load", default="", metavar="PATH", help=f"{SCRIPT} or its folder")
    parser.add_argument("--against", type=labelled, action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--redis", action="store_true", help="measure the store redis too")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--duration", type=float, default=5.0, help="seconds of each measurement")
    parser.add_argument("--concurrency", type=int, default=8, help="clients at once")
    parser.add_argument("--memories", type=int, default=10_000)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    options = parser.parse_args(arguments)
    script = script_path(options.load)
    if script is None:
        say(
            f"{SCRIPT} is not there; name it with --load PATH or MEMHOST_BENCH_LOAD. It is not part of this repository."
        )
        return 2
    measured = measure(Load(script, options), options, dict(options.against))
    text = report(measured, options)
    print(text)
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(measured)))
    if options.write:
        write_section("speed", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
