"""The strategy."""

from __future__ import annotations

from memhost.extraction import Item, PromptedStrategy, since_when
from memhost.ports import Draft, ExtractionContext

INSTRUCTIONS = """\
Note two kinds of memories.
- semantic: facts that hold beyond this conversation, about the user, the people and things around them, or the \
environment the agent works in: who they are, have, like, can, want, decided, and why.
- episodic: single events that happened or are planned, with their date.
Leave out: small talk, passing moods, what any general model knows, questions only asked, what is of no use once this \
conversation is over. Names, numbers and dates that were said belong into the text."""


class Discrete(PromptedStrategy):
    """Facts (semantic) and events (episodic)."""

    name = "discrete"
    version = "1"

    def instructions(self, context: ExtractionContext) -> str:
        """Return what the model looks for."""
        return INSTRUCTIONS

    def adjust(self, item: Item, context: ExtractionContext) -> Draft | str:
        """Facts have a beginning."""
        return since_when(item.draft, context)
