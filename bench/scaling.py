"""What `--workers N` brings to reads on one sqlite file: requests a second, and processor seconds of the server each.

    python -m bench.scaling [--workers 2] [--memories 10000] [--clients 8] [--seconds 8] [--rounds 2]

Fills a store once, then starts a server of one process and one of N on it, in turn, and searches with so many clients
in a process of their own, whose processor time is told apart. The bars are those of N = 2: at least 1.3 times as many
searches a second as one process answers, and at most 1.15 times the processor time of the server for each.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from bench.embedded import USERS, Texts
from bench.request_path import post
from memhost.testing.server import ServerProcess

BAR_MORE, BAR_COST = 1.3, 1.15
_WARM_S = 2.0
_QUESTIONS = 500


class Load(msgspec.Struct, frozen=True):
    """What clients got, in how many seconds, and their processor seconds."""

    answers: int
    wall_s: float
    client_s: float


def search_for(url: str, clients: int, seconds: float, told: Connection) -> None:
    """Search one user's memories with so many clients, each as fast as it is answered; tell a `Load` of the end."""
    texts = Texts(1)
    bodies = [
        json.dumps({"text": texts.sentence(3, 8), "user_id": {"eq": f"u{number % USERS}"}, "limit": 10}).encode()
        for number in range(_QUESTIONS)
    ]
    counts = [0] * clients
    told.send("ready")
    begun = time.monotonic()

    def one(client: int) -> None:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        number = client * (_QUESTIONS // clients)
        while time.monotonic() - begun < seconds + _WARM_S:
            number += 1
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/v1/long-term-memory/search", bodies[number % _QUESTIONS], headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"a search was answered with {answer.status}")
            counts[client] += 1

    threads = [threading.Thread(target=one, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    time.sleep(_WARM_S)
    told.send("warm")
    before, own, since = sum(counts), time.process_time(), time.monotonic()
    time.sleep(seconds)
    told.send(Load(sum(counts) - before, time.monotonic() - since, time.process_time() - own))
    for thread in threads:
        thread.join()


def processor_s(root: int) -> float:
    """Processor seconds of a process and all of its children so far; Linux only."""
    children: dict[int, list[int]] = {}
    spent: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        children.setdefault(int(fields[1]), []).append(int(folder.name))
        spent[int(folder.name)] = int(fields[11]) + int(fields[12])
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        total += spent.get(pid, 0)
        waiting += children.get(pid, ())
    return total / os.sysconf("SC_CLK_TCK")


def measure(folder: Path, workers: int, clients: int, seconds: float) -> tuple[Load, float]:
    """The load of clients on so many server processes, and processor seconds of the server meanwhile."""
    with ServerProcess(folder, environment={"WORKERS": str(workers)}) as server:
        mine, theirs = multiprocessing.Pipe()
        searching = multiprocessing.Process(target=search_for, args=(server.url, clients, seconds, theirs))
        searching.start()
        assert (mine.recv(), mine.recv()) == ("ready", "warm")
        root = server.pid
        assert root is not None
        before = processor_s(root)
        load: Load = mine.recv()
        spent = processor_s(root) - before
        searching.join()
    return load, spent


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memories", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    best: dict[int, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder, texts = Path(name), Texts(1)
        with ServerProcess(folder) as server:
            for first in range(0, options.memories, 500):
                records = [
                    {"id": f"m{number}", "text": texts.sentence(), "user_id": f"u{number % USERS}"}
                    for number in range(first, min(first + 500, options.memories))
                ]
                post(server, "POST", "/v1/long-term-memory/", {"memories": records, "deduplicate": False})
        for _ in range(options.rounds):
            for workers in (1, options.workers):
                load, spent = measure(folder, workers, options.clients, options.seconds)
                rate, cost = load.answers / load.wall_s, 1000 * spent / load.answers
                print(
                    f"{workers} server processes: {rate:6.1f} searches/s   server {cost:6.2f} ms of processor each "
                    f"({spent / load.wall_s:.2f} cores)   clients {load.client_s / load.wall_s:.2f} cores"
                )
                known = best.get(workers, (0.0, float("inf")))
                best[workers] = max(known[0], rate), min(known[1], cost)
    (one, cost_one), (many, cost_many) = best[1], best[options.workers]
    more, cost = many / one, cost_many / cost_one
    print(f"searches a second: {more:.2f} times as many, bar {BAR_MORE}: {'ok' if more >= BAR_MORE else 'MISSED'}")
    print(f"processor for each: {cost:.2f} times as much, bar {BAR_COST}: {'ok' if cost <= BAR_COST else 'MISSED'}")
    return 0 if more >= BAR_MORE and cost <= BAR_COST else 1


if __name__ == "__main__":
    sys.exit(main())
