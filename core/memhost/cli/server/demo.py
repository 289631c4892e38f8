"""`memhost demo`: a server, a conversation and a few questions, all in a temporary folder."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click

from memhost.cli.access import answer_of
from memhost.cli.failures import CommandError
from memhost.cli.hints import as_run
from memhost.cli.options import json_option, show

_STOP_LIMIT_S = 15
_HITS = 3
_BEFORE = 2
"""Turns shown in front of the best hit: what it may be the answer to."""
_ROLES = ("user", "assistant")


@click.command()
@click.option("--keep", metavar="DIR", type=click.Path(path_type=Path), help="Keep the memories in this new folder.")
@json_option
def demo(keep: Path | None, as_json: bool) -> None:
    """Try it out: start a server in a temporary folder, tell it a conversation, ask questions.

    It needs no configuration, no keys and no network, and leaves nothing behind, except with --keep.
    """
    conversation = load_conversation()
    with _folder(keep) as folder:
        _note(f"Starting a server in {'a temporary folder' if keep is None else keep} ...", as_json)
        with running_server(folder) as url:
            stored = _tell(url, conversation)
            turns = sum(len(session["messages"]) for session in conversation["sessions"])
            _note(f"Stored {stored} sessions with {turns} messages through {url}.", as_json)
            answers = [_ask(url, conversation["namespace"], text) for text in conversation["questions"]]
    if as_json:
        show({"sessions": stored, "messages": turns, "questions": answers})
        return
    for answer in answers:
        _print(answer)
    click.echo("memhost found every memory by its words and meaning, on this machine alone.\n")
    kept = shlex.quote(str(keep or "demo"))
    first = "" if keep is not None else f"memhost demo --keep {kept} && "
    click.echo(as_run("Next:  memhost serve      keeps memories in ~/.memhost; its first line says where it listens"))
    click.echo(as_run("       memhost doctor     checks the installation"))
    click.echo(as_run("       memhost docs       shows the documentation"))
    click.echo(as_run(f"       {first}memhost search 'lemon cake' --data {kept}"))


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Where the demo's memories are: a temporary folder, or a new one to keep."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="memhost-demo-") as folder:
            yield Path(folder)
        return
    kept = keep.expanduser().absolute()
    kept.mkdir(parents=True, exist_ok=True)
    if any(kept.iterdir()):
        raise CommandError(f"{keep} is not empty; name a new folder with --keep.")
    yield kept
    (kept / "log").unlink(missing_ok=True)


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
def running_server(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """A server process of its own on a free loopback port; its address. It is ended afterwards.

    Args:
        folder: Its data folder.
        settings: Settings by their environment variables; all others are at their defaults.

    Raises:
        CommandError: It did not start.
    """
    import msgspec

    command = [sys.executable, "-m", "memhost", "serve", "--json"]
    command += ["--host", "127.0.0.1", "--port", "0", "--data", str(folder), "--log-level", "WARNING"]
    with (folder / "log").open("w+b") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter with our own arguments
            command, stdout=subprocess.PIPE, stderr=log, cwd=folder, env=plain_environment() | dict(settings or {})
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                process.wait(_STOP_LIMIT_S)
                log.seek(0)
                told = log.read().decode(errors="replace").strip()
                raise CommandError(f"The server did not start: {told[-2000:] or 'it printed nothing'}")
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
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        hits = [_hit(hit) for hit in answer_of(client.post("/v1/long-term-memory/search", json=request))["memories"]]
        if hits:  # an answer may take up what was said before it
            path, turn = f"/v1/working-memory/{hits[0]['session']}", hits[0]["turn"] or 1
            session = answer_of(client.get(path, params={"namespace": namespace}))
            before = session["messages"][max(0, turn - 1 - _BEFORE) : turn - 1]
            hits[0]["before"] = [message["content"] for message in before]
    return {"question": question, "memories": hits}


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


def _source(hit: dict[str, Any]) -> str:
    before = len(hit.get("before", ()))
    return f"{hit['session']}, turn" + (f"s {hit['turn'] - before}-{hit['turn']}" if before else f" {hit['turn']}")


def _print(answer: dict[str, Any]) -> None:
    from memhost.cli.printing import score, table

    rows = [
        (score(hit["score"]), hit["date"], _source(hit), "\n".join([*hit.get("before", ()), hit["text"]]))
        for hit in answer["memories"]
    ]
    table(("score", "date", "source", "memory"), rows, title=answer["question"])
