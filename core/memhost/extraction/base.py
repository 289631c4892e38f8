"""The base of strategies that ask a language model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Annotated

import msgspec

from memhost.extraction import kinds
from memhost.extraction import retry_prompt as repairs
from memhost.extraction.parsing.answers import MAX_TEXT, Item, Limits, Reading, merge_drafts, read_answer
from memhost.extraction.parsing.placeholders import plain_words
from memhost.extraction.prompt_template import Key, Question, build_request, item_keys, system_text
from memhost.extraction.prompts import checked_prompt, prompt_field
from memhost.extraction.provenance import supported, with_source
from memhost.extraction.temporal.dating import date_draft
from memhost.models import Message
from memhost.ports import Draft, ExtractionContext, ModelRequest, Parsed, Turn
from memhost.settings.fields import setting
from memhost.text.speakers import is_background


class PromptedSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings that every prompted strategy has."""

    instructions: Annotated[str, setting("What to note beside what the strategy itself asks for, in words.")] = ""


class PromptedConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Options of a session that every prompted strategy has; other options are ignored."""

    instructions: Annotated[str, prompt_field("What to note, or to leave out, in this session, in words.")] = ""


class PromptedStrategy(ABC):
    """Asks a language model for memories, within the server's frame, and reads its answer item by item.

    A subclass sets `name` and `version` and says in `instructions` what it looks for. It may add keys to the items
    (`keys`) and make something of them (`adjust`).

    Args:
        settings: The strategy's section of the configuration.
    """

    name: str = ""
    version: str = "1"
    immediate: bool = False
    max_text: int = MAX_TEXT
    """Most characters of a text."""

    def __init__(self, settings: PromptedSettings | None = None) -> None:
        self.settings = settings or PromptedSettings()

    @abstractmethod
    def instructions(self, context: ExtractionContext) -> str:
        """Return what to look for, as a part of the system message; so it never contains text of a session."""

    def guidance(self, context: ExtractionContext) -> str:
        """Return what the session itself wants noted; the model gets it as advice inside the frame."""
        return checked_prompt(context.config, "instructions")

    def question(self, turns: Sequence[Turn], context: ExtractionContext) -> Question:
        """Return the question to ask about the turns."""
        own = self.settings.instructions.strip()
        instructions = self.instructions(context).strip()
        return Question(
            instructions=f"{instructions}\n{own}" if own else instructions,
            keys=self.keys(context),
            messages=[turn.message for turn in turns],
            guidance=self.guidance(context),
        )

    def keys(self, context: ExtractionContext) -> list[Key]:
        """Keys of each item, in the order of the prompt."""
        return list(item_keys(context.max_topics).values())

    def noted(self, context: ExtractionContext) -> Collection[str]:
        """Kinds of memories to note (`fact`, `event`, `instruction`, `action`); none if it does not tell them apart."""
        return ()

    def _marked(self, item: Item, messages: Sequence[Message], context: ExtractionContext) -> Draft | str:
        noted = self.noted(context)
        return (
            kinds.marked(item.draft, item.raw, messages, noted, context.labels, context.timezone)
            if noted
            else item.draft
        )

    def adjust(self, item: Item, context: ExtractionContext) -> Draft | str:
        """The draft of an item as the strategy wants it, or why it is left out."""
        return item.draft

    def target(self, context: ExtractionContext) -> str | None:
        """None: it adds memories."""
        return None

    def prepare(self, turns: Sequence[Turn], context: ExtractionContext) -> ModelRequest | None:
        """The question; None if nothing but background (system and tool messages, blank ones) is new.

        Raises:
            UnsafePrompt: A prompt among the options does not pass the check.
        """
        if not any(_speaks(turn) for turn in turns):
            return None
        return build_request(self.question(turns, context), context)

    def read(self, answer: str, turns: Sequence[Turn], context: ExtractionContext) -> Reading:
        """The items of an answer."""
        # What the operator wants noted is not the form: it may well be what somebody says.
        form = msgspec.structs.replace(self.question(turns, context), instructions=self.instructions(context))
        limits = Limits(
            sent=tuple(turn.message.id for turn in turns),
            known=tuple(memory.id for memory in context.known),
            now=context.now,
            max_topics=context.max_topics,
            max_text=self.max_text,
            frame=plain_words(system_text(form)),
        )
        return read_answer(answer, limits)

    def parse(
        self, answer: str, turns: Sequence[Turn], context: ExtractionContext, before: Parsed | None = None
    ) -> Parsed:
        """The memories of an answer; an answer to a repair mends those of the first. Never raises."""
        reading = self.read(answer, turns, context)
        if reading.problem is not None:
            return repairs.unread(reading.problem, before)
        dropped = list(reading.dropped)
        drafts = []
        messages = [turn.message for turn in turns]
        for item in reading.items:
            result = self._marked(item, messages, context)
            if isinstance(result, Draft):
                result = self.adjust(msgspec.structs.replace(item, draft=result), context)
            if isinstance(result, Draft):
                drafts.append(result)
            else:
                dropped.append(result)
        drafts = merge_drafts(date_draft(with_source(draft, turns), turns, context) for draft in drafts)
        if self.target(context) is None:
            drafts = supported(drafts, dropped, self.question(turns, context), turns, context)
        if before is not None:
            return repairs.mended(before, drafts, dropped, reading, context)
        return repairs.first(drafts, dropped, reading, context)


def _speaks(turn: Turn) -> bool:
    message = turn.message
    return not is_background(message) and bool(message.content.strip())
