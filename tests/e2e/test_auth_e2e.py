"""Authentication on real servers: the credentials of all clients, answers to invalid ones, and bounds."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from agent_memory_client import MemoryAPIClient, MemoryClientConfig
from click.testing import CliRunner

from memhost.cli import cli
from memhost.testing.polling import until
from memhost.testing.server import ServerProcess
from tests.e2e.test_other_clients import Wire
from tests.support.commands import memhost
from tests.support.oidc import AUDIENCE, Issuer

CLIENT = httpx.Client(timeout=30, trust_env=False)
OWN = "own-token-for-the-tests-0123456789abcdef"


@pytest.fixture(scope="module", autouse=True)
def connections() -> Iterator[None]:
    """Close them at the end."""
    yield
    CLIENT.close()


def command(*args: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run memhost on the folder of a server."""
    return memhost(*args, "--data", str(folder), cwd=folder, environ=environment)


def create_token(folder: Path, *args: str) -> str:
    """A new token, made in this process (faster than by a process of its own)."""
    made = CliRunner().invoke(cli, ["token", "create", "--json", "--data", str(folder), *args])
    assert made.exit_code == 0, made.output
    return str(json.loads(made.stdout)["token"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guarded")


@pytest.fixture(scope="module")
def token(folder: Path) -> str:
    """A token made before the server has ever run."""
    made = command("token", "create", "-d", "first", folder=folder)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@pytest.fixture(scope="module")
def guarded(folder: Path, token: str) -> Iterator[ServerProcess]:
    """A server in token mode."""
    with ServerProcess(folder, environment={"AUTH_MODE": "token"}) as running:
        yield running


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def read(
    server: ServerProcess, headers: Mapping[str, str] | None = None, path: str = "/v1/working-memory/"
) -> httpx.Response:
    return CLIENT.get(f"{server.url}{path}", headers=headers)


# -- credentials of the official clients, and the challenge without any ---------------------------------------


@pytest.mark.parametrize("scheme", ["X-API-Key: {}\r\n", "Authorization: Bearer {}\r\n"])
async def test_js_credentials_are_accepted_and_getters_become_null(
    guarded: ServerProcess, token: str, scheme: str
) -> None:
    wire, credentials = Wire(guarded.url), scheme.format(token)
    assert (await wire.js("GET /v1/working-memory/", credentials=credentials))[0] == 200
    for path in ("working-memory", "long-term-memory", "summary-views", "tasks"):
        status, answer = await wire.js(f"GET /v1/{path}/missing?namespace=demo", credentials=credentials)
        assert (status, "not found" in answer["detail"]) == (404, True)


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": ""}, {"authorization": "Bearer"}, {"authorization": "Digest x"}, {"x-api-key": ""}],
)
def test_without_credentials_there_is_a_challenge(guarded: ServerProcess, headers: dict[str, str]) -> None:
    answer = read(guarded, headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert isinstance(answer.json()["detail"], str)
    assert answer.json()["code"] == "unauthorized"


def test_health_and_schema_stay_open(guarded: ServerProcess) -> None:
    for path in ("/v1/health", "/v1/ready", "/openapi.json", "/docs", "/redoc"):
        assert read(guarded, bearer("wrong"), path).status_code == 200
    assert read(guarded, path="/metrics").status_code == 401


def test_wrong_tokens_get_no_challenge(guarded: ServerProcess, token: str) -> None:
    for wrong in (token[:-1], "nonsense"):
        for headers in (bearer(wrong), {"x-api-key": wrong}):
            answer = read(guarded, headers)
            assert answer.status_code == 401
            assert "www-authenticate" not in answer.headers


async def test_python_client_with_credentials_in_its_address(guarded: ServerProcess, token: str) -> None:
    address = guarded.url.replace("://", f"://user:{token}@")
    async with MemoryAPIClient(MemoryClientConfig(base_url=address)) as client:
        created, session = await client.get_or_create_working_memory("from-python", user_id="ann")
        assert (created, session.session_id) == (True, "from-python")
        assert (await client.list_sessions()).total >= 1
    assert token not in guarded.log


# -- life of tokens ----------------------------------------------------------------------------------------


async def test_tokens_come_and_go_while_the_server_runs(guarded: ServerProcess, folder: Path) -> None:
    text = command("token", "create", "-d", "short-lived", folder=folder).stdout.strip()
    token_id = text.split("_")[1]
    assert read(guarded, bearer(text)).status_code == 200
    rotated = json.loads(command("token", "rotate", token_id, "--json", folder=folder).stdout)["token"]

    def refused(token: str) -> Callable[[], Any]:
        async def condition() -> bool:
            return read(guarded, bearer(token)).status_code == 401

        return condition

    await until(refused(text), every_s=0.3)
    assert read(guarded, bearer(rotated)).status_code == 200
    listed = json.loads(command("token", "list", "--json", folder=folder).stdout)["tokens"]
    assert next(row for row in listed if row["id"] == token_id)["last_used_at"] is not None
    assert command("token", "revoke", token_id, "--force", folder=folder).returncode == 0
    await until(refused(rotated), every_s=0.3)


def test_rights_follow_the_role(guarded: ServerProcess, folder: Path) -> None:
    session = {"messages": [{"role": "user", "content": "hello"}]}
    for role, can_write, can_administer in (
        ("reader", False, False),
        ("writer", True, False),
        ("operator", True, True),
    ):
        headers = bearer(create_token(folder, "--role", role))
        assert read(guarded, headers).status_code == 200
        written = CLIENT.put(f"{guarded.url}/v1/working-memory/role-{role}", json=session, headers=headers)
        assert written.status_code == (200 if can_write else 403)
        assert read(guarded, headers, "/v1/jobs").status_code == (200 if can_administer else 403)


@pytest.mark.parametrize("bounds", [{"users": [""]}, {"users": [" "]}, {"namespaces": ["", ""]}, {"users": []}])
def test_bounds_without_a_name_make_no_token(
    guarded: ServerProcess, folder: Path, bounds: dict[str, list[str]]
) -> None:
    headers = bearer(create_token(folder, "--role", "admin"))
    answer = CLIENT.post(f"{guarded.url}/v1/operations/create_token", json=bounds, headers=headers)
    refused = (422, "invalid_arguments") if bounds == {"users": []} else (400, "invalid_request")
    assert (answer.status_code, answer.json().get("code")) == refused


def test_own_tokens_work_at_once_and_wrong_ones_are_limited(tmp_path: Path) -> None:
    environment = {"STORE": "memory", "AUTH_TOKENS": OWN, "AUTH_FAILURES_PER_MINUTE": "3"}
    with ServerProcess(tmp_path, environment=environment) as server:
        assert read(server, bearer(OWN), "/v1/jobs").status_code == 200
        # An address that the client writes itself does not lift the limit.
        statuses = [
            read(server, {**bearer(f"wrong {number}"), "x-forwarded-for": f"198.51.100.{number}"}).status_code
            for number in range(4)
        ]
        assert statuses == [401, 401, 401, 429]
        limited = read(server, bearer("wrong"))
        assert 0 < int(limited.headers["retry-after"]) <= 60
        assert limited.json()["code"] == "rate_limited"
        assert read(server, bearer("wrong"), "/metrics").headers["retry-after"]
        assert read(server, bearer(OWN)).status_code == 200
        assert read(server).status_code == 401
        assert OWN not in server.log


# -- bounds ------------------------------------------------------------------------------------------------


Credential = Callable[..., dict[str, str]]


@pytest.fixture(scope="module", params=["sqlite with tokens", "memory with jwt"])
def credential_on(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Credential]]:
    """A server's address, and what makes credentials for it: tenant, namespace and user that they are bound to."""
    home = tmp_path_factory.mktemp("bounds")
    if request.param == "sqlite with tokens":
        with ServerProcess(home, environment={"AUTH": "token"}) as server:
            yield (
                server.url,
                lambda tenant, namespace, user: bearer(create_token(home, "-t", tenant, "-n", namespace, "-u", user)),
            )
        return
    with Issuer() as issuer:
        environment = {
            "STORE": "memory",
            "AUTH_MODE": "oauth2",
            "OAUTH2_ISSUER_URL": issuer.url,
            "OAUTH2_AUDIENCE": AUDIENCE,
            "AUTH_CLAIM_TENANT": "org",
            "AUTH_CLAIM_NAMESPACES": "teams",
        }
        with ServerProcess(home, environment=environment) as server:
            yield (
                server.url,
                lambda tenant, namespace, user: bearer(issuer.token(org=tenant, teams=[namespace], sub=user)),
            )


OWNER = ("acme", "work", "ann")
STRANGERS = (("other", "work", "ann"), ("acme", "home", "ann"), ("acme", "work", "bob"))


class Rest:
    """One caller."""

    def __init__(self, url: str, headers: Mapping[str, str], namespace: str, user: str) -> None:
        self._url, self._headers = f"{url}/v1", headers
        self.owner = {"namespace": namespace, "user_id": user}

    def __call__(self, verb: str, path: str, **more: Any) -> tuple[int, Any]:
        answer = CLIENT.request(verb, self._url + path, headers=self._headers, **more)
        return answer.status_code, answer.json()


@pytest.fixture(scope="module")
def callers(credential_on: tuple[str, Credential]) -> list[Rest]:
    """The owner first, then callers who differ from it in tenant, namespace or user."""
    url, credential = credential_on
    return [Rest(url, credential(*who), who[1], who[2]) for who in (OWNER, *STRANGERS)]


def session_of(caller: Rest) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "The treasure lies under the oak"}], **caller.owner}


def test_what_one_caller_stores_no_other_finds(callers: list[Rest]) -> None:
    owner = callers[0]
    assert owner("PUT", "/working-memory/s1", json=session_of(owner))[0] == 200
    record = {"id": "m1", "text": "Ann hides treasure under the oak", **owner.owner}
    assert owner("POST", "/long-term-memory/", json={"memories": [record]})[0] == 200
    view = owner("POST", "/summary-views", json={"name": "v", "source": "long_term", "group_by": ["user_id"]})[1]
    search = {"text": "treasure under the oak"}
    assert {hit["user_id"] for hit in owner("POST", "/long-term-memory/search", json=search)[1]["memories"]} == {"ann"}
    assert owner("GET", "/working-memory/s1")[0] == 200

    for stranger in callers[1:]:
        assert stranger("GET", "/working-memory/s1")[0] == 404
        assert stranger("GET", "/working-memory/s1", params=owner.owner)[0] in (403, 404)
        assert stranger("GET", "/working-memory/")[1] == {"sessions": [], "total": 0}
        assert stranger("GET", "/long-term-memory/m1")[0] == 404
        assert stranger("PATCH", "/long-term-memory/m1", json={"text": "stolen"})[0] == 404
        for extra in ({}, {"user_id": {"eq": "ann"}}, {"namespace": {"eq": "work"}}, {"user_id": {"ne": "x"}}):
            status, found = stranger("POST", "/long-term-memory/search", json={**search, **extra})
            assert (status, found["memories"], found["total"]) == (200, [], 0)
        prompt = {"query": "treasure", "session": {"session_id": "s1"}, "long_term_search": True}
        status, answer = stranger("POST", "/memory/prompt", json=prompt)
        assert status == 200
        assert "oak" not in json.dumps(answer)
        assert stranger("GET", f"/summary-views/{view['id']}")[0] == 404
        assert view["id"] not in json.dumps(stranger("GET", "/summary-views")[1])
        forget = {"policy": {"budget": 0}}
        assert stranger("POST", "/long-term-memory/forget?dry_run=false", json=forget)[1]["deleted"] == 0
        assert "deleted 0" in stranger("DELETE", "/long-term-memory?memory_ids=m1")[1]["status"]
        stranger("DELETE", "/working-memory/s1")
        stranger("DELETE", f"/summary-views/{view['id']}")

    assert owner("GET", "/working-memory/s1")[1]["messages"][0]["content"] == "The treasure lies under the oak"
    assert owner("GET", "/long-term-memory/m1")[1]["text"] == "Ann hides treasure under the oak"
    assert owner("GET", f"/summary-views/{view['id']}")[0] == 200


def test_nobody_writes_in_the_name_of_another(callers: list[Rest]) -> None:
    owner, _, other_namespace, other_user = callers
    for stranger in (other_namespace, other_user):
        status, answer = stranger("PUT", "/working-memory/forged", json=session_of(owner))
        assert status == 403, answer
        record = {"id": "forged", "text": "forged", **owner.owner}
        assert stranger("POST", "/long-term-memory/", json={"memories": [record]})[0] == 403
    assert owner("GET", "/working-memory/forged")[0] == 404
    assert owner("GET", "/long-term-memory/forged")[0] == 404


def test_equal_ids_of_tenants_do_not_meet(callers: list[Rest]) -> None:
    owner, other_tenant = callers[:2]
    for caller, text in ((owner, "ours"), (other_tenant, "theirs")):
        record = {"id": "same", "text": text, **caller.owner}
        assert caller("POST", "/long-term-memory/", json={"memories": [record]})[0] == 200
    assert owner("GET", "/long-term-memory/same")[1]["text"] == "ours"
    assert other_tenant("GET", "/long-term-memory/same")[1]["text"] == "theirs"
    for caller in (owner, other_tenant):  # other tests look at all that a caller has
        assert "deleted 1" in caller("DELETE", "/long-term-memory?memory_ids=same")[1]["status"]


# -- nothing opens by accident -----------------------------------------------------------------------------


@pytest.mark.parametrize("file", [False, True], ids=["environment", "dotenv"])
def test_disable_auth_alone_does_not_open_a_server_to_others(tmp_path: Path, file: bool) -> None:
    environment = {} if file else {"DISABLE_AUTH": "true"}
    if file:
        (tmp_path / ".env").write_text("DISABLE_AUTH=true\n")
    result = command("serve", "--host", "0.0.0.0", "--port", "0", folder=tmp_path, **environment)
    assert result.returncode == 2
    assert "--insecure" in result.stderr


def test_disable_auth_opens_loopback_and_insecure_the_rest(tmp_path: Path) -> None:
    environment = {"DISABLE_AUTH": "true", "STORE": "memory"}
    with ServerProcess(tmp_path, environment=environment) as server:
        assert read(server).status_code == 200
    with ServerProcess(tmp_path, environment=environment, options=("--insecure", "--host", "0.0.0.0")) as server:
        assert read(server).status_code == 200
        server.process.send_signal(signal.SIGTERM)
        server.stop()
        assert "server.open" in server.log
