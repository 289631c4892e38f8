"""`memhost serve`: the server, and what an operator sees of it."""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from memhost.cli.options import config_options, json_option

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@click.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 picks a free one.")
@click.option("--workers", type=click.IntRange(1, 256), help="Server processes.")
@click.option("--log-level", type=click.Choice(_LEVELS, case_sensitive=False))
@click.option("--insecure", is_flag=True, help="Serve other machines without authentication.")
@click.option("--tls-cert", help="File with the certificate chain (PEM): serve HTTPS.")
@click.option("--tls-key", help="File with its key (PEM).")
@click.option("--reindex", is_flag=True, help="Replace the vectors of another embedder while serving.")
@click.option("--reload", is_flag=True, help="Restart when the code changes (for development).")
@config_options
@json_option
def serve(**options: Any) -> None:
    """Run the server until Ctrl-C.

    Without any configuration it listens on http://127.0.0.1:8000 and keeps everything in one file
    under ~/.memhost.
    """
    _serve(**options)


@click.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 picks a free one.")
@click.option("--workers", type=click.IntRange(1, 256), help="Server processes.")
@click.option("--log-level", type=click.Choice(_LEVELS, case_sensitive=False))
@click.option("--insecure", is_flag=True, help="Serve other machines without authentication.")
@click.option("--tls-cert", help="File with the certificate chain (PEM): serve HTTPS.")
@click.option("--tls-key", help="File with its key (PEM).")
@click.option("--reload", is_flag=True, help="Restart when the code changes.")
@click.option(
    "--task-backend",
    type=click.Choice(["asyncio", "docket"]),
    help="Run background jobs in this process (BACKEND=inline) or in workers (BACKEND=arq).",
)
@click.option("--no-worker", is_flag=True, help="The same as --task-backend asyncio.")
@config_options
@json_option
def api(task_backend: str | None, no_worker: bool, **options: Any) -> None:
    """Run the server, with the options of Agent Memory Server."""
    _serve(**options, runner="asyncio" if no_worker else task_backend)


def _serve(
    *,
    host: str | None,
    port: int | None,
    workers: int | None,
    log_level: str | None,
    insecure: bool,
    tls_cert: str | None,
    tls_key: str | None,
    reload: bool,
    data: str | None,
    config_file: Path | None,
    as_json: bool,
    runner: str | None = None,
    reindex: bool = False,
) -> None:
    options = {
        "server.host": host,
        "server.port": port,
        "server.workers": workers,
        "server.data_dir": data,
        "server.log_level": log_level.upper() if log_level else None,
        "server.insecure": True if insecure else None,
        "server.reindex": True if reindex else None,
        "server.tls_cert": tls_cert,
        "server.tls_key": tls_key,
        "server.runner": runner,
    }
    run_with(options, config_file=config_file, reload=reload, as_json=as_json)


def run_with(
    options: Mapping[str, Any], *, config_file: Path | None, reload: bool = False, as_json: bool = False
) -> None:
    """Run the server with these settings by path, which go before all others, until a signal ends it."""
    gc.disable()  # start-up makes many objects and no garbage; `relax_collection` switches it on again
    from memhost import logs
    from memhost.cli.server.serving import Plan, run_server
    from memhost.host import startup
    from memhost.settings import export_options, export_provider_keys

    logs.configure("WARNING")
    configuration, plugins = startup.load(options=options, config_file=config_file)
    server = configuration.settings.server
    logs.configure(server.log_level, server.log_format)
    export_provider_keys()
    export_options(options, os.environ, config_file=config_file)
    run_server(Plan(configuration, plugins, reload=reload, as_json=as_json))
