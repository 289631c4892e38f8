"""Calls of extractors are metered by the purpose that they name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from memhost import Memory, MemoryExtractor
from memhost.testing.hosts import call, model_of, running_host

MESSAGES = [{"role": "user", "content": "We decided to use Rust.", "created_at": "2026-01-02T03:04:05Z"}]


class Decisions(MemoryExtractor):
    """Names a purpose for its call."""

    name = "kit-decisions"
    purpose = "acme-decisions"

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        await self.llm.complete(messages=[{"role": "user", "content": "What was decided?"}], purpose=self.purpose)
        return []


async def metered(folder: Path, purpose: str, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str | None], list[Any]]:
    """Purposes by which a call is metered, and names of the models that were asked."""
    monkeypatch.setattr(Decisions, "purpose", purpose)
    plugins = {"kit-decisions": f"{__name__}:Decisions"}
    async with running_host(folder, plugins=plugins, settings={"EXTRACTION_MODEL": "small"}) as host:
        strategy = {"strategy": "kit-decisions"}
        given = {"session_id": "s", "user_id": "ann"}
        await call(host, "put_session", **given, messages=MESSAGES, long_term_memory_strategy=strategy)
        await call(host, "extract_session", **given)
        report = await call(host, "get_usage", group_by=["purpose"])
        return [row.purpose for row in report.rows], [asked.model for asked in model_of(host).calls]


@pytest.mark.parametrize("purpose", ["acme-decisions", "acme_2", "repair"])
async def test_a_purpose_of_its_own_is_kept(tmp_path: Path, purpose: str, monkeypatch: pytest.MonkeyPatch) -> None:
    purposes, _ = await metered(tmp_path, purpose, monkeypatch)
    assert purposes == [purpose]


async def test_the_model_is_that_of_extractions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await metered(tmp_path, "acme-decisions", monkeypatch))[1] == ["small"]


@pytest.mark.parametrize(
    "purpose", ["embedding", "reranking", "summary", "plugin", "", "two words", "A", "ü", "a" * 65]
)
async def test_other_names_count_as_extraction(tmp_path: Path, purpose: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await metered(tmp_path, purpose, monkeypatch) == (["extraction"], ["small"])
