"""Secrets in values: in lists, objects and structs, in keys and behind them; ids stay."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from memhost.models import MemoryRecord, Message
from memhost.secrets import Findings, Masker

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TOKEN = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"
KEY = b"a key of the tests of the masker"


def masked(value: Any) -> tuple[Any, Findings]:
    findings = Findings()
    return Masker(KEY).value(value, findings), findings


@pytest.mark.parametrize(
    "value",
    [
        TOKEN,
        [TOKEN],
        {"a": {"b": [1, None, f"x {TOKEN}"]}},
        {TOKEN: 1},
        ({"type": "text", "text": f"use {TOKEN}"},),
        {"arguments": f'{{"token": "{TOKEN}"}}'},
        {"url": f"https://api.example.com/?token={TOKEN}&x=1"},
    ],
)
def test_secrets_are_masked_at_any_depth(value: Any) -> None:
    found, findings = masked(value)
    assert TOKEN not in msgspec.json.encode(found).decode()
    assert type(found) is type(value)
    assert findings.count == 1
    assert masked(found)[0] is found


def test_what_holds_none_is_the_very_same() -> None:
    value = {"a": [1, 2.5, None, True, "plain", ("x",)], "b": {"c": NOW}}
    assert masked(value) == (value, Findings())
    assert masked(value)[0] is value


def test_values_under_a_telling_name_are_masked() -> None:
    found, findings = masked({"smtp": {"user": "joe", "password": "hunter22!", "port": 25}})
    assert found["smtp"]["user"] == "joe"
    assert found["smtp"]["password"].startswith("[secret:")
    assert findings.places == [(("smtp", "password"), "password")]


def test_records_keep_their_ids() -> None:
    record = MemoryRecord(
        id=TOKEN,
        text=f"Deploy with {TOKEN}",
        user_id=TOKEN,
        topics=[TOKEN],
        metadata={"k": TOKEN},
        created_at=NOW,
        updated_at=NOW,
        last_accessed=NOW,
    )
    found, findings = masked(record)
    assert (found.id, found.user_id) == (TOKEN, TOKEN)
    assert TOKEN not in found.text + found.topics[0] + found.metadata["k"]
    assert record.text == f"Deploy with {TOKEN}"
    assert [where for where, _ in findings.places] == [("text",), ("topics", 0), ("metadata", "k")]
    assert [where for where, _ in findings.ids] == [("id",), ("user_id",)]


def test_messages_are_masked_in_all_their_parts() -> None:
    message = Message(
        role="user",
        content=TOKEN,
        id="m",
        created_at=NOW,
        parts=[{"type": "text", "text": TOKEN}],
        name=TOKEN,
        tool_calls=[{"id": "call_1", "function": {"name": "push", "arguments": f'{{"token": "{TOKEN}"}}'}}],
        others={"note": TOKEN},
    )
    found, findings = masked(message)
    assert TOKEN not in msgspec.json.encode(found).decode()
    assert findings.count == 5


def test_kept_secrets_stay() -> None:
    assert Masker(KEY, "keep").value({"a": TOKEN}) == {"a": TOKEN}
    assert Masker(KEY, "refuse").text(TOKEN) != TOKEN
