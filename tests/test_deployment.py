"""Checks the image, compose file, units and the documented ACL user, without a container engine."""

from __future__ import annotations

import configparser
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml  # type: ignore[import-untyped]

from memhost.cli import cli
from memhost.cli.command_table import COMMANDS
from memhost.plugins import PluginManager
from memhost.settings.known import PROVIDER_VARIABLES
from memhost.settings.loading import all_settings
from memhost.testing.polling import until
from memhost.testing.server import ServerProcess, WorkerProcess
from tests.support.redis_server import RedisServer

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
UNITS = sorted((ROOT / "deploy").glob("*.service"))
OURS = ("api", "worker")
NOT_OURS = {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}


@pytest.fixture(scope="module")
def names() -> set[str]:
    """All variables that mean something to memhost."""
    sections = PluginManager.load().sections()
    return {name for setting in all_settings(sections) for name in setting.env} | PROVIDER_VARIABLES


def test_image_is_built_from_all_that_the_build_needs() -> None:
    copied = {word for line in DOCKERFILE.splitlines() if line.startswith("COPY ") for word in line.split()[1:-1]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    only = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    hook = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["path"]
    needed = {*only, hook, "pyproject.toml", "README.md", "LICENSE", "NOTICE", "CHANGELOG.md", "SECURITY.md", "docs"}
    assert needed <= copied
    assert needed <= {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines()}


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


@pytest.mark.parametrize("service", OURS)
def test_service_names_known_settings_and_commands(service: str, names: set[str]) -> None:
    found = COMPOSE["services"][service]
    assert set(found["environment"]) <= names
    assert found["command"][0] in COMMANDS
    check = found.get("healthcheck", {}).get("test")
    assert check is None or (check[1] == "memhost" and cli.get_command(None, check[2]) is not None)  # type: ignore[arg-type]
    assert found["depends_on"]["redis"]["condition"] == "service_healthy"
    assert found["read_only"]
    grace = float(found["environment"].get("WORKER_SHUTDOWN_GRACE_SECONDS", 10))
    assert seconds(found["stop_grace_period"]) > grace


def test_compose_is_closed_and_keeps_what_it_is_told() -> None:
    services = COMPOSE["services"]
    assert services["api"]["environment"]["AUTH"] == "token"
    assert "ports" not in services["redis"]
    assert services["worker"]["deploy"]["replicas"] == 2
    command = services["redis"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert (options["--appendonly"], options["--maxmemory-policy"]) == ("yes", "noeviction")
    assert set(COMPOSE["volumes"]) == {each.split(":")[0] for each in services["redis"]["volumes"]}
    for each in services.values():
        image = each["image"]
        assert re.search(r":\d", image), f"{image} is not pinned"
    # every secret is asked for: an empty one would leave a door open
    for name, value in services["api"]["environment"].items():
        assert not re.search(r"KEY|TOKEN|PASSWORD|REDIS_URL", name) or "API_KEY" in name or ":?" in value


def test_image_has_no_root_and_copies_what_is_there(names: set[str]) -> None:
    lines = [line.split(maxsplit=1) for line in DOCKERFILE.replace("\\\n", " ").splitlines() if line[:1].isupper()]
    users = [rest for word, rest in lines if word == "USER"]
    assert users[-1] not in ("root", "0")
    words = [word for word, _ in lines]
    assert words.index("USER") > max(place for place, word in enumerate(words) if word == "RUN")
    assert {"HEALTHCHECK", "ENTRYPOINT", "CMD", "EXPOSE"} <= set(words)
    assert all(rest.split()[0] == "python:3.12-slim" for word, rest in lines if word == "FROM")
    for word, rest in lines:
        if word == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists()
                assert f"!{source}" in (ROOT / ".dockerignore").read_text().split()
        if word == "ENV":
            assert {pair.split("=")[0] for pair in rest.split()} <= names | NOT_OURS
    entry, command = (rest for word, rest in lines if word in ("ENTRYPOINT", "CMD"))
    assert (entry, command) == ('["memhost"]', '["serve"]')


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_unit_names_known_settings_and_commands(path: Path, names: set[str]) -> None:
    unit = configparser.RawConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[method-assign,assignment]
    unit.read(path)
    program, command = unit["Service"]["ExecStart"].split()
    assert (program.rsplit("/", 1)[1], command in COMMANDS) == ("memhost", True)
    assert unit["Service"]["User"] == "memhost"
    lines = (ROOT / "deploy" / "memhost.env").read_text().splitlines()
    settings = [*unit["Service"].get("Environment", "").split(), *(line for line in lines if line and line[0] != "#")]
    given = dict(each.split("=", 1) for each in settings)
    assert set(given) <= names
    assert float(unit["Service"]["TimeoutStopSec"]) > float(given["WORKER_SHUTDOWN_GRACE_SECONDS"])


async def test_the_acl_user_of_the_manual_can_do_all_that_is_needed(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "deploy.md").read_text()
    found = re.search(r"^ACL SETUSER memhost .*$", text, re.M)
    assert found is not None
    with RedisServer(tmp_path / "redis", append_only=True) as server:
        client: Any = server.client()
        client.execute_command(*shlex.split(found[0]))
        url = f"redis://memhost:change-me@127.0.0.1:{server.port}/0"
        environment = {"REDIS_URL": url, "BACKEND": "arq", "JOB_BACKOFF_S": "[0.05]"}
        folders = [tmp_path / "server", tmp_path / "worker"]
        for folder in folders:
            folder.mkdir()
        with (
            ServerProcess(folders[0], environment=environment) as host,
            WorkerProcess(folders[1], environment=environment),
        ):
            async with httpx.AsyncClient(base_url=host.url, timeout=30) as http:
                await _use(http)
        refused = [(row[b"reason"], row[b"object"]) for row in map(_pairs, client.execute_command("ACL LOG"))]
        assert not refused


async def _use(http: httpx.AsyncClient) -> None:
    """Every sort of request, and the jobs that follow."""
    message = {"id": "t1", "role": "user", "content": "I keep bees", "created_at": 1_700_000_000}
    record = {"id": "m", "text": "bees"}
    wanted = {"text": "bees", "last_accessed": {"gt": 0}}
    for verb, path, body in (
        ("PUT", "/v1/working-memory/s", {"messages": [message]}),
        ("PUT", "/v1/working-memory/s", {"messages": [message]}),
        ("POST", "/v1/long-term-memory/", {"memories": [record]}),
        ("POST", "/v1/long-term-memory/search", wanted),
        ("POST", "/v1/long-term-memory/search", {}),
        ("GET", "/v1/working-memory/", None),
        ("DELETE", "/v1/long-term-memory?memory_ids=m", None),
        ("DELETE", "/v1/working-memory/s", None),
    ):
        (await http.request(verb, path, json=body)).raise_for_status()

    async def done() -> bool:
        return bool((await http.get("/v1/jobs")).raise_for_status().json()["total"] == 0)

    await until(done)


def _pairs(row: Any) -> dict[bytes, bytes]:
    if isinstance(row, dict):
        return {str(name).encode(): str(value).encode() for name, value in row.items()}
    return dict(zip(row[::2], row[1::2], strict=True))
