"""All bundled strategies, and an extractor, pass the conformance suite of the port."""

from __future__ import annotations

import pytest
from tests.support.extractors import ActionItems, Shouting

from memhost.plugins import PluginManager
from memhost.specs import StrategySpec
from memhost.testing.strategy import StrategyConformance


def bundled(name: str) -> StrategySpec:
    found = PluginManager.load().strategies.get(name)
    assert found is not None
    return found.spec


class TestVerbatim(StrategyConformance):
    @pytest.fixture
    def spec(self) -> StrategySpec:
        return bundled("verbatim")


class TestDiscrete(StrategyConformance):
    @pytest.fixture
    def spec(self) -> StrategySpec:
        return bundled("discrete")


class TestPreferences(StrategyConformance):
    answer = '{"memories": [{"type": "preference", "text": "Bob prefers green tea.", "confidence": 0.9}]}'

    @pytest.fixture
    def spec(self) -> StrategySpec:
        return bundled("preferences")


class TestSummary(StrategyConformance):
    answer = '{"memories": [{"text": "Ann books a boat; Bob likes green tea."}]}'

    @pytest.fixture
    def spec(self) -> StrategySpec:
        return bundled("summary")


class TestCustom(StrategyConformance):
    config = {"custom_prompt": "Note drinks."}

    @pytest.fixture
    def spec(self) -> StrategySpec:
        return bundled("custom")


class TestExtractor(StrategyConformance):
    answer = '[{"owner": "Ann", "task": "book the boat"}]'

    @pytest.fixture
    def spec(self) -> StrategySpec:
        return ActionItems.spec()


class TestExtractorWithoutModel(StrategyConformance):
    conversation = ("WHERE IS MY BOAT", "I do not know.")

    @pytest.fixture
    def spec(self) -> StrategySpec:
        return Shouting.spec()
