"""Every conversation of the acceptance set, against the committed list of checks that are known to fail."""

from __future__ import annotations

import pytest

from tests.acceptance.extraction.score import known_failures, results
from tests.acceptance.extraction.script import Conversation, conversations

ALL = conversations()
KNOWN = known_failures()
HOW = "run `python -m tests.acceptance.extraction --failures NAME`; `--write` takes what is met off known_failures.txt"


@pytest.mark.parametrize("conversation", ALL, ids=lambda each: each.name)
async def test_a_conversation_is_remembered_as_expected(conversation: Conversation) -> None:
    checks = await results(conversation)
    known = KNOWN.get(conversation.name, set())
    failed = {each.name: each.found for each in checks if not each.met}
    assert {name: found for name, found in failed.items() if name not in known} == {}, f"checks that were met: {HOW}"
    assert known - set(failed) == set(), f"met now, or gone: {HOW}"


def test_known_failures_are_of_conversations_that_exist() -> None:
    assert set(KNOWN) <= {each.name for each in ALL}
