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
from memhost.errors import (
    ConfigurationError,
    Forbidden,
    InvalidRequest,
    MemhostError,
    NotFound,
    Problem,
    Unauthorized,
    Unavailable,
    ValidationFailed,
)

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
            NotFound: There is no such operation; names that are near it.
            ValidationFailed: The arguments do not fit; all that is wrong with them.
        """
        import msgspec
        from msgspec import inspect

        from memhost.operations.schema import WIRE_NAMES
        from memhost.reading import Compiler, ReadingError, problems

        if operation not in self._host.operations.names():
            raise self._host.operations.unknown(operation, "memhost call --help lists them.")
        kind = inspect.type_info(self._host.operations[operation].request)
        assert isinstance(kind, inspect.StructType)
        try:
            request = Compiler(WIRE_NAMES, closed=True, echoes=True).struct(kind)(msgspec.to_builtins(arguments))
        except ReadingError as error:
            raise ValidationFailed(problems(error.faults)) from None
        call = administrator(self._tenant)
        call.caller = msgspec.structs.replace(call.caller, channel="operator")  # who may read and write the data folder
        answer = await self._host.execute(operation, call, request)
        return msgspec.to_builtins(answer)


def administrator(tenant: str = "default") -> Call:
    """A call by a user of this machine who may run commands: everything in the tenant is allowed."""
    from memhost.models import EVERY_ROLE, Caller, Scope
    from memhost.operations import Call

    caller = Caller(subject="command line", bounds=Scope(tenant=tenant), roles=EVERY_ROLE)
    return Call(caller=caller, request_id=REQUEST_ID, door="command-line")


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
        MemhostError: The server refused or failed: the error that it had, with its code and sentence.
    """
    content = _json(answer)
    if answer.is_success and content is not None:
        return content
    told = content if isinstance(content, Mapping) else {}
    detail = told.get("detail", told.get("message"))
    problems = [_problem(item) for item in detail] if isinstance(detail, list) else []
    sentence = "" if problems else str(detail or "")
    sentence = sentence or f"The server answered with status {answer.status_code}."
    if answer.status_code == 401:
        raise Unauthorized(f"{sentence} Give a token with --token or MEMHOST_TOKEN.")
    kind = _kinds().get(told.get("code", "")) or _BY_STATUS.get(answer.status_code, CommandError)
    if problems:
        raise (kind if issubclass(kind, ValidationFailed) else ValidationFailed)(problems)
    error = kind.__new__(kind)  # what else the constructors of some kinds ask for, the server does not tell
    MemhostError.__init__(error, sentence)
    raise error


_BY_STATUS: Mapping[int, type[MemhostError]] = {
    400: InvalidRequest,
    403: Forbidden,
    404: NotFound,
    409: InvalidRequest,
    422: InvalidRequest,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
"""Kinds of errors that have no code, or one that this version does not know; others are `CommandError`."""


def _kinds() -> dict[str, type[MemhostError]]:
    """The kinds of errors that an operation can have, by code."""
    found: dict[str, type[MemhostError]] = {}
    pending = [MemhostError]
    while pending:
        kind = pending.pop()
        if "code" in kind.__dict__ and kind.__module__ == MemhostError.__module__:
            found[kind.code] = kind
        pending += [each for each in kind.__subclasses__() if not issubclass(each, ConfigurationError)]
    return found


def _problem(item: Any) -> Problem:
    if not isinstance(item, Mapping):
        return Problem(message=str(item))
    where = tuple(item.get("loc", ()))
    message = str(item.get("msg", ""))
    return Problem(where=where[1:] if where[:1] in _SOURCES else where, message=message)


_SOURCES = (("body",), ("query",), ("path",))


class NoDataError(CommandError):
    """A command was to read a data folder in which nothing is."""

    code = "no_data"

    def __init__(self, folder: Path) -> None:
        is_there = "contains no data yet" if folder.exists() else "does not exist"
        super().__init__(
            f"The data folder {folder} {is_there}, so there is nothing to read: name another one with --data, or store "
            "something first."
        )


class Target(NamedTuple):
    """The place of the memories, as the shared options name it."""

    url: str | None = None
    token: str | None = None
    data: str | None = None
    config_file: Path | None = None
    tenant: str = "default"


def target_of(options: dict[str, Any]) -> Target:
    """Take the options of `url_options`, `config_options` and `tenant_option` out of those of a command.

    Raises:
        UsageError: A tenant is named beside a server.
    """
    target = Target(*(options.pop(name) for name in ("url", "token", "data", "config_file")))
    tenant = options.pop("tenant", target.tenant)
    if target.url and tenant != target.tenant:
        raise click.UsageError("With --url the token determines the tenant; omit --tenant.")
    return target._replace(tenant=tenant)


def ask(
    target: Target,
    operation: str,
    arguments: Mapping[str, Any],
    *,
    creates: bool = False,
    needs_data: bool = True,
) -> Any:
    """Call one operation at the target, and return its answer; `creates` and `needs_data` as in `opened`."""

    async def work() -> Any:
        async with reach(target, creates=creates, needs_data=needs_data) as access:
            return await access.call(operation, arguments)

    return run(work)


@asynccontextmanager
async def reach(target: Target, *, creates: bool = False, needs_data: bool = True) -> AsyncIterator[Access]:
    """Access to the memories that the options name; `creates` and `needs_data` as in `opened`."""
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
    async with opened(target.data, target.config_file, creates=creates, needs_data=needs_data) as host:
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
    adopt: bool = False,
    needs_data: bool = True,
) -> AsyncIterator[Host]:
    """The host in this process; `options` are settings by path that go before all others.

    With `adopt` what is stored is accepted as it stands, whoever wrote it.

    It runs background jobs only on request: commands that are over soon leave them to the server. Without `creates` a
    data folder that is missing or empty stays so; one that somebody named is refused then, unless `needs_data` is off:
    the answer would be that of a folder with nothing in it, and the name is mostly mistyped.

    Raises:
        NoDataError: The named folder is missing or empty.
    """
    from memhost.host import open_host

    configuration, plugins = load(data, config_file, options)
    extra: dict[str, Any] = {"reindex": True} if reindex else {}
    extra |= {"adopt": True} if adopt else {}
    with untouched(configuration, config_file, creates=creates) as (folder, file):
        asked, named = configuration.data_dir, configuration.is_set("server.data_dir")
        if folder is not None:
            configuration, plugins = load(folder, file, {**(options or {}), "server.integrity_key": "none"})
        async with open_host(configuration, plugins, run_jobs=run_jobs, **extra) as host:
            if folder is not None and str((await host.store.info()).details.get("path", "")).startswith(folder):
                if needs_data and named:
                    raise NoDataError(asked)
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
