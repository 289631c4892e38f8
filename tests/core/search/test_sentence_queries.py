"""What an embedder gets of a query: its words, the question, or the question in the first person."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from memhost.host import Host, open_host
from memhost.operations import Call
from memhost.plugins import PluginManager
from memhost.ranking import DEFAULT_WEIGHTS, FEATURES
from memhost.search.retrieval import weighted_legs
from memhost.settings import load_configuration
from memhost.specs import EmbedderSpec, NoSettings, OpenContext
from memhost.testing.models import WordEmbedder
from tests.support.fakes import with_bundled
from tests.support.hosts import ADMIN
from tests.support.plugin_factory import make_plugin


class Words(WordEmbedder):
    """An embedder that keeps what it was asked for."""

    def __init__(self, *, local: bool = True) -> None:
        super().__init__()
        self.local = local
        self.texts: list[str] = []

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        self.texts += texts
        return await super().embed(texts)


class Sentences(Words):
    reads_sentences: Literal[True] = True


@asynccontextmanager
async def host_with(folder: Path, embedder: Words) -> AsyncIterator[Host]:
    """A host with that embedder, and turns of two people."""

    @asynccontextmanager
    async def opened(_settings: NoSettings, _context: OpenContext) -> AsyncIterator[Words]:
        yield embedder

    def models() -> list[EmbedderSpec]:
        return [EmbedderSpec(name="kept", summary="Keeps what it is asked.", open=opened)]

    plugins = PluginManager.load(entry_points=[*with_bundled(), make_plugin("kept", {"memhost_models": models})])
    given = {"STORE": "memory", "EMBEDDER": "kept", "DATA_DIR": str(folder)}
    configuration = load_configuration(environ=given, env_file=None, sections=plugins.sections())
    async with open_host(configuration, plugins, run_jobs=False) as host:
        messages = [
            {"role": "user", "name": "Ana", "content": "I was in Rome with my sister last week."},
            {"role": "assistant", "name": "Ben Marsh", "content": "Lovely! I have never been to Rome."},
        ]
        await ask(host, "put_session", session_id="one", user_id="u", messages=messages)
        embedder.texts.clear()
        yield host


async def ask(host: Host, operation: str, **fields: Any) -> Any:
    request = msgspec.convert(fields, host.operations[operation].request)
    return await host.execute(operation, Call(caller=ADMIN, request_id="test"), request)


async def embedded(folder: Path, embedder: Words, text: str, user: str = "u", **fields: Any) -> list[str]:
    async with host_with(folder, embedder) as host:
        await ask(host, "search_memories", text=text, user_id={"eq": user}, **fields)
        return list(embedder.texts)


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("When did Ana visit Rome?", "When did I visit Rome?"),
        ("when did ben marsh visit rome", "when did I visit rome"),
        ("When did Marie visit Rome?", "When did Marie visit Rome?"),
        ("Did Ana and Ben visit Rome?", "Did Ana and Ben visit Rome?"),
        ("Wann war Ana in Rom?", "Wann war Ana in Rom?"),
        ("Rome with a sister", "Rome with a sister"),
    ],
)
async def test_readers_of_sentences_get_the_question(tmp_path: Path, local: bool, text: str, expected: str) -> None:
    assert await embedded(tmp_path, Sentences(local=local), text) == [expected]


async def test_names_of_others_scopes_are_no_speakers(tmp_path: Path) -> None:
    text = "When did Ana visit Rome?"
    assert await embedded(tmp_path, Sentences(), text, user="somebody-else") == [text]


async def test_search_by_meaning_alone_embeds_what_was_asked(tmp_path: Path) -> None:
    text = "When did Ana visit Rome?"
    assert await embedded(tmp_path, Sentences(), text, search_mode="semantic") == [text]


@pytest.mark.parametrize(("local", "expected"), [(True, "ana visit rome"), (False, "When did Ana visit Rome?")])
async def test_other_embedders_get_what_they_got(tmp_path: Path, local: bool, expected: str) -> None:
    assert await embedded(tmp_path, Words(local=local), "When did Ana visit Rome?") == [expected]


@pytest.mark.parametrize("alpha", [None, 0.0, 0.3, 0.7, 1.0])
def test_vectors_of_sentences_weigh_by_a_factor(alpha: float | None) -> None:
    usual, sentences = weighted_legs(DEFAULT_WEIGHTS, alpha), weighted_legs(DEFAULT_WEIGHTS, alpha, sentences=True)
    for name in FEATURES:
        factor = 1.0
        if name.startswith("vector") or name == "centred":
            own = name in ("vector", "centred")
            factor = DEFAULT_WEIGHTS.sentences if own else DEFAULT_WEIGHTS.sentences_around
        assert getattr(sentences, name) == pytest.approx(factor * getattr(usual, name)), name
    assert sentences.vector_floor == DEFAULT_WEIGHTS.vector_floor
