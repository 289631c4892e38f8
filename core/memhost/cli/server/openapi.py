"""`memhost openapi`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click

from memhost.cli.access import load, run
from memhost.cli.failures import CommandError
from memhost.cli.options import config_options, json_option, show


@click.command()
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write to a file.")
@config_options
@json_option
def openapi(output: Path | None, data: str | None, config_file: Path | None, as_json: bool) -> None:
    """Print the OpenAPI document of the REST interface (always JSON)."""
    document = run(lambda: _document(data, config_file))
    if output is None:
        show(document)
        return
    import msgspec

    output.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    click.echo(f"Wrote {output}.", err=True)


async def _document(data: str | None, config_file: Path | None) -> Any:
    """Ask the application itself, opened on an empty folder so that no store of the operator is touched."""
    import httpx

    from memhost.host import open_host
    from memhost.http.app import build_app

    with tempfile.TemporaryDirectory(prefix="memhost-openapi-") as folder:
        configuration, plugins = load(data or folder, config_file)
        async with open_host(configuration, plugins, run_jobs=False) as host:
            app: Any = build_app(host)
            transport = httpx.ASGITransport(app=app)
            async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                answer = await client.get("/openapi.json")
    if not answer.is_success:
        raise CommandError("No interface offers an OpenAPI document at /openapi.json.")
    return answer.json()
