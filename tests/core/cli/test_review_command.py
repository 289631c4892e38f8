"""`memhost review`: what waits is listed, shown, approved, corrected and refused on the data folder."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from memhost.cli import access, cli
from memhost.errors import NotFound
from memhost.host import Host
from tests.support.hosts import run, running_host

RIGHTS = "Refunds under 500 EUR are approved without asking anyone."


@pytest.fixture
def data(tmp_path: Path) -> tuple[str, ...]:
    """The option for a folder in which three memories of ann wait."""

    async def prepare() -> None:
        async with running_host(tmp_path / "d", store="sqlite") as host:
            memories = [{"id": f"m{number}", "text": f"{RIGHTS} ({number})", "user_id": "ann"} for number in range(3)]
            await run(host, "create_memories", memories=memories)

    asyncio.run(prepare())
    return ("--data", str(tmp_path / "d"))


def invoke(*args: str) -> Result:
    return CliRunner().invoke(cli, list(args))


def told(*args: str) -> str:
    result = invoke(*args)
    assert result.exit_code == 0, result.output
    return result.stdout


def hashes(data: tuple[str, ...]) -> dict[str, str]:
    """The hash of what waits, by id, as scripts read it."""
    listed = json.loads(told("review", "list", "--json", *data))
    return {item["memory"]["id"]: item["hash"] for item in listed["memories"]}


def approved(data: tuple[str, ...], *ids: str) -> str:
    """What approving says that names what was read."""
    read = hashes(data)
    return told("review", "approve", *ids, *(part for name in ids for part in ("--hash", read[name])), *data)


def answered(answer: str, *args: str) -> tuple[int, str, str]:
    """Exit code, output, and what a terminal shows where somebody answers the question."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "memhost", *args]
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        while b"[y/N]" not in seen:
            seen += os.read(ours, 1000)
        os.write(ours, answer.encode() + b"\n")
        assert process.stdout is not None
        output = process.stdout.read().decode()
    os.close(ours)
    return process.returncode, output, seen.decode()


def test_doctor_and_usage_tell_what_waits(data: tuple[str, ...]) -> None:
    (check,) = [each for each in json.loads(told("doctor", "--json", *data))["checks"] if each["name"] == "reviews"]
    assert (check["state"], "memhost review list" in check["fix"]) == ("warn", True)
    assert check["detail"].startswith("3 memories wait (3 rights), the oldest since ")
    assert "3 memories wait for a review: memhost review list" in told("usage", *data)
    told("review", "refuse", "m0", "m1", "m2", *data)
    (check,) = [each for each in json.loads(told("doctor", "--json", *data))["checks"] if each["name"] == "reviews"]
    assert (check["state"], check["detail"]) == ("ok", "no memory waits")
    assert "review" not in told("usage", *data)


def test_add_says_what_became_of_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERFACE_TRUST", '{"command-line": "agent"}')
    folder = ("--data", str(tmp_path))
    texts = ["User likes tea.", "User likes tea.", RIGHTS]
    said = [invoke("add", text, "--id", f"m{number}", *folder).stderr for number, text in enumerate(texts)]
    assert said == [
        "Stored.\n",
        "The memory already exists, with this id.\n",
        "It waits for a review: memhost review list\n",
    ]


def test_what_waits_is_decided(data: tuple[str, ...]) -> None:
    listed = json.loads(told("review", "list", "--json", *data))
    assert [item["memory"]["id"] for item in listed["memories"]] == ["m0", "m1", "m2"]
    assert "m1" in told("review", "list", "--reason", "rights", *data)
    assert "Nothing waits" in told("review", "list", "--reason", "payments", *data)
    shown = told("review", "show", "m0", *data)
    assert RIGHTS in shown
    assert "rights" in shown
    assert hashes(data)["m0"] in shown
    assert approved(data, "m0") == "1 approved.\n"
    assert told("review", "correct", "m1", "Refunds need a signature.", *data) == "m1: Refunds need a signature.\n"
    assert told("review", "refuse", "m2", *data) == "1 refused.\n"
    assert "Nothing waits" in told("review", "list", *data)
    missing = invoke("review", "approve", "m2", "--hash", "x", *data)
    assert isinstance(missing.exception, NotFound) or missing.exit_code != 0
    kept = json.loads(told("search", "refunds", "--json", *data))
    assert {hit["id"] for hit in kept["memories"]} == {"m0", "m1"}


def test_a_text_plays_no_tricks_on_the_terminal_of_its_reviewer(tmp_path: Path) -> None:
    """What overwrites its own beginning, or reads backwards, is seen as it is, and so are letters of any language."""
    hidden = {"erased": "\x1b[2K\rUser likes tea.", "bell": "\x07", "backwards": "\u202e"}
    plain = ("Grüße, 記憶, память, ذاكرة", "a — b … “c”", "two\nlines", "tab\there")

    async def prepare() -> None:
        async with running_host(tmp_path, store="sqlite") as host:
            texts = {**hidden, **{f"plain{number}": text for number, text in enumerate(plain)}}
            given = [{"id": name, "text": f"{RIGHTS} {text}", "user_id": "ann"} for name, text in texts.items()]
            await run(host, "create_memories", memories=given)

    asyncio.run(prepare())
    data = ("--data", str(tmp_path))
    for name, text in hidden.items():
        asked = invoke("review", "approve", name, *data)
        for shown in (told("review", "show", name, *data), asked.stderr):
            assert RIGHTS in shown
            assert not set(text) & set("\x1b\r\x07\u202e") & set(shown), name
    for number, text in enumerate(plain):
        name = f"plain{number}"
        for shown in (told("review", "show", name, *data), invoke("review", "approve", name, *data).stderr):
            assert f"{RIGHTS} {text}" in shown


def test_nothing_is_approved_that_nobody_read(data: tuple[str, ...]) -> None:
    """Without a terminal the hash says what was read; another one, too few, or none approve nothing."""
    before = hashes(data)
    asked = invoke("review", "approve", "m0", "m1", *data)
    assert (asked.exit_code, "--hash" in asked.stderr, asked.stdout) == (2, True, "")
    few = invoke("review", "approve", "m0", "m1", "--hash", before["m0"], *data)
    assert (few.exit_code, "1 of 2 ids" in few.stderr) == (2, True)
    swapped = invoke("review", "approve", "m0", "m1", "--hash", before["m1"], "--hash", before["m0"], *data)
    assert (swapped.exit_code, swapped.stdout) == (1, "0 approved.\n")
    assert hashes(data) == before
    assert approved(data, "m0", "m1") == "2 approved.\n"
    assert set(hashes(data)) == {"m2"}


@pytest.mark.parametrize(("answer", "left"), [("y", {"m2"}), ("n", {"m0", "m1", "m2"}), ("", {"m0", "m1", "m2"})])
def test_somebody_at_a_terminal_is_asked(answer: str, left: set[str], data: tuple[str, ...]) -> None:
    code, output, seen = answered(answer, "review", "approve", "m0", "m1", *data)
    assert f"m0: {RIGHTS} (0)" in seen
    assert f"m1: {RIGHTS} (1)" in seen
    assert "Approve these 2 memories?" in seen
    assert (code, output) == ((0, "2 approved.\n") if answer == "y" else (4, ""))
    assert set(hashes(data)) == left


def test_many_are_approved_with_the_store_opened_once(data: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    folders, opened = [], access.opened

    def counted(folder: str | None, *rest: Any, **options: Any) -> AbstractAsyncContextManager[Host]:
        folders.append(folder)
        return opened(folder, *rest, **options)

    monkeypatch.setattr(access, "opened", counted)
    read = hashes(data)
    folders.clear()
    named = [part for name in read for part in ("--hash", read[name])]
    assert told("review", "approve", *read, *named, *data) == "3 approved.\n"
    assert folders == [data[1]]
