"""Asks strategies for memories: words their questions to the model, or lets them work on their own."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from memhost.errors import AnswerUnusable, MemhostError, PluginFailure
from memhost.logs import describe
from memhost.models import SessionKey
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
from memhost.services.answer_journal import AnswerJournal
from memhost.services.model_calls import ModelCalls, Purpose

logger = logging.getLogger(__name__)

NOT_CONVERSATION = frozenset({"system", "tool"})
"""Roles whose messages alone are nothing to extract from: instructions and raw output."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy makes of the turns, and the answers of the model that it used."""

    parsed: Parsed
    answers: list[Completion] = []


class Asking:
    """Asks strategies.

    Args:
        calls: The model.
        embedder: The embedder.
    """

    def __init__(self, calls: ModelCalls, embedder: Embedder) -> None:
        self._calls = calls
        self._embedder = embedder

    async def ask(
        self,
        strategy: LaterStrategy,
        turns: Sequence[Turn],
        context: ExtractionContext,
        journal: AnswerJournal | None = None,
    ) -> Asked:
        """What the strategy makes of these turns.

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
        if all(turn.message.role in NOT_CONVERSATION for turn in turns):
            return Asked(parsed=Parsed())
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
        journal: AnswerJournal | None,
    ) -> Asked:
        """Ask the model, and once more where the strategy wants its answer mended."""
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
            raise AnswerUnusable("The language model's answer is not the JSON that was asked for.")
        return Asked(parsed=parsed, answers=answers)


async def _extracted(
    strategy: BackgroundStrategy, turns: Sequence[Turn], context: ExtractionContext, tools: ExtractionTools
) -> Parsed:
    origin = f"The extractor {strategy.name}/{strategy.version}"
    try:
        drafts: object = await strategy.extract(turns, context, tools)
    except MemhostError:
        raise
    except Exception as error:  # a foreign extractor may fail in any way; the turns go on waiting
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

    def __init__(self, calls: ModelCalls, owner: SessionKey, journal: AnswerJournal | None) -> None:
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
            answer = await self._calls.complete(
                self._owner,
                messages,
                purpose="repair" if purpose == "repair" else "extraction",
                schema=schema,
                max_tokens=max_tokens,
                model=model,
            )
            self._kept[mark] = answer
            if self._journal is not None:
                await self._journal.write(list(self._kept.values()), list(self._kept))
        self.answers.append(answer)
        return answer

    async def aclose(self) -> None:
        """Nothing: the host closes the model."""
