"""The simple way to an extractor: a class with one coroutine, from messages to memories.

    class ActionItems(MemoryExtractor):
        \"\"\"Notes who promised what.\"\"\"

        name = "action-items"

        async def extract(self, messages: list[dict]) -> list[Memory]:
            answer = await self.llm.complete(messages=[{"role": "user", "content": prompt_of(messages)}])
            return [Memory(content=line) for line in answer.text.splitlines()]

    [project.entry-points.memhost]
    acme = "acme_notes:ActionItems"

The entry point may name the class itself, or a module whose `memhost_strategies` returns `[ActionItems.spec()]`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from memhost.errors import ModelUnavailable, PluginFailure
from memhost.hooks import hookimpl
from memhost.models import EventPrecision, MemoryType
from memhost.ports import Draft, ExtractionContext, ExtractionTools, LanguageModel, Turn
from memhost.specs import NoSettings, StrategySpec


class Memory(msgspec.Struct, kw_only=True):
    """A memory as an extractor proposes it; the server adds owner, times, provenance and, if need be, the vector.

    Attributes:
        content: Its text.
        metadata: String keys to strings, numbers, booleans or lists of strings; searches can filter by them.
        embedding: What `await self.embed(content)` gave, if it was needed anyway; the server embeds the text otherwise.
        topics: Subjects, a word or two each.
        entities: Names of people, places and things.
        memory_type: A lasting fact (`semantic`) or something that happened (`episodic`).
        event_date: When it happened, with a time zone.
        event_end: When it ended, if it took longer.
        event_precision: How exact these dates are: `year`, `month`, `week`, `day` or `minute`.
        said_at: When it was said; without it the time of the latest source.
        valid_from: Since when the fact holds, if that was said.
        valid_to: Until when it held, if that was said; searches leave it out afterwards.
        source_ids: Ids of the messages that say so.
        confidence: How sure it is, 0..1; what lies below `EXTRACTION_MIN_CONFIDENCE` is not stored.
    """

    content: str
    metadata: dict[str, Any] = {}
    embedding: Sequence[float] | None = None
    topics: list[str] = []
    entities: list[str] = []
    memory_type: MemoryType = MemoryType.SEMANTIC
    event_date: datetime | None = None
    event_end: datetime | None = None
    event_precision: EventPrecision | None = None
    said_at: datetime | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    source_ids: list[str] = []
    confidence: float | None = None


class Running(msgspec.Struct, frozen=True):
    """The state of an extractor in the current task."""

    tools: ExtractionTools
    context: ExtractionContext


_running: ContextVar[Running] = ContextVar("memhost_extractor_running")


class MemoryExtractor(ABC):
    """Base of extractors. Subclasses give a `name` and `extract`; everything else may stay as it is.

    One object serves all sessions at once, so keep nothing of a conversation in `self`.

    Attributes:
        name: What sessions choose it by, lower case; by default the class's name as `action-items`.
        version: Kept with each memory; raise it when the extractor changes.
        summary: One line for lists; by default the first line of the class's docstring.
        needs_model: Whether it calls `self.llm`; without a configured model it is not offered then.
        settings_type: Struct of its section of the configuration, `[strategies.<name>]`.
        config_type: Struct of the options that a session may give it.
        settings: Its settings.
    """

    name: ClassVar[str] = ""
    version: ClassVar[str] = "1"
    summary: ClassVar[str] = ""
    needs_model: ClassVar[bool] = True
    settings_type: ClassVar[type[msgspec.Struct]] = NoSettings
    config_type: ClassVar[type[msgspec.Struct]] = NoSettings

    def __init__(self, settings: Any = None) -> None:
        self.settings = self.settings_type() if settings is None else settings

    @abstractmethod
    async def extract(self, messages: list[dict[str, Any]]) -> list[Memory]:
        """Memories of the messages.

        It runs in the background and may run again for the same messages, if the server stops or something fails; the
        answers of the model are kept until then. An exception makes the messages wait and the run be repeated.

        Args:
            messages: `id`, `role`, `content`, `created_at` (a datetime in UTC) and `position` in the session each,
                oldest first. Each message comes once.
        """

    @property
    def llm(self) -> LanguageModel:
        """The configured language model: `(await self.llm.complete(messages=[...])).text`.

        Raises:
            ModelUnavailable: None is configured.
        """
        model = _current().tools.llm
        if model is None:
            raise ModelUnavailable("No language model is configured; set LLM_MODEL.")
        return model

    @property
    def context(self) -> ExtractionContext:
        """Return the data beside the messages: options of the session, its summary, earlier messages, the time."""
        return _current().context

    async def embed(self, text: str) -> list[float]:
        """The text's vector by the server's embedder."""
        vectors = await _current().tools.embedder.embed([text])
        return [float(value) for value in vectors[0]]

    @classmethod
    def spec(cls) -> StrategySpec:
        """Return the strategy's description for `memhost_strategies`."""
        name, doc = cls.called(), (cls.__doc__ or "").strip()
        return StrategySpec(
            name=name,
            summary=cls.summary or doc.partition("\n")[0] or f"Extractor {name}.",
            build=lambda settings: _Extracting(cls(settings)),
            settings=cls.settings_type,
            config=cls.config_type,
            needs_model=cls.needs_model,
        )

    @classmethod
    def called(cls) -> str:
        """The name that sessions choose it by."""
        return cls.name or _dashed(cls.__name__)

    @classmethod
    @hookimpl
    def memhost_strategies(cls) -> Sequence[StrategySpec]:
        """Offer the class, where an entry point names it."""
        return [cls.spec()]


class _Extracting:
    """The `memhost.ports.BackgroundStrategy` of an extractor."""

    immediate = False

    def __init__(self, extractor: MemoryExtractor) -> None:
        self.name = extractor.called()
        self.version = extractor.version
        self._extractor = extractor

    def target(self, context: ExtractionContext) -> str | None:
        """None: it adds memories."""
        return None

    async def extract(self, turns: Sequence[Turn], context: ExtractionContext, tools: ExtractionTools) -> list[Draft]:
        """The drafts of what the extractor finds."""
        token = _running.set(Running(tools, context))
        try:
            found = await self._extractor.extract([_message(turn) for turn in turns])
        finally:
            _running.reset(token)
        if not isinstance(found, list):
            raise PluginFailure(f"extract must return a list of Memory, not {type(found).__name__}")
        return [_draft(item) for item in found]


def _current() -> Running:
    try:
        return _running.get()
    except LookupError:
        raise RuntimeError("llm, embed and context are only available while the server calls extract") from None


def _message(turn: Turn) -> dict[str, Any]:
    message = turn.message
    return {
        "id": message.id,
        "role": message.role,
        "content": message.content,
        "created_at": message.created_at,
        "position": turn.position,
    }


def _draft(item: object) -> Draft:
    if not isinstance(item, Memory):
        raise PluginFailure(f"extract must return Memory objects, not {type(item).__name__}")
    content: object = item.content
    if not isinstance(content, str):
        raise PluginFailure(f"content must be a string, not {type(content).__name__}")
    metadata: dict[Any, object] = item.metadata
    for key, value in metadata.items():
        if not (isinstance(key, str) and _storable(value)):
            raise PluginFailure(f"metadata[{key!r}] must be a string, number, boolean or list of strings: {value!r}")
    return Draft(
        text=item.content,
        memory_type=item.memory_type,
        topics=list(item.topics),
        entities=list(item.entities),
        event_date=item.event_date,
        event_end=item.event_end,
        event_precision=item.event_precision,
        said_at=item.said_at,
        valid_from=item.valid_from,
        valid_to=item.valid_to,
        metadata=dict(item.metadata),
        source_ids=list(item.source_ids),
        confidence=item.confidence,
        embedding=None if item.embedding is None else [float(value) for value in item.embedding],
    )


def _storable(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(each, str) for each in value)
    return isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value))


def _dashed(name: str) -> str:
    return "".join(f"-{char.lower()}" if char.isupper() else char for char in name).lstrip("-")
