"""ActionItems keeps the promises of a strategy, and finds action items."""

import pytest
from action_items import ActionItems

from memhost.testing.hosts import call, model_of
from memhost.testing.strategy import StrategyConformance

ANSWER = '[{"owner": "Ann", "task": "book the boat"}]'


class TestActionItems(StrategyConformance):
    answer = ANSWER

    @pytest.fixture
    def spec(self):
        return ActionItems.spec()


async def test_action_items_become_memories(memhost_host):
    async with memhost_host(plugins={"action-items": "action_items:ActionItems"}) as host:
        model_of(host).answers.append(ANSWER)
        await call(
            host,
            "put_session",
            session_id="s1",
            messages=[{"role": "user", "content": "I book the boat.", "created_at": "2026-01-02T03:04:05Z"}],
            long_term_memory_strategy={"strategy": "action-items"},
        )
        await call(host, "extract_session", session_id="s1")
        found = await call(host, "search_memories", metadata={"owner": {"eq": "Ann"}})
        assert [memory.text for memory in found.memories] == ["Ann will book the boat"]
