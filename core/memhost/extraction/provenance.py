"""Where memories come from: restores lost sources, and marks what nothing in front of the model says."""

from __future__ import annotations

import re
from collections.abc import Sequence

from memhost.extraction.kinds import INSTRUCTION, KIND
from memhost.extraction.prompt_template import Question
from memhost.extraction.screening.evidence import UNSUPPORTED, Evidence, Said, alike
from memhost.extraction.screening.sensitive.kinds import kinds_of
from memhost.models import Message, Trust
from memhost.models.trust import by_role, lowest, rank
from memhost.ports import Draft, ExtractionContext, Turn
from memhost.text.conversation import readable
from memhost.text.speakers import is_background, speaker_of
from memhost.text.temporal.languages import common_words, languages_of
from memhost.text.temporal.times import local
from memhost.text.unicode_forms import fold

_MOST, _SOME, _FEW, _FEWEST_WORDS = 0.6, 0.33, 0.25, 3
"""Shares of the words of a text: its source has, support it, and no other has; and words that tell enough."""
_LETTERS = re.compile(r"[^\W_\u3040-\u30ff\u3400-\u9fff]+")
_SIGNS = re.compile("[\u3040-\u30ff\u3400-\u9fff]+")
_ENDING = re.compile("[\u3040-\u309f]*")
_ABOUT_NOTHING = frozenset(("user", "users", "user's", "nutzer", "пользователь", "пользователя"))


def evidence_of(
    question: Question, turns: Sequence[Turn], context: ExtractionContext, *, background: bool = True
) -> Evidence:
    """All that the model was shown: the turns and the lines before them, names, summary, guidance and instructions.

    Args:
        question: The question.
        turns: What it was asked about.
        context: What it knew.
        background: With the lines of tools and systems, which are evidence for what names them as its source.
    """
    shown = (*context.earlier, *(turn.message for turn in turns))
    said = [_said(message, context) for message in shown if background or not is_background(message)]
    key = context.session
    known = [
        context.summary or "",
        *context.entities,
        *(memory.text for memory in context.known),
        *question.known.values(),
        question.guidance,
        question.instructions,
    ]
    known += [key.user, key.namespace, *(text for text in context.config.values() if isinstance(text, str))]
    return Evidence(said, known, local(context.now, context.timezone).date())


def with_source(draft: Draft, turns: Sequence[Turn]) -> Draft:
    """The draft; one that names no message gets the one as its source that alone has the words of its text.

    Most of the words have to be in that message, in whatever form, and few of them in each other one.
    """
    words = _telling(draft.text)
    if draft.source_ids or len(words) < _FEWEST_WORDS:
        return draft
    told: dict[str, str] = {}
    for turn in turns:
        if not is_background(turn.message):
            told[turn.message.id] = f"{told.get(turn.message.id, '')}\n{readable(turn.message)}"
    shares = sorted(((_share(words, text), name) for name, text in told.items()), reverse=True)
    if len(shares) > 1 and shares[0][0] >= _MOST and shares[1][0] <= _FEW:
        draft.source_ids = [shares[0][1]]
    return draft


def borrowed_from(draft: Draft, turns: Sequence[Turn], context: ExtractionContext) -> Trust | None:
    """Tell how far that is trusted whose words the draft has, where its sources do not have them; None if they do.

    A model that names the user's message as the source of what a tool or a prompt said makes it no word of the user's.

    Args:
        draft: A memory of an answer.
        turns: What the model was asked about.
        context: What else it was shown.
    """
    words = _telling(draft.text)
    if len(words) < _FEWEST_WORDS or not draft.source_ids:
        return None
    named: list[str] = []
    given = [context.summary or "", *(text for text in context.config.values() if isinstance(text, str))]
    others: list[tuple[Trust, str]] = [("agent", text) for text in given]
    for message in (*context.earlier, *(turn.message for turn in turns)):
        if message.id in draft.source_ids:
            named.append(readable(message))
        else:
            others.append((message.trust or by_role(message.role), readable(message)))
    if not named or _share(words, "\n".join(named)) > _FEW:
        return None
    owners = [level for level, text in others if _share(words, text, _MOST) >= _MOST]
    return lowest(owners) if owners else None


def unsupported_by(draft: Draft, turns: Sequence[Turn], context: ExtractionContext) -> Trust | None:
    """Tell how far a sensitive statement or a rule is trusted that its sources do not say; None if they do.

    A model may name the user's line for what a tool or a page said in other words. So what only the user may say is the
    user's only if the line that it names speaks of that, or has a third of its words, once such words were shown; of
    other rules it has one word at least.

    Args:
        draft: A memory of an answer.
        turns: What the model was asked about.
        context: What else it was shown.
    """
    shown = (*context.earlier, *(turn.message for turn in turns))
    levels = [message.trust or by_role(message.role) for message in shown]
    if all(rank(level) >= rank("assistant") for level in levels):
        return None
    kinds = kinds_of(draft.text)
    if not kinds and draft.metadata.get(KIND) != INSTRUCTION:
        return None
    named = "\n".join(readable(message) for message in shown if message.id in draft.source_ids)
    words = _telling(draft.text)
    if kinds & kinds_of(named) or not words:
        return None
    share = _share(words, named)
    return None if share >= _SOME or (share and not kinds) else lowest(levels)


def _telling(text: str) -> frozenset[str]:
    """The words of a folded text that say what it is about; pairs of signs in scripts without blanks."""
    folded = fold(text)
    common = frozenset().union(*(common_words(language) for language in languages_of(text)))
    words = {word for word in _LETTERS.findall(folded) if len(word) > 3 and word not in common}
    signs = {run[at : at + 2] for run in _SIGNS.findall(folded) for at in range(len(run) - 1)}
    return frozenset(words - _ABOUT_NOTHING) | {pair for pair in signs if not _ENDING.fullmatch(pair)}


def _share(words: frozenset[str], text: str, least: float = 0.0) -> float:
    """The share of the words that a text has, in whatever form; 0 as soon as it cannot be the least one asked for."""
    folded = fold(text)
    there = frozenset(_LETTERS.findall(folded))
    found = len(words)
    for word in words:
        if word not in folded and not any(alike(word, other) for other in there):
            found -= 1
            if found / len(words) < least:
                return 0.0
    return found / len(words)


def supported(
    drafts: Sequence[Draft], dropped: list[str], question: Question, turns: Sequence[Turn], context: ExtractionContext
) -> list[Draft]:
    """The drafts; those with names, numbers or dates that nothing shows are marked, or left out if that is the policy.

    Args:
        drafts: Memories of an answer, which are changed.
        dropped: Where a sentence is added for each that is left out.
        question: What the model was asked.
        turns: What it was asked about.
        context: Says what is to become of them.
    """
    kept = []
    tools = {turn.message.id for turn in turns if is_background(turn.message)}
    told = evidence_of(question, turns, context, background=False)
    whole = evidence_of(question, turns, context) if tools else told
    for draft in drafts:
        evidence = told if tools.isdisjoint(draft.source_ids) and draft.source_ids else whole
        if words := evidence.missing(draft.text, draft.entities):
            if context.drop_unsupported:
                dropped.append(f"A text says what nobody said ({', '.join(words)}): {draft.text}")
                continue
            draft.metadata = {**draft.metadata, UNSUPPORTED: words}
            draft.relation, draft.known = "new", []  # it ends no fact, and nobody needs to ask what it is
        kept.append(draft)
    return kept


def _said(message: Message, context: ExtractionContext) -> Said:
    text = f"{speaker_of(message, context.labels) or ''} {readable(message)}"
    return Said(text, local(message.created_at, context.timezone).date())
