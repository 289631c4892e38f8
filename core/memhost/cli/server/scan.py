"""`memhost scan`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from memhost.cli.access import opened, run
from memhost.cli.options import (
    config_options,
    confirm,
    force_option,
    json_option,
    more_tenants_option,
    show,
)

if TYPE_CHECKING:
    from memhost.admin.secret_scan import ScanReport

_SHOWN = 50


@click.command()
@click.option("--mask", is_flag=True, help="Mask what is found.")
@force_option
@more_tenants_option
@config_options
@json_option
def scan(
    mask: bool, force: bool, tenants: tuple[str, ...], data: str | None, config_file: Path | None, as_json: bool
) -> None:
    """Find secrets that are stored already, in everything of all tenants.

    With --mask they are masked: memories, sessions, documents and jobs. Former versions of memories that hold secrets
    are removed. Secrets in ids, and in what plugins keep, are named and stay.
    """
    if mask:
        confirm("Mask all secrets that are stored? This cannot be undone.", force=force)

    async def work() -> ScanReport:
        async with opened(data, config_file, creates=False) as host:
            from memhost.admin.secret_scan import SecretScan

            scanner = SecretScan(
                store=host.store,
                embedder=host.embedder,
                masker=host.services.secrets.by("mask"),
                clock=host.clock,
                mask=mask,
            )
            for tenant in dict.fromkeys([*await host.services.tenants.known(host.clock.now()), *tenants]):
                await scanner.tenant(tenant)
            return await scanner.finish()

    _tell(run(work), mask=mask, as_json=as_json)


def _tell(report: ScanReport, *, mask: bool, as_json: bool) -> None:
    if as_json:
        show(report)
        return
    for secret in report.secrets[:_SHOWN]:
        owner = f" of {secret.user}" if secret.user else ""
        state = " (stays)" if secret.stays else ""
        click.echo(f"{secret.what} {secret.id}{owner}: {secret.where or 'text'}: {secret.kind}{state}")
    if len(report.secrets) > _SHOWN:
        click.echo(f"... and {report.found - _SHOWN} more; --json names up to a thousand.")
    looked = ", ".join(f"{count} {name}" for name, count in report.looked_at.items() if count) or "nothing"
    what = f"{report.found} secrets found in {looked}"
    removed = report.versions_removed
    versions = f" {removed} former version{'s' * (removed != 1)} with them removed." if removed else ""
    click.echo(f"{what}; {report.masked} masked.{versions}" if mask else f"{what}." + _ADVICE * bool(report.found))


_ADVICE = " memhost scan --mask masks them."
