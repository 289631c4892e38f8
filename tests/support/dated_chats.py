"""Chats in which dates matter, with what a model extracts from them, and questions that ask when."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from memhost.host import Host
from tests.support.extractions import settled, texts_of
from tests.support.hosts import run
from tests.support.model_server import Call, Given, ModelServer

CHATS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "dated_chats.json").read_text())
LOCOMO = Path(os.environ.get("MEMHOST_EVAL_DATA") or "/nowhere") / "locomo_dev.json"
"""The conversation of evan is one of LoCoMo, which is not part of this repository."""


def questions() -> list[tuple[str, str, str]]:
    """User, question, and the pattern of its answer; those about evan only where his conversation is."""
    found = [(each["user"], each["question"], each["pattern"]) for each in CHATS["questions"]]
    return [each for each in found if each[0] != "evan" or LOCOMO.is_file()]


async def tell_all(host: Host, models: ModelServer, users: set[str]) -> None:
    """Write the chats of these users, and wait until all is extracted from each."""
    answers: dict[str, list[Any]] = {}
    models.answer(lambda call: _answer(call, answers))
    for user, session, messages, given, fields in sessions(users):
        for part, memories in zip(messages, given, strict=True):
            answers.clear()
            answers[part[-1]["content"]] = memories
            await run(host, "put_session", session_id=session, user_id=user, messages=part, flush=True, **fields)
            await settled(host, session, user_id=user)


def _answer(call: Call, answers: Mapping[str, list[Any]]) -> Given | None:
    if "<messages>" in call.prompt:
        lines = texts_of(call)
        # The name in front of a text stands beside it in a line.
        return {"memories": next((given for text, given in answers.items() if any(map(text.endswith, lines))), [])}
    pairs = [json.loads(line) for line in call.prompt.splitlines() if line.startswith('{"pair": ')]
    return {"verdicts": [{"pair": pair["pair"], "verdict": _verdict(pair), "text": None} for pair in pairs]}


def _verdict(pair: Mapping[str, Any]) -> str:
    texts = pair["older"]["text"], pair["newer"]["text"]
    updated = any(old in texts[0] and new in texts[1] for old, new in CHATS["updates"])
    return "update" if updated else "distinct"


_Session = tuple[str, str, list[list[dict[str, Any]]], list[Any], dict[str, Any]]


def sessions(users: set[str]) -> Iterator[_Session]:
    """User, session, its messages as each write sends them, the model's answers, and other fields."""
    for chat in CHATS["chats"]:
        if chat["user"] in users:
            start, gap = datetime.fromisoformat(chat["start"]), timedelta(minutes=chat["minutes_between"])
            said = [
                {
                    "id": f"{chat['ids']}{at + 1}",
                    "role": role,
                    "content": text,
                    "created_at": (start + at * gap).isoformat(),
                }
                for at, (role, text) in enumerate(chat["turns"])
            ]
            fields: dict[str, Any] = {"data": chat.get("data")} if chat.get("data") else {}
            if "strategy" in chat:
                fields["long_term_memory_strategy"] = {"strategy": chat["strategy"], "config": {}}
            ends = chat.get("parts") or [len(said)]
            yield chat["user"], chat["session"], [said[:end] for end in ends], chat["answers"], fields
    if "evan" in users:
        yield from _evan()


def _evan() -> Iterator[_Session]:
    items = json.loads(LOCOMO.read_text())
    chosen = CHATS["locomo"]
    conversation = next(item for item in items if item["sample_id"] == chosen["sample_id"])["conversation"]
    for session, answers in chosen["answers"].items():
        number = re.sub(r"\D", "", session)
        start = datetime.strptime(conversation[f"session_{number}_date_time"], "%I:%M %p on %d %B, %Y").replace(
            tzinfo=UTC
        )
        said = []
        for at, turn in enumerate(conversation[f"session_{number}"]):
            caption = f" [shares {turn['blip_caption']}]" if turn.get("blip_caption") else ""
            said.append(
                {
                    "id": turn["dia_id"],
                    "role": "user" if turn["speaker"] == "Evan" else "assistant",
                    "content": f"{turn['speaker']}: {turn['text']}{caption}",
                    "created_at": (start + timedelta(minutes=at)).isoformat(),
                }
            )
        yield "evan", session, [said], answers, {}
