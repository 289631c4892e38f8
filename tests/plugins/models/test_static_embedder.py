import asyncio
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from memhost_model_static.embedder import MAX_TOKENS, WEIGHTS, ModelFileError, StaticEmbedder


@pytest.fixture(scope="module")
def embedder() -> StaticEmbedder:
    return StaticEmbedder()


def test_rows_are_float32_of_length_one(embedder: StaticEmbedder) -> None:
    vectors = embedder.embed_now(["a cat on a mat", "tax law"])
    assert vectors.shape == (2, embedder.dimensions)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_like_texts_are_nearer_than_unlike(embedder: StaticEmbedder) -> None:
    dog, puppy, tax = embedder.embed_now(["my dog ran away", "the puppy escaped", "income tax form"])
    assert dog @ puppy > dog @ tax + 0.2


@pytest.mark.parametrize("text", ["", "   ", "\n", "\U0001f9ff\U0001fae0"])
def test_text_without_known_tokens_gives_a_zero_row(embedder: StaticEmbedder, text: str) -> None:
    assert not embedder.embed_now([text]).any()


def test_no_texts_give_no_rows(embedder: StaticEmbedder) -> None:
    assert embedder.embed_now([]).shape == (0, embedder.dimensions)


def test_row_does_not_depend_on_company(embedder: StaticEmbedder) -> None:
    texts = [f"line {n} " + "word " * (n % 90) for n in range(700)] + ["", "end"]
    together = embedder.embed_now(texts)
    for i in (0, 1, 255, 256, 257, 699, 700, 701):
        np.testing.assert_allclose(together[i], embedder.embed_now([texts[i]])[0], atol=1e-6)


def test_same_text_gives_the_same_bytes(embedder: StaticEmbedder) -> None:
    again = StaticEmbedder(verify=False)
    assert embedder.embed_now(["once more"]).tobytes() == again.embed_now(["once more"]).tobytes()


def test_long_text_is_cut(embedder: StaticEmbedder) -> None:
    long, cut = embedder.embed_now(["cat " * MAX_TOKENS + "dog " * 50, "cat " * MAX_TOKENS])
    np.testing.assert_allclose(long, cut, atol=1e-5)


async def test_async_embedding_equals_direct(embedder: StaticEmbedder) -> None:
    texts = ["short", "a rather longer text " * 100]
    one, many = await asyncio.gather(embedder.embed(texts[:1]), embedder.embed(texts))
    np.testing.assert_allclose(many[0], one[0], atol=1e-6)
    await embedder.aclose()


def test_name_and_dimensions_come_from_the_manifest(embedder: StaticEmbedder) -> None:
    manifest = json.loads((WEIGHTS / "MANIFEST.json").read_text(encoding="utf-8"))
    assert (embedder.name, embedder.dimensions) == (manifest["name"], manifest["dimensions"])
    assert embedder.local
    assert manifest["licence"] == "Apache-2.0"
    assert all(file["sha256"] for file in manifest["files"].values())


def _copy(target: Path) -> Path:
    shutil.copytree(WEIGHTS, target)
    return target


@pytest.mark.parametrize("name", ["embeddings.npy", "rows.npy", "tokenizer.json", "characters.json"])
def test_damaged_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    folder = _copy(tmp_path / "weights")
    with (folder / name).open("r+b") as file:
        file.seek(-3, 2)
        file.write(b"\x00\x01\x02")
    with pytest.raises(ModelFileError, match=name):
        StaticEmbedder(folder)


@pytest.mark.parametrize("name", ["embeddings.npy", "MANIFEST.json"])
def test_missing_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    folder = _copy(tmp_path / "weights")
    (folder / name).unlink()
    with pytest.raises(ModelFileError, match=name):
        StaticEmbedder(folder)


def test_vectors_equal_those_of_model2vec(embedder: StaticEmbedder) -> None:
    model2vec = pytest.importorskip("model2vec", exc_type=ImportError)
    tokenizers = pytest.importorskip("tokenizers")
    scales = np.load(WEIGHTS / "rows.npy")[0]
    table = np.load(WEIGHTS / "embeddings.npy").astype(np.float32) * scales[:, None]
    tokenizer = tokenizers.Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))
    model = model2vec.StaticModel(vectors=table, tokenizer=tokenizer, normalize=True)
    texts = ["Hello, world!", "na\u00efve caf\u00e9 \u6771\u4eac", "unbelievably long-winded sentences 42", "x"]
    np.testing.assert_allclose(model.encode(texts), embedder.embed_now(texts), atol=1e-3)


@pytest.mark.parametrize("word", ["boat", "nervous", "Postgres", "felix", "refunds", "1966", "Riga", "wedding"])
def test_words_with_a_meaning_of_their_own_are_known(embedder: StaticEmbedder, word: str) -> None:
    assert embedder.knows_any([word])
    assert embedder.knows_any(["zzzqqq", word])


@pytest.mark.parametrize(
    "word",
    ["", " ", "zzzqqq", "qqq", "x", "!", "bxqv", "hjkl", "кошка", "фывапролд", "鸟", "\U0001f9ff", "boat\U0001f9ff"],
)
def test_what_is_put_together_from_fragments_is_not(embedder: StaticEmbedder, word: str) -> None:
    assert not embedder.knows_any([word])
