"""Recall on a real conversation, through the client and HTTP: guards against a worse ranking."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.locomo import CATEGORIES, DATA, Score, play, total

from memhost.testing.server import ServerProcess

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the LoCoMo conversations are not beside the project")


async def test_questions_on_a_long_conversation_find_their_evidence(tmp_path: Path) -> None:
    item = json.loads(DATA.read_text())[0]
    scores = {category: Score() for category in CATEGORIES}
    with ServerProcess(tmp_path) as server:
        await play(server.url, item, scores)
    overall = total(scores)
    assert overall.questions > 150
    assert overall.recall[10] / overall.questions >= 0.79
    assert overall.recall[5] / overall.questions >= 0.70
