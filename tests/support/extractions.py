"""Hosts with a language model on loopback, for tests of extraction."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from memhost.host import Host
from memhost.models import MemoryRecord
from memhost.ports import Clock
from memhost.testing.models import Asked
from memhost.testing.polling import until
from tests.support.hosts import run, running_host
from tests.support.model_server import Call, Given, ModelServer, Rule, environment

AT_ONCE = {"EXTRACTION_DEBOUNCE_SECONDS": "0", "JOB_BACKOFF_S": "0.05,0.05,0.05"}
"""Settings that leave nothing to wait for."""


@asynccontextmanager
async def host_with_model(
    models: ModelServer,
    folder: Path,
    *,
    store: str = "sqlite",
    settings: Mapping[str, str] | None = None,
    embeddings: bool = False,
    clock: Clock | None = None,
    run_jobs: bool = True,
) -> AsyncIterator[Host]:
    """A host whose language model is the server on loopback; its address stands in the process environment."""
    given = {**environment(models, embeddings=embeddings), **AT_ONCE, **(settings or {})}
    async with running_host(folder, store=store, settings=given, clock=clock, run_jobs=run_jobs) as host:
        yield host


def said(*texts: str, prefix: str = "m", role: str = "user") -> list[dict[str, Any]]:
    """Messages of one speaker, one a minute."""
    return [
        {
            "id": f"{prefix}{index}",
            "role": role,
            "content": text,
            "created_at": f"2026-03-02T{10 + index // 60:02d}:{index % 60:02d}:00Z",
        }
        for index, text in enumerate(texts)
    ]


def item(text: str, *sources: str, **fields: Any) -> dict[str, Any]:
    """An item of a model's answer."""
    return {"type": "semantic", "text": text, "source_message_ids": list(sources), "confidence": 0.9, **fields}


def fresh_lines(call: Call | Asked) -> str:
    """The part of a prompt that holds the messages to extract from."""
    text = call.prompt
    return text[text.rfind("<messages>") : text.rfind("</messages>")]


def lines_of(call: Call | Asked) -> list[dict[str, Any]]:
    """The lines that a prompt gives to extract from."""
    return [json.loads(line) for line in fresh_lines(call).splitlines()[1:]]


def texts_of(call: Call | Asked) -> list[str]:
    """The texts of the lines that a prompt gives to extract from."""
    return [line["text"] for line in lines_of(call)]


def known_to(call: Call | Asked) -> dict[str, int]:
    """The known memories that a prompt of extraction shows: their numbers by text."""
    shown = [json.loads(line) for line in call.prompt.splitlines() if re.match(r'\[\d+,"', line)]
    return {line[2]: line[0] for line in shown}


def extractions(models: ModelServer) -> list[Call]:
    """The calls that extract; not those that judge likeness."""
    return [call for call in models.chat_requests if "<messages>" in call.prompt]


def noting(items: Mapping[str, Sequence[dict[str, Any]]]) -> Rule:
    """A rule: for each text of `items` that a line to extract from holds, its memories."""

    def rule(call: Call) -> Given | None:
        if "<messages>" not in call.prompt:
            return None
        lines = texts_of(call)
        held = (values for text, values in items.items() if any(text in line for line in lines))
        return {"memories": [entry for values in held for entry in values]}

    return rule


async def settled(host: Host, session: str, **owner: str) -> Any:
    """The session once nothing of it waits any more."""
    view: Any = None

    async def nothing_waits() -> bool:
        nonlocal view
        view = await run(host, "get_session", session_id=session, **owner)
        return bool(view.extraction.pending == 0)

    await until(nothing_waits, limit_s=60)  # the first call imports LiteLLM
    return view


async def derived(host: Host, **filters: Any) -> list[MemoryRecord]:
    """All memories that are not turns, oldest first."""
    kinds = {"none": ["message"]}
    found = await run(host, "search_memories", limit=100, extraction_strategy=kinds, recency_boost=False, **filters)
    return sorted(found.memories, key=lambda memory: (memory.created_at, memory.id))
