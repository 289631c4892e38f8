"""`memhost jobs list|retry|discard`."""

from __future__ import annotations

from typing import Any

import click

from memhost.cli.access import Access, Target, ask, reach, run, target_of
from memhost.cli.options import (
    config_options,
    confirm,
    force_option,
    json_option,
    show,
    url_options,
)
from memhost.cli.root import Nested

_PAGE = 500


@click.group(cls=Nested)
def jobs() -> None:
    """List background jobs; retry or discard dead ones."""


@jobs.command("list")
@click.option("--state", type=click.Choice(["pending", "waiting", "running", "dead"]), help="Only jobs in this state.")
@click.option("--failed", is_flag=True, help="The same as --state dead.")
@click.option("-l", "--limit", type=click.IntRange(1, 500), default=100, show_default=True)
@click.option("-o", "--offset", type=click.IntRange(0), default=0, show_default=True)
@url_options
@config_options
@json_option
def list_(
    state: str | None,
    failed: bool,
    limit: int,
    offset: int,
    as_json: bool,
    **options: Any,
) -> None:
    """List background jobs, oldest first."""
    request = {"state": "dead" if failed else state, "limit": limit, "offset": offset}
    found = ask(target_of(options), "list_jobs", request)
    if as_json:
        show(found)
    else:
        _print(found)


@jobs.command()
@click.argument("job_ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead jobs.")
@url_options
@config_options
@json_option
def retry(
    job_ids: tuple[str, ...],
    everything: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Retry dead jobs."""
    target = target_of(options)
    _tell("retried", _each(target, "retry_job", job_ids, everything), as_json)


@jobs.command()
@click.argument("job_ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead jobs.")
@force_option
@url_options
@config_options
@json_option
def discard(
    job_ids: tuple[str, ...],
    everything: bool,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Remove dead jobs for good."""
    which = "all dead jobs" if everything else f"{len(job_ids)} jobs"
    confirm(f"Remove {which} for good?", force=force)
    target = target_of(options)
    _tell("discarded", _each(target, "discard_job", job_ids, everything), as_json)


def _each(target: Target, operation: str, ids: tuple[str, ...], everything: bool) -> list[str]:
    if bool(ids) == everything:
        raise click.UsageError("Name the jobs, or give --all for all dead ones.")

    async def work() -> list[str]:
        async with reach(target) as access:
            chosen = await _dead(access) if everything else list(ids)
            for job_id in chosen:
                await access.call(operation, {"job_id": job_id})
            return chosen

    return run(work)


async def _dead(access: Access) -> list[str]:
    ids: list[str] = []
    while True:
        request = {"state": "dead", "limit": _PAGE, "offset": len(ids)}
        page = (await access.call("list_jobs", request))["jobs"]
        ids += [job["id"] for job in page]
        if len(page) < _PAGE:
            return ids


def _tell(verb: str, ids: list[str], as_json: bool) -> None:
    if as_json:
        show({verb: ids})
    else:
        click.echo(f"{len(ids)} {verb}.")


def _state(job: dict[str, Any]) -> str:
    from memhost.cli.printing import minute

    if not job.get("waiting_since"):
        return str(job["state"])
    since = f"since {minute(job['waiting_since'])}"
    return f"waiting {since}" if job["state"] == "waiting" else f"{job['state']}, waited {since}"


def _print(found: dict[str, Any]) -> None:

    if found["workers"]:
        click.echo(f"Workers: {', '.join(row['name'] for row in found['workers'])}.")
    if not found["jobs"]:
        click.echo("No jobs.")
        return
    for job in found["jobs"]:
        _print_job(job)
    click.echo(f"{len(found['jobs'])} of {found['total']}.")


def _print_job(job: dict[str, Any]) -> None:
    """Print what becomes of it, and below it its id, whole on one line to be copied, and why it failed."""
    from memhost.cli.printing import minute, printable, shorten

    tries = f"{job['attempts']} {'try' if job['attempts'] == 1 else 'tries'}"
    click.echo(printable(f"{_state(job)} · {job['event']} of {job['plugin']} · {tries} · due {minute(job['due_at'])}"))
    click.echo(printable(f"       id {job['id']}"))
    if job["last_error"]:
        click.echo(printable(f"       {shorten(job['last_error'])}"))
