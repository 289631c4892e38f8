"""An extraction strategy."""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec

from memhost import Memory, MemoryExtractor
from memhost.settings import setting


class ActionItemsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an operator may set: [strategies.action-items] in memhost.toml."""

    model: Annotated[str | None, setting("Model to ask; the server's own if empty.")] = None


class ActionItems(MemoryExtractor):
    """Notes who promised to do what."""

    name = "action-items"
    version = "1"
    settings_type = ActionItemsSettings

    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        """The action items of the messages."""
        conversation = "\n".join(f"{message['role']}: {message['content']}" for message in messages)
        answer = await self.llm.complete(
            model=self.settings.model,
            messages=[
                {"role": "system", "content": 'List the action items as JSON: [{"owner": ..., "task": ...}].'},
                {"role": "user", "content": conversation},
            ],
        )
        return [
            Memory(content=f"{item['owner']} will {item['task']}", metadata={"owner": item["owner"]})
            for item in json.loads(answer.text)
        ]
