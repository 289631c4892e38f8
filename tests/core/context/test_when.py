"""Questions that ask when are answered by the dates that the context shows."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.dated_chats import questions, tell_all
from tests.support.extractions import host_with_model
from tests.support.hosts import run
from tests.support.model_server import ModelServer


async def test_the_date_asked_for_stands_in_the_context_and_in_the_prompt(models: ModelServer, tmp_path: Path) -> None:
    missing = []
    async with host_with_model(models, tmp_path, settings={"COMPACTION_EVERY_MINUTES": "0"}) as host:
        await tell_all(host, models, {user for user, _, _ in questions()})
        for user, question, pattern in questions():
            context = await run(host, "get_context", query=question, user_id=user, budget=750)
            search = {"limit": 10, "user_id": {"eq": user}}
            prompt = await run(host, "memory_prompt", query=question, long_term_search=search)
            texts = {"context": context.text, "prompt": prompt.messages[0].content.text}
            missing += [(question, name) for name, text in texts.items() if not re.search(pattern, text)]
    assert missing == []
