"""Extractors as authors write them, offered by entry points of the tests."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from typing import Any

from memhost import Memory, MemoryExtractor


class ActionItems(MemoryExtractor):
    """Notes who promised what."""

    version = "3"

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        lines = "\n".join(f"{message['role']}: {message['content']}" for message in messages)
        answer = await self.llm.complete(
            model="cheap-model",
            messages=[
                {"role": "system", "content": "List the action items as a JSON list of {owner, task}."},
                {"role": "user", "content": lines},
            ],
        )
        found = []
        for item in json.loads(answer.text):
            text = f"{item['owner']} will {item['task']}"
            found.append(Memory(content=text, metadata={"owner": item["owner"]}, embedding=await self.embed(text)))
        return found


class Shouting(MemoryExtractor):
    """Keeps what was shouted; needs no model."""

    name = "shouting"
    needs_model = False

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        return [
            Memory(content=f"Shouted: {message['content']}", topics=["noise"], source_ids=[message["id"]])
            for message in messages
            if message["content"].isupper()
        ]


class Nonsense(MemoryExtractor):
    """Gives back what a test says."""

    name = "nonsense"
    needs_model = False
    given: Any = None

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        if isinstance(Nonsense.given, Exception):
            raise Nonsense.given
        return Nonsense.given  # type: ignore[no-any-return]


POINTS = [
    EntryPoint(name="test-action-items", value="tests.support.extractors:ActionItems", group="memhost"),
    EntryPoint(name="test-shouting", value="tests.support.extractors:Shouting", group="memhost"),
    EntryPoint(name="test-nonsense", value="tests.support.extractors:Nonsense", group="memhost"),
]
