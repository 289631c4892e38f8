"""The command line: imports, messages to users, exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from memhost.cli import cli
from memhost.cli.access import answer_of
from memhost.cli.command_table import ANNOUNCED, COMMANDS
from memhost.cli.root import announced
from memhost.errors import (
    ConfigurationError,
    Forbidden,
    InvalidRequest,
    NotFound,
    StoreUnavailable,
    Unauthorized,
)
from memhost.plugins import PluginManager
from tests.support.fakes import with_bundled
from tests.support.hosts import run, running_host

Invoke = Callable[..., Result]

HEAVY = ("litestar", "numpy", "apsw", "litellm", "redisvl", "redis", "arq", "mcp", "torch", "uvicorn", "httpx", "rich")


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEMHOST_DATA_DIR", str(tmp_path / "data"))
    for name in list(os.environ):
        if name.startswith("MEMHOST_") and name != "MEMHOST_DATA_DIR":
            monkeypatch.delenv(name)


@pytest.fixture
def invoke() -> Invoke:
    return lambda *args, **more: CliRunner().invoke(cli, list(args), **more)


@pytest.mark.parametrize("args", [["--help"], [], ["version"], ["version", "--json"], ["--version"]])
def test_first_words_import_nothing_heavy(args: list[str]) -> None:
    script = (
        "import sys\n"
        "from memhost.cli import cli\n"
        f"code = cli.main({args!r}, standalone_mode=False)\n"
        f"print('heavy:', sorted(set({HEAVY!r}) & set(sys.modules)), code or 0)\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "heavy: [] 0", found.stdout + found.stderr


def test_memhost_alone_prints_help(invoke: Invoke) -> None:
    assert invoke().output == invoke("--help").output
    assert "memhost demo" in invoke().output


def test_bundled_plugins_announce_the_commands_that_they_offer() -> None:
    commands = PluginManager.load(entry_points=with_bundled()).commands
    assert announced(entry_points(group=ANNOUNCED)) == {entry.spec.name: entry.spec.summary for entry in commands}


@pytest.mark.parametrize(
    ("text", "told"),
    [('"""Greet people.\n\nAt length."""\nraise SystemExit', "Greet people."), ("x = (", ""), ("", ""), (None, "")],
    ids=["docstring", "broken", "empty", "missing"],
)
def test_announced_commands_are_listed_without_loading_their_plugin(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, told: str
) -> None:
    package, metadata = tmp_path / "acme_greets", tmp_path / "acme_greets-1.0.dist-info"
    package.mkdir()
    metadata.mkdir()
    (package / "__init__.py").touch()
    if text is not None:
        (package / "commands.py").write_text(text)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-greets\nVersion: 1.0\n")
    points = f"[memhost]\nacme = acme_greets\n[{ANNOUNCED}]\ngreet = acme_greets.commands\n"
    (metadata / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(tmp_path)
    result = invoke("--help")
    assert result.exit_code == 0, result.output
    assert re.findall(r"^  greet *(.*)$", result.stdout, re.M) == [told]
    assert "acme_greets" not in sys.modules


def _install(folder: Path, name: str, text: str) -> None:
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[memhost]\n{name} = {name}\n")
    (folder / f"{name}.py").write_text(text)


def test_check_shows_what_a_plugin_uses_that_is_deprecated(tmp_path: Path) -> None:
    hook = "from memhost.hooks import hookimpl\n@hookimpl\ndef memhost_stores():\n    return []\n"
    moved = "import memhost.guard\n"
    _install(tmp_path, "acme_old", moved + hook)
    _install(tmp_path, "acme_new", "import acme_others\nimport memhost.http.allowed_hosts\n" + hook)
    (tmp_path / "acme_others.py").write_text(
        "import warnings\nwarnings.warn('of others', DeprecationWarning)\nwarnings.warn('no deprecation')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    shown = {
        name: subprocess.run(
            [sys.executable, "-m", "memhost", "plugins", "check", name],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        for name in ("acme_old", "acme_new")
    }
    assert "acme_old (acme_old 1.0) is well: memhost_stores." in shown["acme_old"].stdout
    assert "Deprecated: memhost.guard has moved to memhost.http.allowed_hosts" in shown["acme_old"].stdout
    assert "Deprecated" not in shown["acme_new"].stdout


def test_what_a_plugin_offers_twice_is_named_once(invoke: Invoke) -> None:
    shown = invoke("plugins", "show", "interface-mcp").stdout
    assert re.findall(r"^ *offers +(.*?) *$", shown, re.M) == ["mcp"]


def test_the_command_of_a_disabled_plugin_says_so(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUGINS_DISABLED", "interface-mcp")
    result = invoke("mcp")
    assert result.exit_code == 2
    assert "The plugin that has the command mcp is disabled or failed" in result.stderr


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help(invoke: Invoke, name: str) -> None:
    result = invoke(name, "--help")
    assert result.exit_code == 0, result.output
    assert "Usage: memhost" in result.output


def test_hidden_commands_are_not_listed(invoke: Invoke) -> None:
    assert "\n  api " not in invoke("--help").output


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["serv"], "Did you mean serve?"),
        (["sessions", "lst"], "Did you mean list?"),
        (["version", "--jsn"], "Did you mean '--json'?"),
        (["--hlp"], "Did you mean '--help'?"),
    ],
)
def test_unknown_names_suggest_the_nearest(invoke: Invoke, args: list[str], told: str) -> None:
    result = invoke(*args)
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stdout == ""


def test_version_as_json(invoke: Invoke) -> None:
    assert json.loads(invoke("version", "--json").stdout)["name"] == "memhost"


def test_bad_configuration_is_told_without_a_traceback(invoke: Invoke) -> None:
    result = invoke("config", "check", env={"PORT": "x"})
    assert result.exit_code == 2
    assert result.stderr == "Error: PORT is 'x', but must be a whole number from 0 to 65535. [configuration]\n"


def test_errors_are_json_where_json_was_asked_for(invoke: Invoke) -> None:
    result = invoke("config", "check", "--json", env={"PORT": "x", "WORKERS": "y"})
    error = json.loads(result.stderr)["error"]
    assert error["code"] == "configuration"
    assert len(error["messages"]) == 2


def test_traceback_only_on_request(invoke: Invoke) -> None:
    assert "Traceback" in invoke("config", "check", "--debug", env={"PORT": "x"}).stderr
    assert "Traceback" in invoke("config", "check", env={"PORT": "x", "MEMHOST_DEBUG": "1"}).stderr


@pytest.mark.parametrize(
    ("error", "code", "word"),
    [
        (ConfigurationError("No."), 2, "[configuration]"),
        (StoreUnavailable("Gone."), 3, "[store_unavailable]"),
        (NotFound("Nothing."), 1, "[not_found]"),
        (RuntimeError("bug"), 1, "Add --debug"),
    ],
)
def test_errors_have_their_exit_codes(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, word: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("memhost.cli.server.config.load", fail)
    result = invoke("config", "check")
    assert result.exit_code == code
    assert word in result.stderr


def test_config_show_names_sources_and_hides_secrets(invoke: Invoke) -> None:
    result = invoke("config", "show", "--json", "--changed", env={"PORT": "1234"})
    rows = {row["path"]: row for row in json.loads(result.stdout)["settings"]}
    assert rows["server.port"]["value"] == 1234
    assert rows["server.port"]["source"] == "environment PORT"


def test_plugins_list_knows_the_store(invoke: Invoke) -> None:
    result = invoke("plugins", "list", "--json", "--hook", "stores", "--strict")
    assert "store-sqlite" in [row["name"] for row in json.loads(result.stdout)["plugins"]]
    assert "store-sqlite" in invoke("plugins", "list").stdout


def test_destructive_commands_need_force_without_a_terminal(invoke: Invoke) -> None:
    for args in (["sessions", "delete", "s"], ["jobs", "discard", "--all"], ["reindex"]):
        result = invoke(*args)
        assert result.exit_code == 2
        assert "--force" in result.stderr


def test_missing_session_is_not_found(invoke: Invoke) -> None:
    assert invoke("sessions", "show", "nobody").exit_code == 1
    assert invoke("sessions", "delete", "nobody", "--force").exit_code == 1


def test_a_session_is_shown_with_parts_and_calls_as_text(invoke: Invoke, tmp_path: Path) -> None:
    call = {"id": "c1", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image_url"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]

    async def store() -> None:
        async with running_host(tmp_path, run_jobs=False) as host:
            await run(host, "put_session", session_id="s", messages=messages)

    asyncio.run(store())
    shown = invoke("sessions", "show", "s", "--data", str(tmp_path)).stdout
    assert "look" in shown
    assert '[call weather {"city":"Oslo"}]' in shown


def test_empty_store_answers(invoke: Invoke) -> None:
    assert invoke("add", "a fact", "--id", "m").exit_code == 0
    assert invoke("forget", "m", "--force").exit_code == 0
    assert json.loads(invoke("search", "x", "--json").stdout)["total"] == 0
    assert invoke("search").stdout == "Nothing found.\n"
    assert json.loads(invoke("sessions", "list", "--json").stdout) == {"sessions": [], "total": 0}
    assert json.loads(invoke("jobs", "list", "--json").stdout)["jobs"] == []
    assert json.loads(invoke("jobs", "retry", "--all", "--json").stdout) == {"retried": []}


def test_threshold_needs_semantic_mode(invoke: Invoke) -> None:
    assert invoke("search", "x", "-d", "0.5").exit_code == 2


def test_no_server_is_unavailable(invoke: Invoke) -> None:
    result = invoke("search", "x", "--url", "http://127.0.0.1:1")
    assert result.exit_code == 3
    assert "memhost serve" in result.stderr
    assert invoke("search", "x", "--url", "nonsense").exit_code == 2


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [(401, Unauthorized, True), (403, Forbidden, False), (404, NotFound, False), (422, InvalidRequest, False)],
)
def test_a_token_is_asked_for_only_where_one_is_missing(status: int, kind: type[Exception], hint: bool) -> None:
    with pytest.raises(kind, match="Not so") as caught:
        answer_of(httpx.Response(status, json={"detail": "Not so."}))
    assert ("MEMHOST_TOKEN" in str(caught.value)) is hint


def test_doctor_is_content_with_an_empty_folder(invoke: Invoke) -> None:
    result = invoke("doctor", "--json", env={"PORT": "0"})
    report = json.loads(result.stdout)
    assert report["ok"], report
    assert result.exit_code == 0
    assert {"clock", "data folder", "store", "embedder", "integrity"} <= {item["name"] for item in report["checks"]}


def test_doctor_names_what_is_wrong(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = invoke("doctor", "--data", str(tmp_path / "file" / "x"))
    assert result.exit_code == 1
    assert "--data" in result.stdout
    bad = invoke("doctor", "--json", env={"PORT": "x"})
    assert bad.exit_code == 1
    assert not json.loads(bad.stdout)["ok"]


def test_doctor_names_the_reranker_without_calling_it(invoke: Invoke) -> None:
    checks = json.loads(invoke("doctor", "--json", env={"PORT": "0", "RERANK_MODEL": "jina_ai/some-reranker"}).stdout)
    (check,) = [item for item in checks["checks"] if item["name"] == "reranker"]
    assert check["detail"] == "jina_ai/some-reranker (not called: --call-model)"
    wrong = invoke("doctor", env={"PORT": "0", "RERANKER": "some-reranker"})
    assert wrong.exit_code == 1
    assert "RERANK_MODEL" in wrong.stdout


def test_doctor_refuses_an_open_server_for_everyone(invoke: Invoke) -> None:
    result = invoke("doctor", env={"HOST": "0.0.0.0", "PORT": "0"})
    assert result.exit_code == 1
    assert "AUTH=token" in result.stdout
    assert invoke("doctor", env={"HOST": "0.0.0.0", "PORT": "0", "AUTH": "none"}).exit_code == 0


def test_openapi_document_is_printed(invoke: Invoke) -> None:
    result = invoke("openapi")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["openapi"].startswith("3.")


@pytest.mark.parametrize("content", [b"", b"hello\n", b'{"kind":"end","sessions":0,"memories":0}\n'])
def test_import_refuses_what_is_no_export(invoke: Invoke, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.jsonl"
    file.write_bytes(content)
    assert invoke("import", str(file)).exit_code == 1


def test_import_refuses_newer_formats(invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    header = {"kind": "memhost_export", "format": 99, "version": "9", "created_at": "2030-01-01T00:00:00Z"}
    file.write_text(json.dumps(header) + "\n")
    result = invoke("import", str(file))
    assert result.exit_code == 1
    assert "upgrade" in result.stderr


def test_import_tells_bad_lines_and_does_the_others(invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    now = "2025-01-01T00:00:00Z"
    memory = {"id": "m1", "text": "tea at four", "created_at": now, "updated_at": now, "last_accessed": now}
    lines = [
        {"kind": "memhost_export", "format": 1, "version": "0", "created_at": now},
        {"kind": "memory", "memory": memory},
        {"kind": "memory", "memory": {"id": "m2"}},
        {"kind": "song"},
        {"kind": "end", "sessions": 0, "memories": 2},
    ]
    file.write_text("\n".join(json.dumps(line) for line in lines) + "\nbroken\n")
    result = invoke("import", str(file), "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["created"] == 1
    assert [item["line"] for item in told["problems"]] == [3, 4, 6]
    assert json.loads(invoke("search", "tea", "--json").stdout)["total"] == 1


def test_truncated_import_says_so(invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    header = {"kind": "memhost_export", "format": 1, "version": "0", "created_at": "2025-01-01T00:00:00Z"}
    file.write_text(json.dumps(header) + "\n")
    result = invoke("import", str(file))
    assert result.exit_code == 1
    assert "truncated" in result.stderr


@pytest.mark.parametrize("value", ["1e999", "-1e999", "NaN", "[1, Infinity]"])
def test_metadata_takes_no_number_that_is_not_finite(invoke: Invoke, value: str) -> None:
    refused = invoke("add", "a text", "-m", f"x={value}")
    assert (refused.exit_code, "no finite number" in refused.output) == (2, True)


def test_a_field_gets_a_value_or_is_cleared(invoke: Invoke) -> None:
    refused = invoke("edit", "m1", "--topics", "new", "--clear", "topics")
    assert (refused.exit_code, "not both" in refused.output) == (2, True)


def test_the_context_is_printed_with_its_size_beside_it(invoke: Invoke, tmp_path: Path) -> None:
    data = ("--data", str(tmp_path))
    assert invoke("add", "Ana prefers window seats.", "-u", "ana", *data).exit_code == 0
    shown = invoke("context", "Which seat does Ana like?", "-u", "ana", "-b", "300", *data)
    assert shown.exit_code == 0, shown.output
    assert "Ana prefers window seats." in shown.stdout
    assert "of 300 tokens" in shown.stderr
    assert "of 300 tokens" not in shown.stdout
    whole = json.loads(invoke("context", "seat", "-u", "ana", "--format", "xml", "--json", *data).stdout)
    assert whole["text"].startswith("<memory>")
    assert whole["items"][0]["text"] == "Ana prefers window seats."
    refused = invoke("context", *data)
    assert refused.exit_code == 2
    assert "QUERY" in refused.output
