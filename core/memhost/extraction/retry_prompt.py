"""The second question to a model whose answer is not good enough, and the changes by its second answer."""

from __future__ import annotations

import re
from collections.abc import Sequence

from memhost.extraction.parsing.answers import Reading, merge_drafts
from memhost.extraction.parsing.grounding import unresolved
from memhost.extraction.prompt_template import data
from memhost.extraction.temporal.dating import is_dated
from memhost.ports import Draft, ExtractionContext, Parsed

UNGROUNDED = "ungrounded"
"""Metadata key of memories whose text points to something outside of it."""

_AGAIN = '{problem} Send the whole answer again: one JSON object, {{"memories": [...]}}, with nothing around it.'
_USELESS = "No item of your answer can be used: {reasons} Send it again in the form asked for."
_CUT = (
    "Your answer is cut off or broken; {count} items arrived whole. Send the others, in the same form, no item twice."
)
_UNCLEAR = """\
These texts are not clear to a reader who has nothing else. Send these items again, only these, in this order and the \
same form, with what the conversation tells instead of the words named; say "someone" where it does not tell.
{items}"""

_SIMILAR = 0.3
_WORD = re.compile(r"\w+")


def unread(problem: str, before: Parsed | None) -> Parsed:
    """An answer that holds nothing readable: ask again, or keep what the first answer said."""
    if before is None:
        return Parsed(usable=False, dropped=[problem], repair=_AGAIN.format(problem=problem))
    return Parsed(drafts=before.drafts, dropped=[*before.dropped, problem], usable=before.usable)


def first(drafts: Sequence[Draft], dropped: list[str], reading: Reading, context: ExtractionContext) -> Parsed:
    """A first answer: its drafts, those with unresolved references marked, and what to ask for."""
    kept, unclear = _sorted_out(drafts, dropped, context)
    asks = []
    if reading.cut:
        asks.append(_CUT.format(count=len(drafts)))
    elif reading.faults and not drafts:
        asks.append(_USELESS.format(reasons=" ".join(dropped[:5])))
    if unclear:
        lines = [
            f"{number}. {data(draft.text)}: {', '.join(data(word) for word in words)}"
            for number, (draft, words) in enumerate(unclear, 1)
        ]
        asks.append(_UNCLEAR.format(items="\n".join(lines)))
    return Parsed(drafts=kept, dropped=dropped, repair="\n\n".join(asks) or None)


def mended(
    before: Parsed, drafts: Sequence[Draft], dropped: list[str], reading: Reading, context: ExtractionContext
) -> Parsed:
    """The first answer with what the second one adds, and mends of what was unclear.

    It is not usable if both said something, and nothing of it could be used.
    """
    dropped = [*before.dropped, *dropped]
    added, _ = _sorted_out(drafts, dropped, context)
    unclear = [draft for draft in before.drafts if UNGROUNDED in draft.metadata]
    replaced = _replaced(unclear, drafts)
    kept = [draft for draft in before.drafts if id(draft) not in replaced]
    found = merge_drafts([*kept, *added])
    return Parsed(drafts=found, dropped=dropped, usable=bool(found or drafts) or not reading.faults)


def _sorted_out(
    drafts: Sequence[Draft], dropped: list[str], context: ExtractionContext
) -> tuple[list[Draft], list[tuple[Draft, list[str]]]]:
    """The drafts to keep (unclear ones marked, or left out if that is the policy), and the unclear ones with why."""
    kept, unclear = [], []
    for draft in drafts:
        words = unresolved(draft.text, dated=is_dated(draft))
        if words:
            unclear.append((draft, words))
            if context.grounding_strict:
                dropped.append(f"A text points to something outside of it ({', '.join(words)}).")
                continue
            draft.metadata = {**draft.metadata, UNGROUNDED: True}
        kept.append(draft)
    return kept, unclear


def _replaced(unclear: Sequence[Draft], drafts: Sequence[Draft]) -> set[int]:
    """Return the identities of the unclear drafts that the new ones replace."""
    if len(unclear) == len(drafts):
        return {id(draft) for draft in unclear}
    return {id(old) for old in unclear if any(_same(old, new) for new in drafts)}


def _same(old: Draft, new: Draft) -> bool:
    if old.source_ids and old.source_ids == new.source_ids:
        return True
    first, other = (set(_WORD.findall(draft.text.casefold())) for draft in (old, new))
    return len(first & other) >= _SIMILAR * len(first | other)
