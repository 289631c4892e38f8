"""Token counts: exact if the encoding's file is in the cache, else estimated, never over the network."""

from __future__ import annotations

import hashlib
import socket
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from memhost.messages import tokens, windows
from memhost.messages.tokens import cached_file, estimate, load_encoding, make_counter
from memhost.models import Message


def words(text: str) -> int:
    return len(text.split())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "encoding"
    path.write_bytes(b"a tiny encoding")
    return path


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_more: Any) -> Any:
        raise AssertionError("the network was tried")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize(("text", "count"), [("", 1), ("abc", 1), ("abcd", 1), ("abcde", 2), ("é" * 9, 3)])
def test_estimate_is_a_quarter_of_the_characters_rounded_up(text: str, count: int) -> None:
    assert estimate(text) == count


def test_exact_counter_is_used_when_library_and_file_are_there(file: Path) -> None:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    count = make_counter(file=file, installed=True, load=lambda: words, sha256=digest)
    assert count("one two three") == 3
    assert count("") == 1
    assert count("a" * 1_000_000) == 250_000


def test_estimate_is_used_and_nothing_loaded_otherwise(file: Path, tmp_path: Path) -> None:
    def load() -> Any:
        raise AssertionError("tiktoken would have gone to the network")

    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert make_counter(file=file, installed=False, load=load, sha256=digest) is estimate
    assert make_counter(file=None, installed=True, load=load, sha256=digest) is estimate
    assert make_counter(file=tmp_path / "absent", installed=True, load=load, sha256=digest) is estimate
    assert make_counter(file=tmp_path, installed=True, load=load, sha256=digest) is estimate
    assert make_counter(file=file, installed=True, load=load) is estimate
    assert file.exists(), "tiktoken removes a file whose hash is wrong; the check must come before it"


def test_library_that_fails_falls_back(file: Path) -> None:
    def load() -> Any:
        raise ValueError("broken")

    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert make_counter(file=file, installed=True, load=load, sha256=digest) is estimate


def test_cache_is_looked_for_where_tiktoken_does() -> None:
    name = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
    both = {"TIKTOKEN_CACHE_DIR": "/t", "DATA_GYM_CACHE_DIR": "/d"}
    assert cached_file(both) == Path("/t") / name
    assert cached_file({"DATA_GYM_CACHE_DIR": "/d"}) == Path("/d") / name
    assert cached_file({}) == Path(tempfile.gettempdir()) / "data-gym-cache" / name
    assert cached_file({"TIKTOKEN_CACHE_DIR": ""}) is None


def test_constants_are_those_of_the_installed_tiktoken(monkeypatch: pytest.MonkeyPatch) -> None:
    public = pytest.importorskip("tiktoken_ext.openai_public")
    asked: list[Any] = []
    monkeypatch.setattr(
        public, "load_tiktoken_bpe", lambda address, expected_hash: asked.append((address, expected_hash))
    )
    public.cl100k_base()
    assert asked == [(tokens._ADDRESS, tokens._SHA256)]


@pytest.mark.usefixtures("no_network")
def test_counter_of_an_empty_cache_tries_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    assert make_counter(file=cached_file(), installed=True) is estimate
    assert list(tmp_path.iterdir()) == []


def test_encoding_counts_like_tiktoken(monkeypatch: pytest.MonkeyPatch) -> None:
    tiktoken = pytest.importorskip("tiktoken")

    class Bytes:
        def encode_ordinary(self, text: str) -> list[int]:
            return list(text.encode())

    monkeypatch.setattr(tiktoken, "get_encoding", lambda name: Bytes() if name == "cl100k_base" else None)
    assert load_encoding()("<|endoftext|>") == 13


def test_windows_count_role_and_content_with_the_counter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "token_counter", lambda: words)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    messages = [Message(role="user", content="two words", id=str(n), created_at=at) for n in range(3)]
    assert windows.total_tokens(messages) == 9
    assert [message.id for message in windows.truncate(messages, 6)] == ["1", "2"]
    assert windows.percentages(messages, 18, 0.5) == (50.0, 100.0)
