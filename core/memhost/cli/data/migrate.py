"""`memhost migrate`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from memhost.cli.access import load, run
from memhost.cli.failures import CommandError
from memhost.cli.options import config_options, json_option, more_tenants_option, show_line
from memhost.errors import ConfigurationError

if TYPE_CHECKING:
    from memhost.admin.migration import Compared, Migration
    from memhost.plugins import PluginManager
    from memhost.ports import Clock, Store
    from memhost.settings import Configuration


@click.command()
@click.option("--from", "source", required=True, metavar="ADDRESS", help="Store to read: sqlite:PATH or redis://...")
@click.option("--to", "target", required=True, metavar="ADDRESS", help="Store to fill: redis://... or sqlite:PATH.")
@more_tenants_option
@click.option("--dry-run", is_flag=True, help="Only count what would be copied.")
@click.option("-f", "--force", is_flag=True, help="Merge into a target that is not empty.")
@config_options
@json_option
def migrate(
    source: str,
    target: str,
    tenants: tuple[str, ...],
    dry_run: bool,
    force: bool,
    data: str | None,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Copy everything from one store into another: all tenants, memories, sessions, documents and jobs.

    Stop servers and workers of both first. Vectors are copied, not recomputed. Run it again to continue after an
    interruption. At the end both stores are read again and compared by counts and checksums.
    """

    async def work() -> None:
        async with _opened(source, target, tenants, data, config_file, dry_run=dry_run) as migration:
            planned = await migration.plan()
            if not dry_run:
                await _refuse_secrets(migration, data, config_file)
            rows = [] if dry_run else await _move(migration, sum(planned.values()), force=force)
        if dry_run:
            _tell_plan(planned, as_json=as_json)
        else:
            _tell(rows, as_json=as_json)

    run(work)


async def _refuse_secrets(migration: Migration, data: str | None, config_file: Path | None) -> None:
    from memhost.ports import SystemClock
    from memhost.secrets import Masker

    memory = load(data, config_file)[0].settings.memory
    await migration.refuse_secrets(Masker(None, memory.secrets, frozenset(memory.secrets_also)), SystemClock())


async def _move(migration: Migration, total: int, *, force: bool) -> list[Compared]:
    from memhost.cli.printing import progress

    await migration.prepare(force=force)
    bar, task = progress("Copying", total)
    with bar:
        await migration.copy(lambda number: bar.advance(task, number))
    bar, task = progress("Comparing", total)
    with bar:
        rows = await migration.compare(lambda number: bar.advance(task, number))
    if all(row.equal for row in rows):
        await migration.finish()
    return rows


@asynccontextmanager
async def _opened(
    source: str,
    target: str,
    tenants: tuple[str, ...],
    data: str | None,
    config_file: Path | None,
    *,
    dry_run: bool,
) -> AsyncIterator[Migration]:
    """A migration between the two stores; a dry run does not touch the target."""
    from memhost.admin.migration import Migration
    from memhost.ports import SystemClock
    from memhost.usage.tenants import Tenants

    if source == target:
        raise ConfigurationError("Source and target are the same store.")
    configuration, plugins = load(data, config_file)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        ours = await _open(stack, configuration, plugins, clock, source, existing=True)
        info = await ours.info()
        same = {"embedder": info.embedder, "dimensions": info.dimensions}
        theirs = ours if dry_run else await _open(stack, configuration, plugins, clock, target, **same)
        known = dict.fromkeys([*await Tenants(ours).known(clock.now()), *tenants])
        yield Migration(source=ours, target=theirs, origin=_origin(source), tenants=list(known), now=clock.now())


async def _open(
    stack: AsyncExitStack,
    configuration: Configuration,
    plugins: PluginManager,
    clock: Clock,
    address: str,
    **more: Any,
) -> Store:
    import msgspec

    from memhost.integrity.keys import load_keys
    from memhost.specs import OpenContext

    for entry in plugins.stores:
        settings = entry.spec.at(address)
        if settings is not None:
            section = configuration.section("stores", entry.spec.name)
            configuration.data_dir.mkdir(parents=True, exist_ok=True)
            # the keys with which the server opens such a store
            text = configuration.settings.server.integrity_key
            more["keys"] = None if entry.spec.shared and not text else load_keys(text)
            context = OpenContext(data_dir=configuration.data_dir, clock=clock, setting=configuration.value, **more)
            opening = entry.spec.open(msgspec.structs.replace(section, **settings), context)
            store: Store = await stack.enter_async_context(opening)
            return store
    raise ConfigurationError(f"{_origin(address)} is not a store; write sqlite:PATH or redis://host:port.")


def _origin(address: str) -> str:
    """The address without user, password and options."""
    parts = urlsplit(address)
    if not parts.scheme:
        return address
    if "//" not in address:
        return f"{parts.scheme}:{Path(parts.path).absolute()}"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _tell_plan(planned: dict[tuple[str, str], int], *, as_json: bool) -> None:
    if as_json:
        rows = [{"tenant": tenant, "what": what, "source": number} for (tenant, what), number in planned.items()]
        show_line({"dry_run": True, "rows": rows})
        return
    from memhost.cli.printing import table

    cells = [(tenant, what, f"{number:,}") for (tenant, what), number in planned.items() if number]
    table(("tenant", "what", "to copy"), cells)


def _tell(rows: list[Compared], *, as_json: bool) -> None:
    import msgspec

    different = [row for row in rows if not row.equal]
    if as_json:
        show_line({"dry_run": False, "equal": not different, "rows": [msgspec.to_builtins(row) for row in rows]})
    else:
        from memhost.cli.printing import table

        verdict = {True: "the same", False: "DIFFERENT"}
        cells = [
            (row.tenant, row.what, f"{row.source:,}", f"{row.target:,}", row.target_checksum[:16], verdict[row.equal])
            for row in rows
            if row.source or row.target
        ]
        table(("tenant", "what", "source", "target", "checksum", ""), cells)
    if different:
        told = ", ".join(f"{row.what} of {row.tenant}" for row in different)
        raise CommandError(
            f"Source and target differ ({told}): another process wrote to one of them. Run the command again."
        )
