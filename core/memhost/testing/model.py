"""`EmbedderConformance`, `LanguageModelConformance` and `RerankerConformance`: the requirements on models, as tests.

    class TestMyEmbedder(EmbedderConformance):
        @pytest.fixture
        async def embedder(self, tmp_path):
            async with open_mine(MySettings(), open_context(tmp_path)) as embedder:
                yield embedder

    class TestMyModel(LanguageModelConformance):
        @pytest.fixture
        async def model(self, tmp_path): ...

    class TestMyReranker(RerankerConformance):
        @pytest.fixture
        async def reranker(self, tmp_path): ...

`open_context` is in `memhost.testing.opening`. A model whose provider can be taken away in a test gives a second
fixture, `unreachable`: the same model with nobody behind it; without it those tests are skipped.
"""

from __future__ import annotations

import asyncio
import math
import re

import numpy as np
import pytest

from memhost.errors import MemhostError
from memhost.ports import (
    Completion,
    Embedder,
    LanguageBound,
    LanguageModel,
    Reranker,
    SelfChecking,
    SentenceReader,
    Vocabulary,
)

TEXTS = ("The boat lies in Kiel.", "Bob likes green tea.", "ünïcode שלום 😀", "a\nb\tc", "x" * 20000)


@pytest.mark.asyncio
class EmbedderConformance:
    """Every promise of `memhost.ports.Embedder`, `Vocabulary`, `LanguageBound` and `SentenceReader`."""

    @pytest.fixture
    def embedder(self) -> Embedder:
        """An open embedder; override it."""
        raise NotImplementedError("give a fixture `embedder` that returns your open embedder")

    @pytest.fixture
    def unreachable(self) -> Embedder:
        """The embedder with nobody behind it; override it if it uses a network."""
        pytest.skip("no fixture `unreachable`: give one if the embedder uses a network")

    async def test_identity_is_told(self, embedder: Embedder) -> None:
        assert embedder.name.strip(), "name is the identity of the vector space, with its version"
        assert isinstance(embedder.local, bool)
        assert embedder.dimensions > 0

    async def test_rows_have_the_promised_form(self, embedder: Embedder) -> None:
        rows = await embedder.embed(TEXTS)
        assert rows.dtype == np.float32
        assert rows.shape == (len(TEXTS), embedder.dimensions)

    async def test_a_vocabulary_knows_words_and_no_signs(self, embedder: Embedder) -> None:
        if not isinstance(embedder, Vocabulary):
            pytest.skip("the embedder does not say which words it knows")
        assert embedder.knows_any(["boat"]) is True
        assert embedder.knows_any(["zzzqqq", "boat"]) is True
        assert embedder.knows_any([]) is False
        assert embedder.knows_any(["", "😀", "!"]) is False

    async def test_languages_are_codes_of_two_letters(self, embedder: Embedder) -> None:
        if not isinstance(embedder, LanguageBound):
            pytest.skip("the embedder does not name its languages (memhost.ports.LanguageBound)")
        assert isinstance(embedder.languages, frozenset)
        assert embedder.languages, "without a language no query uses the vectors; leave the attribute out for all"
        odd = [code for code in embedder.languages if not re.fullmatch("[a-z]{2}", code)]
        assert not odd, "ISO 639-1, lower case: en, de, ja"

    async def test_a_reader_of_sentences_says_so_and_knows_no_words(self, embedder: Embedder) -> None:
        if not isinstance(embedder, SentenceReader):
            pytest.skip("the embedder does not say that it reads sentences (memhost.ports.SentenceReader)")
        assert embedder.reads_sentences is True, "leave the attribute out if it does not"
        assert not isinstance(embedder, Vocabulary), "a model of sentences has no words of its own (knows_any)"

    async def test_no_texts_give_no_rows(self, embedder: Embedder) -> None:
        assert (await embedder.embed([])).shape == (0, embedder.dimensions)

    @pytest.mark.parametrize("text", TEXTS, ids=["words", "other", "unicode", "lines", "long"])
    async def test_rows_have_length_one_or_are_zero(self, embedder: Embedder, text: str) -> None:
        (row,) = await embedder.embed([text])
        assert np.isfinite(row).all()
        length = float(np.linalg.norm(row))
        assert math.isclose(length, 1, abs_tol=1e-3) or length == 0, f"the row has length {length}; divide by it"

    @pytest.mark.parametrize("text", ["", " ", "\n\t"], ids=["empty", "space", "lines"])
    async def test_blank_texts_are_no_failure(self, embedder: Embedder, text: str) -> None:
        rows = await embedder.embed([text, TEXTS[0]])
        assert rows.shape == (2, embedder.dimensions)
        assert np.isfinite(rows).all()

    async def test_same_text_gives_the_same_row(self, embedder: Embedder) -> None:
        first, again = await embedder.embed([TEXTS[0], TEXTS[0]])
        later = (await embedder.embed([TEXTS[0]]))[0]
        np.testing.assert_allclose(first, again, atol=1e-4)
        np.testing.assert_allclose(first, later, atol=1e-4)

    async def test_a_row_does_not_depend_on_its_company(self, embedder: Embedder) -> None:
        together = await embedder.embed(TEXTS[:2])
        alone = [(await embedder.embed([text]))[0] for text in TEXTS[:2]]
        np.testing.assert_allclose(together, alone, atol=1e-3)

    async def test_like_texts_are_nearer_than_unlike_ones(self, embedder: Embedder) -> None:
        rows = await embedder.embed(["a boat in the harbour", "the boat left the harbour", "tax law of 1923"])
        assert rows[0] @ rows[1] > rows[0] @ rows[2]

    async def test_many_texts_at_once(self, embedder: Embedder) -> None:
        assert (await embedder.embed([f"text number {n}" for n in range(300)])).shape[0] == 300

    async def test_calls_may_overlap(self, embedder: Embedder) -> None:
        results = await asyncio.gather(*(embedder.embed([text]) for text in TEXTS[:3]))
        for text, rows in zip(TEXTS[:3], results, strict=True):
            np.testing.assert_allclose(rows, await embedder.embed([text]), atol=1e-4)

    async def test_an_outage_is_an_error(self, unreachable: Embedder) -> None:
        with pytest.raises(MemhostError) as caught:
            await unreachable.embed(["hello"])
        assert caught.value.retryable, "raise ModelUnavailable, so that it is tried again"


@pytest.mark.asyncio
class LanguageModelConformance:
    """Every promise of `memhost.ports.LanguageModel` and `SelfChecking`."""

    @pytest.fixture
    def model(self) -> LanguageModel:
        """An open model; override it."""
        raise NotImplementedError("give a fixture `model` that returns your open language model")

    @pytest.fixture
    def unreachable(self) -> LanguageModel:
        """The model with nobody behind it; override it if it uses a network."""
        pytest.skip("no fixture `unreachable`: give one if the model uses a network")

    async def test_name_is_told(self, model: LanguageModel) -> None:
        assert isinstance(model.name, str)
        assert model.name, "name is the model used where a call names none"

    async def test_problems_are_sentences(self, model: LanguageModel) -> None:
        if not isinstance(model, SelfChecking):
            pytest.skip("the model does not check its configuration (memhost.ports.SelfChecking)")
        problems = await model.problems(model.name)
        assert isinstance(problems, list)
        assert all(problem.strip() for problem in problems), problems

    @pytest.mark.parametrize(
        "messages",
        [
            [{"role": "user", "content": "Say hello."}],
            [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello."}],
            [
                {"role": "user", "content": "Say hello."},
                {"role": "assistant", "content": "Hello."},
                {"role": "user", "content": "Again."},
            ],
            [{"role": "user", "content": "ünïcode שלום 😀"}],
        ],
        ids=["user", "system", "dialogue", "unicode"],
    )
    async def test_a_conversation_is_answered(self, model: LanguageModel, messages: list[dict[str, str]]) -> None:
        answer = await model.complete(messages)
        assert isinstance(answer, Completion)
        assert isinstance(answer.text, str)
        assert answer.model, "say which model answered; usage is told apart by it"

    async def test_usage_is_counted(self, model: LanguageModel) -> None:
        answer = await model.complete([{"role": "user", "content": "Say hello."}])
        assert answer.input_tokens >= 0
        assert answer.output_tokens >= 0
        assert answer.cost_usd is None or answer.cost_usd >= 0, "None where the price is not known"

    async def test_every_argument_is_taken(self, model: LanguageModel) -> None:
        schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
        messages = [{"role": "user", "content": 'Answer with JSON: {"a": "b"}'}]
        await model.complete(messages, purpose="extraction", schema=schema, max_tokens=50)

    async def test_messages_are_left_as_they_are(self, model: LanguageModel) -> None:
        messages = [{"role": "user", "content": "Say hello."}]
        await model.complete(messages)
        assert messages == [{"role": "user", "content": "Say hello."}]

    async def test_calls_may_overlap(self, model: LanguageModel) -> None:
        questions = [[{"role": "user", "content": f"Say {word}."}] for word in ("one", "two", "three")]
        answers = await asyncio.gather(*(model.complete(question) for question in questions))
        assert len(answers) == 3

    async def test_an_outage_is_an_error(self, unreachable: LanguageModel) -> None:
        with pytest.raises(MemhostError) as caught:
            await unreachable.complete([{"role": "user", "content": "hello"}])
        assert caught.value.retryable, "raise ModelUnavailable, so that it is tried again"


QUERY = "Where does the boat lie?"


@pytest.mark.asyncio
class RerankerConformance:
    """Every promise of `memhost.ports.Reranker`."""

    @pytest.fixture
    def reranker(self) -> Reranker:
        """An open reranker; override it."""
        raise NotImplementedError("give a fixture `reranker` that returns your open reranker")

    @pytest.fixture
    def unreachable(self) -> Reranker:
        """The reranker with nobody behind it; override it if it uses a network."""
        pytest.skip("no fixture `unreachable`: give one if the reranker uses a network")

    async def test_name_is_told(self, reranker: Reranker) -> None:
        assert isinstance(reranker.name, str)
        assert reranker.name, "name says in messages and metrics which model it is"

    async def test_each_text_gets_a_score_from_0_to_1(self, reranker: Reranker) -> None:
        scores = [float(score) for score in await reranker.rerank(QUERY, TEXTS)]
        assert len(scores) == len(TEXTS), "one score for each text, in the order of the texts"
        assert all(0.0 <= score <= 1.0 for score in scores), (
            f"{scores}: bring logits to 0 to 1, e.g. by 1 / (1 + exp(-x))"
        )

    async def test_no_texts_give_no_scores(self, reranker: Reranker) -> None:
        assert list(await reranker.rerank(QUERY, [])) == []

    @pytest.mark.parametrize("text", ["", " ", "\n\t"], ids=["empty", "space", "lines"])
    async def test_blank_texts_are_no_failure(self, reranker: Reranker, text: str) -> None:
        assert len(list(await reranker.rerank(QUERY, [text, TEXTS[0]]))) == 2

    async def test_an_answer_is_above_what_has_nothing_to_do_with_the_query(self, reranker: Reranker) -> None:
        answer, other = await reranker.rerank(QUERY, [TEXTS[0], TEXTS[1]])
        assert answer > other

    async def test_scores_follow_the_texts_and_not_their_places(self, reranker: Reranker) -> None:
        forwards = await reranker.rerank(QUERY, TEXTS[:3])
        backwards = await reranker.rerank(QUERY, TEXTS[:3][::-1])
        np.testing.assert_allclose(list(forwards), list(backwards)[::-1], atol=1e-3)

    async def test_a_score_does_not_depend_on_the_other_texts(self, reranker: Reranker) -> None:
        together = await reranker.rerank(QUERY, TEXTS[:3])
        alone = [(await reranker.rerank(QUERY, [text]))[0] for text in TEXTS[:3]]
        np.testing.assert_allclose(list(together), alone, atol=1e-3)

    async def test_many_texts_at_once(self, reranker: Reranker) -> None:
        assert len(list(await reranker.rerank(QUERY, [f"text number {n}" for n in range(300)]))) == 300

    async def test_calls_may_overlap(self, reranker: Reranker) -> None:
        found = await asyncio.gather(*(reranker.rerank(QUERY, [text]) for text in TEXTS[:3]))
        for text, scores in zip(TEXTS[:3], found, strict=True):
            np.testing.assert_allclose(list(scores), list(await reranker.rerank(QUERY, [text])), atol=1e-3)

    async def test_an_outage_is_an_error(self, unreachable: Reranker) -> None:
        with pytest.raises(MemhostError) as caught:
            await unreachable.rerank(QUERY, TEXTS[:2])
        assert caught.value.retryable, "raise ModelUnavailable, so that the order of the pipeline stays and is told"
