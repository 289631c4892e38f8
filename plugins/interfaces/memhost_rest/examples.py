"""Examples of request bodies in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Example = Mapping[str, Any]

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
    "change_session": {
        "append": {
            "summary": "One more turn",
            "value": {"messages": [{"role": "user", "content": "And no early flights."}], "user_id": "ana"},
        }
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
    "store_memories": {
        "fact": {
            "summary": "A fact whose id the server makes",
            "value": {"memories": [{"text": "Ana prefers window seats.", "user_id": "ana"}]},
        }
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
    "approve_reviews": {
        "one": {
            "summary": "One memory, as it was read",
            "value": {
                "memory_ids": ["pref-window-seat"],
                "if_hash": {"pref-window-seat": "8a1f0c7be2d94c35a6f7c1b2d3e4f506"},
            },
        },
    },
    "correct_review": {
        "text": {"summary": "With another text", "value": {"text": "Ana prefers window seats."}},
    },
    "refuse_reviews": {
        "one": {"summary": "One memory", "value": {"memory_ids": ["pref-window-seat"]}},
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
    "run_summary_view": {"task": {"summary": "With a chosen task id", "value": {"task_id": "nightly-1"}}},
    "get_context": {
        "query": {
            "summary": "What is remembered for a question",
            "value": {"query": "Which seat does Ana like?", "user_id": "ana", "budget": 1000},
        },
        "session": {
            "summary": "For the newest message of a session, as messages of a chat",
            "value": {"session_id": "trip-42", "user_id": "ana", "format": "messages"},
        },
    },
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
"""Bodies by operation. An operation that is not here shows the examples of its fields."""
