"""All bundled models pass the conformance suites of their ports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.model_server import CHAT_MODEL, EMBEDDING_MODEL, RERANK_MODEL, ModelServer

from memhost.ports import Embedder, LanguageModel, Reranker
from memhost.settings import Secret
from memhost.specs import NoSettings
from memhost.testing.model import EmbedderConformance, LanguageModelConformance, RerankerConformance
from memhost.testing.models import ScriptedModel, WordEmbedder, WordReranker
from memhost.testing.opening import open_context
from memhost_model_litellm import open_embedder, open_language_model, open_reranker
from memhost_model_litellm.settings import LiteLLMSettings
from memhost_model_static import open_static

AWAY = {"max_retries": 0, "timeout_seconds": 2}


class TestStatic(EmbedderConformance):
    @pytest.fixture
    async def embedder(self, tmp_path: Path) -> AsyncIterator[Embedder]:
        async with open_static(NoSettings(), open_context(tmp_path)) as embedder:
            yield embedder


class TestWords(EmbedderConformance):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return WordEmbedder()


@pytest.mark.filterwarnings("ignore::UserWarning")
class TestLiteLLMEmbedder(EmbedderConformance):
    @pytest.fixture
    async def embedder(
        self, tmp_path: Path, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[Embedder]:
        monkeypatch.setenv("OPENAI_API_KEY", "key")
        monkeypatch.setenv("OPENAI_API_BASE", model_server.url)
        settings = LiteLLMSettings(embedding_dimensions=256)
        async with open_embedder(settings, open_context(tmp_path, model=EMBEDDING_MODEL)) as embedder:
            yield embedder


class TestScripted(LanguageModelConformance):
    @pytest.fixture
    def model(self) -> LanguageModel:
        return ScriptedModel()


@pytest.mark.filterwarnings("ignore::UserWarning")
class TestLiteLLM(LanguageModelConformance):
    @pytest.fixture
    async def model(
        self, tmp_path: Path, model_server: ModelServer, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[LanguageModel]:
        monkeypatch.setenv("OPENAI_API_KEY", "key")
        monkeypatch.setenv("OPENAI_API_BASE", model_server.url)
        async with open_language_model(LiteLLMSettings(), open_context(tmp_path, model=CHAT_MODEL)) as model:
            yield model


class TestWordReranker(RerankerConformance):
    @pytest.fixture
    def reranker(self) -> Reranker:
        return WordReranker()


@pytest.mark.filterwarnings("ignore::UserWarning")
class TestLiteLLMReranker(RerankerConformance):
    @pytest.fixture
    async def reranker(self, tmp_path: Path, model_server: ModelServer) -> AsyncIterator[Reranker]:
        settings = LiteLLMSettings(rerank_api_base=model_server.url, rerank_api_key=Secret("key"))
        async with open_reranker(settings, open_context(tmp_path, model=RERANK_MODEL)) as reranker:
            yield reranker

    @pytest.fixture
    async def unreachable(self, tmp_path: Path) -> AsyncIterator[Reranker]:
        settings = LiteLLMSettings(
            rerank_api_base="http://127.0.0.1:9/v1", rerank_api_key=Secret("key"), max_wait_seconds=0.001
        )
        async with open_reranker(settings, open_context(tmp_path, model=RERANK_MODEL)) as reranker:
            yield reranker
