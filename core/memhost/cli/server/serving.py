"""Running uvicorn: checks before it listens, one friendly block when it does, and a quiet end."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import gc
import logging
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import click
import uvicorn

from memhost import logs
from memhost.cli.failures import CommandError
from memhost.cli.hints import as_run
from memhost.cli.options import show_line
from memhost.errors import ConfigurationError
from memhost.host import Host, open_host, startup
from memhost.http.allowed_hosts import is_loopback
from memhost.http.app import Application
from memhost.http.connections import raise_descriptor_limit
from memhost.http.listening import wait_until_listening
from memhost.http.uvicorn_protocol import Patient, PatientConfig
from memhost.plugins import PluginManager
from memhost.settings import Configuration, export_provider_keys
from memhost.version import __version__

logger = logging.getLogger(__name__)

FACTORY = "memhost.cli.server.serving:create"
"""Makes the application in each server process: `memhost.http.app:create`, with logging set up."""
STARTUP_LIMIT_S = 60.0
_TRY = "Try"
_M_ARENA_MAX = -8  # from malloc.h


@dataclass(frozen=True, slots=True)
class Plan:
    """The server to run, and how to announce it."""

    configuration: Configuration
    plugins: PluginManager
    reload: bool = False
    as_json: bool = False


def create() -> Application:
    """The application of a server process, as the environment configures it."""
    from memhost.http.processes import heed_interrupts

    heed_interrupts()
    configuration, plugins = startup.load()
    server = configuration.settings.server
    bound_allocator()
    logs.configure(server.log_level, server.log_format)
    export_provider_keys()

    async def opened(_host: Host) -> None:
        relax_collection()

    return Application(configuration, plugins, opened=opened)


def bound_allocator() -> None:
    """Have the threads of the process share two arenas of glibc's allocator.

    With 4,000 memories and searches over half of them that keeps 106 MB resident instead of 140. A fixed threshold for
    mapping (`M_MMAP_THRESHOLD`) saves nothing beside it, and costs 1,150 page faults a search.

    Must be called before threads are started. Elsewhere than on Linux with glibc it does nothing.
    """
    if sys.platform == "linux":
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def relax_collection() -> None:
    """Have the collector leave alone what start-up made, which stays, and look less often at what requests make.

    A search makes thousands of objects that form no cycles. Over 6,000 memories the collector otherwise takes 3 to 5 %
    of a search's processor time, and every 300 searches it stops everything for 40 ms and more; so it does not run in
    600 searches. Switched off until here, it saves 6 % of the processor time of a start.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    gc.enable()


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts about the server that the opened host provides."""

    store: str
    memories: int
    embedder: str
    llm: str | None
    strategy: str
    open: bool
    queue: str | None


def run_server(plan: Plan) -> None:
    """Serve until a signal ends it.

    Raises:
        ConfigurationError: It cannot or must not start as configured.
        Unavailable: The store does not answer.
    """
    server = plan.configuration.settings.server
    bound_allocator()
    raise_descriptor_limit()
    check_tls(server.tls_cert, server.tls_key)
    several = server.workers > 1 or plan.reload
    facts = asyncio.run(_preflight(plan)) if several else None
    bound = _bind(server.host, server.port)
    port = int(bound.getsockname()[1])
    for warning in plan.configuration.warnings:
        logs.log(logger, logging.WARNING, "configuration.warning", detail=warning)
    if facts is None:
        _run_here(plan, bound, port)
    else:
        with _quiet_uvicorn():
            _run_processes(plan, facts, bound, port)


async def _preflight(plan: Plan) -> Facts:
    """Open everything once before the serving processes do, so that errors are reported once and early."""
    async with open_host(plan.configuration, plan.plugins, run_jobs=False) as host:
        return await _examine(host)


async def _examine(host: Host) -> Facts:
    """The facts about an opened host.

    Raises:
        ConfigurationError: It would serve strangers.
    """
    info = await host.store.info()
    strategy = host.settings.memory.default_strategy
    if strategy == "auto":
        strategy = "discrete" if host.llm is not None else "verbatim"
    details = info.details
    facts = Facts(
        store=f"{info.engine} {details['path']}" if details.get("path") else info.engine,
        memories=info.counts.get("memories", 0),
        embedder=host.embedder.name,
        llm=host.llm.name if host.llm is not None else None,
        strategy=strategy,
        open=host.authenticator.open,
        queue=host.runner if host.has_workers else None,
    )
    _check_exposure(host.configuration, facts)
    return facts


def _check_exposure(configuration: Configuration, facts: Facts) -> None:
    """Refuse to serve strangers without authentication, unless the operator asked for exactly that."""
    host = configuration.settings.server.host
    if not facts.open or is_loopback(host):
        return
    if not open_on_purpose(configuration):
        raise ConfigurationError(
            f"The server would be open to everyone who can reach {host}, because no authentication is configured: set "
            "AUTH=token (or another provider), listen on 127.0.0.1, or use --insecure to open it on purpose."
        )
    asked = "server.insecure" if configuration.settings.server.insecure else "server.auth"
    logs.log(logger, logging.WARNING, "server.open", host=host, asked_for_by=configuration.sources[asked])


def open_on_purpose(configuration: Configuration) -> bool:
    """Tell whether the operator insists on a server without authentication: `--insecure`, or `AUTH=none` by name."""
    server = configuration.settings.server
    return server.insecure or (server.auth == "none" and configuration.is_set("server.auth"))


def check_tls(cert: str, key: str) -> None:
    """Refuse to start with files that HTTPS cannot be served with.

    Raises:
        ConfigurationError: With what is wrong.
    """
    if key and not cert:
        raise ConfigurationError("tls_key is set without tls_cert; also give the certificate with --tls-cert.")
    if not cert:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key or None, _no_password)
    except (OSError, ssl.SSLError) as error:
        files = f"{cert} and {key or 'the key in it'}"
        raise ConfigurationError(f"HTTPS cannot be served with {files}: {error.strerror or error}.") from error


def _no_password() -> str:
    """Replaces the question on the terminal, which a server cannot answer."""
    raise ConfigurationError(
        "The HTTPS key is encrypted, and the server cannot ask for a password: decrypt it with openssl pkey -in "
        "key.pem -out plain.pem, and make the file readable by the server only."
    )


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host.strip("[]"), port))
    except OSError as error:
        bound.close()
        raise ConfigurationError(_bind_problem(error, host, port)) from error
    bound.set_inheritable(True)
    return bound


def _bind_problem(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use; stop the program that uses it, or choose another port with --port."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"This user has no permission to listen on port {port}; choose one above 1023 with --port."
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"This machine has no address {host}; choose another with --host."
    return f"memhost cannot listen on {host}:{port}: {error.strerror or error}."


def _uvicorn_config(plan: Plan, app: Application | str) -> uvicorn.Config:
    server = plan.configuration.settings.server
    config = PatientConfig(
        app,
        factory=isinstance(app, str),
        host=server.host,
        port=server.port,
        workers=server.workers,
        reload=plan.reload,
        loop="auto" if sys.platform == "win32" else "uvloop",
        http=Patient,
        proxy_headers=bool(server.trusted_proxies),
        forwarded_allow_ips=",".join(server.trusted_proxies),
        ssl_certfile=server.tls_cert or None,
        ssl_keyfile=server.tls_key or None,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=server.keep_alive_s,
        timeout_graceful_shutdown=max(1, round(server.shutdown_grace_s)),
    )
    config.header_timeout_s = server.header_timeout_s
    config.body_timeout_s = server.body_timeout_s
    config.max_connections = server.max_connections
    config.proxies = server.trusted_proxies
    return config


class _Server(uvicorn.Server):
    """Tells when it listens, unless it was told to stop before."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, then say so."""
        await super().startup(sockets)
        if self.started and self.should_exit:
            await self.shutdown(sockets)
        elif self.started:
            self._listening()


def _run_here(plan: Plan, bound: socket.socket, port: int) -> None:
    found: list[Facts] = []

    async def opened(host: Host) -> None:
        found.append(await _examine(host))

    def listening() -> None:
        announce(plan, found[0], port)
        relax_collection()

    app = Application(plan.configuration, plan.plugins, opened=opened)
    server = _Server(_uvicorn_config(plan, app), listening)
    # Also before uvicorn looks for signals, and when it is done and raises the one that ended it once more.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, server.handle_exit)
    try:
        with _quiet_uvicorn(app):
            server.run(sockets=[bound])
    except SystemExit:
        if app.failure is None:
            raise
    if app.failure is not None:
        raise app.failure
    if not server.started:
        return
    _farewell(plan)


def _run_processes(plan: Plan, facts: Facts, bound: socket.socket, port: int) -> None:
    from uvicorn.supervisors import ChangeReload

    from memhost.http.processes import Processes

    relax_collection()

    config = _uvicorn_config(plan, FACTORY)
    ready = threading.Event()
    threading.Thread(target=_announce_later, args=(plan, facts, port, ready), daemon=True).start()
    if plan.reload:
        reloader = ChangeReload(config, target=uvicorn.Server(config).run, sockets=[bound])
        reloader.run()
        asked_to_stop = reloader.should_exit.is_set()
    else:
        processes = Processes(config, sockets=[bound])
        processes.run()
        asked_to_stop = processes.asked_to_stop
    if not (ready.is_set() or asked_to_stop):
        raise CommandError("The server processes did not start; the log lines above say why.")
    _farewell(plan)


def _announce_later(plan: Plan, facts: Facts, port: int, ready: threading.Event) -> None:
    server = plan.configuration.settings.server
    if wait_until_listening(server.host, port, STARTUP_LIMIT_S, tls=bool(server.tls_cert)):
        ready.set()
        announce(plan, facts, port)


def announce(plan: Plan, facts: Facts, port: int) -> None:
    """Say that the server listens: for people, as a log line, or as JSON."""
    server = plan.configuration.settings.server
    url = f"{'https' if server.tls_cert else 'http'}://{address(server.host)}:{port}"
    if plan.as_json:
        show_line({"url": url, "port": port, "data_dir": str(plan.configuration.data_dir)})
        sys.stdout.flush()
    if server.log_format == "json" or plan.as_json:
        logs.log(logger, logging.INFO, "server.started", url=url, workers=server.workers)
        return
    click.echo(banner(plan, facts, url), err=True)


def banner(plan: Plan, facts: Facts, url: str) -> str:
    """Return the lines that people see when the server runs."""
    access = "open, this machine only" if facts.open else plan.configuration.settings.server.auth
    if facts.open and not is_loopback(plan.configuration.settings.server.host):
        access = "OPEN TO EVERYONE who can reach this machine"
    shown = sorted(_shown_by_interfaces(plan, url))
    lines = [
        *(line for line in shown if line[0] != _TRY),
        ("Store", f"{facts.store} ({facts.memories} memories)"),
        ("Models", f"embedder {facts.embedder} · language model {facts.llm or 'none'}"),
        ("Strategy", facts.strategy),
        ("Access", access),
        *([("Jobs", f"{facts.queue}: run workers with: memhost worker")] if facts.queue else ()),
        *([("Check", "memhost doctor checks the language model")] if facts.llm else ()),
        *(line for line in shown if line[0] == _TRY),
        ("Stop", "Ctrl-C"),
    ]
    body = "\n".join(f"  {name:<9}{value}" for name, value in lines)
    title = click.style(f"memhost {__version__} is running at {url}", bold=sys.stderr.isatty())
    return as_run(f"{title}\n\n{body}\n")


def _shown_by_interfaces(plan: Plan, url: str) -> Iterator[tuple[str, str]]:
    registry = plan.plugins.interfaces
    for name in plan.configuration.settings.server.interfaces or registry.names():
        if entry := registry.get(name):
            shown = entry.spec.shown(plan.configuration.section("interfaces", name))
            yield from ((title, text.replace("{url}", url)) for title, text in shown.items())


def address(host: str) -> str:
    """The host part of a URL for something that listens on that address."""
    if host in ("0.0.0.0", "::", "[::]"):  # noqa: S104 - compared, not bound
        return "127.0.0.1" if "." in host else "[::1]"
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _farewell(plan: Plan) -> None:
    if plan.configuration.settings.server.log_format == "json" or plan.as_json:
        logs.log(logger, logging.INFO, "server.stopped")
    else:
        click.echo("Stopped.", err=True)


@contextmanager
def _quiet_uvicorn(app: Application | None = None) -> Iterator[None]:
    """Leave failures at start to our own sentence."""
    target = logging.getLogger("uvicorn.error")

    def keep(record: logging.LogRecord) -> bool:
        told_later = app is not None and app.failure is not None
        return not told_later and "startup failed" not in record.getMessage()

    target.addFilter(keep)
    try:
        yield
    finally:
        target.removeFilter(keep)
