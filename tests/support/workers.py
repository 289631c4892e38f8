"""A server with worker processes, and a plugin whose jobs the test holds and releases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from memhost.testing.server import ServerProcess, WorkerProcess

PLUGINS = Path(__file__).parent.parent / "data" / "worker-plugins"


class Cluster:
    """One server and workers, all on one folder."""

    def __init__(self, folder: Path, workers: int, environment: Mapping[str, str]) -> None:
        data = folder / "data"
        data.mkdir(parents=True)
        self.folder = folder
        given = {"BACKEND": "arq", "PYTHONPATH": str(PLUGINS), "FAKE_WORK_FOLDER": str(folder), **environment}
        self.server = ServerProcess(data, environment=given)
        self.workers = [WorkerProcess(data, environment=given) for _ in range(workers)]

    def start(self) -> None:
        """Start all processes at once."""
        with ThreadPoolExecutor() as pool:
            for started in [pool.submit(each.start) for each in (self.server, *self.workers)]:
                started.result()

    def started(self) -> list[tuple[str, int]]:
        """Which memory's job was started by which process, in order."""
        path = self.folder / "started"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(name, int(pid)) for name, pid in (line.split() for line in lines)]

    def worker_of(self, name: str) -> WorkerProcess:
        """The worker that started that memory's job last."""
        pid = [pid for started, pid in self.started() if started == name][-1]
        return next(worker for worker in self.workers if worker.pid == pid)

    def release(self, name: str) -> None:
        """Let the held job of that memory end."""
        (self.folder / f"release-{name}").touch()

    def call(self, verb: str, path: str, **more: Any) -> Any:
        """What the server answers."""
        return httpx.request(verb, self.server.url + path, **more).raise_for_status().json()

    def write(self, **texts: str) -> None:
        """Store memories, each with one job that does what its text says."""
        for name, text in texts.items():
            memory = {"id": name, "text": f"{text} as {name}"}  # equal texts would be stored once
            self.call("POST", "/v1/long-term-memory/", json={"memories": [memory]})

    def jobs(self, **query: str) -> Any:
        """What `GET /v1/jobs` answers."""
        return self.call("GET", "/v1/jobs", params=query)

    def effects(self) -> list[str]:
        """Ids of the memories whose jobs have had their effect, one for each effect."""
        found: list[str] = []
        while True:
            request = {"topics": {"eq": "done"}, "limit": 100, "offset": len(found)}
            page = self.call("POST", "/v1/long-term-memory/search", json=request)["memories"]
            found += [memory["source_ids"][0] for memory in page]
            if len(page) < 100:
                return sorted(found)


@contextmanager
def cluster(folder: Path, workers: int, environment: Mapping[str, str]) -> Iterator[Cluster]:
    """Running processes, stopped at the end."""
    running = Cluster(folder, workers, environment)
    with ExitStack() as stack:
        for each in (running.server, *running.workers):
            stack.callback(each.stop)
        running.start()
        yield running
