"""The strategy."""

from __future__ import annotations

from memhost.extraction import KIND, PREFERENCE, Item, Key, PromptedStrategy, read_tags
from memhost.models import MemoryType
from memhost.ports import Draft, ExtractionContext

INSTRUCTIONS = """\
Note only lasting preferences and traits of the user: likes and dislikes, settings, habits of work and life, ways to \
communicate, choices of technology, tools and brands, needs and limits such as diets.
Leave out: passing moods and states, single decisions and orders, plans, events, what others prefer (unless the user \
has to heed it), and anything that is only a guess from one action. If the user changed a preference, note the new one \
and not the old."""

_POLARITIES = ("positive", "negative", "neutral")
_KEYS = [
    Key(
        name="polarity",
        says='"positive" (wants, likes), "negative" (avoids, dislikes) or "neutral" (a trait, a habit, a setting)',
        schema={"type": "string", "enum": list(_POLARITIES)},
    ),
    Key(
        name="subject",
        says='what it is about, in one to three words that stay the same when the preference changes ("coffee", '
        '"seat on flights", "length of answers")',
        schema={"type": "string"},
    ),
]


class Preferences(PromptedStrategy):
    """Lasting preferences, each with what it is about, so that a changed one replaces the old one."""

    name = "preferences"
    version = "1"

    def instructions(self, context: ExtractionContext) -> str:
        """Return what the model looks for."""
        return INSTRUCTIONS

    def keys(self, context: ExtractionContext) -> list[Key]:
        """The usual keys but type and date, with `polarity` and `subject`."""
        usual = [key for key in super().keys(context) if key.name not in ("type", "event_date")]
        return [usual[0], *_KEYS, *usual[1:]]

    def adjust(self, item: Item, context: ExtractionContext) -> Draft | str:
        """Kind, polarity and subject go to the metadata."""
        draft = item.draft
        draft.memory_type = MemoryType.SEMANTIC
        draft.event_date = None
        draft.metadata[KIND] = PREFERENCE
        polarity = item.raw.get("polarity")
        if isinstance(polarity, str) and polarity.strip().lower() in _POLARITIES:
            draft.metadata["polarity"] = polarity.strip().lower()
        if subject := read_tags(item.raw.get("subject"), 1):
            draft.metadata["subject"] = subject[0].casefold()
        return draft
