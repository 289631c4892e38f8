"""Limits of what clients may send, in one table, which schemas show and `memhost.operations.limits` enforces.

Annotate the field of a request with one of the types here, and its limit holds: the types carry it in their JSON
schema, as `maxLength` (characters), `maxItems`, `maxProperties` or `x-max-bytes` (of the value as JSON). Least lengths
and patterns are shown the same way; the services check them. A limit beside `x-error-code` is checked by a service too.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from msgspec import Meta

T = TypeVar("T")

MOST_ITEMS = 10_000
"""Messages, memories, ids or values of a filter in one request."""
MOST_TAGS = 1_000
"""Topics, entities or sources of one memory."""
MOST_KEYS = 100
"""Keys of metadata that one search filters by."""
LONGEST_NAME = 512
"""Characters of an id, the name of a user, namespace, session, strategy, model or view, or of a role."""
LONGEST_TAG = 256
"""Characters of a topic or an entity."""
LONGEST_TEXT = 100_000
"""Characters of a memory or a query."""
LONGEST_MESSAGE = 1_000_000
"""Characters of a message, or of a session's summary (`context`)."""
METADATA_BYTES = 16 * 1024
"""Metadata of a memory, or filters of a view, as JSON."""
CONFIG_BYTES = 64 * 1024
"""Options of a strategy, which may hold prompts, as JSON."""
DATA_BYTES = 1024 * 1024
"""A session's `data`, as JSON."""
DEEPEST_OFFSET = 10_000
"""Matches that a search with a text may skip; beyond them the order has no meaning."""
MOST_QUERY_TERMS = 64
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

Name = Annotated[str, _limit(maxLength=LONGEST_NAME)]
"""An id or a name."""
Id = Annotated[str, _limit(minLength=1, maxLength=LONGEST_NAME)]
"""An id that is not empty."""
Names = Annotated[list[Name], _limit(maxItems=MOST_TAGS)]
"""Ids that a record refers to."""
Sources = Annotated[list[Annotated[str, _limit(maxLength=LONGEST_NAME, pattern=_NO_COMMA)]], _limit(maxItems=MOST_TAGS)]
"""Ids of messages; without commas, which official clients cannot read back."""
Tags = Annotated[list[Annotated[str, _limit(maxLength=LONGEST_TAG, pattern=_NO_COMMA)]], _limit(maxItems=MOST_TAGS)]
"""Topics or entities; without commas, which official clients cannot read back."""
Text = Annotated[str, _limit(maxLength=LONGEST_TEXT)]
"""Text of a memory, or a query."""
VisibleText = Annotated[str, _limit(minLength=1, maxLength=LONGEST_TEXT, pattern=r"\S")]
"""A text in which there is something to see."""
MessageText = Annotated[str, _limit(maxLength=LONGEST_MESSAGE)]
"""Text of a message, or a summary of messages."""
Metadata = Annotated[dict[str, Any], _limit(**{"x-max-bytes": METADATA_BYTES})]
"""A small JSON object."""
Config = Annotated[dict[str, Any], _limit(**{"x-max-bytes": CONFIG_BYTES})]
"""Options of a strategy."""
Data = Annotated[dict[str, Any], _limit(**{"x-max-bytes": DATA_BYTES})]
"""Data that a session keeps for its client."""
Many = Annotated[list[T], _limit(maxItems=MOST_ITEMS)]
"""A list in a request."""
Some = Annotated[list[T], _limit(minItems=1, maxItems=MOST_ITEMS)]
"""A list in a request that is not empty."""
FilterKeys = Annotated[dict[str, T], _limit(maxProperties=MOST_KEYS)]
"""Filters by keys of metadata."""
Prefix = Annotated[str, _limit(minLength=1)]
"""The beginning of a value."""
Lifetime = Annotated[int, _limit(minimum=MIN_TTL_S)]
"""Seconds that a session lives."""
