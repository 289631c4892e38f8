"""All bundled models pass the conformance suites of their ports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.model_server import CHAT_MODEL, EMBEDDING_MODEL, ModelServer

from memhost.ports import Embedder, LanguageModel
from memhost.specs import NoSettings
from memhost.testing.model import EmbedderConformance, LanguageModelConformance
from memhost.testing.models import ScriptedModel, WordEmbedder
from memhost.testing.opening import open_context
from memhost_model_litellm import open_embedder, open_language_model
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
