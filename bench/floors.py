"""Floors for other benchmarks: what the same requests cost at least, in Python, with the same libraries.

A floor does what no server can leave out, and nothing else: no validation beyond types, no ranking, no seal, no
access control. Each is a function that opens its part, and gives calls that take the number of a question or batch:

- `HttpFloor`: a process with typed Litestar handlers, under uvicorn, uvloop and httptools as memhost runs; two of them
  answer what `bench.request_path` asks of memhost, with the same structs and nothing behind them.
- `sqlite_searches`: FTS5 and an exact product with all vectors of one owner, on a plain file.
- `redis_searches`: FT.SEARCH over words and nearest vectors, filtered by owner.
- `sqlite_transaction`: one durable transaction with a batch of rows, their words and vectors.
- `redis_transaction`: the same in Redis, as durable as that server is set to be.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import apsw
import msgspec
import numpy as np
import numpy.typing as npt
import uvicorn
from litestar import Litestar, get, post, put

from bench.speed_table import Figures, quantile
from memhost.operations.responses import Health, WorkingMemoryView

ROOT = Path(__file__).parents[1]
LIMIT = 10
"""Rows that a search returns."""
FUSION = 60
"""The constant of reciprocal rank fusion."""
STOP_LIMIT_S = 30.0
INDEX = "speed-floor"
RETURNED = ("RETURN", 1, "text", "LIMIT", 0, LIMIT, "DIALECT", 2)
HEALTH = "/v1/health"
SESSIONS = "/v1/working-memory"

Vectors = npt.NDArray[np.float32]
Search = Callable[[int], list[str]]
"""The texts of the hits of a question, by its number; best first, at most `LIMIT`."""


class Question(msgspec.Struct, frozen=True):
    """What is asked for: words, their vector (float32, length one), and the number of the owner."""

    words: tuple[str, ...]
    vector: Vectors
    owner: int


class Corpus(msgspec.Struct, frozen=True):
    """Memories and questions about them.

    Attributes:
        texts: A text for each memory.
        vectors: float32, a row of length one for each memory.
        owners: The number of each memory's owner, from 0 on.
        questions: At least one of each owner.
    """

    texts: Sequence[str]
    vectors: Vectors
    owners: Sequence[int]
    questions: Sequence[Question]

    def of(self, owner: int) -> Corpus:
        """The part of one owner."""
        rows = [row for row, each in enumerate(self.owners) if each == owner]
        return Corpus(
            texts=[self.texts[row] for row in rows],
            vectors=self.vectors[rows],
            owners=[owner] * len(rows),
            questions=[question for question in self.questions if question.owner == owner],
        )


class Hello(msgspec.Struct):
    """Body of `POST /hello`."""

    name: str
    n: int


class Greeting(msgspec.Struct):
    """Answer of `POST /hello`."""

    message: str


class ChatMessage(msgspec.Struct):
    """A message of a session."""

    id: str
    role: str
    content: str
    created_at: str


class Session(msgspec.Struct):
    """Body and answer of `PUT /echo/{id}`."""

    messages: list[ChatMessage]
    memories: list[dict[str, Any]]
    user_id: str
    namespace: str


@post("/hello", status_code=200)
async def hello(data: Hello) -> Greeting:
    """Greet."""
    return Greeting(f"hello {data.name}")


@put("/echo/{session_id:str}")
async def echo(session_id: str, data: Session) -> Session:
    """Give the session back."""
    del session_id
    return data


@get(HEALTH)
async def health() -> Health:
    """Answer as memhost does."""
    return Health(now=int(time.time() * 1000))


_kept: dict[str, WorkingMemoryView] = {}


@put(f"{SESSIONS}/{{session_id:str}}")
async def keep_session(session_id: str, data: WorkingMemoryView) -> None:
    """Keep a session in memory."""
    _kept[session_id] = data


@get(f"{SESSIONS}/{{session_id:str}}")
async def kept_session(session_id: str, user_id: str, namespace: str) -> WorkingMemoryView:
    """Answer with the session that is kept."""
    view = _kept[session_id]
    assert (view.user_id, view.namespace) == (user_id, namespace)
    return view


def http_app() -> Litestar:
    """The application of `HttpFloor`."""
    handlers = [hello, echo, health, keep_session, kept_session]
    return Litestar(handlers, openapi_config=None, logging_config=None)


def serve(descriptor: int) -> None:
    """Serve `http_app` on a listening socket until the process is told to end."""
    config = uvicorn.Config(
        http_app(), loop="uvloop", http="httptools", ws="none", log_config=None, access_log=False, server_header=False
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


class HttpFloor:
    """A process that serves `http_app` on loopback; stopped when the context ends.

    Attributes:
        url: Its base address, without a slash at the end.
        pid: Its process.
    """

    def __enter__(self) -> HttpFloor:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(128)
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            command = [sys.executable, "-m", "bench.floors", str(listener.fileno())]
            self._process = subprocess.Popen(command, cwd=ROOT, pass_fds=[listener.fileno()])
        self.pid = self._process.pid
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def fused(*rankings: Sequence[int]) -> list[int]:
    """The best `LIMIT` rows by reciprocal rank fusion."""
    score: dict[int, float] = {}
    for ranking in rankings:
        for rank, row in enumerate(ranking):
            score[row] = score.get(row, 0.0) + 1 / (FUSION + rank)
    return sorted(score, key=score.__getitem__, reverse=True)[:LIMIT]


def _new_file(path: Path) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    statements = (
        "PRAGMA journal_mode=WAL",
        "PRAGMA synchronous=FULL",
        "CREATE TABLE memories(id INTEGER PRIMARY KEY, text TEXT NOT NULL)",
        "CREATE VIRTUAL TABLE words USING fts5(text, content='')",
        "CREATE TABLE vectors(id INTEGER PRIMARY KEY, vector BLOB NOT NULL)",
    )
    for statement in statements:
        connection.execute(statement).fetchall()
    return connection


def _insert(connection: apsw.Connection, first: int, texts: Sequence[str], vectors: Vectors) -> None:
    rows = [(first + number, text) for number, text in enumerate(texts)]
    with connection:
        connection.executemany("INSERT INTO memories(id, text) VALUES (?, ?)", rows)
        connection.executemany("INSERT INTO words(rowid, text) VALUES (?, ?)", rows)
        blobs = [(first + number, vector.tobytes()) for number, vector in enumerate(vectors)]
        connection.executemany("INSERT INTO vectors(id, vector) VALUES (?, ?)", blobs)


@contextmanager
def sqlite_searches(path: Path, corpus: Corpus) -> Iterator[dict[str, Search]]:
    """Searches by `text`, `vector` and `both` in a new file with memories of one owner, whose vectors are in memory."""
    with closing(_new_file(path)) as connection:
        _insert(connection, 0, corpus.texts, corpus.vectors)
        expressions = [" OR ".join(f'"{word}"' for word in question.words) for question in corpus.questions]

        def by_text(number: int) -> list[int]:
            found = connection.execute(
                f"SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank LIMIT {LIMIT}",
                (expressions[number % len(expressions)],),
            )
            return [row for (row,) in found]

        def by_vector(number: int) -> list[int]:
            likeness = corpus.vectors @ corpus.questions[number % len(expressions)].vector
            best = np.argpartition(likeness, -LIMIT)[-LIMIT:] if len(likeness) > LIMIT else np.arange(len(likeness))
            found: list[int] = best[np.argsort(-likeness[best])].tolist()
            return found

        def read(rows: Sequence[int]) -> list[str]:
            marks = ",".join("?" * len(rows))
            texts = dict(connection.execute(f"SELECT id, text FROM memories WHERE id IN ({marks})", tuple(rows)))
            return [texts[row] for row in rows]

        yield {
            "text": lambda number: read(by_text(number)),
            "vector": lambda number: read(by_vector(number)),
            "both": lambda number: read(fused(by_text(number), by_vector(number))),
        }


@contextmanager
def sqlite_transaction(path: Path, corpus: Corpus, size: int) -> Iterator[Callable[[int], int]]:
    """Durable transactions of `size` memories in a new file; each call writes the next and tells how many there are."""
    with closing(_new_file(path)) as connection:
        written = 0

        def write(number: int) -> int:
            nonlocal written
            rows = [(number * size + offset) % len(corpus.texts) for offset in range(size)]
            _insert(connection, written, [corpus.texts[row] for row in rows], corpus.vectors[rows])
            written += size
            return written

        yield write


@contextmanager
def redis_searches(url: str, corpus: Corpus) -> Iterator[dict[str, Search]]:
    """Searches by `text`, `vector` and `both` in an index of its own, filtered by owner; removed at the end."""
    import redis

    with redis.Redis.from_url(url) as client:
        _make_index(client, corpus)
        _put(client.pipeline(transaction=False), corpus, range(len(corpus.texts)))

        def search(*queries: Callable[[Question], tuple[Any, ...]]) -> Search:
            def call(number: int) -> list[str]:
                pipeline = client.pipeline(transaction=False)
                for query in queries:
                    pipeline.execute_command(
                        "FT.SEARCH", INDEX, *query(corpus.questions[number % len(corpus.questions)])
                    )
                texts: dict[int, str] = {}
                rankings: list[list[int]] = []
                for reply in pipeline.execute():
                    rows = [int(key.rpartition(b":")[2]) for key in reply[1::2]]
                    rankings.append(rows)
                    texts.update((row, fields[1].decode()) for row, fields in zip(rows, reply[2::2], strict=True))
                return [texts[row] for row in fused(*rankings)]

            return call

        try:
            yield {"text": search(_by_text), "vector": search(_by_vector), "both": search(_by_text, _by_vector)}
        finally:
            client.execute_command("FT.DROPINDEX", INDEX, "DD")


@contextmanager
def redis_transaction(url: str, corpus: Corpus, size: int) -> Iterator[Callable[[int], int]]:
    """Transactions (MULTI) of `size` memories in an index of its own; each call writes the next."""
    import redis

    with redis.Redis.from_url(url) as client:
        _make_index(client, corpus)

        def write(number: int) -> int:
            _put(client.pipeline(transaction=True), corpus, range(number * size, (number + 1) * size))
            return (number + 1) * size

        try:
            yield write
        finally:
            client.execute_command("FT.DROPINDEX", INDEX, "DD")


def _make_index(client: Any, corpus: Corpus) -> None:
    schema: tuple[Any, ...] = ("ON", "HASH", "PREFIX", 1, f"{INDEX}:", "SCHEMA", "owner", "TAG", "text", "TEXT")
    schema += ("vector", "VECTOR", "HNSW", 6, "TYPE", "FLOAT32", "DIM", corpus.vectors.shape[1])
    client.execute_command("FT.CREATE", INDEX, *schema, "DISTANCE_METRIC", "COSINE")


def _put(pipeline: Any, corpus: Corpus, rows: Sequence[int]) -> None:
    """Write memories under the keys of `rows`, which may go on beyond the corpus: it repeats."""
    for row in rows:
        place = row % len(corpus.texts)
        fields = {
            "text": corpus.texts[place],
            "vector": corpus.vectors[place].tobytes(),
            "owner": f"o{corpus.owners[place]}",
        }
        pipeline.hset(f"{INDEX}:{row}", mapping=fields)
    pipeline.execute()


def _by_text(question: Question) -> tuple[Any, ...]:
    return (f"@owner:{{o{question.owner}}} @text:({'|'.join(question.words)})", *RETURNED)


def _by_vector(question: Question) -> tuple[Any, ...]:
    nearest = f"(@owner:{{o{question.owner}}})=>[KNN {LIMIT} @vector $v AS distance]"
    return (nearest, "PARAMS", 2, "v", question.vector.tobytes(), "SORTBY", "distance", *RETURNED)


def words_of(text: str) -> tuple[str, ...]:
    """The words of a question, each once, in lower case."""
    return tuple(dict.fromkeys(re.findall(r"\w+", text.lower())))


def measured(call: Callable[[int], object], seconds: float) -> Figures:
    """Rate, quantiles and CPU time of calls one after the other, for `seconds` after twenty calls to warm up."""
    for number in range(20):
        call(number)
    spent: list[float] = []
    cpu, begun = time.process_time(), time.perf_counter()
    end = begun + seconds
    while not spent or time.perf_counter() < end:
        started = time.perf_counter()
        call(20 + len(spent))
        spent.append(time.perf_counter() - started)
    count, passed = len(spent), time.perf_counter() - begun
    return Figures(
        rate=count / passed,
        p50_ms=1000 * quantile(spent, 0.5),
        p99_ms=1000 * quantile(spent, 0.99),
        cpu_ms=1000 * (time.process_time() - cpu) / count,
    )


if __name__ == "__main__":
    serve(int(sys.argv[1]))
