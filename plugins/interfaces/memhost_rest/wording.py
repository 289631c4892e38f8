"""What the OpenAPI document says beyond the types: descriptions, limits, examples and links.

Everything here is optional: an operation or field without an entry is documented by its type alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Example = Mapping[str, Any]

INTRODUCTION = """\
A memory server for AI agents, wire-compatible with Agent Memory Server.

- Every success is 200 with a JSON body.
- Unknown fields and query parameters are ignored, at every depth.
- Input is read leniently: integers also as `"5"` or `5.0`, numbers also as strings, booleans also as `1`, `"yes"`, \
`"on"` and their like, times as ISO 8601 (without an offset: UTC), as a date, or as Unix seconds or milliseconds \
(text like `20260301`, which may be a date or a Unix time, is refused). \
The schemas show the form to send; strings are strict.
- Times in answers end in `Z`.
- Errors are `{"detail": ...}` with a stable `code`; a 422 lists all that is wrong with the request.
- A path that exists answers other methods with 405 and an `Allow` header; both spellings of the final slash work.
"""

WIRE_NAMES: Mapping[str, str] = {"SearchFields": "SearchRequest", "MessageView": "Message"}
"""Names of structs in `loc` and schemas that the wire knows by another name than the code."""

PARAMETERS: Mapping[str, str] = {
    "session_id": "Id of the session; any non-empty string.",
    "memory_id": "Id of the memory.",
    "job_id": "Id of the background job.",
    "user_id": "Owner; empty or absent does not restrict.",
    "namespace": "Namespace; empty or absent does not restrict.",
    "limit": "Most items to return.",
    "offset": "Items to skip.",
    "model_name": "Language model whose context window counts; unknown names have 128,000 tokens.",
    "context_window_max": "Context window in tokens; wins over `model_name`.",
    "flush": "Have waiting messages extracted now, without waiting for the session to be quiet.",
    "wait_s": "How long to wait for the result, in seconds.",
    "recent_messages_limit": "Return only that many of the newest messages.",
    "before": "Return only messages in front of the one of this id.",
    "most_bytes": "Return as many of the newest messages as fit into so many bytes of JSON.",
    "optimize_query": "Let a language model rewrite the text for retrieval first, where one is configured.",
    "memory_ids": "Ids to delete; repeat the parameter.",
    "state": "Only jobs in this state.",
    "after": "`next` of the page before; empty for the first page.",
    "report": "Add to the answer what was done.",
    "dry_run": "Change nothing; only tell what would be done.",
    "from": "A time inside the first day (UTC); absent: 29 days before the last.",
    "to": "A time inside the last day (UTC); absent: now.",
    "group_by": "What tells rows apart; repeat the parameter.",
    "view_id": "Id of the summary view.",
    "task_id": "Id of the task.",
    "memory_type": "Only results of this memory type.",
    "wait_summary": "Wait for the summary of a session that got too long.",
}

FIELDS: Mapping[str, str] = {
    "id": "Any non-empty string; server-made ids are ULIDs.",
    "text": "What the memory says.",
    "role": "Who speaks: `user`, `assistant`, `system`, `tool` or any other word.",
    "content": "What was said: text that is not blank, a list of parts, or null beside `tool_calls`.",
    "created_at": "When it was made.",
    "updated_at": "When it was last changed.",
    "last_accessed": "When it was last found or used.",
    "event_date": "When the described event happened.",
    "persisted_at": "When the server copied it to long-term memory.",
    "user_id": "Owner, if any.",
    "namespace": "Namespace, if any.",
    "session_id": "Session, if any.",
    "topics": "Tags; no commas.",
    "entities": "Named entities; no commas.",
    "extracted_from": "Ids of the messages it came from; no commas.",
    "pinned": "Never forgotten by policy.",
    "access_count": "How often it was found.",
    "memory_type": "`semantic`: a fact; `episodic`: an event; `message`: a turn of a conversation.",
    "discrete_memory_extracted": '`"t"` once extraction has read it.',
    "tokens": "Opaque counter kept for the client.",
    "context": "Running summary of older messages.",
    "data": "Any JSON object, kept for the client.",
    "ttl_seconds": "Seconds until the session expires, at least 1; null never. A PUT without it keeps the deadline.",
    "limit": "Most items to return.",
    "offset": "Items to skip.",
    "total": "Number of all matches.",
    "next_offset": "Offset of the next page, null on the last.",
    "detail": "What happened, and what to do.",
    "deduplicate": "Drop exact repetitions of the same owner's memories.",
    "distance_threshold": "Largest cosine distance; with `search_mode` `semantic` only.",
    "hybrid_alpha": "Share of the vector score in `hybrid` mode.",
    "text_scorer": "Accepted for compatibility; all stores score by BM25.",
    "recency_boost": "Rerank the page by recency.",
    "server_side_recency": "Rank all candidates by recency, not only the page.",
    "as_of": "Return what was valid at this time instead of now.",
    "explain": "Add the parts of each score.",
    "query": "The user's question, verbatim.",
    "long_term_search": "A search, or true for one with defaults.",
    "prompt": "The prompt, at most 10,000 characters.",
    "findings": "What rules found, in order of position.",
    "placeholders": "Placeholders that will be filled in.",
    "sha256": "Hash by which an operator approves the prompt.",
    "status": "What became of it.",
    "config": "Options of the strategy.",
    "strategy": "Extraction strategy.",
    "extraction_strategy": "Strategy that made the memory; `message` for turns of a conversation.",
    "extraction_strategy_config": "Options of that strategy.",
    "memory_hash": "Hash of owner and normalised text; equal for exact repetitions. Set by the server.",
    "metadata": "Keys of the application's own; strings, numbers, booleans and lists of strings can be filtered.",
    "source_ids": "Turns or memories it was made from.",
    "extractor": "Strategy and version that made it.",
    "valid_from": "The fact holds from this time on.",
    "valid_to": "The fact held until this time; searches leave it out afterwards.",
    "superseded_by": "Id of the memory that replaced it.",
    "dist": "0 for the best hit, larger for worse ones; its meaning depends on `score_type`.",
    "score": "0 to 1, larger is better; null in a listing.",
    "score_type": "What the score measures.",
    "search_mode": "How to rank; absent: the whole pipeline.",
    "recency_semantic_weight": "Weight of likeness in recency reranking.",
    "recency_recency_weight": "Weight of recency in recency reranking.",
    "recency_freshness_weight": "Share of the last access in recency.",
    "recency_novelty_weight": "Share of the creation in recency.",
    "recency_half_life_last_access_days": "Days after the last access in which freshness halves.",
    "recency_half_life_created_days": "Days after the creation in which novelty halves.",
    "policy": "What to forget: `max_age_days`, `max_inactive_days`, `budget`, `memory_type_allowlist`.",
    "pinned_ids": "Memories to keep beside those that are pinned.",
    "scanned": "Memories examined.",
    "deleted": "How many memories were deleted.",
    "deleted_ids": "Which memories were deleted.",
    "dry_run": "Only tell what would happen.",
    "source": "What is summarised.",
    "group_by": "Fields that tell groups apart; each group is summarised by itself.",
    "filters": "Only memories with these values.",
    "time_window_days": "Only memories created in the last so many days.",
    "continuous": "Compute the view again periodically.",
    "name": "A name for people.",
    "group": "Values of the `group_by` fields.",
    "summary": "The text.",
    "memory_count": "Memories that matched.",
    "empty": "Whether no memory matched.",
    "empty_reason": "Why there is no summary.",
    "computed_at": "When it was computed.",
    "stale": "The last attempt failed; the text is of an earlier one.",
    "last_error": "Why the last attempt failed.",
    "type": "Kind.",
    "started_at": "When it began.",
    "completed_at": "When it ended.",
    "error_message": "Why it failed.",
    "view_id": "Id of the view.",
    "task_id": "Id of the task; absent: a new one.",
    "context_percentage_total_used": "Share of the window that the messages fill, 0 to 100.",
    "context_percentage_until_summarization": "Share of the summarising threshold that they reach, 0 to 100.",
    "summarization": "`pending` while older messages wait to be summarised.",
    "pending": "Messages that wait for extraction.",
    "state": "What it stands at.",
    "last_run_at": "When extraction last succeeded.",
    "dropped": "What was left out, and why.",
    "calls": "Calls to the language model.",
    "failures": "Calls that failed.",
    "input_tokens": "Tokens sent.",
    "output_tokens": "Tokens answered.",
    "cost_usd": "Price in US dollars; null if it is not known.",
    "unpriced_calls": "Calls whose price is not known.",
    "remaining": "Memories left.",
    "eq": "Equal to.",
    "ne": "Not equal to.",
    "any": "Any of these.",
    "all": "All of these.",
    "none": "None of these.",
    "startswith": "Begins with.",
    "in_": "Same as `any`.",
    "not_in": "Same as `none`.",
    "not_eq": "Same as `ne`.",
    "gt": "Greater or later than.",
    "gte": "Greater, later or equal.",
    "lt": "Less or earlier than.",
    "lte": "Less, earlier or equal.",
    "between": "Two values; bounds by `inclusive`.",
    "inclusive": "Which bounds of `between` belong to it.",
    "ids": "Ids of memories.",
    "restored": "Ids that are back.",
    "taken": "Ids that living memories have.",
    "missing": "Ids of which nothing is left.",
    "reason": "Why it is here.",
    "deleted_at": "When it was deleted.",
    "expires_at": "When it is gone for good.",
    "next": "What to send as `after` for the next page; null on the last.",
    "event": "Name of the event.",
    "plugin": "Entry-point name of the plugin.",
    "attempts": "Times it was tried.",
    "due_at": "Not before this time.",
    "ok": "Whether it is all right.",
    "ready": "Whether the server can serve.",
    "sessions": "Ids of sessions.",
    "now": "Milliseconds since 1970.",
    "if_version": "Refuse the write unless the session is at this version (fraction of `last_accessed`); 0: none.",
    "merge_data": "Merge `data` key by key instead of replacing it.",
    "clear": "Fields to empty.",
}

_ID: Mapping[str, Any] = {"minLength": 1}
_TEXT = {"minLength": 1, "pattern": r"\S"}
_TAGS = {"items": {"type": "string", "pattern": "^[^,]*$"}}
_SOME = {"minItems": 1}
_RECORD = {"id": _ID, "text": _TEXT, "topics": _TAGS, "entities": _TAGS, "extracted_from": _TAGS}
_LISTS: Mapping[str, Mapping[str, Any]] = dict.fromkeys(("any", "all", "in_", "not_in", "none"), _SOME)

LIMITS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "RecordInput": _RECORD,
    "SessionRecordInput": _RECORD,
    "EditMemoryBody": {"topics": _TAGS, "entities": _TAGS, "text": _TEXT},
    "TagFilter": {**_LISTS, "startswith": _ID},
    "MemoryTypeFilter": _LISTS,
    "MetadataFilter": {**_LISTS, "startswith": _ID},
    "DateFilter": {"between": {"minItems": 2, "maxItems": 2}},
}
"""Rules of single fields that the types do not carry, by schema and field."""

NOT_EMPTY = frozenset({"TagFilter", "MemoryTypeFilter", "DateFilter", "MetadataFilter", "EditMemoryBody"})
"""Schemas of objects that need at least one field."""

_MESSAGES = [
    {"id": "m1", "role": "user", "content": "I always book window seats.", "created_at": "2026-03-01T09:00:00Z"},
    {"id": "m2", "role": "assistant", "content": "Noted: window seats.", "created_at": "2026-03-01T09:00:04Z"},
]

EXAMPLES: Mapping[str, Mapping[str, Example]] = {
    "put_session": {
        "conversation": {
            "summary": "Two turns of a conversation",
            "value": {"messages": _MESSAGES, "user_id": "ana", "namespace": "travel", "ttl_seconds": 86400},
        },
        "empty": {"summary": "A new, empty session", "value": {"user_id": "ana", "data": {}}},
        "memories": {
            "summary": "A session with a memory to promote",
            "value": {"memories": [{"text": "Ana prefers window seats.", "memory_type": "semantic"}]},
        },
    },
    "create_memories": {
        "fact": {
            "summary": "A fact about a user",
            "value": {
                "memories": [
                    {
                        "id": "pref-window-seat",
                        "text": "Ana prefers window seats.",
                        "user_id": "ana",
                        "topics": ["travel"],
                        "metadata": {"source": "profile", "confidence": 0.9},
                    }
                ]
            },
        },
        "none": {"summary": "Nothing to store", "value": {"memories": []}},
    },
    "search_memories": {
        "text": {
            "summary": "Best matches of one user",
            "value": {"text": "Which seat does Ana like?", "user_id": {"eq": "ana"}, "limit": 5},
        },
        "filters": {
            "summary": "A listing by filters",
            "value": {
                "topics": {"any": ["travel", "food"]},
                "created_at": {"gte": "2026-01-01T00:00:00Z", "lt": "2027-01-01T00:00:00Z"},
                "metadata": {"confidence": {"gte": 0.5}},
            },
        },
        "keyword": {
            "summary": "Full text only",
            "value": {"text": '"window seats"', "search_mode": "keyword", "recency_boost": False},
        },
    },
    "edit_memory": {
        "text": {
            "summary": "New text and topics",
            "value": {"text": "Ana prefers aisle seats.", "topics": ["travel", "seats"]},
        }
    },
    "preview_extraction": {
        "discrete": {
            "summary": "What `discrete` would keep",
            "value": {
                "messages": [{"role": "user", "content": "I moved to Oslo last week."}],
                "long_term_memory_strategy": {"strategy": "discrete"},
                "user_id": "ana",
            },
        }
    },
    "validate_prompt": {
        "custom": {
            "summary": "A prompt of the strategy custom",
            "value": {"prompt": "Note decisions on our software and who made them: {message}"},
        }
    },
    "restore_memories": {
        "one": {"summary": "One memory", "value": {"ids": ["pref-window-seat"]}},
    },
    "forget_memories": {
        "dry_run": {
            "summary": "Which memories are a year old and a quarter unused",
            "value": {"policy": {"max_age_days": 365, "max_inactive_days": 90}},
        }
    },
    "create_summary_view": {
        "people": {
            "summary": "What is known of each user, kept up to date",
            "value": {
                "name": "profiles",
                "source": "long_term",
                "group_by": ["user_id"],
                "filters": {"memory_type": "semantic"},
                "time_window_days": 90,
                "continuous": True,
            },
        }
    },
    "update_summary_view": {"name": {"summary": "Another name", "value": {"name": "people"}}},
    "run_summary_view_partition": {"one": {"summary": "One user", "value": {"group": {"user_id": "ana"}}}},
    "run_summary_view": {"task": {"summary": "With a task id of one's own", "value": {"task_id": "nightly-1"}}},
    "memory_prompt": {
        "both": {
            "summary": "A session and a search",
            "value": {
                "query": "Book my flight.",
                "session": {"session_id": "trip-42", "user_id": "ana", "context_window_max": 8000},
                "long_term_search": {"limit": 5},
            },
        },
        "search": {"summary": "Only a search", "value": {"query": "Book my flight.", "long_term_search": True}},
    },
}
"""Bodies by operation."""

PARAMETER_EXAMPLES: Mapping[str, Any] = {
    "session_id": "trip-42",
    "memory_id": "pref-window-seat",
    "memory_ids": ["pref-window-seat"],
    "job_id": "01KATV2R8GQ4T1V5S0S1J3X9ZB",
    "view_id": "01KATV2R8GQ4T1V5S0S1J3X9ZC",
    "task_id": "nightly-1",
    "user_id": "ana",
    "namespace": "travel",
    "model_name": "gpt-4o",
    "context_window_max": 8000,
}

LINKS: Mapping[str, Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "put_session": {
        "read": ("get_session", {"session_id": "$response.body#/session_id"}),
        "replace": ("put_session", {"session_id": "$response.body#/session_id"}),
        "delete": ("delete_session", {"session_id": "$response.body#/session_id"}),
    },
    "list_sessions": {"read": ("get_session", {"session_id": "$response.body#/sessions/0"})},
    "create_memories": {
        "read": ("get_memory", {"memory_id": "$request.body#/memories/0/id"}),
        "edit": ("edit_memory", {"memory_id": "$request.body#/memories/0/id"}),
    },
    "search_memories": {
        "read": ("get_memory", {"memory_id": "$response.body#/memories/0/id"}),
        "edit": ("edit_memory", {"memory_id": "$response.body#/memories/0/id"}),
    },
    "create_summary_view": {
        "read": ("get_summary_view", {"view_id": "$response.body#/id"}),
        "run": ("run_summary_view", {"view_id": "$response.body#/id"}),
        "results": ("list_summary_view_partitions", {"view_id": "$response.body#/id"}),
        "delete": ("delete_summary_view", {"view_id": "$response.body#/id"}),
    },
    "run_summary_view": {"task": ("get_task", {"task_id": "$response.body#/id"})},
    "list_jobs": {"retry": ("retry_job", {"job_id": "$response.body#/jobs/0/id"})},
    "list_trash": {"read": ("get_memory", {"memory_id": "$response.body#/memories/0/id"})},
}
"""What a successful answer leads to: operation and where its parameters come from."""

HEADERS: Mapping[str, Mapping[str, Any]] = {
    "RequestId": {
        "description": "Id of the request in the server's log: the client's `X-Request-ID`, or a new one.",
        "schema": {"type": "string"},
    },
    "Notice": {"description": "Something worth knowing about a successful call.", "schema": {"type": "string"}},
    "Deprecation": {"description": "Set when a message lacked `created_at`.", "schema": {"type": "string"}},
    "Challenge": {
        "description": "`Bearer`, where no usable credential came.",
        "schema": {"type": "string"},
    },
}

STATUSES: Mapping[int, str] = {
    400: "The request cannot be served as it is.",
    401: "No valid credential.",
    403: "The credential lacks the right.",
    404: "Nothing of that name in the caller's scope.",
    409: "The stored state forbids the change.",
    413: "The body is too large.",
    422: "Fields are missing or wrong; all of them are listed.",
    429: "Too many requests.",
    431: "The address, or the head as a whole, is too large.",
    500: "The server failed; its log tells why under the request id.",
    503: "Something the server needs is down; nothing was changed.",
}
