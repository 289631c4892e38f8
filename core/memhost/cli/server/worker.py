"""`memhost worker`: a process that runs background jobs."""

from __future__ import annotations

from pathlib import Path

import click

from memhost.cli.options import config_options, json_option

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@click.command()
@click.option("--concurrency", type=click.IntRange(1, 1000), help="Jobs that run at the same time.")
@click.option(
    "--redelivery-timeout",
    type=click.FloatRange(1),
    help="Seconds after which another worker takes over the jobs of a dead one (JOB_LEASE_S).",
)
@click.option("--log-level", type=click.Choice(_LEVELS, case_sensitive=False))
@click.option("--check", is_flag=True, help="Exit with code 0 if a worker is running on this machine, else 1.")
@config_options
@json_option
def worker(
    concurrency: int | None,
    redelivery_timeout: float | None,
    log_level: str | None,
    check: bool,
    data: str | None,
    config_file: Path | None,
    as_json: bool,
) -> None:
    """Run background jobs until Ctrl-C or SIGTERM.

    With BACKEND=arq the servers leave all jobs to workers; any number may run, on any machine that reaches
    the store and the queue.
    """
    if check:
        _check(data, config_file, as_json)
        return
    from memhost.host.worker import run_worker

    options = {
        "server.data_dir": data,
        "server.log_level": log_level.upper() if log_level else None,
        "server.job_lease_s": redelivery_timeout,
    }
    run_worker(concurrency=concurrency, options=options, config_file=config_file)


def _check(data: str | None, config_file: Path | None, as_json: bool) -> None:
    import socket

    from memhost.cli.access import opened, run
    from memhost.cli.failures import CommandError
    from memhost.cli.options import show
    from memhost.operations.responses import WorkerRow

    async def work() -> list[WorkerRow]:
        async with opened(data, config_file) as host:
            return await host.services.workers.alive()

    here = [row for row in run(work) if row.name.rpartition(":")[0] == socket.gethostname()]
    if not here:
        raise CommandError("No worker of this machine has reported within 15 s.")
    if as_json:
        show([row.name for row in here])
    else:
        click.echo(f"{len(here)} running on this machine.")
