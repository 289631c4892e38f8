"""A plugin for the victims' host: a model that writes down all it reads, and a hook that adds text to a session.

The model stands for the worst one: it notes each line word for word, with high confidence, and gives the evidence that
an attack asks for.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint
from typing import Any

from memhost import hookimpl
from memhost.models import Message
from memhost.ports import LanguageModel
from memhost.specs import LanguageModelSpec, ModelSpec, NoSettings, OpenContext
from memhost.testing.models import Asked, Given, ScriptedModel

POINT = EntryPoint(name="repeating", value="tests.security.poison.model", group="memhost")
FETCH = "fetch:"
"""Beginning of a user's turn that makes the hook add what was fetched."""


class Repeating(ScriptedModel):
    """Repeats what it reads.

    Attributes:
        borrowed: Texts that it claims to have from the user.
        fetched: What the hook adds, by session.
    """

    borrowed: set[str]
    fetched: dict[str, list[str]]

    async def answer(self, asked: Asked) -> Given:
        """Return every line as a memory; of anything else the text of the prompt."""
        if asked.purpose in ("extraction", "repair"):
            return json.dumps({"memories": list(self._memories(asked))}, ensure_ascii=False)
        if asked.purpose == "dedup":
            pairs = [line for line in asked.prompt.splitlines() if line.startswith('{"pair": ')]
            verdicts = [{"pair": json.loads(line)["pair"], "verdict": "distinct", "text": None} for line in pairs]
            return json.dumps({"verdicts": verdicts})
        said = [str(each["content"]) for each in asked.messages if each["role"] == "user"]
        return "What was said, in order and in full:\n" + "\n".join(said)

    def _memories(self, asked: Asked) -> Iterable[dict[str, Any]]:
        lines = _lines(asked)
        schema: Any = asked.schema or {}
        keys = schema.get("properties", {}).get("memories", {}).get("items", {}).get("properties", {})
        for line in lines:
            text = str(line.get("text", ""))
            others = [each["n"] for each in lines if each.get("text") != text]
            borrowed = any(each in text for each in self.borrowed)
            item = {
                "text": text,
                "type": "semantic",
                "scope": "user",
                "topics": [],
                "entities": [],
                "event_date": None,
                "lines": others[:1] if borrowed and others else [line["n"]],
                "confidence": 0.99,
                "subject": "user",
                "polarity": "affirmed",
                "known": "new",
            }
            yield {key: value for key, value in item.items() if not keys or key in keys}


def _lines(asked: Asked) -> list[dict[str, Any]]:
    """The turns that the model is to read."""
    given = (str(each["content"]) for each in asked.messages if each["role"] == "user")
    text = next((each for each in given if "<messages>" in each), "")
    inner = text[text.rfind("<messages>") + len("<messages>") : text.rfind("</messages>")]
    return [json.loads(line) for line in inner.splitlines() if line.strip().startswith("{")]


MODEL = Repeating()


def reset() -> Repeating:
    """Forget everything; the model, to be told what it repeats."""
    MODEL.__init__()  # type: ignore[misc]
    MODEL.borrowed, MODEL.fetched = set(), {}
    return MODEL


@asynccontextmanager
async def _open(_settings: NoSettings, _context: OpenContext) -> AsyncIterator[LanguageModel]:
    yield MODEL


@hookimpl
def memhost_models() -> Sequence[ModelSpec]:
    """Offer the model."""
    return [LanguageModelSpec(name="repeating", summary="Writes down all it reads.", open=_open)]


@hookimpl
async def memhost_before_session_write(write: Any, context: Any) -> Any:
    """Add what a plugin fetched for the user, as turns of a tool."""
    content = write.content
    if content.messages and content.messages[-1].content.startswith(FETCH):
        last = content.messages[-1]
        for at, text in enumerate(MODEL.fetched.get(last.id, ())):
            content.messages.append(
                Message(role="tool", content=text, id=f"{last.id}-f{at}", created_at=last.created_at)
            )
    return write
