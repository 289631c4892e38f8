"""The two indexes, as RedisVL schemas: long-term memories, and sessions with documents."""

from __future__ import annotations

from typing import Any

from redisvl.schema import IndexSchema

from memhost.models.filters import DATE_FIELDS, TAG_FIELDS

SCHEMA_VERSION = 1
"""Version of what the hashes hold. Raise it with every change, and add how to get there to `opening.MIGRATIONS`."""

_TAGS = ("scope", *(name for name in TAG_FIELDS if name != "id"), "metadata")


def _tag(name: str, *, sortable: bool = False) -> dict[str, Any]:
    return {"name": name, "type": "tag", "attrs": {"case_sensitive": True, "separator": ",", "sortable": sortable}}


def _number(name: str, *, sortable: bool = False) -> dict[str, Any]:
    return {"name": name, "type": "numeric", "attrs": {"sortable": sortable}}


def memory_schema(
    name: str, prefix: str, *, vector: str, dimensions: int | None, algorithm: str, metric: str
) -> IndexSchema:
    """The index of the memories; without dimensions it has no vectors."""
    fields = [_tag("id", sortable=True), *(_tag(each) for each in _TAGS)]
    fields += [_number(each, sortable=each == "created_at") for each in (*DATE_FIELDS, "length")]
    fields.append({"name": "terms", "type": "text", "attrs": {"no_stem": True}})
    if dimensions is not None:
        attributes = {"algorithm": algorithm, "dims": dimensions, "distance_metric": metric, "datatype": "float32"}
        if algorithm == "hnsw":
            attributes |= {"m": 16, "ef_construction": 200, "ef_runtime": 100, "epsilon": 0.05}
        fields.append({"name": vector, "type": "vector", "attrs": attributes})
    return _schema(name, f"{prefix}:m:", fields)


def state_schema(name: str, prefix: str) -> IndexSchema:
    """The index of sessions and documents. `id` is the rest of the key; `kind` is empty for sessions."""
    fields = [_tag("id", sortable=True), _tag("scope"), _tag("kind"), _tag("session_id"), _tag("namespace")]
    fields += [_tag("user_id"), _number("updated_at", sortable=True), _number("expires_at")]
    return _schema(name, f"{prefix}:s:", fields)


def _schema(name: str, prefix: str, fields: list[dict[str, Any]]) -> IndexSchema:
    index = {"name": name, "prefix": prefix, "key_separator": "", "storage_type": "hash", "stopwords": []}
    return IndexSchema.from_dict({"index": index, "fields": fields})
