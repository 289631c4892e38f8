"""`memhost reindex`."""

from __future__ import annotations

from pathlib import Path

import click

from memhost.cli.access import opened, run
from memhost.cli.options import (
    config_options,
    confirm,
    force_option,
    json_option,
    more_tenants_option,
    show_line,
)


@click.command()
@force_option
@more_tenants_option
@config_options
@json_option
def reindex(force: bool, tenants: tuple[str, ...], data: str | None, config_file: Path | None, as_json: bool) -> None:
    """Recompute the words and vectors of all memories of all tenants, after a change of embedder or version.

    Stop the server first. This replaces the vectors; the memories themselves stay unchanged, but for those of version
    0.1.0, which get their level of trust.
    """
    from memhost.admin import export_import as transfer
    from memhost.cli.printing import progress
    from memhost.models import Scope

    confirm("Replace all vectors? The server must be stopped.", force=force)

    async def work() -> tuple[int, str]:
        async with opened(data, config_file, reindex=True, creates=False) as host:
            total = (await host.store.info()).counts.get("memories", 0)
            bar, task = progress("Reindexing", total)
            before = 0
            with bar:
                for tenant in dict.fromkeys([*await host.services.tenants.known(host.clock.now()), *tenants]):
                    done = 0
                    async for done in transfer.reindex(host.store, host.embedder, Scope(tenant=tenant)):
                        bar.update(task, completed=before + done)
                    before += done
            return before, host.embedder.name

    done, embedder = run(work)
    if as_json:
        show_line({"reindexed": done, "embedder": embedder})
    else:
        click.echo(f"Reindexed {done} memories with {embedder}.")
