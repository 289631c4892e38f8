"""The reranker with a model made here, and, where ONNX_FOLDER names one, with a real cross-encoder.

The model made here counts the words of the query that the text has: it is a model for tests, not one to rank with.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from onnx_reranker import OnnxSettings, open_onnx

from memhost.errors import ConfigurationError
from memhost.testing.hosts import call
from memhost.testing.model import RerankerConformance
from memhost.testing.opening import open_context

REAL = os.environ.get("ONNX_FOLDER", "")


def write_model(folder: Path) -> Path:
    """Write a model of a few operators whose logit is the number of words in common, less 1.5."""
    from onnx import TensorProto, checker, helper, save
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    nodes = [
        helper.make_node("Unsqueeze", ["input_ids", "two"], ["ids_of_query"]),
        helper.make_node("Unsqueeze", ["input_ids", "one"], ["ids_of_text"]),
        helper.make_node("Equal", ["ids_of_query", "ids_of_text"], ["equal"]),
        helper.make_node("Cast", ["equal"], ["same"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["token_type_ids"], ["in_text"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["attention_mask"], ["there"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["there", "in_text"], ["in_query"]),
        helper.make_node("Unsqueeze", ["in_text", "one"], ["columns"]),
        helper.make_node("Mul", ["same", "columns"], ["held"]),
        helper.make_node("ReduceMax", ["held", "two"], ["hit"], keepdims=0),
        helper.make_node("Mul", ["hit", "in_query"], ["counted"]),
        helper.make_node("ReduceSum", ["counted", "one"], ["sum"], keepdims=1),
        helper.make_node("Sub", ["sum", "offset"], ["logits"]),
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "tokens"])
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 1])]
    constants = [
        helper.make_tensor("one", TensorProto.INT64, [1], [1]),
        helper.make_tensor("two", TensorProto.INT64, [1], [2]),
        helper.make_tensor("offset", TensorProto.FLOAT, [1], [2.5]),  # [SEP] closes query and text: one in common
    ]
    graph = helper.make_graph(nodes, "overlap", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    checker.check_model(model)
    save(model, str(folder / "model.onnx"))
    words = [
        "where",
        "does",
        "the",
        "boat",
        "lie",
        "lies",
        "in",
        "kiel",
        "bob",
        "likes",
        "green",
        "tea",
        "a",
        "blue",
        "is",
        "of",
        "soup",
        "was",
        "cold",
    ]
    vocabulary = {word: place for place, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def require():
    """Skip the test where a library is not installed."""
    for name in ("onnxruntime", "onnx", "tokenizers"):
        pytest.importorskip(name, reason=f"needs {name}: pip install -e '.[test]'")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    require()
    made = tmp_path / "overlap"
    made.mkdir()
    return write_model(made)


class TestOnnxReranker(RerankerConformance):
    @pytest.fixture
    async def reranker(self, tmp_path, folder):
        async with open_onnx(OnnxSettings(folder=str(folder)), open_context(tmp_path)) as reranker:
            yield reranker


@pytest.mark.skipif(not REAL, reason="ONNX_FOLDER names no cross-encoder")
class TestRealCrossEncoder(RerankerConformance):
    @pytest.fixture
    async def reranker(self, tmp_path):
        async with open_onnx(OnnxSettings(folder=REAL), open_context(tmp_path)) as reranker:
            yield reranker

    async def test_meaning_counts_without_a_word_in_common(self, reranker):
        texts = ["Apples rot quickly.", "The vessel is moored at the pier in Hamburg."]
        other, answer = await reranker.rerank("Where does the boat lie?", texts)
        assert answer > other


async def test_scores_do_not_depend_on_the_batches(tmp_path, folder):
    texts = [f"the boat {'green ' * n}" for n in range(7)]
    found = []
    for batch in (1, 3, 16):
        async with open_onnx(OnnxSettings(folder=str(folder), batch=batch), open_context(tmp_path)) as reranker:
            found.append(await reranker.rerank("a green boat", texts))
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    np.testing.assert_allclose(found[0], found[2], atol=1e-6)


def test_one_logit_and_two_are_read():
    require()
    from onnx_reranker.model import probabilities

    np.testing.assert_allclose(probabilities(np.array([[0.0], [100.0]])), [0.5, 1.0])
    np.testing.assert_allclose(probabilities(np.array([0.0, 0.0])), [0.5, 0.5])
    np.testing.assert_allclose(probabilities(np.array([[1.0, 1.0], [0.0, 3.0]])), [0.5, 0.952574], atol=1e-6)
    with pytest.raises(ValueError, match="3 numbers"):
        probabilities(np.zeros((2, 3)))


@pytest.mark.parametrize("there", ["", "model.onnx", "tokenizer.json"])
async def test_a_folder_without_the_files_is_told(tmp_path, there):
    if there:
        (tmp_path / there).touch()
    settings = OnnxSettings(folder=str(tmp_path) if there else "")
    with pytest.raises(ConfigurationError, match="ONNX_FOLDER"):
        async with open_onnx(settings, open_context(tmp_path)):
            pass


async def test_a_host_uses_it(memhost_host, folder):
    settings = {"RERANKER": "onnx", "ONNX_FOLDER": str(folder)}
    async with memhost_host(plugins={"onnx-reranker": "onnx_reranker"}, settings=settings) as host:
        memories = [{"id": "a", "text": "The boat lies in Kiel"}, {"id": "b", "text": "Bob likes green tea"}]
        await call(host, "create_memories", memories=memories)
        found = await call(host, "search_memories", text="where does the boat lie", explain=True)
        assert [memory.id for memory in found.memories] == ["a", "b"]
        assert found.memories[0].explain["reranker"] > found.memories[1].explain["reranker"]
