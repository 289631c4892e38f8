"""The command line as operators use it: real processes, real ports."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from memhost.cli.server.demo import load_conversation, plain_environment
from tests.support.commands import memhost

LIMIT_S = 60


def run(*args: str, cwd: Path, stdin: str | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    if stdin is None:
        return memhost(*args, cwd=cwd, environ=environ, limit_s=LIMIT_S)
    return subprocess.run(
        [sys.executable, "-m", "memhost", *args],
        capture_output=True,
        text=True,
        cwd=cwd,
        input=stdin,
        env={**plain_environment(), **environ},
        timeout=LIMIT_S,
    )


@contextmanager
def serving(folder: Path, *args: str, **environ: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server on a free port, and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "memhost", "serve", "--json", "--port", "0", "--data", str(folder / "data"), *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**plain_environment(), **environ},
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            pytest.fail(f"the server did not start: {process.communicate(timeout=LIMIT_S)[1]}")
        yield process, json.loads(line)["url"]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=LIMIT_S)


def port_of(url: str) -> str:
    return url.rsplit(":", 1)[1]


def tell(url: str) -> dict[str, Any]:
    conversation = load_conversation()
    for session in conversation["sessions"]:
        body = {"namespace": conversation["namespace"], **session}
        httpx.put(f"{url}/v1/working-memory/{session['session_id']}", json=body, timeout=30).raise_for_status()
    return conversation


SIGTERM = pytest.mark.full("the same end by the other signal; workers are ended by it in make test")


@pytest.mark.parametrize("name", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=SIGTERM)])
def test_signal_ends_the_server_quietly(tmp_path: Path, name: signal.Signals) -> None:
    with serving(tmp_path) as (process, url):
        assert httpx.get(f"{url}/v1/health").status_code == 200
        process.send_signal(name)
        _, told = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0
        assert "Traceback" not in told


def test_ctrl_c_does_not_wait_for_idle_connections(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, url), socket.create_connection(("127.0.0.1", int(port_of(url)))):
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0


def test_start_is_announced_once_for_people(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "memhost", "serve", "--port", "0", "--data", "data"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=plain_environment(),
    )
    assert process.stderr is not None
    lines: list[str] = []
    try:
        while not lines or "Stop" not in lines[-1]:
            line = process.stderr.readline()
            assert line, lines
            lines.append(line)
        # On a machine with much else to do, a line of the log may stand before it.
        (title,) = [line for line in lines if "is running at" in line]
        url = title.split()[-1]
        assert httpx.get(f"{url}/v1/health").status_code == 200
        assert str(tmp_path / "data" / "memhost.db") in "".join(lines)
        assert f"{url}/docs" in "".join(lines)
    finally:
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=LIMIT_S)[1]
    assert process.returncode == 0
    assert rest.splitlines()[-1:] == ["Stopped."]
    assert "is running at" not in rest


@pytest.mark.full("three processes; test_sqlite_processes.py holds two on one file in make test")
def test_several_processes_serve_one_file(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as (process, url):
        tell(url)
        body = {"text": "hazelnuts", "limit": 1}
        totals = {httpx.post(f"{url}/v1/long-term-memory/search", json=body).json()["total"] for _ in range(8)}
        assert len(totals) == 1
        assert totals != {0}
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0
        assert "Traceback" not in told


def test_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, url):
        result = run("serve", "--port", port_of(url), "--data", str(tmp_path / "other"), cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "in use" in result.stderr
    assert "--port" in result.stderr


def test_bad_data_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("serve", "--data", str(tmp_path / "file" / "x"), cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "--data" in result.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_nobody_serves_strangers_by_accident(tmp_path: Path, host: str) -> None:
    result = run("serve", "--host", host, "--port", "0", "--data", "data", cwd=tmp_path)
    assert result.returncode == 2
    assert "AUTH=token" in result.stderr
    again = run("serve", "--port", "0", "--data", "data", cwd=tmp_path, HOST=host)
    assert again.returncode == 2


def test_open_on_purpose_starts_with_a_warning(tmp_path: Path) -> None:
    with serving(tmp_path, "--host", "0.0.0.0", AUTH_MODE="disabled") as (process, url):
        assert httpx.get(f"{url}/v1/health").status_code == 200
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=LIMIT_S)
        assert "server.open" in told


def test_options_of_agent_memory_server_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for given in ("--task-backend", "asyncio"), ("--no-worker",):
        result = run("api", *given, "--data", str(tmp_path / "file" / "x"), cwd=tmp_path, BACKEND="nonsense")
        assert (result.returncode, "data folder" in result.stderr) == (2, True), result.stderr
    folder = ("--data", str(tmp_path / "data"))
    queued = run(
        *("api", "--task-backend", "docket", "--port", "0", *folder), cwd=tmp_path, TASK_REDIS_URL="redis+cluster://x:1"
    )
    assert (queued.returncode, "Redis Cluster" in queued.stderr) == (2, True), queued.stderr


def test_demo_finds_its_answers_and_leaves_nothing(tmp_path: Path) -> None:
    result = run("demo", "--json", cwd=tmp_path, TMPDIR=str(tmp_path), AUTH="nonsense", PORT="nonsense")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert (report["sessions"], report["messages"], len(report["questions"])) == (5, 60, 6)
    first = [question["memories"][0] for question in report["questions"]]
    assert [(hit["session"], hit["turn"]) for hit in first] == [
        ("market-saturday", 7),
        ("train-to-lisbon", 1),
        ("train-to-lisbon", 5),
        ("train-to-lisbon", 6),
        ("after-the-test", 5),
        ("lake-weekend", 4),
    ]
    assert "hazelnuts" in first[0]["before"][0]
    assert {"date", "score"} <= set(first[0])
    assert list(tmp_path.iterdir()) == []


def test_demo_for_people_says_what_to_do_next(tmp_path: Path) -> None:
    result = run("demo", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "market-saturday, turns 5-7" in result.stdout
    assert "can't eat hazelnuts" in result.stdout
    assert "memhost serve" in result.stdout
    assert "\x1b" not in result.stdout
    assert list(tmp_path.iterdir()) == []
    last = result.stdout.strip().splitlines()[-1].strip()  # printed to be run
    done = subprocess.run(last, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "I brought her a lemon cake" in done.stdout
    assert "not empty" in run("demo", "--keep", "demo", cwd=tmp_path).stderr


def test_export_and_import_round_trip(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, url):
        conversation = tell(url)
    old, new, again = str(tmp_path / "data"), str(tmp_path / "new"), str(tmp_path / "again.jsonl")
    file = tmp_path / "out.jsonl"
    assert run("export", str(file), "--data", old, cwd=tmp_path).returncode == 0
    trial = run("import", str(file), "--data", new, "--dry-run", "--json", cwd=tmp_path)
    assert json.loads(trial.stdout)["created"] == 65
    first = json.loads(run("import", str(file), "--data", new, "--json", cwd=tmp_path).stdout)
    assert (first["created"], first["problems"], first["complete"]) == (65, [], True)
    second = json.loads(run("import", str(file), "--data", new, "--json", cwd=tmp_path).stdout)
    assert (second["created"], second["replaced"], second["unchanged"]) == (0, 0, 65)
    assert run("export", again, "--data", new, cwd=tmp_path).returncode == 0
    ends = [json.loads(Path(each).read_text().splitlines()[-1]) for each in (file, again)]
    assert ends[0].pop("signature") != ends[1].pop("signature"), "they were written at different times"
    assert ends[0] == ends[1]

    question = conversation["questions"][0]
    before = run("search", question, "--data", old, "--json", cwd=tmp_path)
    after = run("search", question, "--data", new, "--json", cwd=tmp_path)
    ids = [[hit["id"] for hit in json.loads(found.stdout)["memories"]] for found in (before, after)]
    assert ids[0] == ids[1]
    shown = run("sessions", "show", "lake-weekend", "--data", new, "--json", cwd=tmp_path)
    assert len(json.loads(shown.stdout)["messages"]) == 12


def test_export_to_a_pipe_is_nothing_but_lines(tmp_path: Path) -> None:
    run("add", "Ada paints.", "--data", "data", cwd=tmp_path)
    result = run("export", "--data", "data", cwd=tmp_path)
    kinds = [json.loads(line)["kind"] for line in result.stdout.splitlines()]
    assert (kinds[0], kinds[-1]) == ("memhost_export", "end")
    assert "memory" in kinds
    taken = run("import", "-", "--data", "other", "--json", cwd=tmp_path, stdin=result.stdout)
    assert json.loads(taken.stdout)["complete"]


@pytest.mark.full("three starts; test_migrate.py reindexes in make test")
def test_reindex_keeps_what_is_found(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, url):
        tell(url)
    data = str(tmp_path / "data")
    before = run("search", "pottery", "--data", data, "--json", cwd=tmp_path)
    done = run("reindex", "--force", "--data", data, "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["reindexed"] == 60
    after = run("search", "pottery", "--data", data, "--json", cwd=tmp_path)
    ids = [[hit["id"] for hit in json.loads(found.stdout)["memories"]] for found in (before, after)]
    assert ids[0] == ids[1]
    assert ids[0]


def test_commands_work_through_a_running_server(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, url):
        tell(url)
        listed = run("sessions", "list", "--url", url, "--json", cwd=tmp_path)
        assert json.loads(listed.stdout)["total"] == 5
        found = run("search", "lemon cake", "--url", url, "--json", "-l", "1", cwd=tmp_path)
        assert "lemon" in json.loads(found.stdout)["memories"][0]["text"]
        gone = run("sessions", "delete", "lake-weekend", "-n", "demo", "-f", "--url", url, cwd=tmp_path)
        assert gone.returncode == 0, gone.stderr
        missing = run("sessions", "show", "lake-weekend", "--url", url, cwd=tmp_path)
        assert missing.returncode == 1
        assert json.loads(run("jobs", "list", "--url", url, "--json", cwd=tmp_path).stdout)["jobs"] == []
        healthy = run("doctor", "--data", str(tmp_path / "data"), "--json", cwd=tmp_path, PORT=port_of(url))
        states = {check["name"]: check["state"] for check in json.loads(healthy.stdout)["checks"]}
        assert states["port"] == "warn"
        assert states["store"] == "ok"


def test_worker_ends_on_sigterm(tmp_path: Path) -> None:
    environ = {**plain_environment(), "MEMHOST_DATA_DIR": str(tmp_path / "data"), "LOG_FORMAT": "json"}
    process = subprocess.Popen(
        [sys.executable, "-m", "memhost.worker"], stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environ
    )
    assert process.stderr is not None
    try:
        deadline = time.monotonic() + LIMIT_S
        line = process.stderr.readline()
        while "worker.started" not in line and time.monotonic() < deadline:
            assert line
            line = process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=LIMIT_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert process.returncode == 0
    assert "Traceback" not in told


def test_worker_tells_bad_configuration(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "memhost.worker"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**plain_environment(), "MEMHOST_PORT": "x"},
        timeout=LIMIT_S,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("Error: MEMHOST_PORT")


def test_output_into_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "memhost", "config", "show"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=plain_environment(),
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(LIMIT_S) == 0
