"""What the door costs: empty operations of memhost beside handlers of Litestar that do nothing else.

    python -m bench.request_path

One run starts both servers, each in a process of its own under the same settings of uvicorn, and asks them in turn, one
request at a time: `GET /v1/health`, and a session of 20 messages, which the typed handler has in memory and memhost
reads from its store. The bar is a ratio of the medians of at most 1.3 for the empty operation. Then it fills memhost
with memories and measures `GET /v1/health` while clients search.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import socket
import sys
import tempfile
import threading
import time
from contextlib import closing
from multiprocessing.synchronize import Event
from pathlib import Path
from urllib.parse import urlsplit

from bench.embedded import USERS, Texts
from bench.floors import HEALTH, SESSIONS, HttpFloor
from bench.speed_table import quantile
from memhost.testing.server import ServerProcess

BAR_RATIO, BAR_BUSY_MS = 1.3, 10.0
SESSION = f"{SESSIONS}/s1?user_id=u1&namespace=bench"
_BLOCK = 100
_PAUSE_S = 0.005


class Client:
    """One connection that is kept, and as little as possible around it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.netloc
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, path: str) -> bytes:
        """The body of a good answer."""
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\nAccept: */*\r\n\r\n".encode())
        got = b""
        while b"\r\n\r\n" not in got:
            got += self._more()
        head, _, body = got.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        if b" 200 " not in lines[0]:
            raise RuntimeError(got.decode(errors="replace"))
        length = next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))
        while len(body) < length:
            body += self._more()
        return body

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _more(self) -> bytes:
        if not (got := self._socket.recv(1 << 18)):
            raise RuntimeError("the server closed the connection")
        return got

    def timed(self, path: str, count: int) -> list[float]:
        """Milliseconds of each of `count` requests, one after the other."""
        found = []
        for _ in range(count):
            begun = time.perf_counter()
            self.get(path)
            found.append(1000 * (time.perf_counter() - begun))
        return found


def post(server: ServerProcess | HttpFloor, verb: str, path: str, body: object) -> None:
    """Send one request with a body.

    Raises:
        RuntimeError: The answer is an error.
    """
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    connection.request(verb, path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    if answer.status >= 300:
        raise RuntimeError(answer.read().decode())
    connection.close()


def compare(server: ServerProcess, rounds: int) -> bool:
    """Print the times of both side by side; tell whether the ratio of the empty operation is within its bar."""
    words = "Ana prefers window seats and books them herself, three weeks ahead, and her brother comes along"
    turns = [{"role": ("user", "assistant")[turn % 2], "content": f"{words}, turn {turn}."} for turn in range(20)]
    path, _, _ = SESSION.partition("?")
    post(server, "PUT", path, {"messages": turns, "user_id": "u1", "namespace": "bench"})
    within = True
    with HttpFloor() as floor, closing(Client(server.url)) as mine, closing(Client(floor.url)) as theirs:
        session = mine.get(SESSION)
        post(floor, "PUT", path, json.loads(session))
        assert len(json.loads(theirs.get(SESSION))["messages"]) == len(json.loads(session)["messages"]) == len(turns)
        for name, target, bar in (("empty operation", HEALTH, BAR_RATIO), ("session of 20 messages", SESSION, None)):
            ours: list[float] = []
            other: list[float] = []
            for number in range(rounds + 1):
                a, b = mine.timed(target, _BLOCK), theirs.timed(target, _BLOCK)
                if number:  # the first round warms up
                    ours += a
                    other += b
            ratio = quantile(ours, 0.5) / quantile(other, 0.5)
            print(f"{name}: {len(ours)} requests to each, in turn")
            for label, times in (("memhost", ours), ("typed", other)):
                print(f"  {label:<8} p50 {quantile(times, 0.5):6.3f} ms   p99 {quantile(times, 0.99):6.3f} ms")
            verdict = "" if bar is None else f", bar {bar}: {'ok' if ratio <= bar else 'MISSED'}"
            print(f"  ratio of p50 {ratio:.2f}{verdict}")
            within = within and (bar is None or ratio <= bar)
    return within


def search_on(url: str, clients: int, stop: Event) -> None:
    """Search with so many clients, each as fast as it is answered, until told to stop."""

    def one(number: int) -> None:
        texts = Texts(1000 + number)
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        while not stop.is_set():
            body = {"text": texts.sentence(3, 8), "search_mode": "hybrid", "limit": 10}
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/v1/long-term-memory/search", json.dumps(body), headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"a search was answered with {answer.status}")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def beside_searches(server: ServerProcess, memories: int, clients: int, seconds: float) -> bool:
    """Print how long `GET /v1/health` takes while clients search; tell whether p99 is within its bar."""
    texts = Texts(1)
    for first in range(0, memories, 500):
        records = [
            {"id": f"m{number}", "text": texts.sentence(), "user_id": f"u{number % USERS}"}
            for number in range(first, min(first + 500, memories))
        ]
        post(server, "POST", "/v1/long-term-memory/", {"memories": records, "deduplicate": False})
    client = Client(server.url)
    alone = [client.timed(HEALTH, 1)[0] for _ in range(200)]
    stop = multiprocessing.Event()
    searching = multiprocessing.Process(target=search_on, args=(server.url, clients, stop))
    searching.start()
    times: list[float] = []
    try:
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < seconds + 2:
            took = client.timed(HEALTH, 1)[0]
            if passed > 2:  # until all of them search
                times.append(took)
            time.sleep(_PAUSE_S)
        if not searching.is_alive():
            raise RuntimeError("the searching clients failed")
    finally:
        stop.set()
        searching.join()
    p99 = quantile(times, 0.99)
    print(f"empty operation while {clients} clients search {memories} memories (hybrid): {len(times)} requests")
    print(f"  alone    p50 {quantile(alone, 0.5):6.3f} ms   p99 {quantile(alone, 0.99):6.3f} ms")
    print(f"  beside   p50 {quantile(times, 0.5):6.3f} ms   p99 {p99:6.3f} ms   max {max(times):6.3f} ms")
    print(f"  p99 bar {BAR_BUSY_MS:.0f} ms: {'ok' if p99 <= BAR_BUSY_MS else 'MISSED'}")
    return p99 <= BAR_BUSY_MS


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30, help=f"of {_BLOCK} requests to each server")
    parser.add_argument("--memories", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder)) as server:
        within = compare(server, options.rounds)
        if options.memories:
            within = beside_searches(server, options.memories, options.clients, options.seconds) and within
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
