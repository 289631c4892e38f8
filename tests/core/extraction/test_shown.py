"""What of a message a model is shown: the ends of long code and logs, and all of everything else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from memhost.extraction.shown import shown_to_model
from memhost.messages.windows import sent_tokens
from memhost.models import Message

CODE = "\n".join(f"    total += price[{number}]" for number in range(100))
LOG = "\n".join(f"2026-03-02 10:00:{number % 60:02d},120 INFO worker: read page {number}" for number in range(200))
TRACE = "\n".join(f"\tat com.acme.Shop.step{number}(Shop.java:{number})" for number in range(80))


def said(text: str, role: str = "user") -> Message:
    return Message(role=role, content=text, id="m", created_at=datetime(2026, 3, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"My shop broke.\n```python\n{CODE}\n```\nI use Python 3.12.", 30),
        (f"~~~\n{CODE}\n~~~", 28),
        (f"It hangs since Monday:\n{LOG}\nI am in Oslo.", 11),
        (f"java.lang.Error: no price\n{TRACE}\nWe run Java 21.", 11),
        ("Look:\n" + "\n".join(f"ERROR: page {number} is gone" for number in range(50)), 10),
        ("\n".join(f"npm ERR! missing: left-pad@{number}" for number in range(50)), 9),
    ],
)
def test_the_middle_of_long_code_and_logs_is_left_out(text: str, left: int) -> None:
    shown = shown_to_model(said(text))
    lines = shown.split("\n")
    assert len(lines) == left
    assert sum(line.startswith("[... ") for line in lines) == 1
    assert (lines[0], lines[-1]) == (text.split("\n")[0], text.split("\n")[-1])
    assert all(line in text or line.startswith("[... ") for line in lines)


@pytest.mark.parametrize(
    "text",
    [
        "I moved to Oslo.",
        "\n".join(f"- book {number}" for number in range(100)),
        "\n".join(f"{number}. stir" for number in range(1, 60)),
        "\n".join(f"10:{number:02d} Ana: I like page {number}" for number in range(60)),
        "\n".join(f"[10:{number:02d}:00] Ana: I said no {number} times" for number in range(60)),
        "\n".join(f"| Oslo | {number} | EUR |" for number in range(60)),
        "\n".join(f"Oslo;{number};EUR" for number in range(60)),
        "\n".join("O Captain! my Captain! our fearful trip is done" for _ in range(30)),
        "\n".join(f"    indented {number}" for number in range(60)),
        "\n".join(f"> quoted {number}" for number in range(60)),
        "\n".join(f"Fehler {number}: ich war zu spät" for number in range(40)),
        "\n".join(f"Info: am {number}. März Probe" for number in range(1, 29)),
        f"```\n{CODE}",
        "```\n" + "\n".join(f"line {number}" for number in range(30)) + "\n```",
        "\n".join(f"ERROR: page {number}" for number in range(12)),
        "\n".join(line for number in range(30) for line in (f"ERROR: page {number}", "I tried again")),
        "\n".join(f"用户{number}说:你好" for number in range(60)),
        "\n".join(f"at noon {number}" for number in range(40)),
    ],
)
def test_everything_else_is_shown_whole(text: str) -> None:
    assert shown_to_model(said(text)) == text


def test_tools_and_systems_are_cut_and_counted_as_they_are_sent() -> None:
    assert shown_to_model(said("x" * 2000, "tool")) == "x" * 1000 + " [...]"
    assert shown_to_model(said("x" * 1000, "system")) == "x" * 1000
    assert sent_tokens(said(f"Broken.\n{LOG}")) < sent_tokens(said("Broken.\n" + LOG.replace("INFO", "info"))) / 10
