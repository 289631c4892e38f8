"""Marks memories that say what nothing in front of the model says."""

from __future__ import annotations

from collections.abc import Sequence

from memhost.extraction.prompt_template import Question
from memhost.extraction.screening.evidence import UNSUPPORTED, Evidence, Said
from memhost.models import Message
from memhost.ports import Draft, ExtractionContext, Turn
from memhost.text.conversation import readable
from memhost.text.speakers import speaker_of
from memhost.text.temporal.times import local


def evidence_of(question: Question, turns: Sequence[Turn], context: ExtractionContext) -> Evidence:
    """All that the model was shown: the turns and the lines before them, names, summary, guidance and instructions."""
    said = [_said(message, context) for message in (*context.earlier, *(turn.message for turn in turns))]
    key = context.session
    known = [
        context.summary or "",
        *context.entities,
        *question.known.values(),
        question.guidance,
        question.instructions,
    ]
    known += [key.user, key.namespace, *(text for text in context.config.values() if isinstance(text, str))]
    return Evidence(said, known, local(context.now, context.timezone).date())


def supported(
    drafts: Sequence[Draft], dropped: list[str], evidence: Evidence, context: ExtractionContext
) -> list[Draft]:
    """The drafts; those with names, numbers or dates that nothing shows are marked, or left out if that is the policy.

    Args:
        drafts: Memories of an answer, which are changed.
        dropped: Where a sentence is added for each that is left out.
        evidence: What the model was shown.
        context: Says what is to become of them.
    """
    kept = []
    for draft in drafts:
        if words := evidence.missing(draft.text, draft.entities):
            if context.drop_unsupported:
                dropped.append(f"A text says what nobody said ({', '.join(words)}): {draft.text}")
                continue
            draft.metadata = {**draft.metadata, UNSUPPORTED: words}
        kept.append(draft)
    return kept


def _said(message: Message, context: ExtractionContext) -> Said:
    text = f"{speaker_of(message, context.labels) or ''} {readable(message)}"
    return Said(text, local(message.created_at, context.timezone).date())
