"""`memhost demo`: a server, a conversation and a few questions, all in a temporary folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from memhost.cli.access import answer_of
from memhost.cli.failures import CommandError
from memhost.cli.options import json_option, show

_STOP_LIMIT_S = 15
_HITS = 3
_ROLES = ("user", "assistant")


@click.command()
@json_option
def demo(as_json: bool) -> None:
    """Try it out: start a server in a temporary folder, tell it a conversation, ask questions.

    It needs no configuration, no keys and no network, and leaves nothing behind.
    """
    conversation = load_conversation()
    with tempfile.TemporaryDirectory(prefix="memhost-demo-") as folder:
        _note("Starting a server in a temporary folder ...", as_json)
        with running_server(Path(folder)) as url:
            stored = _tell(url, conversation)
            turns = sum(len(session["messages"]) for session in conversation["sessions"])
            _note(f"Stored {stored} sessions with {turns} messages through {url}.", as_json)
            answers = [_ask(url, conversation["namespace"], text) for text in conversation["questions"]]
    if as_json:
        show({"sessions": stored, "messages": turns, "questions": answers})
        return
    for answer in answers:
        _print(answer)
    click.echo("Every memory was found by its words and its meaning, on this machine alone.\n")
    click.echo("Next:  memhost serve                 keeps memories in ~/.memhost")
    click.echo("       http://127.0.0.1:8000/docs    shows what a client can call")
    click.echo("       memhost search 'lemon cake'   searches from the command line")
    click.echo("       memhost doctor                checks the installation")


def _note(text: str, as_json: bool) -> None:
    if not as_json:
        click.echo(text, err=True)


def load_conversation() -> dict[str, Any]:
    """The conversation that ships with the package, as sessions to put."""
    import msgspec

    raw = msgspec.json.decode(Path(__file__).with_name("demo_conversation.json").read_bytes())
    speakers: list[str] = []
    sessions = []
    for session in raw["sessions"]:
        start = datetime.fromisoformat(session["date"])
        messages = []
        for index, turn in enumerate(session["turns"]):
            if turn["speaker"] not in speakers:
                speakers.append(turn["speaker"])
            messages.append(
                {
                    "id": f"{session['id']}-{index + 1}",
                    "role": _ROLES[speakers.index(turn["speaker"])],
                    "content": f"{turn['speaker']}: {turn['text']}",
                    "created_at": (start + timedelta(seconds=45 * index)).isoformat(),
                }
            )
        sessions.append({"session_id": session["id"], "messages": messages})
    return {"namespace": raw["namespace"], "sessions": sessions, "questions": raw["questions"]}


@contextmanager
def running_server(folder: Path) -> Iterator[str]:
    """A server process of its own on a free loopback port; its address. It is ended afterwards.

    Raises:
        CommandError: It did not start.
    """
    import msgspec

    command = [sys.executable, "-m", "memhost", "serve", "--json"]
    command += ["--host", "127.0.0.1", "--port", "0", "--data", str(folder), "--log-level", "WARNING"]
    with (folder / "log").open("w+b") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter with our own arguments
            command, stdout=subprocess.PIPE, stderr=log, cwd=folder, env=plain_environment()
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                process.wait(_STOP_LIMIT_S)
                log.seek(0)
                told = log.read().decode(errors="replace").strip()
                raise CommandError(f"The server did not start: {told[-2000:] or 'it says nothing'}")
            yield msgspec.json.decode(line)["url"]
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def plain_environment() -> dict[str, str]:
    """The environment without anything that configures memhost, so that defaults hold."""
    from memhost.settings.known import AUTH_VARIABLES, CONFIG_FILE_VARIABLES
    from memhost.settings.loading import all_settings

    ours = {name for setting in all_settings({}) for name in setting.env}
    ours |= set(AUTH_VARIABLES) | set(CONFIG_FILE_VARIABLES) | {"REDIS_URL"}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.upper().removesuffix("_FILE") not in ours and not name.upper().startswith("MEMHOST_")
    }
    # The server runs in another folder: what was relative to this one must not be lost.
    kept["PYTHONPATH"] = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path if entry)
    return kept


def _tell(url: str, conversation: dict[str, Any]) -> int:
    import httpx

    from memhost.cli.printing import progress

    sessions = conversation["sessions"]
    bar, task = progress("Storing", len(sessions))
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client, bar:
        for session in sessions:
            body = {"namespace": conversation["namespace"], **session}
            answer = client.put(f"/v1/working-memory/{session['session_id']}", json=body)
            answer_of(answer)
            bar.advance(task)
    return len(sessions)


def _ask(url: str, namespace: str, question: str) -> dict[str, Any]:
    import httpx

    request = {"text": question, "namespace": {"eq": namespace}, "limit": _HITS}
    answer = httpx.post(f"{url}/v1/long-term-memory/search", json=request, timeout=30, trust_env=False)
    return {"question": question, "memories": [_hit(hit) for hit in answer_of(answer)["memories"]]}


def _hit(hit: dict[str, Any]) -> dict[str, Any]:
    text = hit["text"]
    for role in _ROLES:
        text = text.removeprefix(f"{role}: ")
    return {
        "text": text,
        "date": hit["created_at"][:10],
        "score": hit.get("score"),
        "session": hit["session_id"],
        "turn": int(hit["id"].rsplit("-", 1)[1]) if hit["id"].rsplit("-", 1)[-1].isdigit() else None,
    }


def _print(answer: dict[str, Any]) -> None:
    from memhost.cli.printing import score, table

    rows = [
        (score(hit["score"]), hit["date"], f"{hit['session']}, turn {hit['turn']}", hit["text"])
        for hit in answer["memories"]
    ]
    table(("score", "date", "source", "memory"), rows, title=answer["question"])
