"""`memhost export` and `memhost import`."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from memhost.cli.access import opened, run
from memhost.cli.failures import CommandError
from memhost.cli.options import config_options, json_option, show_line, tenant_option

if TYPE_CHECKING:
    from memhost.admin.export_import import Tally

_SHOWN_PROBLEMS = 20


@click.command("export")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The same as FILE.")
@tenant_option
@config_options
@json_option
def export(
    file: Path | None,
    output: Path | None,
    tenant: str,
    data: str | None,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Write all memories and sessions to FILE (standard output without one), as JSON Lines."""
    if file is not None and output is not None:
        raise click.UsageError("Give one file: FILE or --output.")
    _export(file or output or Path("-"), tenant, data, config_file, as_json)


def _export(file: Path, tenant: str, data: str | None, config_file: Path | None, as_json: bool) -> None:
    from memhost.admin.export_import import Exporter
    from memhost.cli.printing import progress
    from memhost.models import Scope

    async def work() -> tuple[int, bool]:
        async with opened(data, config_file, creates=False) as host:
            counts = (await host.store.info()).counts
            total = counts.get("memories", 0) + counts.get("sessions", 0)
            bar, task = progress("Exporting", total)
            lines = Exporter(host.store, host.clock, host.keys).lines(Scope(tenant=tenant))
            with bar, replacing(file) as target:
                return await _write(lines, target, lambda: bar.advance(task)), host.keys is not None

    written, signed = run(work)
    if as_json and str(file) != "-":
        show_line({"file": str(file), "exported": written, "signed": signed})
    else:
        click.echo(f"Exported {written} memories and sessions.", err=True)
        if not signed:
            click.echo("The file is not signed, because this server has no key (INTEGRITY_KEY).", err=True)


async def _write(lines: AsyncIterator[bytes], target: IO[bytes], step: Any) -> int:
    count = -2  # header and footer
    async for line in lines:
        target.write(line)
        count += 1
        step()
    return count


@contextmanager
def replacing(file: Path) -> Iterator[IO[bytes]]:
    """The file, which appears only when all of it was written; or standard output."""
    if str(file) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.absolute().parent)
    except OSError as error:
        raise CommandError(f"{file} cannot be written: {error.strerror}.") from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as target:
            yield target
            target.flush()
            os.fsync(target.fileno())
        temporary.replace(file)
    except BaseException:  # however it ends: no half-written file stays
        temporary.unlink(missing_ok=True)
        raise


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, allow_dash=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Only report what would be done.")
@tenant_option
@config_options
@json_option
def import_(
    file: Path,
    dry_run: bool,
    tenant: str,
    data: str | None,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Read memories and sessions from FILE, as memhost export writes them.

    A JSON list of memories, or an object with a list "memories", is read as well.

    Importing twice changes nothing. Data that is newer in the store stays unchanged. How far memories and messages are
    trusted is taken from a file that this server has exported and signed; what any other file brings is trusted as
    imported at most, and replaces nothing that is trusted more.
    """

    async def work() -> tuple[Tally, str]:
        async with opened(data, config_file, creates=not dry_run, needs_data=False) as host:
            from memhost.admin.export_import import Importer
            from memhost.admin.export_signature import why_unsigned

            if not dry_run:
                await host.services.tenants.note(tenant, host.clock.now())
            with _source(file) as (source, step):
                unsigned = why_unsigned(source, host.keys)
                source.seek(0)
                importer = Importer(
                    store=host.store,
                    embedder=host.embedder,
                    tenant=tenant,
                    clock=host.clock,
                    dry_run=dry_run,
                    masker=host.services.secrets,
                    signed=not unsigned,
                    settings=host.settings.memory,
                )
                for number, line in enumerate(source, start=1):
                    await importer.feed(number, line)
                    step(len(line))
            return await importer.finish(), unsigned

    _tell(*run(work), dry_run=dry_run, as_json=as_json)


@contextmanager
def _source(file: Path) -> Iterator[tuple[IO[bytes], Any]]:
    if str(file) == "-":
        with tempfile.TemporaryFile() as spooled:  # read twice: the signature is at the end
            shutil.copyfileobj(sys.stdin.buffer, spooled)
            spooled.seek(0)
            yield spooled, lambda _size: None
        return
    from memhost.cli.printing import byte_progress

    bar, task = byte_progress("Importing", file.stat().st_size)
    with bar, file.open("rb") as source:
        yield source, lambda size: bar.advance(task, size)


def _tell(tally: Tally, unsigned: str, *, dry_run: bool, as_json: bool) -> None:
    counts = {
        "created": tally.created,
        "replaced": tally.replaced,
        "unchanged": tally.unchanged,
        "kept_newer": tally.kept,
        "secrets_masked": tally.masked,
        "waiting_for_review": tally.held,
    }
    problems = [{"line": item.line, "message": item.message} for item in tally.problems]
    if as_json:
        show_line(
            {**counts, "problems": problems, "complete": tally.complete, "dry_run": dry_run, "signed": not unsigned}
        )
    else:
        words = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())
        click.echo(("Would be: " if dry_run else "") + words + ".")
        if unsigned:
            click.echo(f"Nothing of this file is trusted further than an imported one: {unsigned}.", err=True)
        for problem in problems[:_SHOWN_PROBLEMS]:
            click.echo(f"Line or item {problem['line']}: {problem['message']}", err=True)
        if len(problems) > _SHOWN_PROBLEMS:
            click.echo(f"... and {len(problems) - _SHOWN_PROBLEMS} more.", err=True)
    if problems:
        raise CommandError(f"{len(problems)} lines were not imported; all others were.")
    if not tally.complete:
        raise CommandError("The file ends early or its counts are wrong: it may be truncated.")
