"""The auth provider `token`: the commands that manage tokens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support import auditor
from tests.support.hosts import running_host

from memhost.cli import cli
from memhost.testing.polling import until

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEMHOST_DATA_DIR", str(tmp_path / "data"))
    return lambda *args, **more: CliRunner().invoke(cli, ["token", *args], **more)


def test_commands_from_creation_to_removal(invoke: Invoke) -> None:
    assert "[no_data]" in invoke("list").stderr
    made = json.loads(invoke("create", "-d", "team a", "--role", "reader", "-u", "ann", "-e", "30", "--json").stdout)
    assert made["token"].startswith(f"mh_{made['id']}_")
    assert (made["role"], made["users"], made["namespaces"], made["status"]) == ("reader", ["ann"], None, "active")
    second = invoke("add", "-n", "work", "-n", "home", "-t", "acme")
    assert second.stdout.count("\n") == 1
    assert "does not show it again" in second.stderr
    listed = invoke("list")
    assert "team a" in listed.stdout
    assert second.stdout.strip().split("_", 2)[2] not in listed.stdout
    rows = json.loads(invoke("list", "--json").stdout)["tokens"]
    assert [(row["id"], row["tenant"]) for row in rows] == [
        (made["id"], "default"),
        (second.stdout.split("_")[1], "acme"),
    ]
    assert rows[0]["last_used_at"] is None
    rotated = json.loads(invoke("rotate", made["id"], "--json").stdout)
    assert rotated["token"] != made["token"]
    assert (rotated["id"], rotated["expires_at"]) == (made["id"], made["expires_at"])
    assert invoke("revoke", made["id"]).exit_code == 2
    assert json.loads(invoke("revoke", made["id"], "--force", "--json").stdout) == {"revoked": [made["id"]]}
    assert invoke("remove", "--all", "--force").stdout == "1 revoked.\n"


def test_a_token_carries_a_channel_which_a_rotation_keeps(invoke: Invoke) -> None:
    made = json.loads(invoke("create", "--channel", "tool", "--json").stdout)
    assert made["channel"] == "tool"
    assert "trusted as tool" in invoke("create", "--channel", "tool").stderr
    assert json.loads(invoke("rotate", made["id"], "--json").stdout)["channel"] == "tool"
    assert "tool" in invoke("list").stdout
    plain = json.loads(invoke("create", "--json").stdout)
    assert plain["channel"] is None
    assert {row["id"]: row["channel"] for row in json.loads(invoke("list", "--json").stdout)["tokens"]}[
        made["id"]
    ] == "tool"
    assert "boss" in invoke("create", "--channel", "boss").stderr


async def test_plugins_hear_of_the_commands(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "installed" / "auditor-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: auditor\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[memhost]\nfake-auditor = tests.support.auditor\n")
    monkeypatch.syspath_prepend(str(info.parent))
    auditor.HEARD.clear()

    def commands() -> str:
        made: str = json.loads(invoke("create", "-d", "team a", "-t", "acme", "--json").stdout)["id"]
        for args in (["rotate", made], ["revoke", made, "--force"]):
            assert invoke(*args).exit_code == 0
        return made

    made = await asyncio.to_thread(commands)  # commands have an event loop of their own
    async with running_host(tmp_path / "data", extra=[auditor.POINT]):
        await until(lambda: _heard(3))
    found = [(event.subject, event.action, event.target, event.tenant) for event in auditor.HEARD]
    assert sorted(found) == [
        ("command line", "create_token", "team a", "acme"),
        ("command line", "revoke_token", made, "default"),
        ("command line", "rotate_token", made, "default"),
    ]


async def _heard(number: int) -> bool:
    return len(auditor.HEARD) >= number


def test_commands_say_what_is_wrong(invoke: Invoke) -> None:
    first = json.loads(invoke("create", "--json").stdout)["id"]
    assert invoke("revoke", first, "--force").exit_code == 0
    assert "memhost token create" in invoke("list").stdout
    for args in (["rotate", "nothing"], ["revoke", "nothing", "--force"]):
        result = invoke(*args)
        assert result.exit_code == 1
        assert "memhost token list" in result.stderr
    assert invoke("revoke", "--force").exit_code == 2
    assert invoke("create", "--role", "king").exit_code == 2
    for days in ("0", "1e9", "nan"):
        assert invoke("create", "-e", days).exit_code == 2
        assert invoke("rotate", "nothing", "-e", days).exit_code == 2
    result = invoke("create", env={"STORE": "memory"})
    assert result.exit_code == 2
    assert "AUTH_TOKENS" in result.stderr


@pytest.mark.parametrize(
    "bounds", [("-t", ""), ("-u", ""), ("-u", " "), ("-n", "", "-n", ""), ("-t", "acme", "-n", "")]
)
def test_a_variable_that_was_not_set_bounds_nothing_by_accident(invoke: Invoke, bounds: tuple[str, ...]) -> None:
    """As in `memhost token create --user "$USER_ID"`."""
    refused = invoke("create", *bounds)
    assert refused.exit_code == 1
    assert "must not be empty" in refused.stderr
    assert invoke("list", "--json").stdout.count('"id"') == 0


def test_commands_work_with_a_key_before_anything_says_how_callers_get_in(invoke: Invoke) -> None:
    made = invoke("create", "-d", "x", env={"AUTH_TOKEN_KEY": "k" * 40})
    assert made.exit_code == 0, made.stderr
    assert made.stdout.startswith("mh_")


def test_a_lost_key_can_be_got_over(invoke: Invoke, tmp_path: Path) -> None:
    invoke("create")
    (tmp_path / "data" / "token.key").unlink()
    refused = invoke("create", env={"AUTH": "token"})
    assert refused.exit_code == 2
    assert "revoke --all" in refused.stderr
    assert invoke("revoke", "--all", "--force", env={"AUTH": "token"}).exit_code == 0
    assert invoke("create", env={"AUTH": "token"}).exit_code == 0
