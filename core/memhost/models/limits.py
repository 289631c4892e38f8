"""Limits of what clients may send, in one table, which schemas show and `memhost.operations.limits` enforces.

Annotate the field of a request with one of the types here, and its limit holds: the types carry it in their JSON
schema, as `maxLength` (characters), `maxItems`, `maxProperties` or `x-max-bytes` (of the value as JSON). Least lengths
and patterns are shown the same way; the services check them. A limit beside `x-error-code` is checked by a service too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from msgspec import Meta

from memhost._moved import renamed

T = TypeVar("T")

MAX_ITEMS = 10_000
"""Messages, memories, ids or values of a filter in one request."""
MAX_TAGS = 1_000
"""Topics, entities or sources of one memory."""
MAX_KEYS = 100
"""Keys of metadata that one search filters by."""
MAX_NAME_LENGTH = 512
"""Characters of an id, the name of a user, namespace, session, strategy, model or view, or of a role."""
MAX_TAG_LENGTH = 256
"""Characters of a topic or an entity."""
MAX_TEXT_LENGTH = 100_000
"""Characters of a memory or a query."""
MAX_MESSAGE_LENGTH = 1_000_000
"""Characters of a message, or of a session's summary (`context`)."""
METADATA_BYTES = 16 * 1024
"""Metadata of a memory, or filters of a view, as JSON."""
CONFIG_BYTES = 64 * 1024
"""Options of a strategy, which may hold prompts, as JSON."""
DATA_BYTES = 1024 * 1024
"""A session's `data`, as JSON."""
MAX_FILTER_VALUES = 20_000
"""Values in all filters of one search together."""
MAX_ALL_VALUES = 100
"""Values of `all` in all filters of one search together: each is a condition of its own."""
DEEPEST_OFFSET = 10_000
"""Matches that a search with a text may skip; beyond them the order has no meaning."""
MAX_QUERY_TERMS = 64
"""Words of a query that are looked up; of longer ones those that say most."""


MIN_TTL_S = 1
"""Seconds that a session lives at least."""
MAX_PROMPT = 10_000
"""Characters of a prompt that may be used; a longer one is refused as unsafe."""
ERROR_CODE = "x-error-code"
"""Keyword of limits that the check of requests leaves to a service: the code with which it refuses the value."""


def _limit(**limits: Any) -> Meta:
    return Meta(extra_json_schema=limits)


_NO_COMMA = "^[^,]*$"

Name = Annotated[str, _limit(maxLength=MAX_NAME_LENGTH)]
"""An id or a name."""
Id = Annotated[str, _limit(minLength=1, maxLength=MAX_NAME_LENGTH)]
"""An id that is not empty."""
Names = Annotated[list[Name], _limit(maxItems=MAX_TAGS)]
"""Ids that a record refers to."""
Sources = Annotated[
    list[Annotated[str, _limit(maxLength=MAX_NAME_LENGTH, pattern=_NO_COMMA)]], _limit(maxItems=MAX_TAGS)
]
"""Ids of messages; without commas, which official clients cannot read back."""
Tags = Annotated[list[Annotated[str, _limit(maxLength=MAX_TAG_LENGTH, pattern=_NO_COMMA)]], _limit(maxItems=MAX_TAGS)]
"""Topics or entities; without commas, which official clients cannot read back."""
Text = Annotated[str, _limit(maxLength=MAX_TEXT_LENGTH)]
"""Text of a memory, or a query."""
VisibleText = Annotated[str, _limit(minLength=1, maxLength=MAX_TEXT_LENGTH, pattern=r"\S")]
"""A text in which there is something to see."""
MessageText = Annotated[str, _limit(maxLength=MAX_MESSAGE_LENGTH)]
"""Text of a message, or a summary of messages."""
Metadata = Annotated[dict[str, Any], _limit(**{"x-max-bytes": METADATA_BYTES})]
"""A small JSON object."""
Config = Annotated[dict[str, Any], _limit(**{"x-max-bytes": CONFIG_BYTES})]
"""Options of a strategy."""
Data = Annotated[dict[str, Any], _limit(**{"x-max-bytes": DATA_BYTES})]
"""Data that a session keeps for its client."""
Many = Annotated[list[T], _limit(maxItems=MAX_ITEMS)]
"""A list in a request."""
Some = Annotated[list[T], _limit(minItems=1, maxItems=MAX_ITEMS)]
"""A list in a request that is not empty."""
AllOf = Annotated[list[T], _limit(minItems=1, maxItems=MAX_ALL_VALUES)]
"""Values that a field must have all of."""
FilterKeys = Annotated[dict[str, T], _limit(maxProperties=MAX_KEYS)]
"""Filters by keys of metadata."""
Prefix = Annotated[str, _limit(minLength=1)]
"""The beginning of a value."""
Lifetime = Annotated[int, _limit(minimum=MIN_TTL_S)]
"""Seconds that a session lives."""

if not TYPE_CHECKING:  # for a type checker there are the new names alone
    __getattr__ = renamed(
        __name__,
        {
            "MOST_ITEMS": "MAX_ITEMS",
            "MOST_TAGS": "MAX_TAGS",
            "MOST_KEYS": "MAX_KEYS",
            "MOST_QUERY_TERMS": "MAX_QUERY_TERMS",
            "LONGEST_NAME": "MAX_NAME_LENGTH",
            "LONGEST_TAG": "MAX_TAG_LENGTH",
            "LONGEST_TEXT": "MAX_TEXT_LENGTH",
            "LONGEST_MESSAGE": "MAX_MESSAGE_LENGTH",
        },
    )
