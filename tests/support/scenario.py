"""One story of a memory, told through any door: what is stored, found, changed, refused and deleted.

Doors differ in how they spell a call; the story, and what must come of it, is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Refused(Exception):
    """A call that the server refused."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class DoorToServer(Protocol):
    """A way to call the server: the tools of MCP by name, or what stands for them."""

    async def call(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The structured answer.

        Raises:
            Refused: With the error's code.
        """
        ...


async def run(door: DoorToServer, user: str) -> list[tuple[str, Any]]:
    """Play the story for a user of its own; what came of each step."""
    seen: list[tuple[str, Any]] = []

    async def step(title: str, name: str, arguments: Mapping[str, Any], *keys: str) -> dict[str, Any]:
        try:
            answer = await door.call(name, arguments)
        except Refused as error:
            seen.append((title, error.code))
            return {}
        seen.append((title, {key: answer[key] for key in keys}))
        return answer

    boat, bike = f"{user}-boat", f"{user}-bike"
    records = [
        {"id": boat, "text": "Ann keeps a blue sailing boat in Kiel", "topics": ["boats"], "user_id": user},
        {"id": bike, "text": "Ann rides her bicycle to work", "topics": ["bikes"], "user_id": user},
    ]
    await step("create", "create_long_term_memories", {"memories": records}, "status")
    search = {"text": "where is the sailing boat?", "user_id": {"eq": user}, "recency_boost": False}
    found = await step("search", "search_long_term_memory", search, "total", "next_offset")
    seen.append(("ranking", [(hit["id"], hit["text"], hit["topics"], hit["score"]) for hit in found["memories"]]))
    filtered = {"user_id": {"eq": user}, "topics": {"any": ["bikes"]}}
    found = await step("filter", "search_long_term_memory", filtered, "total")
    seen.append(("filtered", [hit["id"] for hit in found["memories"]]))
    await step("empty filter", "search_long_term_memory", {"text": "x", "topics": {}}, "total")
    await step("limit", "search_long_term_memory", {"text": "x", "limit": 101}, "total")
    await step(
        "mode", "search_long_term_memory", {"text": "x", "search_mode": "keyword", "distance_threshold": 1}, "total"
    )
    change = {"memory_id": boat, "text": "Ann sold her boat", "topics": ["past"]}
    await step("edit", "edit_long_term_memory", change, "id", "text", "topics", "memory_type", "user_id")
    await step("edit nothing", "edit_long_term_memory", {"memory_id": boat}, "id")
    await step("get", "get_long_term_memory", {"memory_id": boat}, "text", "topics", "pinned", "namespace")
    await step("get unknown", "get_long_term_memory", {"memory_id": f"{user}-none"}, "text")
    messages = [
        {"id": f"{user}-m1", "role": "user", "content": "I moved to Lisbon", "created_at": "2026-01-02T03:04:05Z"},
        {"id": f"{user}-m2", "role": "assistant", "content": "How is it?", "created_at": "2026-01-02T03:04:06Z"},
    ]
    session = {"session_id": f"{user}-s", "user_id": user, "messages": messages, "data": {"mood": "good"}}
    stored = await step("set", "set_working_memory", {**session, "ttl_seconds": 600}, "data", "ttl_seconds", "user_id")
    seen.append(("messages", [(item["id"], item["content"]) for item in stored["messages"]]))
    blank = {**session, "messages": [{"role": "user", "content": "  "}]}
    await step("blank message", "set_working_memory", blank, "data")
    identity = {"session_id": f"{user}-s", "user_id": user}
    read = await step("read", "get_working_memory", identity, "data", "ttl_seconds", "session_id")
    seen.append(("read messages", [item["content"] for item in read["messages"]]))
    turns = {"text": "Lisbon", "user_id": {"eq": user}, "memory_type": {"eq": "message"}}
    found = await step("turns", "search_long_term_memory", turns, "total")
    seen.append(("turn", found["memories"][0]["text"]))
    prompt = await step("prompt", "memory_prompt", {"query": "Where do I live?", **identity})
    seen.append(("roles", [item["role"] for item in prompt["messages"]]))
    since = {"user_id": user, "updated_after": "2026-01-02T03:04:05Z"}
    listed = await step("sessions", "list_sessions", since, "total")
    seen.append(("details", [(item["session_id"], item["user_id"], sorted(item)) for item in listed["sessions"]]))
    late = {"user_id": user, "updated_after": listed["sessions"][0]["updated_at"]}
    await step("no later session", "list_sessions", late, "total", "sessions")
    await step("delete", "delete_long_term_memories", {"memory_ids": [boat, f"{user}-none"]}, "status")
    await step("deleted", "get_long_term_memory", {"memory_id": boat}, "text")
    return seen
