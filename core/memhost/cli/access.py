"""The ways of commands to the memories: through a host in this process, or a running server."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import click

from memhost.cli.failures import CommandError
from memhost.errors import Forbidden, InvalidRequest, NotFound, Unauthorized, Unavailable, ValidationFailed

if TYPE_CHECKING:
    import httpx

    from memhost.host import Host
    from memhost.operations import Call
    from memhost.plugins import PluginManager
    from memhost.settings import Configuration

T = TypeVar("T")

REQUEST_ID = "command-line"
TIMEOUT_S = 60
"""Time that a command waits for a server's answer, seconds."""


class Access(Protocol):
    """Calls operations by name; arguments and answers are plain JSON values."""

    async def call(self, operation: str, arguments: Mapping[str, Any]) -> Any:
        """The answer of an operation."""
        ...


class Direct:
    """Operations of a host in this process, as an administrator of one tenant."""

    def __init__(self, host: Host, tenant: str = "default") -> None:
        self._host = host
        self._tenant = tenant

    async def call(self, operation: str, arguments: Mapping[str, Any]) -> Any:
        """The answer of an operation; arguments are read as interfaces read them.

        Raises:
            ValidationFailed: The arguments do not fit; all that is wrong with them.
        """
        import msgspec
        from msgspec import inspect

        from memhost.reading import Compiler, ReadingError, problems

        kind = inspect.type_info(self._host.operations[operation].request)
        assert isinstance(kind, inspect.StructType)
        try:
            request = Compiler(closed=True).struct(kind)(msgspec.to_builtins(arguments))
        except ReadingError as error:
            raise ValidationFailed(problems(error.faults)) from None
        answer = await self._host.execute(operation, administrator(self._tenant), request)
        return msgspec.to_builtins(answer)


def administrator(tenant: str = "default") -> Call:
    """A call by a user of this machine who may run commands: everything in the tenant is allowed."""
    from memhost.models import EVERY_ROLE, Caller, Scope
    from memhost.operations import Call

    caller = Caller(subject="command line", bounds=Scope(tenant=tenant), roles=EVERY_ROLE)
    return Call(caller=caller, request_id=REQUEST_ID)


class Remote:
    """Operations of a running server, by their names: `POST /v1/operations/{name}`."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = url

    async def call(self, operation: str, arguments: Mapping[str, Any]) -> Any:
        """The answer of an operation.

        Raises:
            Unavailable: The server does not answer.
            MemhostError: It refused, with its own sentence.
            CommandError: It does not serve operations by name.
        """
        import httpx
        import msgspec

        path = f"/v1/operations/{operation}"
        try:
            answer = await self._client.post(path, json=msgspec.to_builtins(arguments))
        except httpx.InvalidURL as error:
            raise InvalidRequest(f"{self._url} is not an address: {error}.") from error
        except httpx.ReadTimeout as error:
            raise Unavailable(
                f"The server at {self._url} did not answer {operation} within {TIMEOUT_S} seconds; "
                "it may still be working on it."
            ) from error
        except httpx.TransportError as error:
            raise Unavailable(
                f"No server answers at {self._url} ({type(error).__name__}); start one with: memhost serve"
            ) from error
        if answer.status_code in (404, 405) and not _told_by_memhost(answer):
            raise CommandError(
                f"{self._url} does not serve operations by name: POST {path} gave {answer.status_code}. Either memhost "
                "there is older than this command (update it), or the address is not that of a memhost server."
            )
        return answer_of(answer)


def _told_by_memhost(answer: httpx.Response) -> bool:
    """Tell whether an operation refused: only then does the error have a code."""
    content = _json(answer)
    return isinstance(content, Mapping) and "code" in content


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def answer_of(answer: httpx.Response) -> Any:
    """The content of a server's answer.

    Raises:
        MemhostError: The server refused or failed; with its own sentence.
    """
    content = _json(answer)
    if answer.is_success and content is not None:
        return content
    sentence = _sentence(content) or f"The server answered with status {answer.status_code}."
    if answer.status_code == 403:
        raise Forbidden(sentence)
    if answer.status_code == 401:
        raise Unauthorized(f"{sentence} Give a token with --token or MEMHOST_TOKEN.")
    if answer.status_code == 404:
        raise NotFound(sentence)
    if answer.status_code in (400, 409, 422):
        raise InvalidRequest(sentence)
    if answer.status_code in (502, 503, 504):
        raise Unavailable(sentence)
    raise CommandError(sentence)


def _sentence(content: Any) -> str:
    if not isinstance(content, Mapping):
        return ""
    detail = content.get("detail", content.get("message"))
    if isinstance(detail, list):
        return "; ".join(_problem(item) for item in detail)
    return str(detail or "")


def _problem(item: Any) -> str:
    if not isinstance(item, Mapping):
        return str(item)
    where = ".".join(str(part) for part in item.get("loc", ()) if part not in ("body", "query"))
    return f"{where}: {item.get('msg', '')}" if where else str(item.get("msg", ""))


class Target(NamedTuple):
    """The place of the memories, as the shared options name it."""

    url: str | None = None
    token: str | None = None
    data: str | None = None
    config_file: Path | None = None
    tenant: str = "default"


@asynccontextmanager
async def reach(target: Target, *, creates: bool = False) -> AsyncIterator[Access]:
    """Access to the memories that the options name; a missing data folder is created only if `creates`."""
    if target.url:
        if not target.url.startswith(("http://", "https://")):
            raise click.BadParameter(f"{target.url} must begin with http:// or https://.", param_hint="--url")
        import httpx

        headers = {"authorization": f"Bearer {target.token}"} if target.token else {}
        async with httpx.AsyncClient(
            base_url=target.url, headers=headers, timeout=TIMEOUT_S, trust_env=False
        ) as client:
            yield Remote(client, target.url)
        return
    async with opened(target.data, target.config_file, creates=creates) as host:
        yield Direct(host, target.tenant)


def load(
    data: str | None, config_file: Path | None, options: Mapping[str, Any] | None = None
) -> tuple[Configuration, PluginManager]:
    """Configuration and plugins, with logging quiet and provider keys exported.

    Raises:
        ConfigurationError: With every problem found.
    """
    from memhost import logs
    from memhost.host import startup
    from memhost.settings import export_provider_keys

    logs.configure("ERROR")
    configuration, plugins = startup.load(options={"server.data_dir": data, **(options or {})}, config_file=config_file)
    export_provider_keys()
    return configuration, plugins


@asynccontextmanager
async def opened(
    data: str | None,
    config_file: Path | None,
    *,
    reindex: bool = False,
    run_jobs: bool = False,
    options: Mapping[str, Any] | None = None,
    creates: bool = True,
) -> AsyncIterator[Host]:
    """The host in this process; `options` are settings by path that go before all others.

    It runs background jobs only on request: commands that are over soon leave them to the server. Without `creates` a
    data folder that is missing or empty stays so.
    """
    from memhost.host import open_host

    configuration, plugins = load(data, config_file, options)
    extra: dict[str, Any] = {"reindex": True} if reindex else {}
    with untouched(configuration, config_file, creates=creates) as (folder, file):
        asked = configuration.data_dir
        if folder is not None:
            configuration, plugins = load(folder, file, options)
        async with open_host(configuration, plugins, run_jobs=run_jobs, **extra) as host:
            if folder is not None and str((await host.store.info()).details.get("path", "")).startswith(folder):
                click.echo(f"{asked} contains no data yet.", err=True)
            yield host


@contextmanager
def untouched(
    configuration: Configuration, config_file: Path | None, *, creates: bool = False
) -> Iterator[tuple[str | None, Path | None]]:
    """A folder to work in instead of a data folder that holds no data yet, and the configuration file that applies.

    None where the data folder itself is to be used. What is put into the other folder is gone afterwards.
    """
    from memhost.settings.sources import is_configuration

    folder = configuration.data_dir
    try:
        empty = not folder.exists() or (folder.is_dir() and all(map(is_configuration, folder.iterdir())))
    except OSError:  # opening it says what is wrong
        empty = False
    if creates or not empty:
        yield None, config_file
        return
    with tempfile.TemporaryDirectory(prefix="memhost-") as instead:
        yield instead, config_file or configuration.file


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run an asynchronous command to its end."""
    return asyncio.run(work())
