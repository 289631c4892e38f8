"""First steps on the command line: help, single memories, ids to copy, hints, and reading without side effects."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn
from click.testing import CliRunner, Result
from uvicorn.supervisors import multiprocess

from memhost.cli import cli
from memhost.cli.command_table import COMMANDS
from memhost.cli.failures import report
from memhost.cli.hints import as_run
from memhost.cli.printing import table
from memhost.cli.server.docs import pages
from memhost.cli.server.version import described
from memhost.errors import MissingExtra
from memhost.host import startup
from memhost.http.app import Application
from memhost.http.processes import Processes, heed_interrupts
from memhost.settings import load_configuration
from memhost.text import hints

Invoke = Callable[..., Result]
GROUPS = ("sessions", "jobs", "plugins", "token", "trash", "strategies", "config", "user")
READING = (
    ("search",),
    ("search", "x"),
    ("show", "nope"),
    ("sessions", "list"),
    ("sessions", "show", "nope"),
    ("jobs", "list"),
    ("trash", "list"),
    ("trash", "restore", "nope"),
    ("usage",),
    ("plugins", "list"),
    ("plugins", "show", "store-sqlite"),
    ("strategies", "list"),
    ("export",),
    ("config", "show"),
    ("compact", "--dry-run"),
    ("doctor",),
)


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("MEMHOST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def invoke() -> Invoke:
    return lambda *args, **more: CliRunner().invoke(cli, list(args), **more)


# -- help ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_alone_is_help_and_no_error(invoke: Invoke, group: str) -> None:
    result = invoke(group)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.count("Usage:") == 1
    assert result.stdout == invoke(group, "--help").stdout
    assert invoke("help", group).stdout == result.stdout


def test_help_of_a_command_within_a_group(invoke: Invoke) -> None:
    assert invoke("help", "jobs", "retry").stdout == invoke("jobs", "retry", "--help").stdout
    assert invoke("help").stdout == invoke("--help").stdout
    assert "There is no command nope" in invoke("help", "nope").stderr
    assert invoke("help", "version", "x").exit_code == 2
    config = invoke("mcp", "config")
    assert (config.exit_code, config.stderr) == (0, "")
    assert "Usage:" in config.stdout


def test_a_missing_argument_is_an_error_still(invoke: Invoke) -> None:
    for args in (["add"], ["show"], ["forget"], ["sessions", "show"], ["trash", "restore"], ["jobs", "nope"]):
        assert invoke(*args).exit_code == 2, args


# -- reading makes nothing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("args", READING, ids=" ".join)
def test_reading_makes_no_folder(invoke: Invoke, tmp_path: Path, args: tuple[str, ...]) -> None:
    folder = tmp_path / "new"
    result = invoke(*args, "--data", str(folder))
    assert result.exit_code in (0, 1), result.output
    assert not folder.exists()


def test_reading_leaves_an_empty_folder_empty(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    for args, code in ((("search", "x"), 1), (("doctor",), 0)):
        assert invoke(*args, "--data", str(tmp_path / "new")).exit_code == code
    assert list((tmp_path / "new").iterdir()) == []


def test_reading_adds_nothing_to_a_folder_of_settings(invoke: Invoke, tmp_path: Path) -> None:
    for name in ("memhost.toml", ".env", "own.yaml"):
        (tmp_path / "new" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "new" / name).write_text("")
    for args, code in ((("search", "x"), 1), (("doctor",), 0), (("export",), 1)):
        assert invoke(*args, "--data", str(tmp_path / "new")).exit_code == code
    assert {file.name for file in (tmp_path / "new").iterdir()} == {"memhost.toml", ".env", "own.yaml"}
    assert invoke("add", "The roof leaks.", "--data", str(tmp_path / "new")).exit_code == 0
    assert "The roof leaks." in invoke("search", "roof", "--data", str(tmp_path / "new")).stdout


def test_settings_beside_the_data_are_not_read_in_silence(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "new" / "memhost.toml"
    file.parent.mkdir()
    file.write_text('[server]\ndata_dir = "."\n')
    told = invoke("config", "check", "--data", "new").output
    assert f"memhost does not read {file}; to use it, name it with --config" in told
    assert "does not read" not in invoke("config", "check", "--data", "new", "--config", str(file)).output
    monkeypatch.chdir(file.parent)
    assert "does not read" not in invoke("config", "check").output

    def forbidden(path: Path) -> bool:
        if path.is_relative_to("/elsewhere"):
            raise PermissionError("no")
        return False

    monkeypatch.setattr(Path, "is_file", forbidden)  # root may look anywhere
    assert load_configuration(options={"server.data_dir": "/elsewhere"}, environ={}, env_file=None).warnings == []


OF_DATA = (
    "search tea",
    "show m",
    "edit m --text x",
    "forget m --force",
    "explain m",
    "context tea",
    "profile ana",
    "usage",
    "audit",
    "verify",
    "scan",
    "scan --mask --force",
    "export out.jsonl",
    "reindex --force",
    "keys rotate --force",
    "jobs list",
    "trash list",
    "review list",
    "review approve m",
    "sessions list",
    "history list m",
    "history show m 1",
    "user delete ana --force",
    "user export ana out.jsonl",
    "token list",
    "token revoke t --force",
    "call search_memories text=tea",
    "call verify_store",
)


@pytest.mark.parametrize("command", OF_DATA)
@pytest.mark.parametrize("folder", ["missing", "empty"])
def test_a_folder_without_data_is_refused(invoke: Invoke, tmp_path: Path, command: str, folder: str) -> None:
    """It is mostly mistyped: that nothing was found there would be a wrong answer."""
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    refused = invoke(*command.split(), "--data", folder)
    state = "does not exist" if folder == "missing" else "contains no data yet"
    assert refused.exit_code == 1, refused.output
    assert refused.stderr.startswith(f"Error: The data folder {tmp_path / folder} {state}, so there is nothing to read")
    assert refused.stderr.rstrip().endswith("[no_data]")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "command", ["strategies list", "plugins list", "plugins show store-sqlite", "call health", "doctor", "config show"]
)
def test_what_reads_no_data_needs_no_folder(invoke: Invoke, tmp_path: Path, command: str) -> None:
    assert invoke(*command.split(), "--data", "missing", env={"PORT": "0"}).exit_code == 0
    assert not (tmp_path / "missing").exists()


def test_a_folder_that_nobody_named_is_only_told(invoke: Invoke, tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "share")}
    listed = invoke("sessions", "list", "--json", env=home)
    assert listed.stderr.endswith("contains no data yet.\n")
    assert json.loads(listed.stdout)["total"] == 0
    elsewhere = {"SQLITE_PATH": str(tmp_path / "own.db")}
    assert invoke("search", "x", "--data", "typo", env=elsewhere).stderr == ""


def test_errors_of_newcomers_say_what_to_do(invoke: Invoke, tmp_path: Path) -> None:
    said = invoke("add", "Ana likes tea", "--data", "d")
    assert said.exit_code == 0
    (tmp_path / "list.txt").write_text("hello")
    told = invoke("import", "list.txt", "--data", "d").stderr
    assert "memhost did not write this file" in told
    assert "--data stands behind a command of history: compare, list" in invoke("history", "--data", "d").stderr
    assert "'one' is not a valid version number." in invoke("history", "show", "m", "one", "--data", "d").stderr
    assert "There is no command user list. There are: certificate, delete, export." in invoke("user", "list").stderr
    assert "Did you mean rotate?" in invoke("keys", "rotat").stderr
    profile = invoke("profile", "ana", "--data", "d")
    assert (profile.exit_code, "none is configured: set LLM_MODEL" in profile.stderr) == (0, True)


def test_what_is_stored_is_read_from_the_folder(invoke: Invoke, tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "new"))
    assert invoke("add", "The roof leaks.", *data).exit_code == 0
    assert "The roof leaks." in invoke("search", "roof", *data).stdout
    assert invoke("import", "-", "--dry-run", "--data", str(tmp_path / "other"), input="").exit_code == 1
    assert not (tmp_path / "other").exists()


# -- single memories -------------------------------------------------------------------------------------------


def test_a_memory_from_the_first_to_the_last(invoke: Invoke) -> None:
    data = ("--data", "d")
    added = invoke("add", "Mia: Ich fürchte Bühnen 🎭", "-u", "mia", "-n", "home", "-t", "fear, stage", *data)
    assert added.exit_code == 0, added.output
    memory_id = added.stdout.strip()
    assert re.fullmatch(r"\w{26}", memory_id)
    shown = json.loads(invoke("show", memory_id, "--json", *data).stdout)
    assert (shown["text"], shown["user_id"], shown["namespace"]) == ("Mia: Ich fürchte Bühnen 🎭", "mia", "home")
    assert shown["topics"] == ["fear", "stage"]
    assert memory_id in invoke("show", memory_id, *data).stdout
    edited = invoke("edit", memory_id, "--text", "Mia liebt Bühnen", "--clear", "topics", "--pin", "--json", *data)
    memory = json.loads(edited.stdout)
    assert (memory["text"], memory["topics"], memory["pinned"]) == ("Mia liebt Bühnen", [], True)
    assert memory["user_id"] == "mia"
    assert invoke("edit", memory_id, *data).exit_code == 2
    assert invoke("forget", memory_id, *data).exit_code == 2  # nobody to ask
    assert invoke("rm", memory_id, "--force", *data).stdout == "1 removed.\n"
    for args in (["show", memory_id], ["edit", memory_id, "--text", "x"], ["forget", memory_id, "-f"]):
        gone = invoke(*args, *data)
        assert (gone.exit_code, memory_id in gone.stderr or "not found" in gone.stderr) == (1, True), gone.stderr


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2025-06-12", "2025-06-12T00:00:00Z"),
        ("2025-06-12T10:00", "2025-06-12T10:00:00Z"),
        ("2025-06-12 10:00:00+02:00", "2025-06-12T08:00:00Z"),
        ("1749722400", "2025-06-12T10:00:00Z"),
    ],
)
def test_a_time_is_taken_as_every_door_takes_it(invoke: Invoke, given: str, kept: str) -> None:
    data = ("--data", "d")
    memory_id = invoke("add", "Mia moved.", "--event-date", given, *data).stdout.strip()
    assert json.loads(invoke("show", memory_id, "--json", *data).stdout)["event_date"] == kept
    wrong = invoke("edit", memory_id, "--event-date", "yesterday", *data)
    assert (wrong.exit_code, "event_date: Input should be a valid datetime or date" in wrong.output) == (1, True)


def test_a_text_from_standard_input_and_one_that_is_there_already(invoke: Invoke) -> None:
    data = ("--data", "d")
    first = invoke("add", "-", *data, input="The gate\nsqueaks.")
    second = invoke("add", "The gate\nsqueaks.", *data)
    assert first.stdout == second.stdout
    assert ("Stored." in first.stderr, "already" in second.stderr) == (True, True)
    assert json.loads(invoke("show", first.stdout.strip(), "--json", *data).stdout)["text"] == "The gate\nsqueaks."


# -- what can be copied ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [26, 60, 200])
def test_ids_are_whole_on_a_line_of_eighty_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ids = [f"{number}".ljust(length, "x") for number in range(3)]
    rest = ("memhost_memories_stored", "pipeline-maintenance", "dead", "4", "2026-11-30 12:00", "It fell over. " * 9)
    columns = ("job", "event", "plugin", "state", "tries", "due", "last error")
    table(columns, [(each, *rest) for each in ids], whole=("job",))
    lines = capsys.readouterr().out.splitlines()
    for each in ids:
        assert sum(each in line.split() for line in lines) == 1
    if length == 26:
        assert max(len(line.rstrip()) for line in lines) <= 80


def test_a_search_shows_what_other_commands_take(invoke: Invoke) -> None:
    data = ("--data", "d")
    added = invoke("add", "The roof leaks. " * 40, "-u", "u" * 90, "-n", "home", "-s", "s1", *data).stdout.strip()
    shown = invoke("search", "roof", "--explain", *data, env={"COLUMNS": "80"}).stdout
    assert f"id {added} · session s1 · user {'u' * 90} · namespace home" in shown
    assert "It has the words: roof." in shown
    assert "semantic" in shown
    assert "\nms: " not in shown
    traced = invoke("search", "roof", "--trace", *data).stdout
    assert re.search(r"\nms: .*embed \d+\.\d, candidates \d+\.\d, rank \d+\.\d, total \d+\.\d\n$", traced)
    assert "It has the words" not in traced
    nothing = invoke("search", "zzzqqq", *data).stdout
    assert nothing.startswith("Nothing fits:")


def test_trash_of_nothing_fails_and_export_takes_an_option(invoke: Invoke, tmp_path: Path) -> None:
    data = ("--data", "d")
    invoke("add", "The roof leaks.", *data)
    gone = invoke("trash", "restore", "nope", *data)
    assert (gone.exit_code, "nope" in gone.stderr) == (1, True)
    assert invoke("export", "-o", "out.jsonl", *data).exit_code == 0
    assert "The roof leaks." in (tmp_path / "out.jsonl").read_text()
    assert invoke("export", "out.jsonl", "-o", "other.jsonl", *data).exit_code == 2


def test_a_file_that_cannot_be_written_and_a_store_that_is_none_are_named(invoke: Invoke) -> None:
    assert "Error: no/such/file cannot be written:" in invoke("export", "-o", "no/such/file").output
    assert "Error: mysql is not a store;" in invoke("migrate", "--from", "mysql", "--to", "sqlite:x", "--force").output


def test_a_reader_that_has_enough_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    program = [sys.executable, "-m", "memhost", "docs", "settings"]
    with os.fdopen(writer, "w") as out:
        ended = subprocess.run(program, stdout=out, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_settings_that_hold_no_secret_are_shown_as_they_are(invoke: Invoke) -> None:
    rows = {row["path"]: row for row in json.loads(invoke("config", "show", "--json").stdout)["settings"]}
    assert not [path for path, row in rows.items() if row["default"] and row["value"] == "********"]
    given = invoke("config", "show", "--json", env={"REDIS_URL": "redis://:geheim@localhost:6379"}).stdout
    assert "geheim" not in given
    assert "********" in given
    assert "REDIS_URL" in invoke("config", "show").stdout


def test_plugins_list_says_what_is_in_use(invoke: Invoke) -> None:
    def used(**environment: str) -> dict[str, list[str]]:
        listed = json.loads(invoke("plugins", "list", "--json", env=environment).stdout)["plugins"]
        return {row["name"]: row["in_use"] for row in listed}

    usual = used()
    assert (usual["store-sqlite"], usual["store-memory"], usual["store-redis"]) == (["store"], [], [])
    assert (usual["model-static"], usual["auth-none"], usual["auth-token"]) == (["embedder"], ["auth"], [])
    assert (usual["strategy-verbatim"], usual["strategy-discrete"]) == (["strategy"], [])
    assert usual["pipeline-maintenance"] == ["hooks"]
    other = used(REDIS_URL="redis://localhost:1", BACKEND="arq", AUTH="token,jwt", LLM_MODEL="openai/x")
    assert (other["store-sqlite"], other["store-redis"], other["runner-arq"]) == ([], ["store"], ["runner"])
    assert (other["auth-token"], other["auth-jwt"], other["auth-none"]) == (["auth"], ["auth"], [])
    assert (other["model-litellm"], other["strategy-discrete"]) == (["language model"], ["strategy"])
    assert "in use" in invoke("plugins", "list").stdout
    assert used(PORT="nonsense")["store-sqlite"] == []  # the list helps to mend what is wrong


# -- documentation and version ---------------------------------------------------------------------------------


def test_documentation_is_read_without_a_network(invoke: Invoke) -> None:
    listed = invoke("docs").stdout
    for page in ("README", "mcp", "settings", "reference/ports/Store"):
        assert re.search(rf"(?m)^{page} ", listed), page
        assert invoke("docs", page).stdout == pages()[page].read_text(encoding="utf-8")
    assert invoke("docs", "docs/MCP.md").stdout == invoke("docs", "mcp").stdout
    assert invoke("docs", "store").stdout == invoke("docs", "reference/ports/Store").stdout
    missing = invoke("docs", "setings")
    assert (missing.exit_code, "Did you mean settings?" in missing.stderr) == (1, True)


def test_the_version_names_the_commit(invoke: Invoke, tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path)]
    assert described(tmp_path / "nowhere") is None
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "file").write_text("1")
    subprocess.run([*git, "add", "file"], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    clean = described(tmp_path)
    assert re.fullmatch(r"[0-9a-f]{12}", clean or "")
    (tmp_path / "file").write_text("2")
    assert described(tmp_path) == f"{clean}+changed"
    assert set(json.loads(invoke("version", "--json").stdout)) == {"name", "version", "plugin_api", "commit"}


# -- hints -----------------------------------------------------------------------------------------------------


def test_hints_name_the_program_that_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / ".venv" / "bin" / "memhost"
    program.parent.mkdir(parents=True)
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", "")
    assert as_run("start one with: memhost serve") == "start one with: .venv/bin/memhost serve"
    assert as_run("Try memhost demo · memhost is fine · /x/memhost serve") == (
        "Try .venv/bin/memhost demo · memhost is fine · /x/memhost serve"
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert hints.program() == str(program)
    monkeypatch.setenv("PATH", str(program.parent))
    assert as_run("memhost serve") == "memhost serve"
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "memhost" / "__main__.py")])
    assert hints.program() == f"{hints.python()} -m memhost"
    monkeypatch.setattr(sys, "argv", ["pytest"])
    assert hints.program() == "memhost"


def test_an_extra_is_installed_by_the_names_of_its_packages() -> None:
    told = MissingExtra("model-litellm", "litellm").message
    assert re.search(r"python\S* -m pip install 'litellm[<>=!].*'", told)
    assert "memhost[" not in told
    assert hints.install("redis").count("'") >= 4
    assert hints.install("nope").endswith("'memhost[nope]'")


@pytest.mark.parametrize("name", [*sorted(COMMANDS), "token", "mcp"])
def test_every_command_can_stand_in_a_hint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    program = tmp_path / "memhost"
    program.write_text("")
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.setenv("PATH", "")
    assert as_run(f"memhost {name} x; memhost {name}s, memhost-{name}") == (
        f"{program} {name} x; memhost {name}s, memhost-{name}"
    )


# -- Ctrl-C ----------------------------------------------------------------------------------------------------


def test_ctrl_c_among_tasks_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    group = BaseExceptionGroup("tasks", [ValueError("x"), BaseExceptionGroup("inner", [KeyboardInterrupt()])])
    assert report(group) == 130
    assert capsys.readouterr().err == "Stopped.\n"
    assert report(ExceptionGroup("tasks", [ValueError("x")])) == 1


@pytest.mark.parametrize("module", ["click.core", "memhost.cli.root", "memhost.host", "apsw"])
def test_ctrl_c_at_any_moment_prints_no_traceback(tmp_path: Path, module: str) -> None:
    """Interrupted when a module was imported: on the way to the command, while it opens the store, while it runs."""
    program = [sys.executable, "-m", "memhost", "search", "x", "--data", "d"]
    environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    with subprocess.Popen(
        program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, text=True, env=environment
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("import time:") and line.rpartition("|")[2].strip() == module:
                process.send_signal(signal.SIGINT)
                break
        _, rest = process.communicate(timeout=60)
    told = [line for line in rest.splitlines() if line and not line.startswith("import time:")]
    assert told in ([], ["Stopped."]), rest
    assert process.returncode in (130, -signal.SIGINT)


def test_ctrl_c_before_the_server_listens_ends_it(tmp_path: Path) -> None:
    """Interrupted where our own handlers are in place and those of uvicorn are not yet."""
    program = [sys.executable, "-X", "importtime", "-m", "memhost", "serve", "--port", "0", "--data", "d"]
    with subprocess.Popen(program, stderr=subprocess.PIPE, cwd=tmp_path, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.rpartition("|")[2].strip() == "uvloop":
                process.send_signal(signal.SIGINT)
                break
        _, rest = process.communicate(timeout=60)
    told = [line for line in rest.splitlines() if line and not line.startswith("import time:")]
    assert told[-1:] == ["Stopped."], rest
    assert "Traceback" not in rest
    assert process.returncode in (0, 130)


async def test_a_server_told_twice_to_stop_is_quiet(tmp_path: Path) -> None:
    """As when its event loop ends with all tasks cancelled: the lifespan closes what it opened, and raises nothing."""
    sent: asyncio.Queue[str] = asyncio.Queue()
    told: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    told.put_nowait({"type": "lifespan.startup"})

    async def send(message: Mapping[str, str]) -> None:
        sent.put_nowait(message["type"])

    configuration, plugins = startup.load(options={"server.data_dir": str(tmp_path / "d")}, environ={}, env_file=None)
    app = cast("Any", Application(configuration, plugins))
    others = asyncio.all_tasks()
    serving = asyncio.create_task(app({"type": "lifespan"}, told.get, send))
    assert await sent.get() == "lifespan.startup.complete"
    for task in asyncio.all_tasks() - others:
        task.cancel()
    await serving
    assert not list((tmp_path / "d").glob("*-wal"))


def test_server_processes_are_born_deaf_to_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    def blocked() -> bool:
        return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())

    at_birth: list[bool] = []

    def start(_process: multiprocess.Process) -> None:
        resource_tracker.ensure_running()  # as the first process that is spawned does
        at_birth.append(blocked())

    monkeypatch.setattr(multiprocess.Process, "start", start)
    before = {name: signal.getsignal(name) for name in multiprocess.SIGNALS}
    try:
        processes = Processes(uvicorn.Config("x:y", workers=2), sockets=[])
        processes.init_processes()
        assert (at_birth, blocked()) == ([True, True], False)
        signal.raise_signal(signal.SIGINT)
        processes.handle_signals()
        assert processes.asked_to_stop
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        heed_interrupts()
        assert not blocked()
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def test_metadata_is_set_by_an_edit(invoke: Invoke) -> None:
    data = ("--data", "d")
    memory_id = invoke("add", "Roof", "-m", "state=open", "-m", "n=3", *data).stdout.strip()
    assert json.loads(invoke("show", memory_id, "--json", *data).stdout)["metadata"] == {"state": "open", "n": 3}
    edited = invoke("edit", memory_id, "-m", 'tags=["a", true]', "-m", "state=a=b", "--json", *data)
    assert json.loads(edited.stdout)["metadata"] == {"tags": ["a", True], "state": "a=b"}
    cleared = invoke("edit", memory_id, "--clear", "metadata", "--json", *data)
    assert json.loads(cleared.stdout)["metadata"] == {}
    refused = invoke("edit", memory_id, "-m", "state", *data)
    assert (refused.exit_code, "KEY=VALUE" in refused.stderr) == (2, True)


def test_compacting_shows_the_texts_and_says_what_is_left_alone(invoke: Invoke, tmp_path: Path) -> None:
    data = ("--data", "d")
    turn = {"memory_type": "message", "extraction_strategy": "message"}
    memories = [
        {"id": "a", "text": "Likes tea"},
        {"id": "b", "text": "Likes  tea."},
        {"id": "c", "text": "Likes TEA."},
        *({"id": f"t{number}", "text": "user: hi", **turn} for number in range(2)),
    ]
    (tmp_path / "list.json").write_text(json.dumps(memories))
    assert invoke("import", str(tmp_path / "list.json"), *data).exit_code == 0
    told = invoke("compact", "--dry-run", *data).stdout
    assert "stays b: Likes  tea." in told
    assert "goes  a: Likes tea" in told
    assert "2 of them are turns of conversations" in told
    assert "word-for-word" in told
    done = invoke("compact", *data).stdout
    assert "1 repetitions removed" in done
    assert "4 memories remain" in done
    again = json.loads(invoke("compact", "--json", *data).stdout)
    assert (again["exact_removed"], again["turns"], again["judge"]) == (0, 2, False)
