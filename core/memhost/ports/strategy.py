"""The port of an extraction strategy: turns of a conversation in, memories out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from memhost.models import EventPrecision, MemoryRecord, MemoryType, Message, SessionKey, Trust
from memhost.ports.models import Embedder, LanguageModel
from memhost.text.speakers import Labels


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A message to extract from.

    `position` is its index within the session, counted from 0 over the session's life. `occurrence` is 2 or more
    where the session holds the same message id several times.
    """

    message: Message
    position: int
    occurrence: int = 1


class KnownMemory(msgspec.Struct, frozen=True, kw_only=True):
    """A stored statement of the same owner that may be about what the turns say.

    `said` is when it was said, as far as that is known, else when it was stored. `subject` is what it is about, empty
    if nobody said; `scope` is where it holds, if it is an instruction that does not hold everywhere.
    """

    id: str
    text: str
    said: datetime
    subject: str = ""
    scope: str = ""


Relation = Literal["new", "same", "replaces", "corrects", "adds"]
"""The relation of a new memory to a known one: unlike it, without anything beside it, its end, what is true in place of
it, or more about its matter."""


class Draft(msgspec.Struct, kw_only=True):
    """A memory as a strategy proposes it; the server adds owner, times, hash, vector and provenance.

    `id` is a wish: where it is taken by another owner the server derives one from it. `source_ids` are message
    ids of the turns given. `speaker`, `role` and `position` are set for memories that are turns themselves.
    `confidence` lies in 0..1; the server drops what is below `EXTRACTION_MIN_CONFIDENCE`. `embedding` is the text's
    vector by the server's embedder, where the strategy has it already; without it the server embeds the text.
    `said_at` is when it was said; without it the server takes the time of the latest source, of the turns given if
    `source_ids` names none. `event_end` and `event_precision` belong to `event_date`; `valid_from` and `valid_to` say
    since and until when the fact holds, where that was said. `relation` says what it is to the memories of `known`,
    which are ids of `ExtractionContext.known`. Where it is None the server finds out by itself.
    """

    text: str
    memory_type: MemoryType = MemoryType.SEMANTIC
    id: str | None = None
    topics: list[str] = []
    entities: list[str] = []
    event_date: datetime | None = None
    event_end: datetime | None = None
    event_precision: EventPrecision | None = None
    said_at: datetime | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    created_at: datetime | None = None
    metadata: dict[str, Any] = {}
    source_ids: list[str] = []
    speaker: str | None = None
    role: str | None = None
    position: int | None = None
    confidence: float | None = None
    embedding: list[float] | None = None
    relation: Relation | None = None
    known: list[str] = []


class ExtractionContext(msgspec.Struct, frozen=True, kw_only=True):
    """The data beside the turns that a strategy receives.

    Attributes:
        session: Key of the session that holds the conversation.
        config: The strategy's options for this session (server's, namespace's and session's, merged).
        summary: The session's running summary, None without one.
        now: The current time.
        timezone: IANA name of the zone in which relative times are meant, where a message names none.
        earlier: Messages just before the turns, oldest first: already processed, given to resolve references.
        entities: Names that this user's memories already use.
        topics: Topics that this user's memories already use.
        known: Stored statements of this user that are nearest to the turns, the nearest first.
        previous: The stored memory with the id that `ModelStrategy.target` names, None if there is none.
        outdated: Messages that `previous` was made from were edited or deleted since: it has to be made again, from
            `messages` alone.
        messages: All messages that the session holds, the turns among them; empty if the session is gone. Without those
            whose memories were deleted; if `outdated`, with those that have left the session since.
        roles: Role of each message to extract from, by id.
        trusts: How far each message to extract from is trusted, by id.
        labels: Words in front of messages (`Ana: ...`) that are names of speakers in this conversation; with them
            `memhost.text.speakers.said_by` tells who said a message.
        max_topics: Most topics that a memory may have.
        grounding_strict: Drop texts whose references stay unresolved, instead of marking them
            (`metadata.ungrounded`).
        drop_unsupported: Drop texts that say what nobody said, instead of marking them (`metadata.unsupported`).
    """

    session: SessionKey
    config: dict[str, Any]
    summary: str | None
    now: datetime
    timezone: str = "UTC"
    earlier: list[Message] = []
    entities: list[str] = []
    topics: list[str] = []
    known: list[KnownMemory] = []
    previous: MemoryRecord | None = None
    outdated: bool = False
    messages: list[Message] = []
    roles: dict[str, str] = {}
    trusts: dict[str, Trust] = {}
    labels: Labels = frozenset()
    max_topics: int = 3
    grounding_strict: bool = False
    drop_unsupported: bool = False


class Strategy(Protocol):
    """Extracts memories from turns without a model, inside the write of the session.

    Attributes:
        name: Name that sessions and settings choose it by.
        version: Kept with each memory as `extractor`.
        immediate: True: it needs no model and no I/O, and its memories are committed together with the messages.
    """

    name: str
    version: str
    immediate: bool

    async def extract(self, turns: Sequence[Turn], context: ExtractionContext) -> list[Draft]:
        """Memories of the given turns, which are new or changed, in order of position.

        Must be a pure function of its arguments.
        """
        ...


class ModelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to the language model.

    `messages` have `role` and `content`; `schema` is the JSON schema of the answer, enforced where the provider can.
    """

    messages: list[dict[str, str]]
    schema: dict[str, Any] | None = None
    max_tokens: int | None = None


class Parsed(msgspec.Struct, frozen=True, kw_only=True):
    """The content of an answer.

    Attributes:
        drafts: The memories.
        dropped: Why items were left out, a sentence each.
        repair: What to ask the model to mend, in one further call; None if nothing.
        usable: False if nothing could be read at all; if it stays so the run counts as failed and is repeated.
    """

    drafts: list[Draft] = []
    dropped: list[str] = []
    repair: str | None = None
    usable: bool = True


class ModelStrategy(Protocol):
    """Extracts memories with a language model, in the background.

    The server owns the call, its retries, validation of owners, storage, deduplication and metering; the strategy
    only words the question and reads the answer. `memhost.extraction.PromptedStrategy` is a base that does most.

    Attributes:
        name: Name that sessions and settings choose it by.
        version: Kept with each memory as `extractor`.
        immediate: False.
    """

    name: str
    version: str
    immediate: bool

    def target(self, context: ExtractionContext) -> str | None:
        """Id of the one memory that the strategy keeps up to date for this session; None if it adds memories.

        Such a memory is not deduplicated. Called with a context without `previous`.
        """
        ...

    def prepare(self, turns: Sequence[Turn], context: ExtractionContext) -> ModelRequest | None:
        """The question to the model; None if these turns need no call (they count as done)."""
        ...

    def parse(
        self, answer: str, turns: Sequence[Turn], context: ExtractionContext, before: Parsed | None = None
    ) -> Parsed:
        """Read the answer. Never raises for what a model may write.

        Args:
            answer: The model's text.
            turns: As given to `prepare`.
            context: As given to `prepare`.
            before: What the first answer said, when this one answers its `repair`; no further repair is made.
        """
        ...


class ExtractionTools(msgspec.Struct, frozen=True, kw_only=True):
    """The tools of a background strategy, for one run.

    Attributes:
        embedder: The server's embedder.
        llm: The language model; each call is metered and kept within the budgets of the session's owner, and its
            answer is kept until what follows from it is stored, so that a repeated run does not pay again. None if
            none is configured.
    """

    embedder: Embedder
    llm: LanguageModel | None


class BackgroundStrategy(Protocol):
    """Extracts memories in the background in its own way: with any number of model calls, or without a model.

    The server says when, owns storage, deduplication, metering and repetition. What is raised makes the turns wait and
    the run be repeated; `memhost.MemoryExtractor` is the base that most want.

    Attributes:
        name: Name that sessions and settings choose it by.
        version: Kept with each memory as `extractor`.
        immediate: False.
    """

    name: str
    version: str
    immediate: bool

    def target(self, context: ExtractionContext) -> str | None:
        """As `ModelStrategy.target`."""
        ...

    async def extract(self, turns: Sequence[Turn], context: ExtractionContext, tools: ExtractionTools) -> list[Draft]:
        """Memories of the given turns, which wait for extraction, in order of position.

        Called at least once for each turn; the same turns should give the same drafts, so that a repetition changes
        nothing.
        """
        ...


LaterStrategy = ModelStrategy | BackgroundStrategy
"""A strategy that does not run inside the write of a session."""
