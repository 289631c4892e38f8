"""`memhost reindex`."""

from __future__ import annotations

from pathlib import Path

import click

from memhost.cli.access import opened, run
from memhost.cli.options import config_options, confirm, force_option, json_option, show_line, tenant_option


@click.command()
@force_option
@tenant_option
@config_options
@json_option
def reindex(force: bool, tenant: str, data: str | None, config_file: Path | None, as_json: bool) -> None:
    """Make words and vectors of all memories anew, after a change of embedder or of version.

    Stop the server first. The former vectors are dropped; memories themselves are not touched.
    """
    from memhost.cli.printing import progress
    from memhost.models import Scope
    from memhost.services import transfer

    confirm("Replace all vectors? The server must not run meanwhile.", force=force)

    async def work() -> tuple[int, str]:
        async with opened(data, config_file, reindex=True) as host:
            total = (await host.store.info()).counts.get("memories", 0)
            bar, task = progress("Reindexing", total)
            done = 0
            with bar:
                async for done in transfer.reindex(host.store, host.embedder, Scope(tenant=tenant)):
                    bar.update(task, completed=done)
            return done, host.embedder.name

    done, embedder = run(work)
    if as_json:
        show_line({"reindexed": done, "embedder": embedder})
    else:
        click.echo(f"Reindexed {done} memories with {embedder}.")
