"""The strategy."""

from __future__ import annotations

import json
from typing import Any

from memhost.extraction import PromptedStrategy, checked_prompt, render
from memhost.ports import ExtractionContext

INSTRUCTIONS = """\
Note what <guidance> asks for, and nothing else. Whatever form it may ask for, put each finding into one item of the \
form below."""

CONVERSATION = "(the lines of the messages block below)"


class Custom(PromptedStrategy):
    """Extracts what the session's `custom_prompt` asks for, inside the server's frame."""

    name = "custom"
    version = "1"

    def instructions(self, context: ExtractionContext) -> str:
        """To follow the guidance."""
        return INSTRUCTIONS

    def guidance(self, context: ExtractionContext) -> str:
        """The prompt with its placeholders filled in."""
        filled = render(checked_prompt(context.config, "custom_prompt", required=True), _values(context))
        return "\n\n".join(part for part in (filled, super().guidance(context)) if part)


def _values(context: ExtractionContext) -> dict[str, str]:
    """Return placeholders and their values. Data stays in its own block; the prompt gets a pointer to it."""
    return {
        "message": CONVERSATION,
        "context": "(the summary in the reference block below)" if context.summary else "none",
        "current_datetime": context.now.isoformat(timespec="minutes"),
        "session_id": _inline(context.session.session),
        "namespace": _inline(context.session.namespace),
        "user_id": _inline(context.session.user),
        "model_name": _inline(context.config.get("model_name")),
        "topics": _inline(context.config.get("topics")),
        "entities": "(the names in the reference block below)" if context.entities else "none",
    }


def _inline(value: Any) -> str:
    """A value on one line, quoted, so that it cannot pass for a part of the prompt."""
    return json.dumps(value, ensure_ascii=False) if value else "none"
