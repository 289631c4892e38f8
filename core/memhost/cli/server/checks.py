"""The checks of `memhost doctor`."""

from __future__ import annotations

import errno
import logging
import os
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from memhost.cli.access import load, untouched
from memhost.errors import ConfigurationError, MemhostError, StoreMismatch
from memhost.host import Host, open_host
from memhost.host.readiness import since, waiting_work
from memhost.host.selection import store_name
from memhost.http.connections import connection_limit, raise_descriptor_limit
from memhost.http.trial import tried_server
from memhost.integrity.keys import NONE, load_keys
from memhost.plugins import PluginManager
from memhost.ports import KeepsHistory, SelfChecking
from memhost.settings import Configuration
from memhost.usage.model_calls import PURPOSES

logger = logging.getLogger(__name__)

_FEW_CONNECTIONS = 200
_LOW_DISK = 200 * 1024 * 1024
_PROBE_LIMIT_S = 20.0
_PROBE_TOKENS = 200
"""Enough for models that think before they answer."""
_OLDEST_SANE = datetime(2024, 1, 1, tzinfo=UTC)
_NEWEST_SANE = datetime(2100, 1, 1, tzinfo=UTC)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at, how it is, and what to do if it is not well."""

    name: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    fix: str = ""


def _ok(name: str, detail: str) -> Check:
    return Check(name=name, state="ok", detail=detail)


def _warn(name: str, detail: str, fix: str = "") -> Check:
    return Check(name=name, state="warn", detail=detail, fix=fix)


def _fail(name: str, detail: str, fix: str = "") -> Check:
    return Check(name=name, state="fail", detail=detail, fix=fix)


async def examine(data: str | None, config_file: Path | None, *, call_model: bool = False) -> list[Check]:
    """All checks in order; those that cannot be made after a failure are left out."""
    checks = [_clock()]
    try:
        configuration, plugins = load(data, config_file)
    except ConfigurationError as error:
        return [*checks, *(_fail("configuration", problem) for problem in error.problems)]
    checks += _configuration(configuration)
    checks += await _plugins(plugins, config_file)
    checks += _data_folder(configuration.data_dir)
    checks.append(_keys(configuration, plugins))
    checks.append(_port(configuration))
    checks.append(_connections(configuration))
    with _silence():  # what is logged on the way is in the checks
        checks += await _parts(configuration, plugins, config_file, call_model=call_model)
    return checks


@contextmanager
def _silence() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        root.setLevel(level)


def _connections(configuration: Configuration) -> Check:
    descriptors = raise_descriptor_limit()
    most = connection_limit(configuration.settings.server.max_connections, descriptors)
    detail = f"at most {most:,} for each server process, with {descriptors:,} open files"
    if most >= _FEW_CONNECTIONS:
        return _ok("connections", detail)
    return _warn("connections", detail, "Raise the limit of open files (ulimit -n, LimitNOFILE), or MAX_CONNECTIONS.")


def _clock() -> Check:
    now = datetime.now(UTC)
    if not _OLDEST_SANE <= now <= _NEWEST_SANE:
        fix = "Set the machine's clock; memories would get wrong dates."
        return _fail("clock", f"it is {now:%Y-%m-%d} here", fix)
    return _ok("clock", f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _configuration(configuration: Configuration) -> list[Check]:
    given = sum(not row.default for row in configuration.describe())
    file = str(configuration.file) if configuration.file else "no file"
    checks = [_ok("configuration", f"{given} settings given, {file}")]
    return checks + [_warn("configuration", warning) for warning in configuration.warnings]


async def _plugins(plugins: PluginManager, config_file: Path | None) -> list[Check]:
    rows, wrong = plugins.rows, []
    if any(not plugins.is_bundled(row.name) and row.status == "ok" for row in rows):
        try:
            with _silence():
                async with tried_server(config_file) as (_, tried, _host):
                    rows = tried.rows
        except MemhostError as error:
            wrong = [_warn("plugins", f"a server with all of them does not start: {error.message}")]
    failed = [row for row in rows if row.status == "failed"]
    good = sum(row.status == "ok" for row in rows)
    if not rows:
        return [_fail("plugins", "none are installed", "Reinstall memhost.")]
    checks = [_ok("plugins", f"{good} of {len(rows)} loaded"), *wrong]
    for row in failed:
        fix = f"Upgrade or uninstall {row.distribution}, or set PLUGINS_DISABLED={row.name}."
        checks.append(_warn("plugins", f"{row.name} ({row.distribution} {row.version}): {row.error}", fix))
    return checks


def _data_folder(folder: Path) -> list[Check]:
    fix = "Choose another folder with --data or DATA_DIR, or change its permissions."
    try:
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        if there != folder:  # it is made when something is stored; a check makes nothing
            if not os.access(there, os.W_OK | os.X_OK) or not there.is_dir():
                raise OSError(errno.EACCES, f"{folder} cannot be created in {there}")
            return [_ok("data folder", f"{folder} will be created with the first write")]
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as probe:
            probe.write(b"x")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return [_fail("data folder", f"{folder} cannot be written: {error.strerror}", fix)]
    usage = os.statvfs(folder)
    free = usage.f_bavail * usage.f_frsize
    megabytes = free // (1024 * 1024)
    if free < _LOW_DISK:
        return [_warn("data folder", f"{folder} has only {megabytes} MB left", "Free some space.")]
    return [_ok("data folder", f"{folder} is writable, {megabytes} MB free")]


def _keys(configuration: Configuration, plugins: PluginManager) -> Check:
    text = configuration.settings.server.integrity_key
    chosen = plugins.stores.get(store_name(configuration, plugins))
    fix = "Set INTEGRITY_KEY to the output of openssl rand -hex 32 and keep it apart from the data (docs/security.md)."
    if text == NONE or (not text and chosen is not None and chosen.spec.shared):
        return _warn("server's key", "none: edits behind the server's back cannot be proven", fix)
    try:
        keys = load_keys(text, make=False)
    except ConfigurationError as error:
        return _fail("server's key", error.message)
    if keys is None:
        return _ok("server's key", "will be made with the first start")
    if keys.source.startswith(str(configuration.data_dir) + os.sep):
        return _warn("server's key", f"{keys.source} lies beside the data that it is to prove", fix)
    return _ok("server's key", f"{keys.id}, {keys.source}")


def _port(configuration: Configuration) -> Check:
    server = configuration.settings.server
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((server.host.strip("[]"), server.port))
        except OSError as error:
            detail = f"{server.host}:{server.port}: {error.strerror or error}"
            fix = "If another program uses it, choose another port or address with PORT or HOST."
            return _warn("port", detail, fix)
    return _ok("port", f"{server.host}:{server.port} is free")


async def _parts(
    configuration: Configuration, plugins: PluginManager, config_file: Path | None, *, call_model: bool
) -> list[Check]:
    """Open everything that is selected, and try it."""
    try:
        async with _opened(configuration, plugins, config_file) as host:
            checks = [await _store(host)]
            checks += await _integrity(host)
            checks += await _proof(host)
            checks += await _jobs(host)
            checks += await _reviews(host)
            checks += await _workers(host)
            checks.append(await _embedder(host))
            checks += await _reranker(host, call=call_model)
            checks += await _model(host, call=call_model)
            checks.append(_access(host))
            return checks
    except StoreMismatch as error:
        return [_fail("store", error.message)]
    except MemhostError as error:
        return [_fail("start", error.message)]
    except Exception as error:  # noqa: BLE001 - a plugin may fail in any way, and that is what to tell
        return [_fail("start", f"{type(error).__name__}: {error}", "Run memhost serve --debug for details.")]


@asynccontextmanager
async def _opened(
    configuration: Configuration, plugins: PluginManager, config_file: Path | None
) -> AsyncIterator[Host]:
    """The host; with its runner where that is a queue to be reached, without running jobs."""
    runner = plugins.runners.get(configuration.settings.server.runner)
    queued = runner is not None and runner.spec.separate
    with untouched(configuration, config_file) as (other, file):
        if other is not None:
            configuration, plugins = load(other, file, {"server.integrity_key": "none"})
        async with open_host(configuration, plugins, run_jobs=queued) as host:
            yield host


async def _timed(name: str, work: Callable[[], Awaitable[str]], fix: str) -> Check:
    import asyncio

    started = time.perf_counter()
    try:
        async with asyncio.timeout(_PROBE_LIMIT_S):
            detail = await work()
    except TimeoutError:
        return _fail(name, f"no answer within {_PROBE_LIMIT_S:.0f} s", fix)
    except MemhostError as error:
        return _fail(name, error.message, fix)
    except Exception as error:  # noqa: BLE001 - a plugin may fail in any way: the check has failed
        return _fail(name, f"{type(error).__name__}: {error}", fix)
    return _ok(name, f"{detail}, {(time.perf_counter() - started) * 1000:.0f} ms")


async def _store(host: Host) -> Check:
    async def work() -> str:
        await host.store.ping()
        info = await host.store.info()
        counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in info.counts.items())
        return f"{info.engine}, schema {info.schema_version}, {counts}"

    return await _timed("store", work, "See the log, or restore an export into a new folder.")


async def _integrity(host: Host) -> list[Check]:
    """The quick check of stores that are an SQLite file; others have none."""
    path = (await host.store.info()).details.get("path")
    if not path:
        return []
    import apsw

    fix = "Stop the server, keep a copy of the file, and import your last export into a new folder."
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
        finally:
            connection.close()
    except apsw.Error as error:
        return [_fail("integrity", str(error), fix)]
    if found == ["ok"]:
        return [_ok("integrity", f"{path} is sound")]
    return [_fail("integrity", "; ".join(found), fix)]


async def _proof(host: Host) -> list[Check]:
    """Tell whether the end of the log is the published one, where the store keeps a log."""
    if not isinstance(host.store, KeepsHistory):
        return []
    entries = sum(head.seq for head in (await host.store.heads()).values())
    if trouble := await host.services.verifying.state.trouble():
        return [_fail("log", trouble, "memhost verify shows what was done; this is over when it finds nothing.")]
    return [_ok("log", f"{entries} entries, and its end is the published one")]


async def _jobs(host: Host) -> list[Check]:
    counts = (await host.store.info()).counts
    dead = counts.get("dead_jobs", 0)
    found = await waiting_work(host.store)
    checks = []
    if found.jobs:
        fix = (
            "They continue by themselves when the problem is fixed; memhost doctor --call-model calls the language "
            "model."
        )
        checks.append(_warn("jobs", f"{found.told(host.clock.now())}; {found.reason}", fix))
    if dead:
        fix = "memhost jobs list --failed shows the reasons; then run memhost jobs retry --all."
        checks.append(_warn("jobs", f"{dead} background jobs gave up", fix))
    return checks or [_ok("jobs", f"{counts.get('jobs', 0)} in the queue, none gave up")]


async def _reviews(host: Host) -> list[Check]:
    if not host.settings.memory.long_term_memory:
        return []
    reasons, oldest = await host.reviews_waiting()
    if oldest is None:
        return [_ok("reviews", "no memory waits")]
    parts = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
    detail = f"{sum(reasons.values())} memories wait ({parts}), the oldest {since(oldest, host.clock.now())}"
    return [_warn("reviews", detail, "memhost review list shows them; approve, correct or refuse them there.")]


async def _workers(host: Host) -> list[Check]:
    if not host.has_workers:
        return []
    alive = await host.services.workers.alive()
    if alive:
        return [_ok("workers", f"{len(alive)} at work: {', '.join(row.name for row in alive)}")]
    return [_warn("workers", "no worker has reported within 15 s, so jobs wait", "Start one with: memhost worker")]


async def _embedder(host: Host) -> Check:
    async def work() -> str:
        vectors = await host.embedder.embed(["The quick brown fox."])
        if vectors.shape != (1, host.embedder.dimensions):
            raise ConfigurationError(f"it returned an array of shape {vectors.shape}")
        return f"{host.embedder.name}, {host.embedder.dimensions} dimensions"

    return await _timed("embedder", work, "Check EMBEDDER and the provider's key, or set EMBEDDER=static.")


async def _reranker(host: Host, *, call: bool) -> list[Check]:
    reranker = host.reranker
    if reranker is None:
        return []
    if not call:
        return [_ok("reranker", f"{reranker.name} (not called: --call-model)")]

    async def work() -> str:
        scores = await reranker.rerank("Where is the boat?", ["The boat lies in Kiel.", "Bob likes tea."])
        return f"{reranker.name} answers, {', '.join(f'{score:.2f}' for score in scores)}"

    return [await _timed("reranker", work, "Check RERANKER and the provider's key, or set RERANKER=none.")]


async def _model(host: Host, *, call: bool) -> list[Check]:
    name, llm = "language model", host.llm
    if llm is None:
        return [_ok(name, "none: turns are stored verbatim; LLM_MODEL enables extraction")]
    models = dict.fromkeys([llm.name, *(host.services.model_calls.model_for(purpose) for purpose in PURPOSES)])
    problems = []
    if isinstance(llm, SelfChecking):
        problems = [problem for model in models for problem in await llm.problems(model)]
    if not call:
        return [_warn(name, problem) for problem in problems] or [_ok(name, f"{llm.name} (not called: --call-model)")]

    def calling(model: str) -> Callable[[], Awaitable[str]]:
        async def work() -> str:
            prompt = [{"role": "user", "content": "Answer with the single word: yes"}]
            answer = await llm.complete(prompt, model=model, purpose="plugin", max_tokens=_PROBE_TOKENS)
            return f"{model} answers, {answer.input_tokens} + {answer.output_tokens} tokens"

        return work

    fix = "Fix the problem, or set another LLM_MODEL. Waiting work continues by itself."
    return [await _timed(name, calling(model), " ".join([*problems, fix])) for model in models]


def _access(host: Host) -> Check:
    from memhost.cli.server.serving import open_on_purpose
    from memhost.http.allowed_hosts import is_loopback

    server = host.settings.server
    if not host.authenticator.open:
        return _ok("access", f"authentication by {server.auth}")
    if is_loopback(server.host):
        return _ok("access", "open, but only this machine can reach it")
    fix = "Set AUTH=token, or HOST=127.0.0.1."
    if open_on_purpose(host.configuration):
        return _warn("access", f"open to everyone who can reach {server.host}, as configured", fix)
    return _fail("access", f"{server.host} without authentication: the server will not start", fix)
