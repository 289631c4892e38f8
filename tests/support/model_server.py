"""A model provider on loopback: OpenAI's chat and embeddings, Jina's rerank over real HTTP, answering as a test says.

Example:
    ```python
    with ModelServer() as models:
        models.answer({"memories": []})                       # what every chat call gets, from now on
        models.answer(lambda call: "no" if "judge" in call.prompt else None)  # None: the rule before it decides
        models.script(failure(500), failure(429, retry_after="7"), "third time lucky")  # first of all, one call each
        with ServerProcess(tmp_path, environment=environment(models)) as server:
            ...
        assert len(models.chat_requests) == 3
    ```

Where an answer is expected a string is the model's text, a dict or list is that as JSON, and `Answer` is anything.
Embeddings are hashed bags of words: the same in every process, near for texts that share words.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

CHAT_MODEL = "openai/test-model"
EMBEDDING_MODEL = "openai/test-embedding"
RERANK_MODEL = "jina_ai/test-reranker"
DIMENSIONS = 256


@dataclass(frozen=True)
class Call:
    """A request as it arrived. `headers` have lower-case names."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def model(self) -> str:
        """The model asked for, without the provider's name."""
        return str(self.body.get("model", ""))

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of a chat call."""
        return list(self.body.get("messages", ()))

    @property
    def prompt(self) -> str:
        """All texts of a chat call, in order, a line each."""
        return "\n".join(str(message.get("content")) for message in self.messages)

    @property
    def response_format(self) -> dict[str, Any] | None:
        """The form of answer that a chat call asks for."""
        return self.body.get("response_format")

    @property
    def texts(self) -> list[str]:
        """The texts of an embedding call."""
        given = self.body.get("input", [])
        return [given] if isinstance(given, str) else list(given)


@dataclass(frozen=True)
class Answer:
    """What the server sends.

    Attributes:
        status: HTTP status.
        body: The body's bytes, or what is sent as JSON.
        headers: Further headers.
        delay_s: How long the server waits before it answers (it ends early when the server stops).
        cut: Send half of the body, then close the connection.
    """

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    cut: bool = False


Given = str | dict[str, Any] | list[Any] | Answer
Rule = Callable[[Call], Given | None]


def completion(
    text: str | None, *, finish: str = "stop", refusal: str | None = None, tokens: tuple[int, int] = (100, 20)
) -> Answer:
    """A chat completion. `finish` may be `length` or `content_filter`; tokens are those sent and answered."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if refusal is not None:
        message["refusal"] = refusal
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    return Answer(
        body={
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "test-model",
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": usage,
        }
    )


def refusal(text: str = "I cannot help with that.") -> Answer:
    """The model declines, in the field made for it."""
    return completion(None, refusal=text)


def content_filter() -> Answer:
    """The provider's filter stops the answer."""
    return completion("", finish="content_filter")


def truncated(text: str) -> Answer:
    """An answer that ran into the token limit."""
    return completion(text, finish="length")


def huge(characters: int = 2_000_000) -> Answer:
    """A very long answer of prose."""
    return completion("word " * (characters // 5))


def failure(status: int, *, code: str = "", message: str = "scripted", retry_after: str | None = None) -> Answer:
    """An error as OpenAI sends it; `code` is its machine-readable name (`content_policy_violation`)."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    error = {"message": message, "type": kind, "param": None, "code": code or None}
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Answer(status=status, body={"error": error}, headers=headers)


def broken(body: bytes = b'{"id": "chatcmpl-1", "choices": [{"mess') -> Answer:
    """A 200 whose body is no JSON at all."""
    return Answer(body=body)


def cut_off() -> Answer:
    """A connection that ends in the middle of the answer."""
    return Answer(body=completion("this never arrives whole").body, cut=True)


def slow(seconds: float, then: Given = "late") -> Answer:
    """An answer after a while."""
    answer = _answer(then)
    return Answer(answer.status, answer.body, answer.headers, seconds, answer.cut)


def vector(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """The server's embedding of a text: a hashed bag of its words, unit length, zeros if it has none."""
    row = np.zeros(dimensions)
    for word in re.findall(r"\w+", text.lower()):
        digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
        row[int.from_bytes(digest[:4], "big") % dimensions] += 1.0 if digest[4] % 2 else -1.0
    norm = float(np.linalg.norm(row))
    values: list[float] = (row / norm if norm else row).astype(np.float32).tolist()
    return values


def environment(server: ModelServer, *, embeddings: bool = True) -> dict[str, str]:
    """Variables for a `ServerProcess` that uses the server; `embeddings=False` leaves the built-in embedder."""
    variables = {"LLM_MODEL": CHAT_MODEL, "OPENAI_API_BASE": server.url, "OPENAI_API_KEY": "test"}
    if embeddings:
        variables |= {"LLM_EMBEDDING_MODEL": EMBEDDING_MODEL, "EMBEDDING_DIMENSIONS": str(server.dimensions)}
    return variables


class ModelServer:
    """The provider; it listens on a free loopback port while its context is open.

    Attributes:
        url: Base address for `OPENAI_API_BASE`.
        dimensions: Length of the vectors it gives where a request names none.
        requests: Every call so far, oldest first.
    """

    def __init__(self, *, dimensions: int = DIMENSIONS) -> None:
        self.dimensions = dimensions
        self.requests: list[Call] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._queues: dict[str, deque[Given]] = {"chat": deque(), "embeddings": deque(), "rerank": deque()}
        self._rules: dict[str, list[Rule]] = {"chat": [], "embeddings": [], "rerank": []}
        self._http = _Server(self)
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> ModelServer:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    @property
    def chat_requests(self) -> list[Call]:
        """The chat calls so far."""
        return [call for call in self.requests if call.path.endswith("/chat/completions")]

    @property
    def embedding_requests(self) -> list[Call]:
        """The embedding calls so far."""
        return [call for call in self.requests if call.path.endswith("/embeddings")]

    @property
    def rerank_requests(self) -> list[Call]:
        """The rerank calls so far."""
        return [call for call in self.requests if call.path.endswith("/rerank")]

    def script(self, *answers: Given) -> None:
        """Answer the next chat calls with these, one each; they come before the rules."""
        self._queues["chat"].extend(answers)

    def answer(self, rule: Given | Rule) -> None:
        """Answer chat calls with this from now on; the newest rule comes first, one that gives None passes on."""
        self._rules["chat"].append(rule if callable(rule) else lambda _call: rule)

    def script_embeddings(self, *answers: Answer) -> None:
        """Answer the next embedding calls with these, one each."""
        self._queues["embeddings"].extend(answers)

    def answer_embeddings(self, rule: Callable[[Call], Answer | None]) -> None:
        """Answer embedding calls by this rule; where it gives None, with hashed bags of words."""
        self._rules["embeddings"].append(rule)

    def reset(self) -> None:
        """Forget requests, scripts and rules."""
        with self._lock:
            self.requests = []
            for kind in self._queues:
                self._queues[kind].clear()
                self._rules[kind].clear()

    def take(self, call: Call) -> Answer:
        """Note a call and choose its answer."""
        kind = {"/v1/chat/completions": "chat", "/v1/embeddings": "embeddings", "/v1/rerank": "rerank"}.get(call.path)
        with self._lock:
            self.requests.append(call)
            if kind is None:
                return failure(404, message=f"no such path: {call.path}")
            if self._queues[kind]:
                return _answer(self._queues[kind].popleft())
            rules = list(reversed(self._rules[kind]))
        for rule in rules:
            if (given := rule(call)) is not None:
                return _answer(given)
        if kind == "rerank":
            return self.rerank(call)
        return self.embeddings(call) if kind == "embeddings" else _answer({"memories": []})

    def embeddings(self, call: Call, *, dimensions: int | None = None) -> Answer:
        """The usual answer to an embedding call, or one with vectors of another length."""
        size = dimensions or call.body.get("dimensions") or self.dimensions
        vectors: Sequence[Any] = [vector(text, size) for text in call.texts]
        if call.body.get("encoding_format") == "base64":
            vectors = [base64.b64encode(np.asarray(row, dtype="<f4").tobytes()).decode() for row in vectors]
        data = [{"object": "embedding", "index": place, "embedding": row} for place, row in enumerate(vectors)]
        tokens = sum(len(text.split()) for text in call.texts)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return Answer(body={"object": "list", "data": data, "model": call.model, "usage": usage})

    def rerank(self, call: Call) -> Answer:
        """The usual answer to a rerank call: the share of the query's words that a text has, the best first."""
        asked = set(re.findall(r"\w+", str(call.body.get("query", "")).lower()))
        held = [asked & set(re.findall(r"\w+", str(text).lower())) for text in call.body.get("documents", ())]
        rows = [{"index": n, "relevance_score": len(words) / max(1, len(asked))} for n, words in enumerate(held)]
        rows.sort(key=lambda row: -row["relevance_score"])
        return Answer(body={"model": call.model, "results": rows, "usage": {"total_tokens": 10 * len(rows)}})

    def script_rerank(self, *answers: Answer) -> None:
        """Answer the next rerank calls with these, one each."""
        self._queues["rerank"].extend(answers)

    def wait(self, seconds: float) -> None:
        """Wait, at most until the server stops."""
        self._stopping.wait(seconds)


def _answer(given: Given) -> Answer:
    if isinstance(given, Answer):
        return given
    text = given if isinstance(given, str) else json.dumps(given)
    return completion(text, tokens=(100, max(1, len(text) // 4)))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, owner: ModelServer) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: callers that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.owner.take(Call(self.path, body, headers))
        if answer.delay_s:
            self.server.owner.wait(answer.delay_s)
        content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if answer.cut:
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output clean."""
