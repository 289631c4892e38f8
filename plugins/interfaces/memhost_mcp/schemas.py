"""JSON schemas of arguments and results, as small as they can be: hosts pay for each byte in each conversation."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from memhost.operations import requests
from memhost.operations.schema import Reduction, Schema, compact, outline

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_STRING: Schema = {"type": "string"}
_STRINGS: Schema = {"type": "array", "items": _STRING}
_TIME: Schema = {"type": "string", "format": "date-time"}


def _operators(**properties: Any) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


_TAG = _operators(
    eq=_STRING, ne=_STRING, any=_STRINGS, all=_STRINGS, none=_STRINGS, startswith=_STRING, is_null={"type": "boolean"}
)
SHORT: dict[type[Any], Schema] = {
    requests.TagFilter: {
        "description": "A value, a list (any of them), or operators.",
        "anyOf": [_STRING, _STRINGS, _TAG],
    },
    requests.MemoryTypeFilter: {"anyOf": [_STRING, _STRINGS, _operators(eq=_STRING, any=_STRINGS)]},
    requests.DateFilter: _operators(
        eq=_TIME, gt=_TIME, gte=_TIME, lt=_TIME, lte=_TIME, between={"type": "array", "items": _TIME}
    ),
    requests.MetadataFilter: {"type": "object"},
}
"""Schemas of filters: the operators without the spellings that exist for other clients' sake, and the rarest."""

_UNSEEN: dict[type[Any], tuple[str, ...]] = {
    requests.SessionRecordInput: (
        "last_accessed",
        "updated_at",
        "access_count",
        "extracted_from",
        "memory_hash",
        "discrete_memory_extracted",
        "persisted_at",
        "extraction_strategy",
        "extraction_strategy_config",
        "event_end",
        "event_precision",
        "said_at",
        "said_before",
    ),
    requests.MessageInput: ("persisted_at", "discrete_memory_extracted", "trust", "others"),
}
"""Fields that are the server's own, or rare; they are taken and not asked for."""

_REDUCTION = Reduction(replaced=SHORT, unseen=_UNSEEN, explained={requests.MessageInput: ("content",)})


def arguments_schema(
    struct: type[Any], hidden: Collection[str] = (), described: Collection[str] | None = None
) -> Schema:
    """Return the schema of a tool's arguments; `$defs` holds structs inside it.

    Args:
        struct: Struct of the arguments.
        hidden: Fields of it that are no arguments, by their names in Python.
        described: Fields of it that show their descriptions, by their names in JSON; None means all.
    """
    schema = compact(struct, _REDUCTION, hidden=hidden, described=described)
    return {"$schema": DIALECT, **schema} if "$defs" in schema else schema


def result_schema(answer: Any) -> Schema:
    """The outline of a result: names and types of its fields. Failures have another form, so none is required.

    Of a result with many fields it has those that are always filled.
    """
    return outline(answer)
