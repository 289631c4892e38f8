"""Asks strategies for memories: words their questions to the model, or lets them work on their own."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from typing import Any, cast

import msgspec
from msgspec import UNSET

from memhost.errors import AnswerUnusable, MemhostError, ModelRefused, PluginFailure
from memhost.extraction.pipeline.answer_journal import AnswerJournal, PartJournal
from memhost.extraction.prompt_template import data
from memhost.extraction.shown import shown_to_model
from memhost.logs import describe
from memhost.memories.records import record_from_draft
from memhost.messages.windows import prompt_tokens, sent_tokens
from memhost.models import MemoryRecord, SessionKey
from memhost.models.memory import SENT_FIELDS
from memhost.ports import (
    BackgroundStrategy,
    Completion,
    Draft,
    Embedder,
    ExtractionContext,
    ExtractionTools,
    LaterStrategy,
    ModelStrategy,
    Parsed,
    Turn,
)
from memhost.text.conversation import readable
from memhost.text.passages import passages
from memhost.text.recalled.own_text import without_recalled
from memhost.text.speakers import Labels, is_background, speaker_of
from memhost.usage.daily_sheets import NO_LANGUAGE_MODEL
from memhost.usage.model_calls import PURPOSES, ModelCalls, Purpose, spent_on_thinking

logger = logging.getLogger(__name__)

_OWN_PURPOSE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

_FEWEST_TOKENS, _MESSAGE_TOKENS = 50, 60
"""Tokens of a passage at least, and what a line has beside its text: id, role, speaker, time."""

_TAIL_LETTERS = 500
"""Letters of the part before that a question about a part shows."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a strategy for the turns, and the answers of the model that it used.

    `declined` says which parts of long messages the provider declined, and why; empty if none.
    """

    parsed: Parsed
    answers: list[Completion] = []
    declined: str = ""


class ExtractorCalls:
    """Asks strategies.

    Args:
        calls: The model.
        embedder: The embedder.
        max_tokens: Tokens of messages in one question.
    """

    def __init__(self, calls: ModelCalls, embedder: Embedder, max_tokens: int) -> None:
        self._calls = calls
        self._embedder = embedder
        self._max_tokens = max_tokens

    async def ask(
        self,
        strategy: LaterStrategy,
        turns: Sequence[Turn],
        context: ExtractionContext,
        journal: AnswerJournal | None = None,
    ) -> Asked:
        """Have the strategy extract from these turns.

        A message that is longer than one question may be is read in parts, cut between sentences, in several calls.
        Nobody reads recalled memories that came back in a message (`memhost.text.recalled`).

        Args:
            strategy: Words the question and reads the answer, or does it all.
            turns: What to extract from.
            context: What the strategy may know beside them.
            journal: Keeps the answers, so that an attempt that fails later does not pay for them again.

        Raises:
            AnswerUnusable: Nothing could be read, also after the strategy had it mended; the journal is left empty.
            ModelUnavailable: The model does not answer.
            ModelRefused: The provider declines the content.
            BudgetExceeded: A budget is used up.
            PluginFailure: The strategy failed.
        """
        turns, context = _as_said(turns, context)
        if all(is_background(turn.message) for turn in turns):
            return Asked(parsed=Parsed())
        parts = divided(turns, self._max_tokens, context.labels)
        if len(parts) == 1:
            return await self._ask(strategy, turns, context, journal)
        return await self._ask_about_parts(strategy, parts, context, journal)

    async def _ask_about_parts(
        self,
        strategy: LaterStrategy,
        parts: Sequence[Sequence[Turn]],
        context: ExtractionContext,
        journal: AnswerJournal | None,
    ) -> Asked:
        """Have the strategy extract from the parts in order; each is asked about with the end of the one before."""
        drafts: list[Draft] = []
        dropped: list[str] = []
        answers: list[Completion] = []
        declined: ModelRefused | None = None
        left_out: list[str] = []
        for number, turns in enumerate(parts):
            here = _context_of_part(context, turns, parts[number - 1] if number else ())
            try:
                asked = await self._ask(strategy, turns, here, None if journal is None else journal.part(number, turns))
            except ModelRefused as error:
                declined = error
                fields = {"tenant": context.session.tenant, "session": context.session.session, "error": error.message}
                logger.warning("extraction.refused", extra={"fields": {**fields, "part": f"{number + 1}/{len(parts)}"}})
                names = ", ".join(dict.fromkeys(turn.message.id for turn in turns))
                left_out.append(f"Skipped part {number + 1} of {len(parts)} ({names}): {error.message}")
                continue
            answers += asked.answers
            dropped += asked.parsed.dropped
            if strategy.target(context) is None:
                drafts += asked.parsed.drafts
            elif asked.parsed.drafts:  # the memory that is kept up to date goes from part to part
                drafts = asked.parsed.drafts
                context = msgspec.structs.replace(context, previous=_so_far(strategy, drafts[-1], context))
        if declined is not None and len(left_out) == len(parts):
            raise declined
        parsed = Parsed(drafts=drafts, dropped=[*dropped, *left_out])
        return Asked(parsed=parsed, answers=answers, declined=" ".join(left_out))

    async def _ask(
        self,
        strategy: LaterStrategy,
        turns: Sequence[Turn],
        context: ExtractionContext,
        journal: AnswerJournal | PartJournal | None,
    ) -> Asked:
        if hasattr(strategy, "extract"):
            model = _KeptModel(self._calls, context.session, journal)
            tools = ExtractionTools(embedder=self._embedder, llm=model if self._calls.available else None)
            alone = cast("BackgroundStrategy", strategy)
            return Asked(parsed=await _extracted(alone, turns, context, tools), answers=model.answers)
        return await self._question(strategy, turns, context, journal)

    async def _question(
        self,
        strategy: ModelStrategy,
        turns: Sequence[Turn],
        context: ExtractionContext,
        journal: AnswerJournal | PartJournal | None,
    ) -> Asked:
        """Ask the model, and once more where the strategy wants its answer mended."""
        turns, gone = (turns, frozenset[str]()) if journal is None else journal.as_asked(turns)
        request = strategy.prepare(turns, context)
        if request is None:
            return Asked(parsed=Parsed())
        answers = list(journal.kept.answers) if journal is not None else []

        async def answer(index: int, messages: list[dict[str, str]], purpose: Purpose) -> str:
            if index == len(answers):
                answers.append(
                    await self._calls.complete(
                        context.session, messages, purpose=purpose, schema=request.schema, max_tokens=request.max_tokens
                    )
                )
                if journal is not None:
                    await journal.write(answers)
            return answers[index].text

        first = await answer(0, request.messages, "extraction")
        parsed = strategy.parse(first, turns, context)
        if parsed.repair is not None:
            messages = [
                *request.messages,
                {"role": "assistant", "content": first},
                {"role": "user", "content": parsed.repair},
            ]
            parsed = strategy.parse(await answer(1, messages, "repair"), turns, context, parsed)
        if not parsed.usable:
            if journal is not None:
                await journal.write([])
            session = context.session
            fields = {"tenant": session.tenant, "session": session.session, "strategy": strategy.name}
            logger.warning("extraction.unreadable", extra={"fields": {**fields, "letters": len(answers[-1].text)}})
            raise AnswerUnusable(_unreadable(answers[-1]))
        drafts = [draft for draft in parsed.drafts if gone.isdisjoint(draft.source_ids)]
        return Asked(parsed=msgspec.structs.replace(parsed, drafts=drafts), answers=answers)


def _unreadable(answer: Completion) -> str:
    """Say why an answer could not be read, without quoting what people said."""
    if answer.cut == "thinking":
        return spent_on_thinking(answer)
    cause = "is not the requested JSON"
    if answer.cut:
        cause += f": it ran into its limit after {answer.output_tokens} tokens"
    elif not answer.text.strip():
        cause += ": it is empty"
    elif not any(mark in answer.text for mark in "[{"):
        cause += f": it is {len(answer.text)} characters of plain text"
    return f"The language model's answer {cause}."


def _as_said(turns: Sequence[Turn], context: ExtractionContext) -> tuple[list[Turn], ExtractionContext]:
    """The turns and the context without recalled memories; turns that are nothing else are left out."""
    told = []
    for turn in turns:
        message = without_recalled(turn.message)
        if message is turn.message:
            told.append(turn)
        elif message.content or readable(message):
            told.append(msgspec.structs.replace(turn, message=message))
    earlier, messages = (
        [without_recalled(message) for message in each] for each in (context.earlier, context.messages)
    )
    return told, msgspec.structs.replace(context, earlier=earlier, messages=messages)


def divided(turns: Sequence[Turn], max_tokens: int, labels: Labels = frozenset()) -> list[list[Turn]]:
    """The turns in the order in which they are asked about: together, or in parts where one of them is too long.

    Each passage of a long turn is sent with the name of its speaker, where that is known, also by one of the labels.
    """
    sizes = [sent_tokens(turn.message) for turn in turns]
    if all(size <= max_tokens for size in sizes):
        return [list(turns)]
    parts: list[list[Turn]] = []
    held = 0
    for turn, size in zip(turns, sizes, strict=True):
        pieces = [turn] if size <= max_tokens else _pieces_of(turn, max_tokens, labels)
        for piece in pieces:
            weight = size if len(pieces) == 1 else sent_tokens(piece.message)
            if parts and held + weight <= max_tokens:
                parts[-1].append(piece)
                held += weight
            else:
                parts.append([piece])
                held = weight
    return parts


def _pieces_of(turn: Turn, max_tokens: int, labels: Labels) -> list[Turn]:
    """The turn as several of the same id, each with a passage of its text and the name of its speaker."""
    message = turn.message
    most = max(_FEWEST_TOKENS, max_tokens - _MESSAGE_TOKENS)
    pieces = passages(shown_to_model(message), most, lambda text: prompt_tokens(data(text)))
    bare: dict[str, Any] = dict.fromkeys(("parts", *SENT_FIELDS), UNSET)
    bare["name"] = speaker_of(message, labels) or UNSET
    return [
        msgspec.structs.replace(turn, message=msgspec.structs.replace(message, content=piece, **bare))
        for piece in pieces
    ]


def _context_of_part(context: ExtractionContext, turns: Sequence[Turn], before: Sequence[Turn]) -> ExtractionContext:
    """Return the context of a question about a part, in which long messages appear as the part that is asked about."""
    known = {turn.message.id: turn.message for turn in (*before, *turns)}
    earlier = [*context.earlier]
    if before:
        last = before[-1].message
        earlier = [msgspec.structs.replace(last, content=last.content[-_TAIL_LETTERS:])]
    messages = [known.get(message.id, message) for message in context.messages]
    return msgspec.structs.replace(context, earlier=earlier, messages=messages)


def _so_far(strategy: LaterStrategy, draft: Draft, context: ExtractionContext) -> MemoryRecord:
    """The memory that is kept up to date, as the parts so far make it; it is not stored."""
    extractor = f"{strategy.name}/{strategy.version}"
    return record_from_draft(draft, context.session, draft.id or "", extractor, context.now)


async def _extracted(
    strategy: BackgroundStrategy, turns: Sequence[Turn], context: ExtractionContext, tools: ExtractionTools
) -> Parsed:
    origin = f"The extractor {strategy.name}/{strategy.version}"
    try:
        drafts: object = await strategy.extract(turns, context, tools)
    except MemhostError:
        raise
    except Exception as error:  # a foreign extractor may fail in any way; the turns continue to wait
        raise PluginFailure(f"{origin} failed: {describe(error)}") from error
    if not isinstance(drafts, list) or not all(isinstance(draft, Draft) for draft in drafts):
        raise PluginFailure(f"{origin} must return a list of memories.")
    kept = [draft for draft in drafts if draft.text.strip()]
    return Parsed(drafts=kept, dropped=["blank text"] * (len(drafts) - len(kept)))


class _KeptModel:
    """The language model for one attempt at some turns: metered, and no question is paid for twice.

    Attributes:
        answers: The answers used so far, in order.
    """

    def __init__(self, calls: ModelCalls, owner: SessionKey, journal: AnswerJournal | PartJournal | None) -> None:
        self.name = calls.model_for("extraction")
        self.answers: list[Completion] = []
        self._calls = calls
        self._owner = owner
        self._journal = journal
        kept = journal.kept if journal is not None else None
        self._kept = dict(zip(kept.questions, kept.answers, strict=True)) if kept is not None else {}

    async def complete(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        model: str | None = None,
        purpose: str = "extraction",
        schema: dict[str, Any] | None = None,
        max_tokens: int | None = None,
    ) -> Completion:
        """The model's answer; see `memhost.ports.LanguageModel`."""
        sent = msgspec.msgpack.encode((list(messages), model, schema, max_tokens))
        mark = hashlib.sha256(sent).hexdigest()
        answer = self._kept.get(mark)
        if answer is None:
            metered = _metered(purpose)
            answer = await self._calls.complete(
                self._owner,
                messages,
                purpose=metered,
                schema=schema,
                max_tokens=max_tokens,
                model=model or (None if metered in PURPOSES else self._calls.model_for("extraction") or None),
            )
            self._kept[mark] = answer
            if self._journal is not None:
                await self._journal.write(list(self._kept.values()), list(self._kept))
        self.answers.append(answer)
        return answer

    async def aclose(self) -> None:
        """Nothing: the host closes the model."""


def _metered(purpose: str) -> Purpose:
    """The purpose that a plugin's call is metered by: its own name for it, or what such calls are for in memhost.

    Names of memhost's other purposes are not taken: budgets and reports would count the call as something else.
    """
    own = _OWN_PURPOSE.fullmatch(purpose) and purpose not in (*PURPOSES, *NO_LANGUAGE_MODEL)
    return cast("Purpose", purpose) if own or purpose == "repair" else "extraction"
