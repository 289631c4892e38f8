"""Fixtures for tests of services."""

from __future__ import annotations

import pytest

from tests.support.model_server import ModelServer


@pytest.fixture
def models(model_server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    """A model provider on loopback that the environment points to."""
    monkeypatch.setenv("OPENAI_API_BASE", model_server.url)
    monkeypatch.setenv("OPENAI_API_KEY", "test")
    return model_server
