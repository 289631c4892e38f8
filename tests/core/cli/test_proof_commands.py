"""`memhost history`, `audit`, `verify` and `user certificate check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import apsw
import pytest
from click.testing import CliRunner, Result

from memhost.cli import cli


@pytest.fixture
def data(tmp_path: Path) -> tuple[str, str]:
    """The options of a data folder with a memory `m` of ana in two versions."""
    options = ("--data", str(tmp_path / "d"))
    record = {"id": "m", "text": "likes green tea", "user_id": "ana"}
    told(options, "call", "create_memories", f"memories:={json.dumps([record])}")
    told(options, "edit", "m", "--text", "likes coffee")
    return options


def invoke(data: tuple[str, str], *args: str) -> Result:
    return CliRunner().invoke(cli, [*args, *data])


def told(data: tuple[str, str], *args: str) -> str:
    result = invoke(data, *args)
    assert result.exit_code == 0, result.output
    return result.stdout


def asked(data: tuple[str, str], *args: str) -> Any:
    return json.loads(told(data, *args, "--json"))


def test_versions(data: tuple[str, str]) -> None:
    text = told(data, "history", "list", "m")
    assert ("edit_memory" in text, "create_memories" in text) == (True, True)
    assert [each["version"] for each in asked(data, "history", "list", "m")["versions"]] == [2, 1]
    assert "text: likes green tea" in told(data, "history", "show", "m", "1")
    assert "text: likes green tea -> likes coffee" in told(data, "history", "compare", "m", "1", "2")
    assert "no difference" in told(data, "history", "compare", "m", "2", "2")
    assert "says again: likes green tea" in told(data, "history", "restore", "m", "1", "--if-version", "2")
    assert asked(data, "show", "m")["text"] == "likes green tea"
    refused = invoke(data, "history", "restore", "m", "2", "--if-version", "2")
    assert (refused.exit_code, "is at version 3" in refused.stderr) == (1, True)
    assert invoke(data, "history", "redact", "m", "2").exit_code == 2, "there is nobody to ask"
    assert "1 former states removed." in told(data, "history", "redact", "m", "2", "--force")
    missing = invoke(data, "history", "show", "m", "2")
    assert "has no version 2" in missing.stderr
    assert invoke(data, "history", "list", "nothing").exit_code == 1


def test_the_log(data: tuple[str, str]) -> None:
    token = asked(data, "token", "create", "--description", "for tests")
    told(data, "token", "revoke", token["id"], "--force")
    told(data, "user", "delete", "ana", "--force")
    rows = asked(data, "audit")["changes"]
    assert {row["door"] for row in rows if row["kind"]} == {"command-line"}
    administered = [row["note"] for row in rows if row["kind"] == "administered"]
    assert administered[1:] == [f"revoke_token {token['id']}", "create_token for tests"]
    assert administered[0].startswith("delete_user user ")
    assert "ana" not in administered[0]
    text = told(data, "audit", "--change", "administered", "--oldest-first")
    assert text.index("create_token") < text.index("revoke_token")
    assert "tea" not in told(data, "audit") + json.dumps(rows)
    page = asked(data, "audit", "--limit", "2")
    assert page["changes"] == rows[:2]
    assert asked(data, "audit", "--limit", "2", "--after", str(page["next"]))["changes"] == rows[2:4]


def test_verifying(data: tuple[str, str]) -> None:
    assert "Everything is what the server wrote." in told(data, "verify")
    with apsw.Connection(str(Path(data[1]) / "memhost.db")) as connection:
        connection.execute("UPDATE contents SET body = CAST(replace(body, 'coffee', 'poison') AS BLOB)")
    found = invoke(data, "verify")
    assert found.exit_code == 1
    assert "changed: memory m." in found.stdout
    assert "1 thing is not what the server wrote." in found.stdout
    report = json.loads(invoke(data, "verify", "--json").stdout)
    assert (report["ok"], report["found"], report["keyed"]) == (False, 1, True)
    assert invoke(data, "verify", "--adopt").exit_code == 2, "there is nobody to ask"
    assert "Everything is what the server wrote." in told(data, "verify", "--adopt", "--force")


def test_a_certificate_is_checked(data: tuple[str, str], tmp_path: Path) -> None:
    file = tmp_path / "certificate.json"
    told(data, "user", "delete", "ana", "--force", "--output", str(file))
    assert "Genuine: All data of the user ana was erased" in told(data, "user", "certificate", "check", str(file))
    certificate = json.loads(file.read_text())
    changes: tuple[dict[str, Any], ...] = (
        {"user_id": "bob"},
        {"counts": {}},
        {"entry": certificate["entry"] - 1},
        {"signature": "0" * 64},
        {"more": 1},
    )
    for change in changes:
        file.write_text(json.dumps(certificate | change))
        found = invoke(data, "user", "certificate", "check", str(file))
        assert (found.exit_code, "Not genuine" in found.stdout) == (1, True), change
    file.write_text(json.dumps({**certificate, "key": "0123456789abcdef"}))
    assert "does not have" in invoke(data, "user", "certificate", "check", str(file)).stdout
    for content in ("[]", "no json"):
        file.write_text(content)
        assert "is no certificate" in invoke(data, "user", "certificate", "check", str(file)).stderr


def test_a_certificate_of_an_older_copy_is_not_in_its_log(data: tuple[str, str], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    connection = apsw.Connection(str(Path(data[1]) / "memhost.db"))
    connection.execute("VACUUM INTO ?", (str(copy / "memhost.db"),))
    connection.close()
    file = tmp_path / "certificate.json"
    told(data, "user", "delete", "ana", "--force", "-o", str(file))
    found = CliRunner().invoke(cli, ["user", "certificate", "check", str(file), "--data", str(copy)])
    assert (found.exit_code, "has no such erasure" in found.stdout) == (1, True), found.output


def test_a_user_is_exported(data: tuple[str, str], tmp_path: Path) -> None:
    file = tmp_path / "ana.jsonl"
    assert asked(data, "user", "export", "ana", str(file))["counts"] == {"memory": 1, "version": 2}
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["memhost_user_export", "memory", "version", "version", "end"]
    assert [lines[1]["content"]["text"], lines[3]["content"]["before"]["text"]] == ["likes coffee", "likes green tea"]
    assert "Exported nothing" in invoke(data, "user", "export", "bob", str(tmp_path / "bob.jsonl")).stderr
    assert "likes coffee" in told(data, "user", "export", "ana", "-")


def test_the_doctor_tells_of_an_older_copy(data: tuple[str, str]) -> None:
    store = Path(data[1]) / "memhost.db"
    older = store.read_bytes()
    assert "its end is the published one" in invoke(data, "doctor").stdout
    told(data, "edit", "m", "--text", "likes cocoa")
    store.write_bytes(older)
    found = invoke(data, "doctor")
    assert (found.exit_code, "not what the server wrote: 1 chain" in found.stdout) == (1, True), found.stdout
    assert "rolled back: entry" in invoke(data, "verify").stdout
