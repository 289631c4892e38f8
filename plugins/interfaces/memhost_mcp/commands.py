"""Serve MCP over standard streams; set up MCP hosts."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import click

from memhost.commands import (
    Nested,
    config_options,
    configuration,
    json_option,
    run,
    serve_interfaces,
    show,
    table,
    url_options,
)
from memhost_mcp import hosts

_MODES = ("stdio", "sse", "streamable-http")
_BACKENDS = {"auto": None, "inline": "inline", "asyncio": "inline", "queue": "arq", "docket": "arq", "arq": "arq"}


@click.group(cls=Nested, invoke_without_command=True)
@url_options
@click.option("--mode", type=click.Choice(_MODES), default="stdio", show_default=True, help="Transport.")
@click.option("--host", help="Address to listen on, with the HTTP transports.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port, with the HTTP transports; 0 picks a free one.")
@click.option("--insecure", is_flag=True, help="Serve other machines without authentication.")
@click.option("--task-backend", type=click.Choice(sorted(_BACKENDS)), default="auto", help="Where background jobs run.")
@config_options
@json_option
@click.pass_context
def mcp(
    ctx: click.Context,
    url: str | None,
    token: str | None,
    mode: str,
    host: str | None,
    port: int | None,
    insecure: bool,
    task_backend: str,
    data: str | None,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Serve MCP over standard streams, for a host that starts this command.

    Without --url the memories are those of this machine. With --url it is a bridge to a running server, so that
    several hosts share one memory.
    """
    if ctx.invoked_subcommand is not None:
        return
    if mode != "stdio":
        _serve_http(host, port, insecure, data, config_file)
        return
    gc.disable()  # importing makes many objects and no garbage
    if url:
        from memhost_mcp.bridge import bridge

        run(lambda: bridge(url, token))
        return
    from memhost_mcp.stdio import serve_here

    run(lambda: serve_here(data, config_file, _BACKENDS[task_backend]))


def _serve_http(host: str | None, port: int | None, insecure: bool, data: str | None, config_file: Path | None) -> None:
    chosen = configuration(data, config_file)
    settings: Any = chosen.section("interfaces", "mcp")
    serve_interfaces(
        ["mcp"],
        host=host or settings.host or _default_host(chosen.settings.server.auth),
        port=settings.port if port is None else port,
        data=data,
        config_file=config_file,
        options={"interfaces.mcp.mount": True, "server.insecure": True if insecure else None},
    )


def _default_host(auth: str) -> str:
    """Where to listen if nobody says it; the server itself refuses to be open to other machines by accident."""
    return "0.0.0.0" if auth != "none" or _in_container() else "127.0.0.1"  # noqa: S104


def _in_container() -> bool:
    """Tell whether this process runs in a container of Docker, Podman or Kubernetes: its loopback is private."""
    marks = (Path("/.dockerenv"), Path("/run/.containerenv"))
    return any(mark.exists() for mark in marks) or "KUBERNETES_SERVICE_HOST" in os.environ


@mcp.command()
@click.argument("name", metavar="HOST", required=False)
@click.option("--host", "option", hidden=True)
@click.option("--url", help="Connect to a running server instead of starting one.")
@click.option("--token", help="Token for that server.")
@click.option("--data", metavar="DIR", type=click.Path(file_okay=False), help="Folder of the memories.")
@click.option("--name", "entry_name", default=hosts.NAME, show_default=True, help="Name of the entry.")
@click.option("--write", is_flag=True, help="Merge the entry into the host's file.")
@click.option(
    "--file", "path", type=click.Path(dir_okay=False, path_type=Path), help="File to use instead of the host's default."
)
@click.pass_context
def config(
    ctx: click.Context,
    name: str | None,
    option: str | None,
    url: str | None,
    token: str | None,
    data: str | None,
    entry_name: str,
    write: bool,
    path: Path | None,
) -> None:
    """Print what a host's configuration needs: claude, claude-code, cursor, vscode, windsurf."""
    wanted = name or option or ""
    if not wanted:
        click.echo(ctx.get_help())
        return
    host = hosts.HOSTS.get(hosts.ALIASES.get(wanted, wanted))
    if host is None:
        raise click.BadParameter(f"{wanted or 'nothing'} is not a known host; known hosts: {', '.join(hosts.HOSTS)}.")
    if url:
        from memhost_mcp.bridge import endpoint

        url = endpoint(url)
    options = ["--data", str(Path(data).expanduser().absolute())] if data else []
    part = hosts.document(host, hosts.entry(host, url=url, token=token, options=options), entry_name)
    target = (path or Path(host.path)).expanduser()
    if not write:
        click.echo(f"{host.title}: put this into {target}, or add --write.", err=True)
        show(part)
        return
    changed = hosts.merge(target, part)
    click.echo(f"{'Wrote' if changed else 'Nothing to change in'} {target}. Restart {host.title}.", err=True)


@mcp.command()
@url_options
@config_options
@json_option
def check(url: str | None, token: str | None, data: str | None, config_file: Path | None, as_json: bool) -> None:
    """Connect as a host does, list the tools, search once, and report."""
    from memhost_mcp.bridge import check as examine

    options = [*(["--data", data] if data else []), *(["--config", str(config_file)] if config_file else [])]
    report = run(lambda: examine(url, token, options))
    if as_json:
        show(report)
        return
    table(("what", "found"), [(name, str(value)) for name, value in report.items()])
