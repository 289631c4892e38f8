"""`memhost call`: any operation of the table by its name, with fields from the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from memhost.cli import cli
from memhost.cli.data.call import read_fields
from memhost.host import core_operations

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("MEMHOST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MEMHOST_DATA_DIR", str(tmp_path / "data"))
    return lambda *args, **more: CliRunner().invoke(cli, ["call", *args], **more)


def answer(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], {}),
        (["text=tea"], {"text": "tea"}),
        (["text="], {"text": ""}),
        (["limit=5"], {"limit": "5"}),
        (["limit:=5"], {"limit": 5}),
        (["text:=null", "pinned:=true"], {"text": None, "pinned": True}),
        (['ids:=["a", "b"]'], {"ids": ["a", "b"]}),
        (["user_id.eq=ana"], {"user_id": {"eq": "ana"}}),
        (
            ["created_at.gte=2026-01-01", "created_at.lt=2027-01-01"],
            {"created_at": {"gte": "2026-01-01", "lt": "2027-01-01"}},
        ),
        (["metadata.stage.any:=[1]"], {"metadata": {"stage": {"any": [1]}}}),
        (["text=a=b"], {"text": "a=b"}),
        (["text=a:=b"], {"text": "a:=b"}),
        (["text=line\nline"], {"text": "line\nline"}),
        (["text=[1, 2]"], {"text": "[1, 2]"}),
        (["text=\u00fcber \u6771\u4eac"], {"text": "\u00fcber \u6771\u4eac"}),
        (["from=2026-01-01"], {"from": "2026-01-01"}),
    ],
)
def test_fields_are_texts_or_json(given: list[str], expected: dict[str, Any]) -> None:
    assert read_fields(given) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["tea"], "'tea' is no field"),
        (["=tea"], "'=tea' is no field"),
        ([""], "'' is no field"),
        (["1a=x"], "'1a=x' is no field"),
        (["a b=x"], "'a b=x' is no field"),
        (["a.=x"], "'a.=x' is no field"),
        (["limit:=five"], "limit is not valid JSON"),
        (["limit:="], "limit is not valid JSON"),
        (["n:=NaN"], "n is not valid JSON"),
        (["n:=Infinity"], "n is not valid JSON"),
        (["text=a", "text=b"], "text has two values"),
        (["text=a", "text:=null"], "text has two values"),
        (["user_id=a", "user_id.eq=b"], "user_id.eq has two values"),
        (["user_id.eq=a", "user_id=b"], "user_id has two values"),
        (["user_id.eq=a", "user_id.eq=b"], "user_id.eq has two values"),
    ],
)
def test_what_is_no_field_is_refused(given: list[str], message: str) -> None:
    with pytest.raises(click.BadParameter) as told:
        read_fields(given)
    assert message in told.value.message


def test_help_lists_every_operation_and_the_fields_of_one(invoke: Invoke) -> None:
    listed = invoke("--help").stdout
    assert [each.name for each in core_operations() if f"\n  {each.name} " not in listed] == []
    assert "\n  list_tokens " in listed  # of a plugin
    shown = invoke("get_memory", "--fields").stdout
    assert "memory_id" in shown
    assert "required" in shown
    assert "It has no fields." in invoke("health", "--fields").stdout
    told = answer(invoke("search_memories", "--fields", "--json"))
    assert {"text", "user_id", "limit"} <= {field["name"] for field in told["fields"]}


def test_an_operation_is_called_with_its_fields(invoke: Invoke) -> None:
    stored = answer(invoke("store_memories", 'memories:=[{"id": "m", "text": "Ana likes tea.", "user_id": "ana"}]'))
    assert stored["results"][0]["status"] == "created"
    assert answer(invoke("get_memory", "memory_id=m"))["text"] == "Ana likes tea."
    found = answer(invoke("search_memories", "text=tea", "user_id.eq=ana", "limit=1"))
    assert [hit["id"] for hit in found["memories"]] == ["m"]
    assert answer(invoke("search_memories", "text=tea", "user_id.eq=bo"))["memories"] == []
    body = json.dumps({"user_id": {"eq": "ana"}})
    assert answer(invoke("search_memories", "--body", body))["total"] == 1
    assert answer(invoke("search_memories", "-b", "-", input=body))["total"] == 1
    assert answer(invoke("search_memories", "--tenant", "other"))["total"] == 0


def test_reading_makes_no_folder(invoke: Invoke, tmp_path: Path) -> None:
    refused = invoke("search_memories")
    assert (refused.exit_code, "[no_data]" in refused.stderr) == (1, True)
    assert not (tmp_path / "data").exists()


def test_what_may_remove_asks_first(invoke: Invoke) -> None:
    answer(invoke("create_memories", 'memories:=[{"id": "m", "text": "tea"}]'))
    for args in (["delete_memories", 'memory_ids:=["m"]'], ["delete_user", "user_id=ana"], ["discard_job", "job_id=j"]):
        refused = invoke(*args)
        assert (refused.exit_code, "--force" in refused.stderr) == (2, True), args
    assert answer(invoke("get_memory", "memory_id=m"))["id"] == "m"
    assert answer(invoke("delete_memories", 'memory_ids:=["m"]', "--force"))["status"] == "ok, deleted 1 memories"


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        (["serch_memories"], 1, "There is no operation 'serch_memories'. Did you mean search_memories"),
        (["serch_memories", "--fields"], 1, "Did you mean search_memories"),
        (["xyz"], 1, "memhost call --help lists them."),
        (["search_memories", "lmit=3"], 1, "lmit: There is no such field. Did you mean limit?"),
        (["search_memories", "user_id.eqals=ana"], 1, "user_id.eqals: There is no operator eqals."),
        (["search_memories", "limit=many"], 1, "limit: Input should be a valid integer"),
        (["get_memory"], 1, "memory_id: Field required"),
        (["get_memory", "memory_id=nobody"], 1, "[not_found]"),
        (["search_memories", "text=x", "--body", "{}"], 2, "not both"),
        (["search_memories", "--body", "[]"], 2, "must be one JSON object"),
        (["search_memories", "--body", "null"], 2, "must be one JSON object"),
        (["search_memories", "--body", "{"], 2, "not valid JSON"),
        (["search_memories", "--tenant", "x", "--url", "http://127.0.0.1:1"], 2, "omit --tenant"),
        ([], 2, "Missing argument 'NAME'"),
    ],
)
def test_mistakes_are_told(invoke: Invoke, args: list[str], code: int, told: str) -> None:
    answer(invoke("create_memories", 'memories:=[{"id": "m", "text": "tea"}]'))
    result = invoke(*args)
    assert (result.exit_code, told in result.stderr) == (code, True), result.stderr
    assert result.stdout == ""


# -- trust -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bound", "level"), [(None, "operator"), ("tool", "tool")])
def test_what_is_stored_on_the_data_folder_is_the_operators_unless_the_door_is_bound(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, bound: str | None, level: str
) -> None:
    if bound is not None:
        monkeypatch.setenv("INTERFACE_TRUST", json.dumps({"command-line": bound}))
    told = answer(invoke("store_memories", 'memories:=[{"text": "Tea is at four.", "user_id": "ana"}]'))
    assert told["results"][0]["memory"]["trust"] == level
    turn = '[{"role": "user", "content": "I like tea.", "id": "t"}]'
    answer(invoke("put_session", "session_id=s", "user_id=ana", f"messages:={turn}"))
    assert answer(invoke("get_memory", "memory_id=t"))["trust"] == ("user" if bound is None else level)


def test_an_export_is_signed_and_an_import_says_whether_it_is(invoke: Invoke, tmp_path: Path) -> None:
    answer(invoke("store_memories", 'memories:=[{"id": "m", "text": "Tea is at four.", "user_id": "ana"}]'))
    file = tmp_path / "out.jsonl"
    written = CliRunner().invoke(cli, ["export", str(file), "--json"])
    assert json.loads(written.stdout) == {"file": str(file), "exported": 1, "signed": True}
    answer(invoke("delete_memories", 'memory_ids:=["m"]', "--force"))
    back = CliRunner().invoke(cli, ["import", str(file), "--json"])
    assert (json.loads(back.stdout)["created"], json.loads(back.stdout)["signed"]) == (1, True)
    assert answer(invoke("get_memory", "memory_id=m"))["trust"] == "operator"
    answer(invoke("delete_memories", 'memory_ids:=["m"]', "--force"))
    changed = file.read_text().replace("at four", "at five")
    told = CliRunner().invoke(cli, ["import", "-"], input=changed)
    assert told.exit_code == 0, told.output
    assert "something was changed" in told.stderr
    kept = answer(invoke("get_memory", "memory_id=m"))
    assert (kept["text"], kept["trust"], kept["metadata"]) == (
        "Tea is at five.",
        "import",
        {"claimed_trust": "operator"},
    )
