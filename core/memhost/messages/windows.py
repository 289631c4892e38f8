"""Token counts and context windows of language models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from memhost.extraction.shown import shown_to_model
from memhost.messages.tokens import token_counter
from memhost.models import Message
from memhost.operations.ams_compat import SUMMARISING_WINDOW
from memhost.text.conversation import readable, together, whole_from

UNKNOWN_MODEL_WINDOW = 128_000
"""Tokens assumed for a model that is not in the table."""

MODEL_WINDOWS: dict[str, int] = {
    "gpt-3.5-turbo": 4_096,
    "text-embedding-ada-002": 8_191,
    "text-embedding-3-small": 8_191,
    "text-embedding-3-large": 8_191,
    "gpt-4": 8_192,
    "gpt-3.5-turbo-16k": 16_384,
    "gpt-4-32k": 32_768,
    **dict.fromkeys(("o1", "o3-mini"), 200_000),
    **dict.fromkeys(("gpt-5-mini", "gpt-5-nano"), 400_000),
}
"""Windows of well-known models in tokens; all Claude models have `CLAUDE_WINDOW`."""

CLAUDE_WINDOW = 200_000


def window_of(model_name: str | None, context_window_max: int | None) -> int | None:
    """The window in tokens that a request asks for, or None if it names neither model nor window."""
    if context_window_max is not None:
        return context_window_max
    if model_name is None:
        return None
    if model_name.startswith("claude-"):
        return CLAUDE_WINDOW
    return MODEL_WINDOWS.get(model_name, UNKNOWN_MODEL_WINDOW)


def window_to_keep(model_name: str | None, context_window_max: int | None) -> int:
    """The window in tokens that a session must fit, whether a request names one or not."""
    window = window_of(model_name, context_window_max)
    return window if window is not None and window > 0 else SUMMARISING_WINDOW


def model_window(model: str, overrides: Mapping[str, int]) -> int:
    """The window in tokens of a model that the server calls, with or without its provider's name in front."""
    bare = model.rpartition("/")[2]
    for name in (model, bare):
        if name in overrides:
            return overrides[name]
    return window_of(bare, None) or UNKNOWN_MODEL_WINDOW


def answer_room(window: int) -> int:
    """Tokens of a model's window that are kept free for the summary it writes."""
    if window < 10_000:
        return max(512, window // 8)
    if window < 50_000:
        return max(1_024, window // 10)
    return max(2_048, window // 20)


def spare_room(window: int) -> int:
    """Tokens of a model's window that are kept free, for the words of the prompt and for wrong counts."""
    return min(1_000, max(230, window // 100))


def count_tokens(message: Message) -> int:
    """Tokens of `role: content` with the calls in it, exactly or estimated (see `memhost.messages.tokens`)."""
    return token_counter()(f"{message.role}: {readable(message)}")


def prompt_tokens(text: str) -> int:
    """Tokens of a text in a prompt, rather too many than too few: other letters than ASCII count by their bytes."""
    counted = token_counter()(text)
    return counted if text.isascii() else max(counted, len(text.encode("utf-8", "surrogatepass")) // 3)


def sent_tokens(message: Message) -> int:
    """Tokens of a message in a question about it, as far as it is sent."""
    return prompt_tokens(f"{message.role}: {shown_to_model(message)}")


def total_tokens(messages: Sequence[Message]) -> int:
    """Tokens of all messages."""
    return sum(count_tokens(message) for message in messages)


def truncate(messages: Sequence[Message], window: int | None) -> list[Message]:
    """The newest messages that fit into the window, in order; None or <= 0: all.

    No call of a tool is separated from its results; at least one message, or one call with its results, stays.
    """
    kept = list(messages)
    if window is None or window <= 0:
        return kept
    tokens = total_tokens(kept)
    first = 0
    while tokens > window and first < len(kept) - 1:
        tokens -= count_tokens(kept[first])
        first += 1
    return kept[whole_from(kept, first) :]


def newest(messages: Sequence[Message], limit: int) -> list[Message]:
    """The newest messages by time, at most about `limit`; calls of tools stay with their results, and in front."""
    starts = together(messages)
    order = sorted(range(len(messages)), key=lambda index: (messages[starts[index]].created_at, starts[index], index))
    kept = [messages[index] for index in order]
    return kept[whole_from(kept, max(0, len(kept) - limit)) :]


def newest_fitting(messages: Sequence[Message], most_bytes: int) -> list[Message]:
    """As many of the newest messages as fit into so many bytes of JSON, at least the newest; all if they fit."""
    encode = msgspec.json.encode
    if len(encode(messages)) <= most_bytes + 1:  # a list of n has n + 1 signs between and around its items
        return list(messages)
    left = most_bytes
    for count, message in enumerate(reversed(newest(messages, len(messages)))):
        left -= len(encode(message)) + 1
        if left < 0 and count:
            return newest(messages, count)
    return list(messages)


def percentages(messages: Sequence[Message], window: int | None, threshold: float) -> tuple[float | None, float | None]:
    """Share of the window used and share of the summarising threshold reached, 0..100; None without a window."""
    if window is None or window <= 0:
        return None, None
    if not messages:
        return 0.0, 0.0
    tokens = total_tokens(messages)
    start = int(threshold * window)
    used = min(100.0, 100.0 * tokens / window)
    return used, min(100.0, 100.0 * tokens / start) if start > 0 else 100.0
