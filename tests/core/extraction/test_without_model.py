"""Extraction that is asked for where it cannot run: the sentence names the strategy that was meant, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memhost.errors import InvalidRequest
from tests.support.hosts import run, running_host

TALK = [{"role": "user", "content": "I like tea."}]
NEEDS = "needs a language model, and none is configured: set LLM_MODEL."
INSTALLED = "Installed: custom, discrete, preferences, summary, verbatim."


@pytest.mark.parametrize(
    ("strategy", "settings", "told"),
    [
        (None, {}, f"The strategy 'discrete' {NEEDS}"),
        ("discrete", {}, f"The strategy 'discrete' {NEEDS}"),
        ("preferences", {}, f"The strategy 'preferences' {NEEDS}"),
        ("summary", {}, f"The strategy 'summary' {NEEDS}"),
        (None, {"DEFAULT_EXTRACTION_STRATEGY": "preferences"}, f"The strategy 'preferences' {NEEDS}"),
        ("verbatim", {}, "The strategy 'verbatim' extracts when messages are stored, without a language model."),
        (None, {"DEFAULT_EXTRACTION_STRATEGY": "verbatim"}, "The strategy 'verbatim' extracts when"),
        ("nope", {}, f"There is no strategy 'nope'. {INSTALLED}"),
        ("Discrete", {}, f"There is no strategy 'Discrete'. {INSTALLED}"),
        ("discrete", {"ENABLE_DISCRETE_MEMORY_EXTRACTION": "false"}, "Extraction is switched off"),
    ],
)
async def test_a_preview_says_which_strategy_lacks_what(
    strategy: str | None, settings: dict[str, Any], told: str, tmp_path: Path
) -> None:
    wanted = {} if strategy is None else {"long_term_memory_strategy": {"strategy": strategy}}
    async with running_host(tmp_path, store="memory", settings=settings, run_jobs=False) as host:
        with pytest.raises(InvalidRequest) as refused:
            await run(host, "preview_extraction", messages=TALK, **wanted)
        assert refused.value.message.startswith(told)


async def test_a_session_says_which_strategy_lacks_what(tmp_path: Path) -> None:
    async with running_host(tmp_path, store="memory", run_jobs=False) as host:
        await run(host, "put_session", session_id="s", messages=TALK)
        with pytest.raises(InvalidRequest, match="The strategy 'discrete' needs a language model"):
            await run(host, "extract_session", session_id="s")
