"""Odd texts, long sessions and large numbers, on every store."""

from __future__ import annotations

import httpx
import pytest

from memhost.testing.polling import until

CREATE = "/v1/long-term-memory/"
SEARCH = "/v1/long-term-memory/search"


@pytest.mark.parametrize(
    "text",
    [
        "nul \x00 inside",
        "\x00",
        "emoji 👩‍👩‍👧‍👦",
        "rtl \u202e txet",
        "quotes \" ' ` ; --",
        "(a OR b) AND NOT *",
        "\ufeffbom",
        "日本語のテキスト",
    ],
)
async def test_odd_text_is_stored_and_found_again(http: httpx.AsyncClient, fresh: str, text: str) -> None:
    answer = await http.put(
        f"/v1/working-memory/{abs(hash(fresh))}",
        json={
            "user_id": fresh,
            "context": text,
            "messages": [{"role": "user", "content": f"x {text}", "id": text, "created_at": "2024-01-01T00:00:00Z"}],
        },
    )
    assert answer.status_code == 200
    assert answer.json()["context"] == text
    for mode in (None, "semantic", "keyword", "hybrid"):
        body = {"text": f"x {text}", "user_id": {"eq": fresh}} | ({"search_mode": mode} if mode else {})
        found = await http.post(SEARCH, json=body)
        assert found.status_code == 200, found.text
        assert [hit["text"] for hit in found.json()["memories"]] == [f"user: x {text}"]


@pytest.mark.parametrize("text", ["", "   ", "???", '"', '""', "* - (", '" unclosed', "\x00", "the", "a" * 50_000])
@pytest.mark.parametrize("mode", ["pipeline", "semantic", "keyword", "hybrid"])
async def test_odd_queries_are_answered(http: httpx.AsyncClient, text: str, mode: str) -> None:
    body = {"text": text} | ({"search_mode": mode} if mode != "pipeline" else {})
    answer = await http.post(SEARCH, json=body)
    assert answer.status_code == 200, answer.text


async def test_thousands_of_messages_are_stored(http: httpx.AsyncClient) -> None:
    messages = [
        {"role": "user", "content": f"note {n}", "id": f"m{n}", "created_at": 1_700_000_000 + n} for n in range(3_000)
    ]
    answer = await http.put("/v1/working-memory/long", json={"user_id": "long", "messages": messages})
    assert answer.status_code == 200
    assert len(answer.json()["messages"]) == 3_000
    found = await http.post(SEARCH, json={"text": "note 1777", "user_id": {"eq": "long"}, "search_mode": "keyword"})
    assert found.json()["memories"][0]["extracted_from"] == ["m1777"]
    again = await http.put("/v1/working-memory/long", json={"user_id": "long", "messages": messages})
    assert again.status_code == 200
    listed = await http.post(SEARCH, json={"user_id": {"eq": "long"}})
    assert listed.json()["total"] == 3_000


async def test_largest_access_count_is_kept_by_searches(http: httpx.AsyncClient, fresh: str) -> None:
    record = {"id": fresh, "text": "counted", "user_id": fresh, "last_accessed": "2000-01-01T00:00:00Z"}
    refused = await http.post(CREATE, json={"memories": [record | {"access_count": 2**63 - 1}]})
    assert refused.status_code == 422
    await http.post(CREATE, json={"memories": [record | {"access_count": 2**53}]})
    await http.post(SEARCH, json={"user_id": {"eq": fresh}})

    async def accessed() -> bool:
        return bool((await http.get(f"/v1/long-term-memory/{fresh}")).json()["last_accessed"] > "2001")

    await until(accessed)
    listed = await http.post(SEARCH, json={"user_id": {"eq": fresh}})
    assert listed.json()["memories"][0]["access_count"] == 2**53
